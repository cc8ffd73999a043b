package gbat10

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	newline   = "\r\n"
	delimiter = ';'
	// Limits of columns, by Mamut's description.
	maxVoucher    = 99_999_999 // eight digits
	maxSubledger  = 9
	maxName       = 30
	maxInvoice    = 25
	maxText       = 100
	maxProject    = 6
	maxDepartment = 4
	maxIBAN       = 50
	maxAmount     = 15 // characters, sign and decimals included
)

// rows turns a voucher into rows, one for each posting.
type rows struct {
	options   *options
	codes     exporters.SystemCodes
	charset   *charset.Charset
	yearStart ledger.FiscalYearStart
	bytes     []byte
	head      []byte // the columns 0 to 5, which all rows of a voucher share
}

// amounts of one row, in the books' currency.
type amounts struct {
	net, gross ledger.Amount
	vatCode    string
	// taken is F on the tax that the receiving system makes itself from the gross amount and the VAT code of another row:
	// there it ignores the row, and T on all others.
	taken byte
}

// read makes the rows of a voucher. Both the net and the gross amounts of a voucher sum to zero.
func (r *rows) read(ctx context.Context, voucher *ledger.Voucher) error {
	r.bytes = r.bytes[:0]
	if voucher.Number > maxVoucher {
		return exporters.Unsupported(voucher, "its voucher number has more than eight digits")
	}
	r.head = r.appendHead(r.head[:0], voucher)
	var net, gross ledger.Amount
	computed := false // the system makes the tax of the expense before
	for i := range voucher.Postings {
		if err := exporters.CheckRendered(ctx, voucher, len(r.bytes)); err != nil {
			return err
		}
		posting := &voucher.Postings[i]
		row := amounts{net: posting.BaseAmount, gross: posting.BaseAmount, vatCode: r.options.NoVATCode, taken: 'T'}
		switch {
		case posting.IsReverseCharge():
			if _, _, deduction := voucher.SelfAssessed(i); deduction == ledger.DeductedInPart {
				return exporters.Unsupported(voucher, "the tax of %s is owed by reverse charge and deducted in part, and a VAT code of GBAT10 deducts all of it or nothing; "+
					"let its rule split the line into a part with a tax code that deducts all, and one with a tax code of deductible 0", exporters.Where(posting))
			}
			row.vatCode = r.options.VATCodes[posting.TaxCode]
		case posting.Kind == ledger.ExpensePosting:
			if computed = exporters.ComputesTax(posting); computed {
				row.gross += posting.BaseTaxAmount
				row.vatCode = r.options.VATCodes[posting.TaxCode]
			}
		case posting.Kind == ledger.ReverseChargePosting, posting.Kind == ledger.TaxPosting && computed:
			row.gross, row.taken = 0, 'F'
		}
		if posting.Kind == ledger.ExpensePosting && (computed || posting.IsReverseCharge()) {
			if err := r.check(voucher, posting, row.vatCode); err != nil {
				return err
			}
		}
		net += row.net
		gross += row.gross
		if err := r.append(voucher, posting, row); err != nil {
			return err
		}
	}
	if net != 0 || gross != 0 {
		return exporters.Unbalanced(voucher)
	}
	return nil
}

// check holds a voucher with a VAT code by which the system would not make the tax of a posting.
func (r *rows) check(voucher *ledger.Voucher, posting *ledger.Posting, vatCode string) error {
	if vatCode == r.options.NoVATCode && voucher.Reverses == "" {
		return exporters.Unsupported(voucher, "the tax code %q of %s has the VAT code %s, which is the one without VAT; give it another in the option vatCodes, or that one in noVatCode",
			posting.TaxCode, exporters.Where(posting), vatCode)
	}
	return r.codes.Check(voucher, posting)
}

// appendHead appends: GBAT10, voucher number, date, voucher type, period, year.
func (r *rows) appendHead(to []byte, voucher *ledger.Voucher) []byte {
	to = append(to, "GBAT10;"...)
	to = strconv.AppendInt(to, voucher.Number, 10)
	to = append(to, delimiter)
	to = voucher.PostingDate.AppendFormat(to, "20060102")
	to = append(to, delimiter)
	to = strconv.AppendInt(to, int64(r.options.VoucherType), 10)
	to = append(to, delimiter)
	to = strconv.AppendInt(to, int64(r.yearStart.Period(voucher.PostingDate)), 10)
	to = append(to, delimiter)
	return strconv.AppendInt(to, int64(voucher.FiscalYear), 10)
}

