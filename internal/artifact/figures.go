package artifact

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/ledger"
)

// mostHeld bounds the list of held claims in figures; the table ledgerport.held_claims has all of them.
const mostHeld = 1000

// Figures are what a run comes to: the one shape in which they are rendered, recorded, delivered and reported.
type Figures struct {
	Claims int64 `json:"claims"`
	// Lines of the claims.
	Lines int64 `json:"lines"`
	// Vouchers are the numbers, by fiscal year.
	Vouchers []Range `json:"vouchers"`
	// Base sums all vouchers in the currency of the books, and Currencies each in its own, sorted by code.
	Base       Sum   `json:"base"`
	Currencies []Sum `json:"currencies"`
	// Held are the first of the claims that were left out, and HeldTotal is how many they are.
	Held      []HeldClaim `json:"held"`
	HeldTotal int64       `json:"heldTotal"`

	claim string // whose voucher was added last
}

// MostRanges bounds the unbroken ranges of voucher numbers in figures; the receipt has every voucher.
const MostRanges = 1000

// Range is an unbroken range of voucher numbers in one fiscal year: the only one, unless vouchers were rejected.
type Range struct {
	Series     string `json:"series"`
	FiscalYear int    `json:"fiscalYear"`
	First      int64  `json:"first"`
	Last       int64  `json:"last"`
	// Missing is how many numbers in between are not the run's. It is zero unless there are more than MostRanges unbroken ranges: then
	// those of a year are one.
	Missing int64 `json:"missing,omitempty"`
}

// Sum is the debit and credit of all vouchers in one currency, and what of it is payable to the claimants. The credit is without
// its sign. In JSON amounts are exact decimals.
type Sum struct {
	Currency               ledger.Currency
	Claims                 int64
	Debit, Credit, Payable ledger.Amount
	// Lines of the claims, and Gross, which those come to with their tax, are compared with SQL. JSON has neither.
	Lines int64
	Gross ledger.Amount
}

// HeldClaim is a claim that was left out.
type HeldClaim struct {
	Claim  string            `json:"claim"`
	Reason ledger.HoldReason `json:"reason"`
	Detail string            `json:"detail"`
}

// NewFigures are those of nothing yet, for books in a currency.
func NewFigures(base ledger.Currency) Figures {
	return Figures{Base: Sum{Currency: base}, Currencies: []Sum{}, Held: []HeldClaim{}}
}

// Add counts a voucher with so many lines, from its postings themselves. The vouchers of a claim come one after another.
func (f *Figures) Add(voucher *ledger.Voucher, lines int64) error {
	of := f.of(voucher.Currency)
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		if err := errors.Join(of.post(posting.Kind, posting.Amount), f.Base.post(posting.Kind, posting.BaseAmount)); err != nil {
			return err
		}
	}
	claims := int64(1)
	if f.Claims > 0 && voucher.ClaimID == f.claim {
		claims = 0 // it has been counted
	}
	f.claim = voucher.ClaimID
	for _, sum := range []*Sum{of, &f.Base} {
		sum.Claims += claims
		sum.Lines += lines
	}
	f.Claims += claims
	f.Lines += lines
	f.number(voucher)
	return nil
}

// Hold counts a claim that is left out.
func (f *Figures) Hold(hold *ledger.Hold) {
	f.HeldTotal++
	if len(f.Held) < mostHeld {
		f.Held = append(f.Held, HeldClaim{Claim: hold.ClaimID, Reason: hold.Reason, Detail: hold.Message})
	}
}

// Totals are what SQL says of the same claims.
func (f *Figures) Totals() ledger.Totals {
	totals := ledger.Totals{Claims: f.Claims, Lines: f.Lines}
	for _, sum := range f.Currencies {
		totals.Currencies = append(totals.Currencies, ledger.CurrencyTotal{Currency: sum.Currency.Code(), Claims: sum.Claims, Lines: sum.Lines, Gross: sum.Gross})
	}
	return totals
}

// FirstVoucher is the id at the beginning of the ranges; empty if there are none.
func (f *Figures) FirstVoucher() string {
	if len(f.Vouchers) == 0 {
		return ""
	}
	return f.Vouchers[0].id(f.Vouchers[0].First)
}

// LastVoucher is the id at the end of the ranges; empty if there are none.
func (f *Figures) LastVoucher() string {
	if len(f.Vouchers) == 0 {
		return ""
	}
	last := f.Vouchers[len(f.Vouchers)-1]
	return last.id(last.Last)
}

