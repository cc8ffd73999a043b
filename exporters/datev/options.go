package datev

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// options of the exporter. docs/exporters/datev.md has a table of them, made by make generate.
type options struct {
	// *Beraternummer* of the tax consultant, 1001 to 9999999.
	ConsultantNumber int `json:"consultantNumber" required:"true" range:"1001 to 9999999"`
	// *Mandantennummer* of the client, 1 to 99999.
	ClientNumber int `json:"clientNumber" required:"true" range:"1 to 99999"`
	// First day of one of the client's fiscal years in DATEV, as YYYY-MM-DD. Month and day must be those of the chart of
	// accounts; the year of each file is that of its vouchers.
	FiscalYearStart string `json:"fiscalYearStart" absent:"not compared"`
	// *Sachkontenlänge* of the client, 4 to 8. Every account of the chart has as many digits, or one more if it is a
	// personal account.
	AccountLength int `json:"accountLength" default:"4" range:"4 to 8"`
	// *Sachkontenrahmen*: `03` or `04` for SKR03 and SKR04; others have two digits, too.
	Chart string `json:"chart" absent:"not said" form:"^([0-9]{2})?$" otherwise:"is not two digits, such as 03 or 04"`
	// BU key of DATEV for each tax code of the chart of accounts that has one, such as `{"19": "9"}`. See below.
	TaxKeys map[string]string `json:"taxKeys" posts:"true" absent:"none" form:"^[0-9]{1,4}$" otherwise:"is not a BU key of one to four digits"`
	// Accounts of the chart that are *Automatikkonten* in DATEV: it computes tax on them without a BU key. That is suspended
	// for every booking. See below.
	AutomaticAccounts []string `json:"automaticAccounts" posts:"true" absent:"none"`
	// The tax code of the chart whose tax DATEV computes on an *Automatikkonto*, such as `{"4650": "19"}`: each has one rate.
	AutomaticTaxCodes map[string]string `json:"automaticTaxCodes" posts:"true" absent:"none"`
	// Dimension whose value is KOST1; empty: none.
	CostCenter string `json:"costCenter" posts:"true" default:"costCenter"`
	// Dimension whose value is KOST2; empty: none.
	CostObject string `json:"costObject" posts:"true" default:"project"`
	// Personal account of the employee number 0, such as 70000: bookings are against the personal account that is this plus
	// the employee number, not against the offset account of the chart.
	EmployeeAccounts int `json:"employeeAccounts" posts:"true" absent:"the offset account"`
	// *Bezeichnung* of the batch: at most 30 letters, digits, spaces and `. - / _`.
	Label string `json:"label" absent:"the export's name" form:"^[0-9A-Za-z_./ -]{0,30}$" otherwise:"is not at most 30 letters, digits, spaces and . - / _"`
	// *Diktatkürzel*: two capital letters.
	Initials string `json:"initials" absent:"none" form:"^([A-Z]{2})?$" otherwise:"is not two capital letters"`
	// *Leistungsdatum* of bookings whose expense has another date than the posting date, with the *Datum Zuordnung Steuerperiode*. The
	// tax consultant has to agree: see below.
	ServiceDate bool `json:"serviceDate" posts:"true" default:"true"`
	// *Festschreibung*: the bookings cannot be changed once DATEV has imported them.
	Locked bool `json:"locked"`
	// `document.xml` beside the bookings, which link to it: with the receipts of the run it is a package for DATEV Unternehmen online. The
	// export needs `receipts: Require`. See below.
	Documents bool `json:"documents"`
	// A name without a path that begins with `EXTF_` and ends with `.csv`.
	FileName string `json:"fileName" absent:"EXTF_<run>.csv" fileName:"true"`
}

var fileName = regexp.MustCompile(`^EXTF_.*\.csv$`)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked.
func (o *options) Check() error {
	var name, employees error
	if o.FileName != "" && !fileName.MatchString(o.FileName) {
		name = &exporters.OptionError{Field: "fileName", Problem: "does not begin with EXTF_ and end with .csv; DATEV shows no other files"}
	}
	if o.EmployeeAccounts != 0 && (o.EmployeeAccounts < 0 || len(strconv.Itoa(o.EmployeeAccounts)) != o.AccountLength+1) {
		employees = &exporters.OptionError{Field: "employeeAccounts", Problem: fmt.Sprintf("is not a personal account of %d digits, one more than accountLength", o.AccountLength+1)}
	}
	return errors.Join(name, employees)
}

// checkBooks compares the options with the chart of accounts.
func (o *options) checkBooks(books *v1alpha1.ChartOfAccountsSpec, yearStart ledger.FiscalYearStart) error {
	if err := o.checkYear(yearStart); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, account := range books.Accounts {
		known[account.Number] = true
		if !o.isAccount(account.Number) {
			return &exporters.OptionError{Field: "accountLength", Problem: fmt.Sprintf("is %d, and the chart of accounts has the account %q; accounts have as many digits, personal accounts one more",
				o.AccountLength, account.Number)}
		}
	}
	for i, account := range o.AutomaticAccounts {
		if !known[account] {
			return &exporters.OptionError{Field: fmt.Sprintf("automaticAccounts[%d]", i), Problem: fmt.Sprintf("%.20q is not an account of the chart of accounts", account)}
		}
	}
	for _, account := range slices.Sorted(maps.Keys(o.AutomaticTaxCodes)) {
		if !known[account] {
			return &exporters.OptionError{Field: "automaticTaxCodes." + account, Problem: "is not an account of the chart of accounts"}
		}
		if err := exporters.CheckTaxCodes("automaticTaxCodes."+account, map[string]string{o.AutomaticTaxCodes[account]: ""}, books); err != nil {
			return err
		}
	}
	return exporters.CheckTaxCodes("taxKeys", o.TaxKeys, books)
}

func (o *options) checkYear(yearStart ledger.FiscalYearStart) error {
	if o.FiscalYearStart == "" {
		return nil
	}
	start, err := time.Parse(time.DateOnly, o.FiscalYearStart)
	if err != nil {
		return &exporters.OptionError{Field: "fiscalYearStart", Problem: "is not a date such as 2026-01-01"}
	}
	if start.Month() != yearStart.Month || start.Day() != yearStart.Day {
		return &exporters.OptionError{Field: "fiscalYearStart", Problem: fmt.Sprintf("is not a %d %s, when the fiscal year of the chart of accounts begins", yearStart.Day, yearStart.Month)}
	}
	return nil
}

// isAccount reports whether DATEV has accounts of this form: digits, not all of them 0.
func (o *options) isAccount(number string) bool {
	return (len(number) == o.AccountLength || len(number) == o.AccountLength+1) && exporters.IsDigits(number) && strings.Trim(number, "0") != ""
}
