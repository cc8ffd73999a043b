// Package journal keeps vouchers as bytes: what a run exported, to the letter, so that it can be delivered again and
// reversed whatever has become of the claims, the chart and the operator since.
//
// A block holds vouchers one after another and can be read alone. Numbers are varints; a text that a block has had before
// is its place in the order of their first appearance, because most texts of a voucher (accounts, codes, names) recur. A third of that is
// left when a block is packed, which is how it is recorded.
package journal

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/ledger"
)

// version is the first byte of a block that is not packed. The next one is 6, because 5 is a packed block. Blocks stay recorded for as long as the books do: a newer version reads older ones.
// Version 1 had no document date, and neither BIC nor address of the claimant.
// Version 2 did not say how a line was paid, nor what else its receipt says.
// Version 3 had no receipts.
const version = 4

// Empty is a block without vouchers.
func Empty() []byte { return []byte{version} }

// Writer fills a block.
type Writer struct {
	block []byte
	known map[string]uint64 // text → place, from 1
	// recent has some of the known texts where they are found without the map: most fields of most postings are the empty text, an
	// account or a code, and the map is the dearest part of recording.
	recent [256]place
}

// place is where a text is in the order of first appearance; 0 is nowhere.
type place struct {
	text   string
	number uint64
}

// slot of recent for a text.
func slot(s string) uint8 {
	if s == "" {
		return 0
	}
	return uint8(len(s))*31 + s[0]*7 + s[len(s)/2]*3 + s[len(s)-1] // #nosec G115 -- any 8 bits do
}

// Append adds a voucher to the block.
func (w *Writer) Append(v *ledger.Voucher) {
	if len(w.block) == 0 {
		w.block = append(w.block, version)
		if w.known == nil {
			w.known = map[string]uint64{}
		}
	}
	w.text(v.Series)
	w.number(int64(v.FiscalYear))
	w.number(v.Number)
	w.date(v.PostingDate)
	w.text(v.Text)
	w.newText(v.ClaimID)
	w.text(v.ClaimantID)
	w.text(v.ClaimantName)
	w.text(v.ClaimantIBAN)
	w.instant(v.ApprovedAt)
	w.text(v.ApprovedBy)
	w.text(v.Reverses)
	w.text(v.Currency.Code())
	w.text(v.BaseCurrency.Code())
	w.date(v.DocumentDate)
	w.text(v.ClaimantBIC)
	w.text(v.ClaimantAddress.Street)
	w.text(v.ClaimantAddress.Building)
	w.text(v.ClaimantAddress.PostCode)
	w.text(v.ClaimantAddress.Town)
	w.text(v.ClaimantAddress.Country)
	w.count(len(v.Postings))
	for i := range v.Postings {
		w.posting(&v.Postings[i])
	}
	w.count(len(v.Receipts))
	for i := range v.Receipts {
		w.receipt(&v.Receipts[i])
	}
}

func (w *Writer) receipt(r *ledger.Receipt) {
	w.newText(r.Key)
	w.number(int64(r.LineNumber))
	w.text(r.MediaType)
	w.number(r.Size)
	w.newText(r.SHA256)
	w.newText(r.File)
}

// Block is what was appended since the last Reset; empty where there was nothing. It is valid until the next Reset.
func (w *Writer) Block() []byte { return w.block }

// Reset begins a new block in the memory of the old one.
func (w *Writer) Reset() {
	w.block = w.block[:0]
	clear(w.known)
	clear(w.recent[:])
}

// Grow makes room for a block of so many bytes, so that one that is to be large is not copied while it grows.
func (w *Writer) Grow(size int) { w.block = slices.Grow(w.block, size) }

func (w *Writer) posting(p *ledger.Posting) {
	w.text(string(p.Kind))
	w.text(p.Account)
	w.text(p.AccountName)
	w.number(int64(p.Amount))
	w.number(int64(p.BaseAmount))
	w.text(p.TaxCode)
	w.text(p.TaxRate)
	w.number(int64(p.TaxAmount))
	w.number(int64(p.BaseTaxAmount))
	w.text(p.Subledger)
	w.count(len(p.Dimensions))
	for _, dimension := range p.Dimensions {
		w.text(dimension.Name)
		w.text(dimension.Value)
	}
	w.text(p.Text)
	w.number(int64(p.LineNumber))
	w.date(p.ExpenseDate)
	w.text(p.Category)
	w.text(p.Quantity)
	w.text(p.Unit)
	w.text(p.ReceiptURI)
	w.text(p.PaymentMethod)
	w.text(p.PaymentReference)
	w.text(p.Merchant)
	w.text(p.Country)
	w.text(p.DocumentNumber)
}

func (w *Writer) number(n int64) { w.block = binary.AppendVarint(w.block, n) }

func (w *Writer) count(n int) { w.block = binary.AppendUvarint(w.block, uint64(n)) } // a length

// text writes the place of a known text, or 0 and a new one.
func (w *Writer) text(s string) {
	recent := &w.recent[slot(s)]
	if recent.number > 0 && recent.text == s {
		w.block = binary.AppendUvarint(w.block, recent.number)
		return
	}
	number, known := w.known[s]
	if !known {
		number = uint64(len(w.known)) + 1
		w.known[s] = number
	}
	*recent = place{s, number}
	if known {
		w.block = binary.AppendUvarint(w.block, number)
		return
	}
	w.block = append(w.block, 0)
	w.newText(s)
}

// newText writes a text that will not recur.
func (w *Writer) newText(s string) {
	w.count(len(s))
	w.block = append(w.block, s...)
}

// The zero time is the year 1; counted from there it is 0, and what is usual fits an int64.
var zero = time.Time{}.Unix()

const secondsPerDay = 24 * 60 * 60

// date writes days.
func (w *Writer) date(t time.Time) { w.number((t.Unix() - zero) / secondsPerDay) }

// instant writes microseconds, which is what PostgreSQL keeps.
func (w *Writer) instant(t time.Time) { w.number(t.UnixMicro() - zero*1e6) }