func (r Range) id(number int64) string {
	return (&ledger.Voucher{Series: r.Series, FiscalYear: r.FiscalYear, Number: number}).ID()
}

// number extends the range of the voucher's fiscal year.
func (f *Figures) number(voucher *ledger.Voucher) {
	at, found := slices.BinarySearchFunc(f.Vouchers, voucher.FiscalYear, func(have Range, year int) int { return have.FiscalYear - year })
	if !found {
		f.Vouchers = slices.Insert(f.Vouchers, at, Range{Series: voucher.Series, FiscalYear: voucher.FiscalYear, First: voucher.Number})
	}
	f.Vouchers[at].Last = voucher.Number
}

func (f *Figures) of(currency ledger.Currency) *Sum {
	at, found := slices.BinarySearchFunc(f.Currencies, currency.Code(), func(have Sum, code string) int {
		return strings.Compare(have.Currency.Code(), code)
	})
	if !found {
		f.Currencies = slices.Insert(f.Currencies, at, Sum{Currency: currency})
	}
	return &f.Currencies[at]
}

func (s *Sum) post(kind ledger.PostingKind, amount ledger.Amount) (err error) {
	switch kind {
	case ledger.OffsetPosting:
		s.Payable, err = ledger.AddAmounts(s.Payable, -amount)
	case ledger.ExpensePosting, ledger.TaxPosting, ledger.NonDeductiblePosting:
		s.Gross, err = ledger.AddAmounts(s.Gross, amount)
	case ledger.ReverseChargePosting, ledger.PaidPosting, ledger.RoundingPosting, ledger.AdvancePosting: // neither spent nor owed
	}
	if err != nil {
		return err
	}
	if amount > 0 {
		s.Debit, err = ledger.AddAmounts(s.Debit, amount)
	} else {
		s.Credit, err = ledger.AddAmounts(s.Credit, -amount)
	}
	return err
}

// SameSums reports whether the figures come to the same as others, in every currency.
func (f *Figures) SameSums(other *Figures) bool {
	same := func(s, t Sum) bool {
		return s.Currency == t.Currency && s.Claims == t.Claims && s.Debit == t.Debit && s.Credit == t.Credit && s.Payable == t.Payable
	}
	return f.Claims == other.Claims && same(f.Base, other.Base) && slices.EqualFunc(f.Currencies, other.Currencies, same)
}

// Reverses reports whether the figures are those of a reversal of others: debit and credit exchanged, in every currency.
func (f *Figures) Reverses(other *Figures) bool {
	exchanged := func(s, t Sum) bool {
		return s.Currency == t.Currency && s.Claims == t.Claims && s.Debit == t.Credit && s.Credit == t.Debit && s.Payable == -t.Payable
	}
	return f.Claims == other.Claims && exchanged(f.Base, other.Base) && slices.EqualFunc(f.Currencies, other.Currencies, exchanged)
}

// sumText is a sum in JSON.
type sumText struct {
	Currency string `json:"currency"`
	Claims   int64  `json:"claims"`
	Debit    string `json:"debit"`
	Credit   string `json:"credit"`
	Payable  string `json:"payable"`
}

// MarshalJSON implements json.Marshaler.
func (s Sum) MarshalJSON() ([]byte, error) {
	return json.Marshal(sumText{
		Currency: s.Currency.Code(), Claims: s.Claims,
		Debit: s.Debit.Decimal(s.Currency), Credit: s.Credit.Decimal(s.Currency), Payable: s.Payable.Decimal(s.Currency),
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sum) UnmarshalJSON(text []byte) (err error) {
	var read sumText
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*s = Sum{Claims: read.Claims}
	if s.Currency, err = ledger.ParseCurrency(read.Currency); err != nil {
		return errNoCurrency
	}
	for into, decimal := range map[*ledger.Amount]string{&s.Debit: read.Debit, &s.Credit: read.Credit, &s.Payable: read.Payable} {
		if *into, err = parseSum(decimal, s.Currency); err != nil {
			return err
		}
	}
	return nil
}

var decimalSum = regexp.MustCompile(`^-?\d{1,19}(\.\d{1,4})?$`)

// parseSum reads what Decimal has written: a sum may be larger than any single amount.
func parseSum(decimal string, currency ledger.Currency) (ledger.Amount, error) {
	whole, fraction, _ := strings.Cut(decimal, ".")
	units, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || !decimalSum.MatchString(decimal) || len(fraction) != currency.Exponent() {
		return 0, errNoDecimal
	}
	return ledger.Amount(units), nil
}
