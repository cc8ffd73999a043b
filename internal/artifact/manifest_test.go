package artifact

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func currency(t *testing.T, code string) ledger.Currency {
	t.Helper()
	c, err := ledger.ParseCurrency(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// voucher owes a claimant so many minor units.
func voucher(number int64, of, base ledger.Currency, amount, baseAmount ledger.Amount) *ledger.Voucher {
	return &ledger.Voucher{Series: "E", FiscalYear: 2026, Number: number, Currency: of, BaseCurrency: base, Postings: []ledger.Posting{
		{Kind: ledger.ExpensePosting, Amount: amount, BaseAmount: baseAmount}, {Kind: ledger.OffsetPosting, Amount: -amount, BaseAmount: -baseAmount},
	}}
}

func decode(content []byte) (m Manifest, err error) {
	if err := json.Unmarshal(content, &m); err != nil {
		return m, err
	}
	return m, m.Validate()
}

func TestManifest(t *testing.T) {
	t.Parallel()
	euro, yen := currency(t, "EUR"), currency(t, "JPY")
	figures := NewFigures(euro)
	for number, sum := range []ledger.Amount{math.MaxInt64 - 7, 7} {
		if err := figures.Add(voucher(int64(number+1), yen, euro, sum, -sum), 2); err != nil {
			t.Fatal(err)
		}
	}
	figures.Hold(&ledger.Hold{ClaimID: "C-1", Reason: ledger.HoldUnmapped, Message: "no rule"})
	manifest := Manifest{Type: v1alpha1.RunExport, Run: Run{Name: "monthly-1", CreatedAt: time.Unix(0, 0).UTC()}, Figures: figures, Files: []File{}}
	content, err := manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}

	t.Run("comes back as it was", func(t *testing.T) {
		t.Parallel()
		got, err := decode(content)
		for i := range figures.Currencies { // what is compared with SQL is not in a manifest
			figures.Currencies[i].Lines, figures.Currencies[i].Gross = 0, 0
		}
		figures.Base.Lines, figures.Base.Gross = 0, 0
		manifest.Figures = figures
		if err != nil || !reflect.DeepEqual(got, manifest) {
			t.Errorf("got %+v (%v), want %+v", got, err, manifest)
		}
	})
	t.Run("of before a submission had its name is read", func(t *testing.T) {
		t.Parallel()
		before := strings.Replace(string(content), `"files"`, `"posting": {"accepted": 27, "system": {"journal": "E1"}}, "files"`, 1)
		if got, err := decode([]byte(before)); err != nil || got.Submission == nil || got.Submission.Accepted != 27 || got.Submission.System["journal"] != "E1" {
			t.Errorf("got %+v (%v)", got.Submission, err)
		}
	})
	for problem, change := range map[string][2]string{
		"a sum is not a decimal number":  {`"9223372036854775807"`, `"9223372036854775808"`},
		"a currency does not exist":      {`"JPY"`, `"YEN"`},
		"a number is negative":           {`"heldTotal": 1`, `"heldTotal": -1`},
		"held for a reason that is not":  {`"Unmapped"`, `"once upon a time"`},
		"a sum is not a decimal number ": {`"-92233720368547758.07"`, `"-92233720368547758.7"`},
	} {
		t.Run("is refused where "+problem, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(content), change[0], change[1], 1)
			if changed == string(content) {
				t.Fatalf("%s has no %s", content, change[0])
			}
			if _, err := decode([]byte(changed)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(problem)) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("knows the reversal of what it has", func(t *testing.T) {
		t.Parallel()
		of, reversal := NewFigures(euro), NewFigures(euro)
		for into, amount := range map[*Figures]ledger.Amount{&of: 1250, &reversal: -1250} {
			if err := into.Add(voucher(1, euro, euro, amount, amount), 0); err != nil {
				t.Fatal(err)
			}
		}
		if !reversal.Reverses(&of) || of.Reverses(&of) {
			t.Errorf("%+v and %+v", of, reversal)
		}
	})
}
