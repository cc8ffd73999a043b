package ledger_test

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/ledger"
)

func currency(t interface{ Fatal(args ...any) }, code string) ledger.Currency {
	c, err := ledger.ParseCurrency(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCurrenciesHaveTheirExponents(t *testing.T) {
	t.Parallel()
	for code, exponent := range map[string]int{"JPY": 0, "EUR": 2, "KWD": 3, "CLF": 4} {
		if c := currency(t, code); c.Exponent() != exponent || c.Code() != code {
			t.Errorf("%s: %s with %d decimals, want %d", code, c.Code(), c.Exponent(), exponent)
		}
	}
	for _, code := range []string{"", "eur", "EURO", "ABC", "EU"} {
		if _, err := ledger.ParseCurrency(code); !errors.Is(err, ledger.ErrUnknownCurrency) {
			t.Errorf("%q: %v, want ErrUnknownCurrency", code, err)
		}
	}
}

func TestAmountsAreReadExactlyOrRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, currency string
		want           ledger.Amount
		err            error
	}{
		{"12.50", "EUR", 1250, nil},
		{"-12.50", "EUR", -1250, nil},
		{"12", "EUR", 1200, nil},
		{"12.5", "EUR", 1250, nil},
		{"0.01", "EUR", 1, nil},
		{"-0.00", "EUR", 0, nil},
		{"007.10", "EUR", 710, nil},
		{"12.500000", "EUR", 1250, nil},
		{"12.000", "JPY", 12, nil},
		{"12.345", "KWD", 12345, nil},
		{"12.3456", "CLF", 123456, nil},
		{"10000000000000.00", "EUR", ledger.MaxAmount, nil},
		{"12.505", "EUR", 0, ledger.ErrTooPrecise},
		{"12.5", "JPY", 0, ledger.ErrTooPrecise},
		{"0.000000000000000000000000000000000001", "EUR", 0, ledger.ErrTooPrecise},
		{"10000000000000.01", "EUR", 0, ledger.ErrTooLarge},
		{"-10000000000000.01", "EUR", 0, ledger.ErrTooLarge},
		{strings.Repeat("9", 1_000_000), "EUR", 0, ledger.ErrTooLarge},
		{"999999999999999", "CLF", 0, ledger.ErrTooLarge},
		{"", "EUR", 0, ledger.ErrNotDecimal},
		{"-", "EUR", 0, ledger.ErrNotDecimal},
		{".5", "EUR", 0, ledger.ErrNotDecimal},
		{"5.", "EUR", 0, ledger.ErrNotDecimal},
		{"+5", "EUR", 0, ledger.ErrNotDecimal},
		{"--5", "EUR", 0, ledger.ErrNotDecimal},
		{" 5", "EUR", 0, ledger.ErrNotDecimal},
		{"5 ", "EUR", 0, ledger.ErrNotDecimal},
		{"5,00", "EUR", 0, ledger.ErrNotDecimal},
		{"1.2.3", "EUR", 0, ledger.ErrNotDecimal},
		{"1.005x", "EUR", 0, ledger.ErrNotDecimal},
		{"1x.005", "EUR", 0, ledger.ErrNotDecimal},
		{"1e3", "EUR", 0, ledger.ErrNotDecimal},
		{"NaN", "EUR", 0, ledger.ErrNotDecimal},
		{"Infinity", "EUR", 0, ledger.ErrNotDecimal},
		{"-Infinity", "EUR", 0, ledger.ErrNotDecimal},
		{"٣", "EUR", 0, ledger.ErrNotDecimal},
	}
	for _, test := range tests {
		got, err := ledger.ParseAmount(test.text, currency(t, test.currency))
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%.40s %s: %d (%v), want %d (%v)", test.text, test.currency, got, err, test.want, test.err)
		}
	}
}

func TestAmountsAreWrittenWithAllDecimals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		amount   ledger.Amount
		currency string
		want     string
	}{
		{-1250, "EUR", "-12.50"},
		{1, "EUR", "0.01"},
		{-1, "CLF", "-0.0001"},
		{0, "EUR", "0.00"},
		{100, "EUR", "1.00"},
		{12345, "KWD", "12.345"},
		{-12, "JPY", "-12"},
		{0, "JPY", "0"},
		{-9223372036854775808, "EUR", "-92233720368547758.08"},
	}
	for _, test := range tests {
		if got := test.amount.Decimal(currency(t, test.currency)); got != test.want {
			t.Errorf("%d %s: %q, want %q", test.amount, test.currency, got, test.want)
		}
	}
	if got := string(ledger.Amount(-1250).AppendDecimal([]byte("a;"), currency(t, "EUR"), ',')); got != "a;-12,50" {
		t.Errorf("with a comma: %q", got)
	}
}

func TestAmountsAreRoundedHalfAwayFromZero(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, currency string
		want           ledger.Amount
		err            error
	}{
		{"1.005", "EUR", 101, nil},
		{"-1.005", "EUR", -101, nil},
		{"1.0049999999999999999999", "EUR", 100, nil},
		{"0.5", "JPY", 1, nil},
		{"-0.4999", "JPY", 0, nil},
		{"7", "KWD", 7000, nil},
		{"10000000000000.004", "EUR", ledger.MaxAmount, nil},
		{"10000000000000.005", "EUR", 0, ledger.ErrTooLarge},
		{"-1e90", "EUR", 0, ledger.ErrTooLarge},
		{"NaN", "EUR", 0, ledger.ErrTooLarge},
	}
	for _, test := range tests {
		decimal, _, err := apd.NewFromString(test.text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ledger.RoundAmount(decimal, currency(t, test.currency)); got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s %s: %d (%v), want %d (%v)", test.text, test.currency, got, err, test.want, test.err)
		}
	}
}

func TestEveryAmountReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := currency(t, rapid.SampledFrom([]string{"JPY", "EUR", "KWD", "CLF"}).Draw(t, "currency"))
		want := ledger.Amount(rapid.Int64Range(-int64(ledger.MaxAmount), int64(ledger.MaxAmount)).Draw(t, "minor"))
		text := want.Decimal(c)
		if c.Exponent() > 0 {
			text += strings.Repeat("0", rapid.IntRange(0, 10).Draw(t, "zeros"))
		}
		if got, err := ledger.ParseAmount(text, c); got != want || err != nil {
			t.Fatalf("%s reads as %d (%v), want %d", text, got, err, want)
		}
	})
}

func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"12.50", "-0.001", "99999999999999999999", "NaN", "1e5", "", "0.0000000"} {
		f.Add(seed)
	}
	c := currency(f, "EUR")
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := ledger.ParseAmount(text, c)
		if err != nil {
			if amount != 0 {
				t.Errorf("%q: %d beside %v", text, amount, err)
			}
			return
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok || exact.Cmp(big.NewRat(int64(amount), 100)) != 0 {
			t.Errorf("%q reads as %d cents", text, amount)
		}
	})
}

func BenchmarkParseAmount(b *testing.B) {
	c := currency(b, "EUR")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ledger.ParseAmount("-1234.50", c); err != nil {
			b.Fatal(err)
		}
	}
}
