package pain001

import (
	"context"
	"errors"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
)

// Levels of the elements of the document.
const (
	depthOfGroup   = 2
	depthOfPayment = 3
)

// maxGroups are as many as exporters.MaxKept has room for: the body of each has three buffers of 64 KiB.
const maxGroups = exporters.MaxKept / (3 * 64 << 10)

// group is the payments in one currency: a PmtInf.
type group struct {
	currency ledger.Currency
	body     *exporters.Body
	payments int64
	sum      ledger.Amount // never more than the file's, which is bounded
}

// group returns the payments in a currency.
func (w *writer) group(ctx context.Context, voucher *ledger.Voucher, currency ledger.Currency) (*group, error) {
	if g, known := w.groups[currency.Code()]; known {
		return g, nil
	}
	if len(w.groups) == maxGroups {
		return nil, exporters.Unsupported(voucher, "the file pays in %d currencies already; a later run can pay the claim", maxGroups)
	}
	body, err := exporters.NewBody(ctx, w.sink)
	if err != nil {
		return nil, err
	}
	g := &group{currency: currency, body: body}
	w.groups[currency.Code()] = g
	return g, nil
}

func (g *group) write(payment []byte, amount ledger.Amount) error {
	g.payments++
	g.sum += amount
	_, err := g.body.Write(payment)
	return err
}

// copyTo writes the whole PmtInf.
func (g *group) copyTo(content io.Writer, w *writer) error {
	if _, err := content.Write(g.head(w)); err != nil {
		return err
	}
	if _, err := g.body.WriteTo(content); err != nil {
		return err
	}
	_, err := content.Write([]byte("    </PmtInf>\n"))
	return err
}

// head is everything of PmtInf before its payments.
func (g *group) head(w *writer) []byte {
	var p xmldoc.Piece
	p.Reset(depthOfGroup)
	p.Open("PmtInf")
	p.Text("PmtInfId", w.messageID()+g.currency.Code())
	p.Text("PmtMtd", "TRF")
	p.Text("BtchBookg", strconv.FormatBool(w.options.BatchBooking))
	p.Text("NbOfTxs", strconv.FormatInt(g.payments, 10))
	p.Text("CtrlSum", g.sum.Decimal(g.currency))
	if w.options.ServiceLevel != "" || w.options.CategoryPurpose != "" {
		p.Open("PmtTpInf")
		appendCode(&p, "SvcLvl", w.options.ServiceLevel)
		appendCode(&p, "CtgyPurp", w.options.CategoryPurpose)
		p.Close()
	}
	p.Open("ReqdExctnDt")
	p.Text("Dt", executionDate(w.batch.CreatedAt, w.options.ExecutionDays).Format(time.DateOnly))
	p.Close()
	p.Open("Dbtr")
	p.Text("Nm", w.options.DebtorName)
	appendAddress(&p, ledger.Address(w.options.DebtorAddress))
	p.Close()
	appendAccount(&p, "DbtrAcct", w.debtor)
	p.Open("DbtrAgt")
	p.Open("FinInstnId")
	if w.options.DebtorBIC != "" {
		p.Text("BICFI", w.options.DebtorBIC)
	} else {
		p.Open("Othr")
		p.Text("Id", "NOTPROVIDED") // as the EPC's implementation guidelines want it
		p.Close()
	}
	p.Close()
	p.Close()
	p.Text("ChrgBr", w.options.ChargeBearer)
	return p.Bytes() // the payments, and the end of PmtInf, follow
}

func appendCode(to *xmldoc.Piece, element, code string) {
	if code == "" {
		return
	}
	to.Open(element)
	to.Text("Cd", code)
	to.Close()
}

// executionDate is so many days after the run, in the export's time zone, and no Saturday or Sunday.
func executionDate(run time.Time, days int) time.Time {
	date := run.AddDate(0, 0, days)
	switch date.Weekday() {
	case time.Saturday:
		return date.AddDate(0, 0, 2)
	case time.Sunday:
		return date.AddDate(0, 0, 1)
	default:
		return date
	}
}

// head is everything of the file before the first PmtInf.
func (w *writer) head() []byte {
	var payments int64
	for _, g := range w.groups {
		payments += g.payments
	}
	var p xmldoc.Piece
	p.Open("Document", "xmlns", "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09")
	p.Open("CstmrCdtTrfInitn")
	p.Open("GrpHdr")
	p.Text("MsgId", w.messageID())
	p.Text("CreDtTm", w.batch.CreatedAt.Format("2006-01-02T15:04:05Z07:00"))
	p.Text("NbOfTxs", strconv.FormatInt(payments, 10))
	p.Text("CtrlSum", w.total.decimal())
	p.Open("InitgPty")
	p.Text("Nm", w.options.InitiatingParty)
	if id := w.options.InitiatingPartyID; id != "" {
		p.Open("Id")
		p.Open("OrgId")
		p.Open("Othr")
		p.Text("Id", id)
		p.Open("SchmeNm")
		p.Text("Cd", w.options.InitiatingPartyScheme)
		p.Close()
		p.Close()
		p.Close()
		p.Close()
	}
	p.Close()
	p.Close()
	return append([]byte(xmldoc.Declaration), p.Bytes()...)
}

// controlSum sums amounts whatever their currency, as the standard wants it in GrpHdr.
type controlSum struct {
	tenThousandths ledger.Amount
	decimals       int
}

const (
	// maxDecimals of a currency in ISO 4217 (CLF).
	maxDecimals = 4
	// maxControlSum has 18 digits, the most that a DecimalNumber has.
	maxControlSum ledger.Amount = 999_999_999_999_999_999
)

var errTooMuch = errors.New("with this claim the file would pay more than its format can count")

func (s controlSum) plus(amount ledger.Amount, currency ledger.Currency) (controlSum, error) {
	for range maxDecimals - currency.Exponent() {
		if amount > math.MaxInt64/10 {
			return s, errTooMuch
		}
		amount *= 10
	}
	sum, err := ledger.AddAmounts(s.tenThousandths, amount)
	if err != nil || sum > maxControlSum {
		return s, errTooMuch
	}
	return controlSum{sum, max(s.decimals, currency.Exponent())}, nil
}

// decimal has the decimals that the currencies have.
func (s controlSum) decimal() string {
	count := int64(s.tenThousandths)
	for range maxDecimals - s.decimals {
		count /= 10 // a zero
	}
	return apd.New(count, int32(-s.decimals)).Text('f')
}
