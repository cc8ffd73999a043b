package journal

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/ledger"
)

// ErrDamaged says that a block is not what a Writer wrote, or was written by a newer version.
var ErrDamaged = errors.New("the block is damaged, or of a newer version")

// Reader reads the vouchers of a block in their order.
type Reader struct {
	version    byte
	rest       []byte
	texts      []string
	memory     int // that the texts take, about, in bytes
	dimensions int // of the voucher so far
	currencies map[string]ledger.Currency
	err        error
}

// NewReader begins to read a block, packed or not, which must not change meanwhile.
func NewReader(block []byte) *Reader {
	r := &Reader{currencies: map[string]ledger.Currency{}}
	if block, r.err = unpack(block); r.err != nil {
		return r
	}
	if len(block) == 0 || block[0] == 0 || block[0] > version {
		r.err = ErrDamaged
		return r
	}
	r.version, r.rest = block[0], block[1:]
	return r
}

// Next reads the next voucher into v, whose memory is used again, or returns io.EOF after the last.
func (r *Reader) Next(v *ledger.Voucher) error {
	if r.err == nil && len(r.rest) == 0 {
		return io.EOF
	}
	*v = ledger.Voucher{
		Series: r.text(), FiscalYear: int(r.number()), Number: r.number(), PostingDate: r.date(), Text: r.text(),
		ClaimID: r.newText(), ClaimantID: r.text(), ClaimantName: r.text(), ClaimantIBAN: r.text(),
		ApprovedAt: r.instant(), ApprovedBy: r.text(), Reverses: r.text(),
		Currency: r.currency(), BaseCurrency: r.currency(), Postings: v.Postings[:0], Receipts: v.Receipts[:0],
	}
	if r.version > 1 {
		v.DocumentDate, v.ClaimantBIC = r.date(), r.text()
		v.ClaimantAddress = ledger.Address{Street: r.text(), Building: r.text(), PostCode: r.text(), Town: r.text(), Country: r.text()}
	}
	r.dimensions = 0
	postings := r.atMost(mostPostings)
	v.Postings = slices.Grow(v.Postings, postings)
	for ; postings > 0 && r.err == nil; postings-- {
		v.Postings = append(v.Postings, r.posting())
	}
	if r.version == 1 {
		v.DocumentDate = latestExpense(v)
	}
	if len(v.Series) > mostSeries || len(v.ClaimID) > ledger.MaxTextLength {
		r.err, r.rest = ErrDamaged, nil
	}
	if r.version > 3 {
		for receipts := r.atMost(ledger.MaxReceipts); receipts > 0 && r.err == nil; receipts-- {
			v.Receipts = append(v.Receipts, r.receipt())
		}
	}
	return r.err
}

// receipt reads one. Its texts are bounded, because many receipts are held at a time: earlier versions wrote them as the application had
// them. The file is named by Ledgerport.
func (r *Reader) receipt() ledger.Receipt {
	of := ledger.Receipt{Key: r.newText(), LineNumber: int(r.number()), MediaType: r.text(), Size: r.number(), SHA256: r.newText(), File: r.newText()}
	if len(of.File) > mostFileName {
		r.err, r.rest, of.File = ErrDamaged, nil, ""
	}
	of.Bound()
	return of
}

// latestExpense is the document date of a voucher that was recorded without one.
func latestExpense(v *ledger.Voucher) (latest time.Time) {
	for i := range v.Postings {
		if date := v.Postings[i].ExpenseDate; date.After(latest) {
			latest = date
		}
	}
	return latest
}

func (r *Reader) posting() ledger.Posting {
	p := ledger.Posting{
		Kind: ledger.PostingKind(r.text()), Account: r.text(), AccountName: r.text(),
		Amount: ledger.Amount(r.number()), BaseAmount: ledger.Amount(r.number()),
		TaxCode: r.text(), TaxRate: r.text(), TaxAmount: ledger.Amount(r.number()), BaseTaxAmount: ledger.Amount(r.number()),
		Subledger: r.text(),
	}
	dimensions := r.atMost(mostDimensions - r.dimensions)
	p.Dimensions = slices.Grow(p.Dimensions, dimensions)
	for ; dimensions > 0 && r.err == nil; dimensions-- {
		p.Dimensions = append(p.Dimensions, ledger.Dimension{Name: r.text(), Value: r.text()})
		r.dimensions++
	}
	p.Text, p.LineNumber, p.ExpenseDate, p.Category = r.text(), int(r.number()), r.date(), r.text()
	p.Quantity, p.Unit, p.ReceiptURI = r.text(), r.text(), r.text()
	if r.version > 2 {
		p.PaymentMethod, p.PaymentReference = r.text(), r.text()
		p.Merchant, p.Country, p.DocumentNumber = r.text(), r.text(), r.text()
	}
	return p
}

// Bounds of a block, above what claims within their own bounds come to. Two bytes of it may become some hundred in memory.
const (
	mostPostings   = ledger.MaxPostings                         // of a voucher
	mostDimensions = ledger.MaxClaimSize / ledger.DimensionSize // of a voucher
	mostSeries     = 64                                         // bytes; the API takes 10
	mostFileName   = 64                                         // bytes, of a receipt: of a series, a year, two numbers and an extension
	mostTextMemory = 32 << 20                                   // of a block, for texts that differ
	textSize       = 64                                         // of a text in memory beside its bytes, about
)

// atMost reads a length that has a bound.
func (r *Reader) atMost(most int) int {
	n := r.count()
	if n > most {
		r.err, r.rest, n = ErrDamaged, nil, 0
	}
	return n
}

func (r *Reader) number() int64 {
	n, size := binary.Varint(r.rest)
	return read(r, n, size)
}

// count reads a length. Whatever is counted takes a byte at least, so that a damaged one is noticed before it costs memory.
func (r *Reader) count() int {
	n, size := binary.Uvarint(r.rest)
	if n = read(r, n, size); n > uint64(len(r.rest)) {
		r.err, r.rest, n = ErrDamaged, nil, 0
	}
	return int(n)
}

// read takes a number of bytes off the rest for a value; a size that is not positive is damage.
func read[N int64 | uint64](r *Reader, value N, size int) N {
	if size <= 0 || r.err != nil {
		r.err, r.rest = ErrDamaged, nil
		return 0
	}
	r.rest = r.rest[size:]
	return value
}

func (r *Reader) text() string {
	place, size := binary.Uvarint(r.rest)
	switch place = read(r, place, size); {
	case r.err != nil:
		return ""
	case place == 0 && r.memory < mostTextMemory:
		text := r.newText()
		r.texts = append(r.texts, text)
		r.memory += textSize + len(text)
		return text
	case place == 0, place > uint64(len(r.texts)):
		r.err, r.rest = ErrDamaged, nil
		return ""
	}
	return r.texts[place-1]
}

func (r *Reader) newText() string {
	n := r.count()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *Reader) currency() ledger.Currency {
	code := r.text()
	currency, known := r.currencies[code]
	if !known && r.err == nil {
		var err error
		if currency, err = ledger.ParseCurrency(code); err != nil {
			r.err, r.rest = ErrDamaged, nil
		}
		r.currencies[code] = currency
	}
	return currency
}

func (r *Reader) date() time.Time { return time.Unix(zero+r.number()*secondsPerDay, 0).UTC() }

func (r *Reader) instant() time.Time { return time.UnixMicro(zero*1e6 + r.number()).UTC() }
