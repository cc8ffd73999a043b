package sie

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/sie.md has a table of them, made by make generate.
type options struct {
	// `#FNAMN`; importing systems compare it with their own.
	CompanyName string `json:"companyName" required:"true"`
	// `#ORGNR`, of the form `556000-0000`
	OrganizationNumber string `json:"organizationNumber" absent:"none" form:"^([0-9]{6}-[0-9]{4})?$" otherwise:"is not of the form 556000-0000"`
	// `#KPTYP`: `EUBAS97`, `BAS95`, `BAS96`, `NE2007` …; empty leaves it out
	AccountingPlan string `json:"accountingPlan" default:"EUBAS97" form:"^[A-Z0-9]{0,20}$" otherwise:"is not a type such as EUBAS97, BAS96 or NE2007"`
	// Series in `#VER`, where the accounting system calls it otherwise.
	Series string `json:"series" absent:"the export's voucherSeries" form:"^[A-Za-z0-9]{0,20}$" otherwise:"is not a few letters or digits"`
	// `run`: our voucher numbers; `importer`: none, so that the accounting system assigns its own, and ours (`E/2026/17`) goes
	// before the text
	Numbering string `json:"numbering" default:"run" choices:"run|importer"`
	// Number in SIE of each dimension that is exported: 1 cost centre, 2 cost unit, 6 project, 7 employee, 8 customer, 9
	// supplier, 10 invoice, 20 to 9999 free. Dimensions without a number are left out.
	Dimensions map[string]int `json:"dimensions" posts:"true" default:"{\"costCenter\": 1, \"project\": 6, \"employee\": 7}"`
	// The file declares the objects of its vouchers (`#OBJEKT`), for systems that refuse one that they do not know: an employee
	// by the claimant's name, any other by its code. Systems that know it may rename it.
	Objects bool `json:"objects"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.si" fileName:"true"`
}

const numbersOfRun = "run"

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
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked.
func (o *options) Check() error {
	var company error
	if _, err := encode(nil, o.CompanyName); err != nil {
		company = &exporters.OptionError{Field: "companyName", Problem: err.Error()}
	}
	return errors.Join(company, o.checkDimensions())
}

func (o *options) checkDimensions() error {
	var problems []error
	names := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(o.Dimensions)) {
		number := o.Dimensions[name]
		_, standard := standardDimensions[number]
		_, unknown := encode(nil, name)
		problem := ""
		switch other, taken := names[number]; {
		case !standard && (number < firstFreeDimension || number > lastDimension):
			problem = fmt.Sprintf("%d is not a dimension of SIE: 1, 2, 6 to 10, or %d to %d", number, firstFreeDimension, lastDimension)
		case taken:
			problem = fmt.Sprintf("has the number of %q", other)
		case unknown != nil:
			problem = unknown.Error()
		}
		if problem != "" {
			problems = append(problems, &exporters.OptionError{Field: "dimensions." + name, Problem: problem})
		}
		names[number] = name
	}
	return errors.Join(problems...)
}
