package exporters_test

import (
	"errors"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
)

func TestBooksSayWhatTheyCountInAndWhenTheirYearBegins(t *testing.T) {
	t.Parallel()
	currency, start, err := exporters.ReadBooks(&v1alpha1.ChartOfAccountsSpec{Currency: "SEK", FiscalYearStart: "05-01"}, "SIE", 2)
	if err != nil || currency.Code() != "SEK" || start != mayYear {
		t.Errorf("%s from %v (%v)", currency.Code(), start, err)
	}
	var refused *exporters.OptionError
	if _, _, err := exporters.ReadBooks(&v1alpha1.ChartOfAccountsSpec{Currency: "KWD"}, "SIE", 2); !errors.As(err, &refused) || err.Error() != "the books are in KWD, which has 3 decimals; SIE has at most 2" {
		t.Errorf("three decimals: %v", err)
	}
	for _, books := range []v1alpha1.ChartOfAccountsSpec{{Currency: "krona"}, {Currency: "SEK", FiscalYearStart: "02-29"}} {
		if _, _, err := exporters.ReadBooks(&books, "SIE", 2); err == nil {
			t.Errorf("%s from %s is taken", books.Currency, books.FiscalYearStart)
		}
	}
}

func TestAnOptionSpeaksOfTaxCodesWhoseTaxIsSplitOff(t *testing.T) {
	t.Parallel()
	books := &v1alpha1.ChartOfAccountsSpec{TaxCodes: []v1alpha1.TaxCode{{Code: "1", Account: "2710"}, {Code: "0"}, {Code: "86", ReverseCharge: &v1alpha1.ReverseCharge{Account: "2701"}}}}
	for code, want := range map[string]bool{"1": true, "0": false, "2": false} {
		err := exporters.CheckTaxCodes("taxKeys", map[string]string{code: "9"}, books)
		var refused *exporters.OptionError
		if (err == nil) != want || err != nil && (!errors.As(err, &refused) || refused.Field != "taxKeys."+code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestIsDigits(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"0012": true, "": false, "1a": false, "-1": false, "١": false, "1,2": false} {
		if got := exporters.IsDigits(code); got != want {
			t.Errorf("%q: %t", code, got)
		}
	}
}
