package sie

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/sie.md has a table of them, made by make generate.
type options struct {
	// `#FNAMN`; importing systems compare it with their own.
	CompanyName string `json:"companyName" required:"true"`
	// `#ORGNR`, of the form `556000-0000`
	OrganizationNumber string `json:"organizationNumber" absent:"none"`
	// `#KPTYP`: `EUBAS97`, `BAS95`, `BAS96`, `NE2007` …; empty leaves it out
	AccountingPlan string `json:"accountingPlan" default:"EUBAS97"`
	// Series in `#VER`, where the accounting system calls it otherwise.
	Series string `json:"series" absent:"the export's voucherSeries"`
	// `run`: our voucher numbers; `importer`: none, so that the accounting system gives its own, and ours (`E/2026/17`) goes
	// before the text
	Numbering string `json:"numbering" default:"run"`
	// Number in SIE of each dimension that is exported: 1 cost centre, 2 cost unit, 6 project, 7 employee, 8 customer, 9
	// supplier, 10 invoice, 20 to 9999 free. Dimensions without a number are left out.
	Dimensions map[string]int `json:"dimensions" default:"{\"costCenter\": 1, \"project\": 6, \"employee\": 7}"`
	// The file declares the objects of its vouchers (`#OBJEKT`), for systems that refuse one that they do not know: an employee
	// by the claimant's name, any other by its code. Systems that know it may rename it.
	Objects bool `json:"objects"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.si"`
}

const (
	numbersOfRun      = "run"
	numbersOfImporter = "importer"
)

var (
	organizationNumber = regexp.MustCompile(`^\d{6}-\d{4}$`)
	accountingPlan     = regexp.MustCompile(`^[A-Z0-9]{0,20}$`)
	series             = regexp.MustCompile(`^[A-Za-z0-9]{0,20}$`)
)

// subledgerDimension is the dimension of ours that the claimant's id is, on a posting that has it as subledger.
const subledgerDimension = "employee"

// Numbers of dimensions that the specification defines. It reserves the others below 20.
var standardDimensions = map[int]string{
	1: "Kostnadsställe", 2: "Kostnadsbärare", 6: "Projekt", 7: "Anställd", 8: "Kund", 9: "Leverantör", 10: "Faktura",
}

const (
	firstFreeDimension = 20
	lastDimension      = 9999
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	if err := exporters.DecodeOptions(raw, o); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) check() error {
	if _, err := encode(nil, o.CompanyName); err != nil {
		return &exporters.OptionError{Field: "companyName", Problem: err.Error()}
	}
	if o.OrganizationNumber != "" && !organizationNumber.MatchString(o.OrganizationNumber) {
		return &exporters.OptionError{Field: "organizationNumber", Problem: "is not of the form 556000-0000"}
	}
	if !accountingPlan.MatchString(o.AccountingPlan) {
		return &exporters.OptionError{Field: "accountingPlan", Problem: "is not a type such as EUBAS97, BAS96 or NE2007"}
	}
	if !series.MatchString(o.Series) {
		return &exporters.OptionError{Field: "series", Problem: "is not a few letters or digits"}
	}
	if o.Numbering != numbersOfRun && o.Numbering != numbersOfImporter {
		return &exporters.OptionError{Field: "numbering", Problem: fmt.Sprintf("%.40q is not one of %q", o.Numbering, []string{numbersOfRun, numbersOfImporter})}
	}
	if o.FileName != "" {
		if err := exporters.CheckFileName("fileName", o.FileName); err != nil {
			return err
		}
	}
	return o.checkDimensions()
}

func (o *options) checkDimensions() error {
	names := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(o.Dimensions)) {
		number, field := o.Dimensions[name], "dimensions."+name
		if _, standard := standardDimensions[number]; !standard && (number < firstFreeDimension || number > lastDimension) {
			return &exporters.OptionError{Field: field, Problem: fmt.Sprintf("%d is not a dimension of SIE: 1, 2, 6 to 10, or %d to %d", number, firstFreeDimension, lastDimension)}
		}
		if other, taken := names[number]; taken {
			return &exporters.OptionError{Field: field, Problem: fmt.Sprintf("has the number of %q", other)}
		}
		names[number] = name
		if _, err := encode(nil, name); err != nil {
			return &exporters.OptionError{Field: field, Problem: err.Error()}
		}
	}
	return nil
}
