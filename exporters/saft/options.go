package saft

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	// Standard tax code (`0`, `1`, `11` …) of each tax code of the chart; `NA` if there is none
	StandardTaxCodes map[string]string `json:"standardTaxCodes" posts:"true" absent:"none, for a chart without tax codes"`
	// Analysis type of each dimension that is exported, at most 9 characters; `employee` is the claimant, where the chart's
	// `offset.subledger` is `Claimant`. Dimensions without a type are left out.
	AnalysisTypes map[string]string `json:"analysisTypes" posts:"true" default:"{\"costCenter\": \"A\", \"project\": \"P\", \"employee\": \"E\"}"`
	// Voucher type of all transactions.
	VoucherType string `json:"voucherType" default:"Expense claim"`
	// A name without a path.
	FileName string `json:"fileName" absent:"SAF-T Financial_<registrationNumber>_<time of the run>.xml, as the tax authority names files" fileName:"true"`
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

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked.
func (o *options) Check() error {
	var number error
	if !isRegistrationNumber(o.RegistrationNumber) {
		number = &exporters.OptionError{Field: "registrationNumber", Problem: "is not 9 digits with a right check digit"}
	}
	return errors.Join(number, o.checkTexts(), o.checkGroupings(), o.checkTaxCodes(), o.checkAnalysisTypes())
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
	var problems []error
	for _, option := range []struct {
		field, value string
		most         int
	}{
		{"companyName", o.CompanyName, maxLong}, {"contactFirstName", o.ContactFirstName, maxMiddle1}, {"contactLastName", o.ContactLastName, maxMiddle2},
		{"contactTelephone", o.ContactTelephone, maxShort}, {"contactEmail", o.ContactEmail, maxMiddle2}, {"streetName", o.StreetName, maxLong},
		{"postalCode", o.PostalCode, maxMiddle2}, {"city", o.City, maxLong}, {"voucherType", o.VoucherType, maxMiddle2},
	} {
		if problem := textProblem(option.value, option.most); problem != "" {
			problems = append(problems, &exporters.OptionError{Field: option.field, Problem: problem})
		}
	}
	return errors.Join(problems...)
}

// textProblem says why a text cannot be in an element.
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
	var problems []error
	known := map[string]bool{}
	for i, g := range o.Groupings {
		wrong := func(field, problem string) {
			if problem != "" {
				problems = append(problems, &exporters.OptionError{Field: fmt.Sprintf("groupings[%d].%s", i, field), Problem: problem})
			}
		}
		if known[g.Accounts] {
			wrong("accounts", fmt.Sprintf("%.40q occurs twice", g.Accounts))
		}
		known[g.Accounts] = true
		switch codes, listed := groupingCodes[g.Category]; {
		case g.Category == "": // required
		case !listed:
			wrong("category", fmt.Sprintf("%.40q is not a grouping category of the tax authority, such as annenDriftskostnad; NA is for accounts without one", g.Category))
		case g.Code != "" && !codes[g.Code]:
			wrong("code", fmt.Sprintf("%.40q is not a grouping code of the category %s", g.Code, g.Category))
		}
	}
	return errors.Join(problems...)
}

func (o *options) checkTaxCodes() error {
	var problems []error
	for _, code := range slices.Sorted(maps.Keys(o.StandardTaxCodes)) {
		if standard := o.StandardTaxCodes[code]; !standardTaxCodes[standard] {
			problems = append(problems, &exporters.OptionError{Field: "standardTaxCodes." + code,
				Problem: fmt.Sprintf("%.40q is not a standard tax code of the tax authority, such as 1 or 13; NA is for codes without one", standard)})
		}
	}
	return errors.Join(problems...)
}

func (o *options) checkAnalysisTypes() error {
	var problems []error
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(o.AnalysisTypes)) {
		code := o.AnalysisTypes[name]
		problem := cmp.Or(textProblem(code, maxCode), textProblem(name, maxLong))
		if other, taken := names[code]; taken {
			problem = fmt.Sprintf("has the type of %q", other)
		}
		if strings.TrimSpace(code) == "" {
			problem = "is empty"
		}
		if problem != "" {
			problems = append(problems, &exporters.OptionError{Field: "analysisTypes." + name, Problem: problem})
		}
		names[code] = name
	}
	return errors.Join(problems...)
}

// grouping returns that of an account.
func (o *options) grouping(number string) (longest grouping, found bool) {
	for _, g := range o.Groupings {
		if strings.HasPrefix(number, g.Accounts) && len(g.Accounts) > len(longest.Accounts) {
			longest, found = g, true
		}
	}
	return longest, found
}
