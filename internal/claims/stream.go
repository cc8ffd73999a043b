package claims

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// Places of the fields in a row.
const (
	claimFault = iota
	claimID
	claimantID
	claimantName
	claimantIBAN
	claimantBIC
	claimantAddress
	claimCurrency
	approvedAt
	approvedBy
	claimDescription
	advanceAmount
	baseAdvanceAmount
	lineExists
	lineNo
	expenseDate
	category
	lineDescription
	grossAmount
	taxAmount
	taxCode
	lineCurrency
	baseGrossAmount
	baseTaxAmount
	dimensions
	quantity
	unit
	receiptURI
	paymentMethod
	paymentReference
	merchant
	country
	documentNumber
)

// stream turns ordered rows of claims with their lines into claims. It reuses one Claim, and decodes what rows of a claim
// have in common once.
type stream struct {
	rows    rows
	row     [][]byte // the first row of the next claim; nil before the first and after the last
	begun   bool
	claim   ledger.Claim
	id      []byte // of the claim
	size    int    // of the claim in memory, about
	lines   int    // of the claim, those that are not kept included
	large   bool   // the claim is beyond a limit
	named   bool   // receipts are those that lines name
	meter   *meter
	span    *tracing.Span
	words   words
	objects objects
}

// rows are what a query has found.
type rows interface {
	NextRow() bool
	Values() [][]byte
	Close() (pgconn.CommandTag, error)
}

// openStream sends the query. Its rows belong to ctx until they end.
func openStream(ctx context.Context, conn *pgx.Conn, q query, formats []int16) *stream {
	m := meterOf(conn)
	m.stream(true)
	_, span := tracing.Start(ctx, "sql SELECT claims")
	return &stream{
		span:    span,
		meter:   m,
		rows:    conn.PgConn().ExecParams(ctx, q.sql, q.parameters, nil, nil, formats),
		words:   words{},
		objects: objects{},
	}
}

