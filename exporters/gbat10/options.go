package gbat10

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/gbat10.md has a table of them, made by make generate.
type options struct {
	// Voucher type, a number of at most three digits. Tripletex makes a voucher series for each.
	VoucherType int `json:"voucherType" default:"10" range:"0 to 999"`
	// VAT code of the accounting system for each tax code of the chart of accounts that it is not the same for, such as
	// `{"1": "101"}`. A number of at most five digits.
	VATCodes map[string]string `json:"vatCodes" posts:"true" absent:"the chart's tax codes" form:"^[0-9]{1,5}$" otherwise:"is not a number of one to five digits"`
	// VAT code of what has none.
	NoVATCode string `json:"noVatCode" posts:"true" default:"0" form:"^[0-9]{1,5}$" otherwise:"is not a number of one to five digits"`
	// Where the claimant's id goes on the offset, if the chart's `offset.subledger` is `Claimant`: `supplier`, `customer` or
	// `none`.
	Subledger string `json:"subledger" posts:"true" default:"supplier" choices:"supplier|customer|none"`
	// Dimension whose value is the project, a number of at most six digits; empty: none.
	Project string `json:"project" posts:"true" default:"project"`
	// Dimension whose value is the department, a number of at most four digits; empty: none.
	Department string `json:"department" posts:"true" default:"costCenter"`
	// The claimant's IBAN is on the offset, so that the accounting system can pay.
	IBAN bool `json:"iban"`
	// `.` or `,`
	DecimalMark string `json:"decimalMark" default:"." choices:".|,"`
	// `windows-1252`, `iso-8859-1` or `utf-8`; the importing system asks for it, or expects the first.
	Encoding string `json:"encoding" default:"windows-1252" choices:"windows-1252|iso-8859-1|utf-8"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.csv" fileName:"true"`
}

const (
	toSupplier = "supplier"
	toCustomer = "customer"
	toNobody   = "none"
)

var vatCode = regexp.MustCompile(`^\d{1,5}$`)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// checkBooks compares the options with the chart of accounts, and completes the VAT codes.
func (o *options) checkBooks(books *v1alpha1.ChartOfAccountsSpec) error {
	for _, account := range books.Accounts {
		if len(account.Number) > maxAccount || !exporters.IsDigits(account.Number) {
			return &exporters.OptionError{Problem: fmt.Sprintf("the chart of accounts has the account %q; accounts of GBAT10 are numbers of at most %d digits", account.Number, maxAccount)}
		}
	}
	codes := map[string]string{}
	for _, tax := range books.TaxCodes {
		code, mapped := o.VATCodes[tax.Code]
		if !mapped {
			code = tax.Code
		}
		if !vatCode.MatchString(code) && exporters.IsPosted(&tax) {
			return &exporters.OptionError{Field: "vatCodes", Problem: fmt.Sprintf("the tax code %.20q of the chart of accounts is not a number of one to five digits; say here which VAT code it is", tax.Code)}
		}
		codes[tax.Code] = code
	}
	for _, code := range slices.Sorted(maps.Keys(o.VATCodes)) {
		if _, known := codes[code]; !known {
			return &exporters.OptionError{Field: "vatCodes." + code, Problem: "is not a tax code of the chart of accounts"}
		}
	}
	o.VATCodes = codes
	return nil
}