// append adds a row, in the order of the columns.
func (r *rows) append(voucher *ledger.Voucher, posting *ledger.Posting, row amounts) error {
	subledger, invoice := "", ""
	if r.options.Subledger != toNobody {
		subledger, invoice = posting.Subledger, voucher.ItemOf(posting)
	}
	name, whose := voucher.ClaimantName, "the claimant's id"
	if exporters.IsPaymentReference(voucher, posting) {
		name, whose = "", "the payment reference of "+exporters.Where(posting)
	}
	if subledger != "" && (len(subledger) > maxSubledger || !exporters.IsDigits(subledger)) {
		return exporters.Unsupported(voucher, "%s is not a number of at most %d digits; see the option subledger", whose, maxSubledger)
	}
	c := cells{rows: r, bytes: append(r.bytes, r.head...)}
	c.code(posting.Account)
	c.code(row.vatCode)
	c.amount(row.net, voucher.BaseCurrency)
	c.code(only(subledger, r.options.Subledger == toCustomer))
	c.code(only(subledger, r.options.Subledger == toSupplier))
	c.text(only(name, subledger != ""), maxName, "the claimant's name")
	c.empty(3) // address, postcode, place
	c.text(invoice, maxInvoice, "the voucher id")
	c.empty(4) // KID, due date, one that is not used, bank account
	c.text(posting.Text, maxText, "the text")
	c.text(only(posting.Text, subledger != ""), maxText, "the text")
	c.empty(1) // interest
	c.number(posting, r.options.Project, maxProject)
	c.number(posting, r.options.Department, maxDepartment)
	c.empty(1) // terms of payment
	c.bytes = append(c.bytes, delimiter, row.taken)
	c.amount(row.gross, voucher.BaseCurrency)
	iban := only(voucher.ClaimantIBAN, r.options.IBAN && posting.Kind == ledger.OffsetPosting)
	if charset.GuardFormulas(iban) != iban {
		c.fail("the claimant's IBAN", "has characters that no IBAN has; correct it in the application")
	}
	c.text(iban, maxIBAN, "the claimant's IBAN")
	c.empty(1) // BIC
	if c.problem != "" {
		return exporters.Unsupported(voucher, "%s of %s %s", c.field, exporters.Where(posting), c.problem)
	}
	r.bytes = c.end()
	return nil
}

// only returns a text under a condition.
func only(text string, yes bool) string {
	if yes {
		return text
	}
	return ""
}

// cells appends cells, each behind its delimiter, and keeps the first problem.
type cells struct {
	rows           *rows
	bytes          []byte
	field, problem string
}

func (c *cells) end() []byte { return append(c.bytes, newline...) }

func (c *cells) code(code string) {
	c.bytes = append(c.bytes, delimiter)
	c.bytes = append(c.bytes, code...)
}

func (c *cells) empty(count int) {
	for range count {
		c.bytes = append(c.bytes, delimiter)
	}
}

func (c *cells) amount(amount ledger.Amount, currency ledger.Currency) {
	start := len(c.bytes) + 1
	c.code("")
	c.bytes = amount.AppendDecimal(c.bytes, currency, c.rows.options.DecimalMark[0])
	if currency.Exponent() == 0 {
		c.bytes = append(c.bytes, c.rows.options.DecimalMark[0])
	}
	for range maxDecimals - currency.Exponent() {
		c.bytes = append(c.bytes, '0')
	}
	if len(c.bytes)-start > maxAmount {
		c.fail("the amount", fmt.Sprintf("has more than %d characters", maxAmount))
	}
}

// text appends a text, guarded against spreadsheets. The format has no quotes: delimiters become commas, and quotes apostrophes.
func (c *cells) text(text string, limit int, field string) {
	c.bytes = append(c.bytes, delimiter)
	if text == "" {
		return
	}
	start := len(c.bytes)
	var err error
	if c.bytes, err = c.rows.charset.AppendText(c.bytes, charset.GuardFormulas(text), limit); err != nil {
		c.fail(field, err.Error()+"; change it in the application")
	}
	for i, b := range c.bytes[start:] {
		switch b {
		case delimiter:
			c.bytes[start+i] = ','
		case '"':
			c.bytes[start+i] = '\''
		}
	}
}

// number appends the value of a dimension, which is a number.
func (c *cells) number(posting *ledger.Posting, dimension string, digits int) {
	c.bytes = append(c.bytes, delimiter)
	for _, d := range posting.Dimensions {
		if d.Name != dimension {
			continue
		}
		if len(d.Value) > digits || !exporters.IsDigits(d.Value) {
			c.fail("the dimension "+dimension, fmt.Sprintf("is not a number of at most %d digits; use another code, or leave the dimension out by an option", digits))
		}
		c.bytes = append(c.bytes, d.Value...)
	}
}

func (c *cells) fail(field, problem string) {
	if c.problem == "" {
		c.field, c.problem = field, problem
	}
}
