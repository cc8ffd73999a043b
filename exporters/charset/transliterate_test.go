package charset_test

import (
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestEverySetHasWhatTheLedgerTransliterates puts every character of Unicode into a description, in books that say Transliterate.
func TestEverySetHasWhatTheLedgerTransliterates(t *testing.T) {
	t.Parallel()
	books := conformance.Books("SEK")
	books.Texts = v1alpha1.TextsTransliterate
	mapper, err := ledger.NewMapper(books, ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		t.Fatal(err)
	}
	sets := []*charset.Charset{charset.SEPA}
	for _, name := range charset.Names() {
		set, _ := charset.ByName(name)
		sets = append(sets, set)
	}
	day := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	claim := &ledger.Claim{
		ID: "1", ClaimantID: "1", Currency: "SEK", ApprovedAt: day,
		Lines: []ledger.Line{{Number: 1, ExpenseDate: day, Category: "travel", Gross: "1"}},
	}
	check := func(characters []rune) (missing bool) {
		claim.Description = "a" + string(characters) + "b"
		vouchers, err := mapper.Map(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		voucher := &vouchers[0]
		for _, set := range sets {
			if _, err := set.Transliterate(voucher.Text); err != nil {
				missing = true
				if len(characters) == 1 {
					t.Errorf("U+%04X becomes %q, which %s lacks: %v", characters[0], voucher.Text, set.Name(), err)
				}
			}
		}
		return missing
	}
	var many []rune
	for character := range rune(utf8.MaxRune + 1) {
		if unicode.IsControl(character) || character == '\u2028' || character == '\u2029' || !utf8.ValidRune(character) {
			continue // held whatever the chart says
		}
		if many = append(many, character); len(many) < 1000 && character < utf8.MaxRune {
			continue
		}
		if check(many) {
			for _, each := range many {
				check([]rune{each})
			}
		}
		many = many[:0]
	}
}
