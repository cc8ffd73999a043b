package claims

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/ledger"
)

func TestMinorUnits_AreExactOrRefused(t *testing.T) {
	t.Parallel()
	for decimal, test := range map[string]struct {
		exponent int
		want     ledger.Amount
		err      error
	}{
		"0":                       {2, 0, nil},
		"12.34":                   {2, 1234, nil},
		"-12.340000":              {2, -1234, nil},
		"12":                      {2, 1200, nil},
		"1000.00":                 {0, 1000, nil},
		"1.234":                   {3, 1234, nil},
		"92233720368547758.07":    {2, 9223372036854775807, nil},
		"92233720368547758.08":    {2, 0, ledger.ErrTotalTooLarge},
		"12.345":                  {2, 0, ledger.ErrTooPrecise},
		"NaN":                     {2, 0, ledger.ErrNotDecimal},
		"Infinity":                {2, 0, ledger.ErrNotDecimal},
		"":                        {2, 0, ledger.ErrNotDecimal},
		"0.000000000000000000001": {2, 0, ledger.ErrTooPrecise},
	} {
		got, err := minorUnits(decimal, test.exponent)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%q with %d decimals is %d, %v, want %d, %v", decimal, test.exponent, got, err, test.want, test.err)
		}
	}
}

func TestMinorUnits_LooksAtEachDigitOnce(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("0", 8<<20)
	began := time.Now()
	for decimal, want := range map[string]ledger.Amount{"1." + many: 100, many + "1": 100, "1" + many: 0, "0." + many + "1": 0, "-" + many + "." + many: 0} {
		if got, _ := minorUnits(decimal, 2); got != want {
			t.Errorf("%.10s… is %d, want %d", decimal, got, want)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestMinorUnits_ComeBackFromTheirDecimal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency, err := ledger.ParseCurrency(rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(t, "currency"))
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.Amount(rapid.Int64().Draw(t, "amount"))
		got, err := minorUnits(want.Decimal(currency), currency.Exponent())
		if err != nil || got != want {
			t.Fatalf("%s came back as %d, %v", want.Decimal(currency), got, err)
		}
	})
}

func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{`{"a": "b", "n": 1.50, "t": true, "x": null, "o": {"a": [1]}}`, `[]`, `null`, `"a"`, `{`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		decoded := decodeObject(raw)
		var members map[string]any
		if json.Unmarshal(raw, &members) != nil && len(decoded) > 0 {
			t.Fatalf("%q is no object and is decoded as %v", raw, decoded)
		}
		for name, got := range decoded {
			if text, ok := members[name].(string); ok && text != got {
				t.Fatalf("%q: member %q is %q, want %q", raw, name, got, text)
			}
			if members[name] == nil {
				t.Fatalf("%q: member %q is null", raw, name)
			}
		}
	})
}
