package claims

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/rounds"
)

// Bounds of what a server may send, in bytes. The memory is all tenants'.
const (
	// largestAnswer and largestRow bound what comes in answer to one statement about the database, where the rows are kept.
	largestAnswer, largestRow = 4 << 20, 256 << 10
	// largestRecord and largestRecordRow bound the same for what Ledgerport has recorded itself: blocks of vouchers, manifests.
	largestRecord, largestRecordRow = 24 << 20, 16 << 20
	// rowSize is what a row takes in memory beside its bytes, about.
	rowSize = 256
	// largestWord bounds every other message: errors, descriptions, what the server says of itself.
	largestWord = 64 << 10
	// largestField is what is read of a column of a claim. One that is longer is cut, and its claim held.
	largestField = 64 << 10
	// largestClaimRead bounds what comes between two claims: the lines of one that is held are read and not kept.
	largestClaimRead = 1 << 30
	// mostColumns of a row; PostgreSQL has no more in a list of selected expressions.
	mostColumns = 1664
	// longestChallenge of a login, in bytes. PostgreSQL's has some 100.
	longestChallenge = 4 << 10
)

// errCostlyLogin ends a connection whose server asks for a login that costs too much.
var errCostlyLogin = errors.New("the server asks for a login that costs too much")

// tooMuchError ends a connection whose server sends more than anything that is meant.
type tooMuchError struct{ what string }

func (e *tooMuchError) Error() string { return "the server sends " + e.what }

// meter stands between a connection and the client library, which would keep whatever comes. It follows the messages of the
// protocol: it bounds each, and what comes until a statement is answered, and drops what is for nobody.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type meter struct {
	in *bufio.Reader
	// streaming is set while the rows of claims come. Each is gone before the next: their fields are cut, not refused.
	streaming bool
	records   bool  // that Ledgerport has written come
	came      int64 // bytes since the last answer was complete, or the last claim while streaming
	passing   int   // bytes of a message that are still to be given
	dropping  int   // bytes that are still to be skipped
	preparing bool  // the parameters of a statement were described, and its columns come next
	asked     bool  // for a login by SCRAM
	described int   // bytes of the descriptions of statements, which the library remembers
	out       []byte
	err       error
}

func newMeter(from io.Reader) *meter {
	const buffer = 16 << 10 // twice what the library reads at once
	return &meter{in: bufio.NewReaderSize(from, buffer)}
}

// stream begins or ends the reading of claims.
func (m *meter) stream(on bool) { m.streaming, m.came = on, 0 }

// record lets what Ledgerport has recorded come, until the function that it returns is called.
func (m *meter) record() (end func()) {
	m.records = true
	return func() { m.records = false }
}

// usual reports whether all that came is what was asked for, and no more of it than is meant.
func (m *meter) usual() bool {
	return m.err == nil && !m.streaming && m.passing == 0 && m.dropping == 0 && len(m.out) == 0 && m.in.Buffered() == 0 && m.described <= mostDescribed
}

// progress says that what came so far is done with.
func (m *meter) progress() { m.came = 0 }

