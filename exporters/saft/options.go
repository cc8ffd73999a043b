package saft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
)

// options of the exporter. docs/exporters/saft.md has a table of them, made by make generate.
type options struct {
	// Number of the company in the register of Brønnøysund: 9 digits.
	RegistrationNumber string `json:"registrationNumber" required:"true"`
	// Name of the company.
	CompanyName string `json:"companyName" required:"true"`
	// Whom to ask about the file.
	ContactFirstName string `json:"contactFirstName" required:"true"`
	// Whom to ask about the file.
	ContactLastName string `json:"contactLastName" required:"true"`
	// Telephone number of the contact.
	ContactTelephone string `json:"contactTelephone" absent:"none"`
	// E-mail address of the contact.
	ContactEmail string `json:"contactEmail" absent:"none"`
	// Street and number of the company.
	StreetName string `json:"streetName" absent:"none"`
	// Post code of the company.
	PostalCode string `json:"postalCode" absent:"none"`
	// Place of the company.
	City string `json:"city" absent:"none"`
	// Whether the company is in the register of value added tax, so that its number has `MVA` behind it.
	VATRegistered bool `json:"vatRegistered" default:"true"`
	// Where the tax authority's code list puts each account: its `category` and `code` for the `accounts` whose number begins so;
	// the longest beginning counts
	Groupings []grouping `json:"groupings" required:"true"`
	// Standard tax code (`0`, `1`, `11` …) of each tax code of the chart; `NA` where there is none
	StandardTaxCodes map[string]string `json:"standardTaxCodes" absent:"none, for a chart without tax codes"`
	// Analysis type of each dimension that is exported, at most 9 characters; `employee` is the claimant, where the chart's
	// `offset.subledger` is `Claimant`. Dimensions without a type are left out.
	AnalysisTypes map[string]string `json:"analysisTypes" default:"{\"costCenter\": \"A\", \"project\": \"P\", \"employee\": \"E\"}"`
	// Voucher type of all transactions.
	VoucherType string `json:"voucherType" default:"Expense claim"`
	// A name without a path.
	FileName string `json:"fileName" absent:"SAF-T Financial_<registrationNumber>_<time of the run>.xml, as the tax authority names files"`
}

// grouping of accounts in the tax authority's code list.
type grouping struct {
	// Beginning of the account numbers, or a whole one.
	Accounts string `json:"accounts" required:"true"`
	// `GroupingCategory`, such as `annenDriftskostnad`
	Category string `json:"category" required:"true"`
	// `GroupingCode`, such as `7165`
	Code string `json:"code" required:"true"`
}

// Lengths of the schema's texts, in characters.
const (
	maxCode    = 9
	maxShort   = 18
	maxMiddle1 = 35
	maxMiddle2 = 70
	maxLong    = 256
)

// subledgerDimension is the dimension of ours that the claimant's id is, on a posting that has it as subledger.
const subledgerDimension = "employee"

// standardTaxCode is the pattern of the schema.
var standardTaxCode = regexp.MustCompile(`^[0-9anAN]{1,2}$`)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	if err := exporters.DecodeOptions(raw, o); err != nil {
		return nil, err
	}
	if !isRegistrationNumber(o.RegistrationNumber) {
		return nil, &exporters.OptionError{Field: "registrationNumber", Problem: "is not 9 digits with a right check digit"}
	}
	for _, check := range []func(*options) error{(*options).checkTexts, (*options).checkGroupings, (*options).checkCodes} {
		if err := check(o); err != nil {
			return nil, err
		}
	}
	if o.FileName != "" {
		return o, exporters.CheckFileName("fileName", o.FileName)
	}
	return o, nil
}

// isRegistrationNumber checks the last digit, modulus 11 with the weights 3 2 7 6 5 4 3 2 1.
func isRegistrationNumber(number string) bool {
	weights := [9]int{3, 2, 7, 6, 5, 4, 3, 2, 1}
	if len(number) != len(weights) {
		return false
	}
	sum := 0
	for i, weight := range weights {
		digit := int(number[i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		sum += weight * digit
	}
	return sum%11 == 0
}

func (o *options) checkTexts() error {
	for _, option := range []struct {
		field, value string
		most         int
	}{
		{"companyName", o.CompanyName, maxLong}, {"contactFirstName", o.ContactFirstName, maxMiddle1}, {"contactLastName", o.ContactLastName, maxMiddle2},
		{"contactTelephone", o.ContactTelephone, maxShort}, {"contactEmail", o.ContactEmail, maxMiddle2}, {"streetName", o.StreetName, maxLong},
		{"postalCode", o.PostalCode, maxMiddle2}, {"city", o.City, maxLong}, {"voucherType", o.VoucherType, maxMiddle2},
	} {
		if problem := textProblem(option.value, option.most); problem != "" {
			return &exporters.OptionError{Field: option.field, Problem: problem}
		}
	}
	return nil
}

// textProblem says why a text can not be in an element.
func textProblem(text string, most int) string {
	if err := xmldoc.Check(text); err != nil {
		return err.Error()
	}
	if utf8.RuneCountInString(text) > most {
		return fmt.Sprintf("has more than %d characters", most)
	}
	return ""
}

func (o *options) checkGroupings() error {
	known := map[string]bool{}
	for i, g := range o.Groupings {
		field := fmt.Sprintf("groupings[%d]", i)
		if known[g.Accounts] {
			return &exporters.OptionError{Field: field + ".accounts", Problem: fmt.Sprintf("%.40q occurs twice", g.Accounts)}
		}
		known[g.Accounts] = true
		if problem := textProblem(g.Category, maxLong); problem != "" {
			return &exporters.OptionError{Field: field + ".category", Problem: problem}
		}
		if problem := textProblem(g.Code, maxMiddle1); problem != "" {
			return &exporters.OptionError{Field: field + ".code", Problem: problem}
		}
	}
	return nil
}

func (o *options) checkCodes() error {
	for _, code := range slices.Sorted(maps.Keys(o.StandardTaxCodes)) {
		if !standardTaxCode.MatchString(o.StandardTaxCodes[code]) {
			return &exporters.OptionError{Field: "standardTaxCodes." + code, Problem: fmt.Sprintf("%.40q is not a standard tax code: one or two digits, or NA", o.StandardTaxCodes[code])}
		}
	}
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(o.AnalysisTypes)) {
		code, field := o.AnalysisTypes[name], "analysisTypes."+name
		problem := textProblem(code, maxCode)
		if other, taken := names[code]; taken {
			problem = fmt.Sprintf("has the type of %q", other)
		}
		if strings.TrimSpace(code) == "" {
			problem = "is empty"
		}
		if problem == "" {
			problem = textProblem(name, maxLong)
		}
		if problem != "" {
			return &exporters.OptionError{Field: field, Problem: problem}
		}
		names[code] = name
	}
	return nil
}

// grouping gives that of an account.
func (o *options) grouping(number string) (longest grouping, found bool) {
	for _, g := range o.Groupings {
		if strings.HasPrefix(number, g.Accounts) && len(g.Accounts) > len(longest.Accounts) {
			longest, found = g, true
		}
	}
	return longest, found
}
