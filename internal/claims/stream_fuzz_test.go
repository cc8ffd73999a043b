package claims

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// fuzzedRows are rows of the query for claims as the types of the contract allow them, read from bytes.
type fuzzedRows struct {
	input  []byte
	values [][]byte
	claims map[string]int // rows of each id
}

// byte reads the next byte; zero after the last.
func (r *fuzzedRows) byte() byte {
	if len(r.input) == 0 {
		return 0
	}
	b := r.input[0]
	r.input = r.input[1:]
	return b
}

// text reads a text, which is NULL now and then.
func (r *fuzzedRows) text() []byte {
	n := int(r.byte())
	if n == 255 {
		return nil
	}
	n = min(n%40, len(r.input))
	content := r.input[:n]
	r.input = r.input[n:]
	return []byte(string([]rune(string(content)))) // UTF-8, as the server sends it
}

// one reads a choice.
func (r *fuzzedRows) one(of ...string) []byte {
	choice := of[int(r.byte())%len(of)]
	if choice == "NULL" {
		return nil
	}
	return []byte(choice)
}

func (r *fuzzedRows) number(size int) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = r.byte()
	}
	if r.byte()%8 == 0 {
		return nil
	}
	return b[:size]
}

// NextRow implements rows.
func (r *fuzzedRows) NextRow() bool {
	if len(r.input) == 0 {
		return false
	}
	r.values = make([][]byte, len(streamFields))
	for i := range r.values {
		switch i {
		case claimFault:
			r.values[i] = r.one("NULL", "NULL", "NULL", faultDuplicate, faultUnknown, faultElsewhere)
		case approvedAt:
			if r.values[i] = r.number(8); r.byte()%2 == 0 {
				r.values[i] = binary.BigEndian.AppendUint64(nil, 845_000_000_000_000)
			}
		case expenseDate:
			if r.values[i] = r.number(4); r.byte()%2 == 0 {
				r.values[i] = binary.BigEndian.AppendUint32(nil, 9780)
			}
		case lineExists:
			r.values[i] = r.one("t", "t", "t", "f")
		case lineNo:
			r.values[i] = r.one("1", "2", "3", "-1", "NULL", "9223372036854775807", "-9223372036854775808")
		case grossAmount, taxAmount, baseGrossAmount, baseTaxAmount, quantity, advanceAmount, baseAdvanceAmount:
			r.values[i] = r.one("1", "0", "0.00", "-5.25", "1e400", "99999999999999999999", "NaN", "Infinity", "-Infinity", "NULL", "0.001")
		case dimensions:
			r.values[i] = r.one("NULL", "{}", `{"a": 1, "b": null, "c": "d"}`, `[]`, `"x"`, `{"a": {"b": 1}}`)
		case claimCurrency, lineCurrency:
			r.values[i] = r.one("NOK", "NOK", "EUR", "", "NULL", "XXX")
		default:
			r.values[i] = r.text()
		}
	}
	r.claims[string(r.values[claimID])]++
	return true
}

// Values implements rows.
func (r *fuzzedRows) Values() [][]byte { return r.values }

// Close implements rows.
func (r *fuzzedRows) Close() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, nil }

// FuzzRows maps what a database could have in the application's tables: each claim becomes a balanced voucher of dates that
// exist, or is held under an id that can be printed.
func FuzzRows(f *testing.F) {
	f.Add([]byte("\x00\x03abc\x01x\x01y\xff\x00"))
	f.Add([]byte{255, 1, 0, 7, 7, 7, 3, 'a', 27, 'b', 9, 9, 9, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6})
	mapper, err := ledger.NewMapper(&v1alpha1.ChartOfAccountsSpec{
		Currency: "NOK", Accounts: []v1alpha1.Account{{Number: "7140"}, {Number: "2910"}},
		Rules: []v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Expression: "true"}, Account: "7140"}},
		Offsets: []v1alpha1.PaidPosting{{
			Match:   v1alpha1.PaymentMatch{Expression: "line.payment_method < line.merchant"},
			Account: "2910", Subledger: v1alpha1.SubledgerPaymentReference,
		}},
		Offset:   v1alpha1.OffsetPosting{Account: "2910", Subledger: v1alpha1.SubledgerNone},
		Advances: &v1alpha1.AdvancePosting{Account: "2910"},
	}, ledger.VoucherPolicy{Series: "E", Cutoff: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		source := &fuzzedRows{input: input, claims: map[string]int{}}
		s := &stream{rows: source, meter: &meter{}, words: words{}, objects: objects{}}
		for {
			claim, err := s.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(claim.ID) > longestID || !utf8.ValidString(claim.ID) || strings.ContainsFunc(claim.ID, unicode.IsControl) {
				t.Errorf("claim %q has an id that cannot be printed", claim.ID)
			}
			var hold *ledger.Hold
			vouchers, err := mapper.Map(t.Context(), claim)
			if errors.As(err, &hold) {
				if hold.ClaimID != claim.ID || hold.Reason == "" || hold.Message == "" {
					t.Errorf("claim %q is held as %+v", claim.ID, hold)
				}
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			voucher := &vouchers[0]
			numbers := map[int]bool{}
			for _, line := range claim.Lines {
				if numbers[line.Number] {
					t.Errorf("line %d of claim %q is posted twice", line.Number, claim.ID)
				}
				numbers[line.Number] = true
			}
			if !voucher.Balanced() || voucher.PostingDate.Year() < 1900 || voucher.ApprovedAt.Year() < 1900 || voucher.ApprovedAt.Year() > 9999 || claim.ID == "" || claim.Held != nil {
				t.Errorf("claim %q became %+v", claim.ID, voucher)
			}
		}
	})
}