// next returns the next claim with all its lines, or io.EOF. The claim is valid until the next call.
func (s *stream) next() (*ledger.Claim, error) {
	if !s.begun {
		s.begun = true
		if err := s.advance(); err != nil {
			return nil, err
		}
	}
	if s.row == nil {
		if err := s.close(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	s.meter.progress()
	s.decodeClaim()
	unnumbered := false
	for len(s.row) > 0 && bytes.Equal(s.row[claimID], s.id) {
		switch s.row[lineExists][0] {
		case 't':
			unnumbered = unnumbered || s.row[lineNo] == nil
			s.readLine()
		case 'r':
			s.readReceipt()
		}
		if err := s.advance(); err != nil {
			return nil, err
		}
	}
	if s.lines > ledger.MaxLines {
		s.tooLarge("it has %d lines, more than %d", s.lines, ledger.MaxLines)
	}
	if byNumber := func(a, b ledger.Line) int { return cmp.Compare(a.Number, b.Number) }; !slices.IsSortedFunc(s.claim.Lines, byNumber) {
		slices.SortStableFunc(s.claim.Lines, byNumber)
	}
	if s.named {
		s.claim.Receipts = namedReceipts(s.claim.Lines)
	}
	s.countReceipts()
	if unnumbered && s.claim.Held == nil {
		s.claim.Held = &ledger.Hold{ClaimID: s.claim.ID, Reason: ledger.HoldUnnumberedLine, Message: "a line has no line_no; give every line of the claim one of its own"}
	}
	return &s.claim, nil
}

// strangeRow is a row that does not have the columns which were asked for.
func strangeRow(doing string) error {
	return failure.OnSource.Transient(v1alpha1.ReasonDatabaseError, nil, "%s: the server sends other rows than it was asked for", doing)
}

// advance reads the next row. A server may send anything as one.
func (s *stream) advance() error {
	s.row = nil
	if !s.rows.NextRow() {
		return nil
	}
	row := s.rows.Values()
	if len(row) != len(streamFields) || len(row[lineExists]) != 1 {
		return strangeRow("reading the approved claims")
	}
	s.row = row
	return nil
}

// close ends the stream, and gives the connection back.
func (s *stream) close() error {
	_, err := s.rows.Close()
	s.meter.stream(false)
	endStatement(s.span, err)
	return err
}

// readLine keeps the line of a row, unless its claim is too large already.
func (s *stream) readLine() {
	s.lines++
	if !s.large {
		s.weigh(s.row[lineNo:])
	}
	if !s.large && s.lines <= ledger.MaxLines {
		s.decodeLine()
		return
	}
	s.claim.Lines = nil // the rest is read, and only counted
}

// tooLarge lets the claim be held, and nothing more of it be kept.
func (s *stream) tooLarge(format string, args ...any) {
	s.large = true
	if s.claim.Held == nil {
		s.claim.Held = &ledger.Hold{ClaimID: s.claim.ID, Reason: ledger.HoldTooLarge,
			Message: "the claim is too large: " + fmt.Sprintf(format, args...) + "; divide it in the application"}
	}
}

// What a claim takes in memory beside its texts, about, in bytes.
const (
	lineSize   = 320
	memberSize = 64 // of dimensions
)

// weigh adds fields to the size of the claim, and says what is too large.
func (s *stream) weigh(fields [][]byte) {
	s.size += lineSize
	for _, field := range fields {
		s.size += len(field)
		if len(field) > largestField {
			s.tooLarge("a text of it has more than %d bytes", largestField)
		}
	}
	if s.size > ledger.MaxClaimSize {
		s.tooLarge("its texts have more than %d MiB", ledger.MaxClaimSize>>20)
	}
}

func (s *stream) decodeClaim() {
	row := s.row
	s.id = append(s.id[:0], row[claimID]...)
	clear(s.claim.Lines) // so that nothing of a claim is kept alive by the next
	s.claim = ledger.Claim{
		ID:              string(row[claimID]),
		ClaimantID:      s.words.text(row[claimantID]),
		ClaimantName:    s.words.text(row[claimantName]),
		ClaimantIBAN:    s.words.text(row[claimantIBAN]),
		ClaimantBIC:     s.words.text(row[claimantBIC]),
		ClaimantAddress: address(s.objects.strings(row[claimantAddress])),
		Currency:        s.words.text(row[claimCurrency]),
		ApprovedAt:      decodeInstant(row[approvedAt]),
		ApprovedBy:      s.words.text(row[approvedBy]),
		Description:     string(row[claimDescription]),
		Advance:         string(row[advanceAmount]),
		BaseAdvance:     string(row[baseAdvanceAmount]),
		Lines:           s.claim.Lines[:0],
		Receipts:        s.claim.Receipts[:0],
	}
	s.claim.Held = fault(string(row[claimFault]), s.claim.ID)
	if id := texts.ID(s.claim.ID, longestID); id != s.claim.ID || id == "" {
		s.claim.ID = id
		s.claim.Held = &ledger.Hold{ClaimID: id, Reason: ledger.HoldInvalidID, Message: fmt.Sprintf(
			"the id has %d bytes; it must have 1 to %d, and no control characters; correct it in the application", len(row[claimID]), longestID)}
	}
	s.size, s.lines, s.large = 0, 0, false
	s.weigh(row[:lineExists])
}

func (s *stream) decodeLine() {
	row := s.row
	number, _ := strconv.Atoi(string(row[lineNo])) // an integer column; NULL is 0
	members := s.objects.strings(row[dimensions])
	s.size += len(members) * memberSize
	if len(members) > ledger.MaxDimensions {
		s.tooLarge("line %d has %d dimensions, more than %d", number, len(members), ledger.MaxDimensions)
		return
	}
	s.claim.Lines = append(s.claim.Lines, ledger.Line{
		Number:           number,
		ExpenseDate:      decodeDate(row[expenseDate]),
		Category:         s.words.text(row[category]),
		Description:      string(row[lineDescription]),
		Gross:            string(row[grossAmount]),
		Tax:              string(row[taxAmount]),
		TaxCode:          s.words.text(row[taxCode]),
		Currency:         s.words.text(row[lineCurrency]),
		BaseGross:        string(row[baseGrossAmount]),
		BaseTax:          string(row[baseTaxAmount]),
		Dimensions:       members,
		Quantity:         s.words.text(row[quantity]),
		Unit:             s.words.text(row[unit]),
		ReceiptURI:       string(row[receiptURI]),
		PaymentMethod:    s.words.text(row[paymentMethod]),
		PaymentReference: s.words.text(row[paymentReference]),
		Merchant:         s.words.text(row[merchant]),
		Country:          s.words.text(row[country]),
		DocumentNumber:   string(row[documentNumber]),
	})
}

// epoch of PostgreSQL's binary dates and instants.
var epoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// lastInstant is the end of the year 9999: what is later has no date that a file could carry.
var lastInstant = time.Date(10000, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - epoch.UnixMicro() - 1

// decodeInstant reads microseconds since the epoch. NULL, infinity and what is after the year 9999 are the zero time.
func decodeInstant(raw []byte) time.Time {
	if len(raw) != 8 {
		return time.Time{}
	}
	since := int64(binary.BigEndian.Uint64(raw)) // two's complement on the wire
	if since == math.MinInt64 || since > lastInstant {
		return time.Time{}
	}
	return time.UnixMicro(epoch.UnixMicro() + since).UTC()
}

// decodeDate reads days since the epoch. NULL and infinity are the zero time.
func decodeDate(raw []byte) time.Time {
	if len(raw) != 4 {
		return time.Time{}
	}
	days := int32(binary.BigEndian.Uint32(raw)) // two's complement on the wire
	if days == math.MaxInt32 || days == math.MinInt32 {
		return time.Time{}
	}
	return time.Unix(epoch.Unix()+int64(days)*secondsPerDay, 0).UTC()
}

const secondsPerDay = 24 * 60 * 60

const (
	// wordLength and wordCount bound the texts that are kept because they will probably come again, such as categories.
	wordLength = 64
	wordCount  = 4096
	// objectLength and objectCount bound the same for dimensions.
	objectLength = 512
	objectCount  = 512
)

// words are texts seen before: most texts of claims are few words many times.
type words map[string]string

func (w words) text(raw []byte) string {
	if len(raw) == 0 || len(raw) > wordLength {
		return string(raw)
	}
	if known, ok := w[string(raw)]; ok {
		return known
	}
	word := string(raw)
	if len(w) < wordCount {
		w[word] = word
	}
	return word
}

// objects are dimensions seen before, by their JSON. They are shared between lines and must not be changed.
type objects map[string]map[string]string

func (o objects) strings(raw []byte) map[string]string {
	if len(raw) == 0 {
		return nil
	}
	if known, ok := o[string(raw)]; ok {
		return known
	}
	decoded := decodeObject(raw)
	if len(raw) <= objectLength && len(o) < objectCount && len(decoded) <= ledger.MaxDimensions {
		o[string(raw)] = decoded
	}
	return decoded
}

// address returns what an object has of an address.
func address(members map[string]string) ledger.Address {
	return ledger.Address{
		Street: members["street"], Building: members["building"], PostCode: members["post_code"], Town: members["town"], Country: members["country"],
	}
}

// decodeObject returns the members of a JSON object that are text, number or boolean, as text. Others are left out; what
// is no object has none.
func decodeObject(raw []byte) map[string]string {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	decoded := make(map[string]string, len(members))
	for name, value := range members {
		switch value[0] {
		case '"':
			var content string
			if json.Unmarshal(value, &content) == nil {
				decoded[name] = content
			}
		case '{', '[', 'n':
		default: // a number, true or false: its text is its value
			decoded[name] = string(value)
		}
	}
	return decoded
}