// Read implements io.Reader. It returns as many messages as there are without waiting for more.
func (m *meter) Read(p []byte) (n int, err error) {
	for n < len(p) && m.err == nil {
		switch {
		case len(m.out) > 0:
			k := copy(p[n:], m.out)
			n, m.out = n+k, m.out[k:]
			continue
		case n > 0 && m.in.Buffered() == 0, n > 0 && m.passing+m.dropping == 0 && m.in.Buffered() < headLength:
			return n, nil
		}
		var k int
		switch {
		case m.passing > 0:
			k, err = m.in.Read(p[n:min(len(p), n+m.passing)])
			n, m.passing = n+k, m.passing-k
		case m.dropping > 0:
			k, err = m.in.Discard(min(m.dropping, max(1, m.in.Buffered())))
			m.dropping -= k
		default:
			err = m.begin()
		}
		if err != nil { // perhaps a deadline, after which the library may go on
			return n, err
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, m.err
}

// headLength is that of a message's type and length.
const headLength = 5

// begin decides about the next message.
func (m *meter) begin() error {
	head, err := m.in.Peek(headLength)
	if err != nil {
		return err
	}
	kind, body := head[0], int(int32(binary.BigEndian.Uint32(head[1:])))-4
	m.came += int64(headLength + max(0, body))
	if kind == 'D' && !m.streaming {
		m.came += rowSize
	}
	forNobody := kind == 'N' || kind == 'A' || kind == 'S' && !m.reported(body) // as notices and notifications are
	if m.err = m.refuse(kind, body, forNobody); m.err != nil {
		return nil //nolint:nilerr // what came before it is read first
	}
	if kind == 'R' {
		if err := m.login(body); err != nil {
			return err
		}
	}
	if kind == 't' || kind == 'T' && m.preparing { // other columns are described with an execution, and forgotten
		m.described += body
	}
	m.preparing = kind == 't'
	switch {
	case forNobody:
		m.dropping = headLength + body
	case kind == 'D' && m.streaming && body > largestField:
		m.out, m.err = m.cutRow(body)
	default:
		m.passing = headLength + body
	}
	if kind == 'Z' && !m.streaming {
		m.came = 0
	}
	return nil
}

// login looks at a message about the login. A server asks for rounds of a hash once in a connection, and for no more than it may.
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-AUTHENTICATIONSASLCONTINUE
func (m *meter) login(body int) error {
	const codeLength, challenge = 4, 11
	message, err := m.in.Peek(headLength + min(body, longestChallenge))
	if err != nil {
		return err
	}
	message = message[headLength:]
	if len(message) < codeLength || binary.BigEndian.Uint32(message) != challenge {
		return nil
	}
	if m.asked || body > longestChallenge || !rounds.Affordable(message[codeLength:]) {
		m.err = errCostlyLogin
	}
	m.asked = true
	return nil
}

// refuse says what is too much.
func (m *meter) refuse(kind byte, body int, forNobody bool) error {
	row, total := largestRow, int64(largestAnswer)
	switch {
	case m.streaming:
		row, total = math.MaxInt32, largestClaimRead // rows are cut
	case m.records:
		row, total = largestRecordRow, largestRecord
	}
	switch {
	case body < 0:
		return &tooMuchError{"a message of a length that no message has"}
	case m.came > total:
		return &tooMuchError{fmt.Sprintf("more than %d MiB at once", total>>20)}
	case forNobody:
	case kind != 'D' && body > largestWord:
		return &tooMuchError{fmt.Sprintf("a message of %d bytes that is not a row", body)}
	case body > row:
		return &tooMuchError{fmt.Sprintf("a row of %d bytes, more than %d", body, row)}
	}
	return nil
}

// parameters are what a server of PostgreSQL reports of itself. The library keeps each name that it hears.
var parameters = []string{
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby", "integer_datetimes", "IntervalStyle",
	"is_superuser", "scram_iterations", "search_path", "server_encoding", "server_version", "session_authorization", "standard_conforming_strings", "TimeZone",
}

// reported reports whether the next message is about a setting that is meant, in few words.
func (m *meter) reported(body int) bool {
	const longest = 4 << 10
	message, err := m.in.Peek(headLength + min(body, longest))
	if err != nil || body > longest {
		return false // one that does not come ends the connection soon
	}
	name := message[headLength:]
	return slices.ContainsFunc(parameters, func(known string) bool {
		return len(name) > len(known) && string(name[:len(known)]) == known && name[len(known)] == 0
	})
}

// cutRow reads a row and returns it with what is kept of its fields: one byte more than the largest that is meant, which tells
// that there was more.
func (m *meter) cutRow(body int) ([]byte, error) {
	malformed := &tooMuchError{"a row that is not one"}
	var word [4]byte
	if _, err := m.in.Discard(headLength); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(m.in, word[:2]); err != nil {
		return nil, err
	}
	columns, left := int(binary.BigEndian.Uint16(word[:2])), body-2
	row := append([]byte{'D', 0, 0, 0, 0}, word[:2]...)
	if columns > mostColumns {
		return nil, malformed
	}
	for range columns {
		if _, err := io.ReadFull(m.in, word[:]); err != nil {
			return nil, err
		}
		length := int(int32(binary.BigEndian.Uint32(word[:])))
		left -= len(word)
		if length > left || len(row) > largestRecordRow {
			return nil, malformed
		}
		if length < 0 { // NULL
			row = append(row, word[:]...)
			continue
		}
		keep := min(length, largestField+1)
		row = binary.BigEndian.AppendUint32(row, uint32(keep))
		row = append(row, make([]byte, keep)...)
		if _, err := io.ReadFull(m.in, row[len(row)-keep:]); err != nil {
			return nil, err
		}
		if _, err := m.in.Discard(length - keep); err != nil {
			return nil, err
		}
		left -= length
	}
	if left != 0 {
		return nil, malformed
	}
	binary.BigEndian.PutUint32(row[1:], uint32(len(row)-1))
	return row, nil
}

// meterKey is under what a connection has its meter.
const meterKey = "ledgerport.meter"

// metered builds what reads and writes messages, with a meter, which it tells of.
func metered(tell func(*meter)) func(io.Reader, io.Writer) *pgproto3.Frontend {
	return func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		m := newMeter(giving(r, w))
		tell(m)
		return pgproto3.NewFrontend(m, w)
	}
}

// meterOf returns the meter of a connection.
func meterOf(conn *pgx.Conn) *meter {
	m, _ := conn.PgConn().CustomData()[meterKey].(*meter)
	return m
}

// tooMuch returns the failure to report if a server sent too much, else nil.
func tooMuch(doing string, err error) error {
	var much *tooMuchError
	if !errors.As(err, &much) {
		return nil
	}
	return failure.OnSource.Transient(v1alpha1.ReasonAnswerTooLarge, err, "%s: %s, which no database of claims needs; the connection was ended", doing, much)
}
