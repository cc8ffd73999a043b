package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// NamesReceipts declares that the files name each receipt of a voucher, as it is delivered beside them. Without it they must be as if
// there were none.
func NamesReceipts() Setting { return func(s *suite) { s.names = true } }

// TestReceipts is the part of the suite that is about receipts, for options that differ in nothing else.
func TestReceipts(t *testing.T, exporter exporters.Exporter, options []byte, settings ...Setting) {
	s := &suite{exporter: exporter, options: options}
	for _, set := range settings {
		set(s)
	}
	s.testReceipts(t, "SEK")
}

// testReceipts renders vouchers with receipts, and looks whether the files have them as declared.
func (s *suite) testReceipts(t *testing.T, currency string) {
	batch := Batch(Books(currency), s.options)
	if err := s.checkReceipts(t, batch); err != nil {
		t.Error(err)
	}
	if links, can := s.exporter.(exporters.LinksReceipts); can && links.NeedsReceipts(s.options) && !s.names {
		t.Error("the options let the files refer to receipts; say NamesReceipts")
	}
	if attaches, can := s.exporter.(exporters.AttachesReceipts); can && attaches.AttachesReceipts(s.options) {
		s.testAttacher(t, batch)
	}
}

func (s *suite) checkReceipts(t *testing.T, batch exporters.Batch) error {
	t.Helper()
	vouchers := Map(t, batch.Books, receipted(batch.Books.Currency))
	with, err := Render(t.Context(), s.exporter, batch, vouchers)
	if err != nil {
		return err
	}
	if len(with.Held) > 0 {
		return fmt.Errorf("held because of receipts: %v", with.Held)
	}
	if err := s.checkTotals(with); err != nil {
		return err
	}
	for _, voucher := range vouchers {
		voucher.Receipts = nil
	}
	without, err := Render(t.Context(), s.exporter, batch, vouchers)
	if err != nil {
		return err
	}
	if !s.names {
		if !reflect.DeepEqual(with.Files, without.Files) {
			return errors.New("the files differ where vouchers have receipts; say NamesReceipts if they name them")
		}
		return nil
	}
	for _, voucher := range with.Written {
		for _, receipt := range voucher.Receipts {
			in := func(text string) bool {
				return slices.ContainsFunc(with.Files, func(file File) bool { return bytes.Contains(file.Content, []byte(text)) })
			}
			if !in(receipt.File) {
				return fmt.Errorf("no file names %s, a receipt of voucher %s", receipt.File, voucher.ID())
			}
			if in(receipt.Key) || receipt.Name != "" && in(receipt.Name) {
				return fmt.Errorf("a file has what the application calls the receipt %s of voucher %s", receipt.File, voucher.ID())
			}
		}
	}
	return nil
}

// testAttacher opens a session, which sends nothing.
func (s *suite) testAttacher(t *testing.T, batch exporters.Batch) {
	submitter, submits := s.exporter.(exporters.Submitter)
	if !submits {
		t.Fatal("an exporter that attaches receipts sends no vouchers")
	}
	session, err := submitter.Open(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if _, is := session.(exporters.Attacher); !is {
		t.Error("the options let the exporter attach receipts, and its session is not an Attacher")
	}
}

// receipted are claims with receipts of lines and of the claim as a whole, called as only an application does, and one without, by whose
// fractions a reader may know the currency.
func receipted(base string) []*ledger.Claim {
	several := claim("receipts", base, "Receipts", line("travel", "Train", 112, 12), line("dinner", "Dinner", 250, 50))
	several.Receipts = []ledger.Receipt{
		{Key: "app/0e2f\"; scan.pdf", LineNumber: 0, Name: "Approval, signed.PDF", Size: -1},
		{Key: "app/77aa;<x>&scan", LineNumber: 1, MediaType: "image/jpeg", Size: 4711},
		{Key: "app/77ab,scan.png", LineNumber: 2, Size: -1},
	}
	one := claim("receipt", base, "Receipt", line("travel", "Train", 56, 6))
	one.Receipts = []ledger.Receipt{{Key: "app/99ff scan", LineNumber: 1, Name: "=SUM(A1)", Size: -1}}
	return []*ledger.Claim{several, converted("no-receipt", base, "KWD", "Hotell i Kuwait", "31.337", "1085.5049"), one}
}
