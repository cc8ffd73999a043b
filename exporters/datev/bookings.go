package datev

import (
	"cmp"
	"context"
	"maps"
	"math/bits"
	"strconv"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	maxText    = 60
	maxVoucher = 36
	maxKost    = 36
	maxContent = 210
	// maxWhole is the first amount, in whole units, that has more than ten digits.
	maxWhole = 10_000_000_000
	// withoutAutomatic is the BU key that suspends the tax of an Automatikkonto for one booking.
	withoutAutomatic = "40"
	// foreignAmount is the kind of information "Fremdwährung", in Windows-1252.
	foreignAmount = "\"Fremdw\xe4hrung\""
	// employeeNumber, ownVoucher and expenseClaim are such kinds, too.
	employeeNumber = `"Personalnummer"`
	ownVoucher     = `"Stornobeleg"`
	expenseClaim   = `"Spesenabrechnung"`
	nothing        = `"";""`
	// dayMonthYear is the layout of a date that has its year.
	dayMonthYear = "02012006"
	// rateDecimals of an exchange rate, which is 1 to 9999.
	rateDecimals = 6
)

// Runs of columns that are the same in every row.
var (
	betweenVoucherAndText       = empty(columnVoucher, columnText)
	betweenTextAndReceipt       = empty(columnText, columnReceipt)
	betweenReceiptAndCostCenter = empty(columnReceipt, columnCostCenter)
	betweenCostObjectAndMore    = empty(columnCostObject, columnInformation)
	betweenMoreAndLocked        = empty(columnInformation+7, columnLocked)
	betweenPeriodAndReversal    = empty(columnTaxPeriod, columnReversal)
	afterReversal               = empty(columnReversal, columnCount+1) + newline
)

// bookings turns a voucher into rows. Each row is one pair of accounts: a posting against what settles it, which is the voucher's
// offset or the paid posting of its line.
type bookings struct {
	options   *options
	offset    string // account of the chart
	codes     exporters.SystemCodes
	automatic map[string]string // the tax code whose tax DATEV computes on an account; empty where that is not known
	bytes     []byte
	rows      int
	document  string // GUID of that of the voucher; empty where it has none
	// What all rows of a voucher share: the columns from the date to before the text, and additional information.
	reference, information []byte
}

func newBookings(o *options, books *v1alpha1.ChartOfAccountsSpec) *bookings {
	b := &bookings{options: o, offset: books.Offset.Account, codes: exporters.NewSystemCodes("taxKeys", o.TaxKeys, books), automatic: map[string]string{}}
	for _, account := range o.AutomaticAccounts {
		b.automatic[account] = ""
	}
	maps.Copy(b.automatic, o.AutomaticTaxCodes)
	return b
}

// booking is one row.
type booking struct {
	voucher      *ledger.Voucher
	posting      *ledger.Posting
	contra       string
	amount, base ledger.Amount // debit positive
	taxKey       string
}

// read makes the rows of a voucher, which link to the document of a GUID, or, if that is empty, to the receipts of their lines.
func (b *bookings) read(ctx context.Context, voucher *ledger.Voucher, document string) error {
	b.bytes, b.rows, b.document = b.bytes[:0], 0, document
	contra, err := b.contraAccount(voucher)
	if err != nil {
		return err
	}
	if b.reference, err = appendReference(b.reference[:0], voucher); err != nil {
		return err
	}
	if b.information, err = appendInformation(b.information[:0], voucher); err != nil {
		return err
	}
	gross := false // the tax posting that follows is within the row before it
	for i := range voucher.Postings {
		if err := exporters.CheckRendered(ctx, voucher, len(b.bytes)); err != nil {
			return err
		}
		posting := &voucher.Postings[i]
		switch {
		case posting.Kind == ledger.OffsetPosting, posting.Kind == ledger.PaidPosting:
			continue // it is the contra account of rows
		case posting.Kind == ledger.ReverseChargePosting, posting.Kind == ledger.TaxPosting && gross:
			continue // DATEV computes it
		}
		row := booking{voucher: voucher, posting: posting, contra: contra, amount: posting.Amount, base: posting.BaseAmount}
		if paid := voucher.SettledBy(i); paid != nil {
			row.contra = paid.Account
		}
		if posting.IsReverseCharge() {
			if row.taxKey, err = b.reverseChargeKey(voucher, i); err != nil {
				return err
			}
			gross = false
		} else if row.taxKey, gross = b.taxKey(posting); gross {
			row.amount += posting.TaxAmount
			row.base += posting.BaseTaxAmount
		}
		if row.taxKey != "" && row.taxKey != withoutAutomatic {
			if err := b.codes.Check(voucher, posting); err != nil {
				return err
			}
		}
		toItself := posting.Account == row.contra
		if toItself && (gross || posting.IsReverseCharge()) {
			return exporters.Unsupported(voucher, "%s is on the account %s that it is against, with tax; change the rule in the chart of accounts", exporters.Where(posting), row.contra)
		}
		if row.base == 0 || toItself {
			continue // DATEV has no booking of nothing, and none from an account to itself
		}
		if err := b.append(&row); err != nil {
			return err
		}
	}
	if b.rows == 0 {
		return exporters.Unsupported(voucher, "the claim moves nothing, and DATEV has no booking of 0.00; reject it in the application")
	}
	return nil
}

// contraAccount is the account that the rows of a voucher are against, but those of lines that somebody else has paid.
func (b *bookings) contraAccount(voucher *ledger.Voucher) (string, error) {
	account, offsets := b.offset, 0
	for i := range voucher.Postings {
		if voucher.Postings[i].Kind == ledger.OffsetPosting {
			account = voucher.Postings[i].Account
			offsets++
		}
	}
	if offsets > 1 {
		return "", exporters.Unsupported(voucher, "the voucher has %d offset postings, and a booking of DATEV has one contra account", offsets)
	}
	if b.options.EmployeeAccounts == 0 {
		return account, nil
	}
	number, err := strconv.ParseUint(voucher.ClaimantID, 10, 32)
	account = strconv.FormatUint(uint64(b.options.EmployeeAccounts)+number, 10)
	if err != nil || !b.options.isAccount(account) {
		return "", exporters.Unsupported(voucher, "the claimant's id is not a number that gives a personal account of %d digits; see the option employeeAccounts", b.options.AccountLength+1)
	}
	return account, nil
}

// taxKey returns the BU key of a posting, and reports whether its row is gross, so that DATEV computes the tax in it: only where
// what DATEV computes is the tax on the receipt. An Automatikkonto computes the tax of one code alone, without a key, and
// refuses another key than that which suspends it.
func (b *bookings) taxKey(posting *ledger.Posting) (key string, gross bool) {
	computes, automatic := b.automatic[posting.Account]
	key, mapped := b.options.TaxKeys[posting.TaxCode]
	switch computed := posting.Kind == ledger.ExpensePosting && exporters.ComputesTax(posting); {
	case automatic && computed && posting.TaxCode == computes:
		return "", true
	case automatic:
		return withoutAutomatic, false
	case mapped && computed:
		return key, true
	}
	return "", false
}

// reverseChargeKey returns the BU key by which DATEV computes the tax that is owed for the net expense at a place, and deducts all of it
// or nothing.
func (b *bookings) reverseChargeKey(voucher *ledger.Voucher, place int) (string, error) {
	posting := &voucher.Postings[place]
	_, _, deduction := voucher.SelfAssessed(place)
	key, mapped := b.options.TaxKeys[posting.TaxCode]
	_, automatic := b.automatic[posting.Account]
	switch {
	case !mapped:
		return "", exporters.Unsupported(voucher, "the tax code %q of %s is reverse charge and has no BU key; add the client's key for it to the option taxKeys", posting.TaxCode, exporters.Where(posting))
	case automatic:
		return "", exporters.Unsupported(voucher, "the account %s of %s is an Automatikkonto, which refuses the BU key of reverse charge; post it to another account", posting.Account, exporters.Where(posting))
	case deduction == ledger.DeductedInPart:
		return "", exporters.Unsupported(voucher, "the tax of %s is owed by reverse charge and deducted in part, and a BU key deducts all of it or nothing; "+
			"let its rule split the line into a part with a tax code that deducts all, and one with a tax code of deductible 0", exporters.Where(posting))
	}
	return key, nil
}

// append adds a row.
func (b *bookings) append(row *booking) error {
	voucher, posting := row.voucher, row.posting
	if isTooLarge(row.base, voucher.BaseCurrency) || isTooLarge(row.amount, voucher.Currency) {
		return exporters.Unsupported(voucher, "the amount of %s has more than ten digits before the comma", exporters.Where(posting))
	}
	to, information := row.appendAmounts(b.bytes)
	to = append(to, posting.Account...)
	to = append(to, delimiter)
	to = append(to, row.contra...)
	to = append(to, delimiter, '"')
	to = append(to, row.taxKey...)
	to = append(to, '"', delimiter)
	to = append(to, b.reference...)
	to, err := appendText(to, posting.Text, maxText)
	if err != nil {
		return exporters.Unsupported(voucher, "the text of %s %s; change it in the application", exporters.Where(posting), err)
	}
	to = append(to, betweenTextAndReceipt...)
	to = appendReceipt(to, cmp.Or(b.document, posting.ReceiptURI))
	to = append(to, betweenReceiptAndCostCenter...)
	if to, err = appendKost(to, voucher, posting, b.options.CostCenter); err != nil {
		return err
	}
	to = append(to, delimiter)
	if to, err = appendKost(to, voucher, posting, b.options.CostObject); err != nil {
		return err
	}
	to = append(to, betweenCostObjectAndMore...)
	to = append(to, information...)
	to = append(to, delimiter)
	to = append(to, b.information...)
	to = append(to, betweenMoreAndLocked...)
	to = append(to, digit(b.options.Locked)...)
	to = b.appendServiceDate(append(to, delimiter), row)
	to = append(to, betweenPeriodAndReversal...)
	to = append(to, '"')
	to = append(to, digit(voucher.Reverses != "")...)
	to = append(to, '"')
	to = append(to, afterReversal...)
	b.bytes = to
	b.rows++
	return nil
}

// appendAmounts appends the columns 1 to 6, each with a delimiter behind it: in the claim's currency where DATEV can have
// it, else in that of the books. What it cannot have then goes to the columns of additional information.
func (row *booking) appendAmounts(to []byte) (_ []byte, information string) {
	voucher := row.voucher
	rate, convertible := row.rate()
	foreign := voucher.Currency != voucher.BaseCurrency && row.amount != 0
	amount, currency := row.base, voucher.BaseCurrency
	if foreign && convertible {
		amount, currency = row.amount, voucher.Currency
	}
	to = appendAmount(to, amount, currency)
	to = append(to, delimiter, '"', side(row.base), '"', delimiter, '"')
	to = append(to, currency.Code()...)
	to = append(to, '"', delimiter)
	if foreign && convertible {
		to = appendRate(to, rate)
		to = append(to, delimiter)
		to = appendAmount(to, row.base, voucher.BaseCurrency)
		to = append(to, delimiter, '"')
		to = append(to, voucher.BaseCurrency.Code()...)
		return append(to, '"', delimiter), nothing
	}
	to = append(to, delimiter, delimiter, '"', '"', delimiter)
	if foreign {
		return to, foreignAmount + string(delimiter) + quote(voucher.Currency.Code()+" "+string(max(row.amount, -row.amount).AppendDecimal(nil, voucher.Currency, ',')))
	}
	return to, nothing
}

func isTooLarge(amount ledger.Amount, currency ledger.Currency) bool {
	most := ledger.Amount(maxWhole)
	for range currency.Exponent() {
		most *= 10
	}
	return amount >= most || amount <= -most
}

func side(amount ledger.Amount) byte {
	if amount < 0 {
		return 'H' // Haben: credit
	}
	return 'S' // Soll: debit
}

// appendAmount appends an amount without its sign, with two decimals.
func appendAmount(to []byte, amount ledger.Amount, currency ledger.Currency) []byte {
	to = max(amount, -amount).AppendDecimal(to, currency, ',')
	if currency.Exponent() == 0 {
		to = append(to, ',')
	}
	for range maxDecimals - currency.Exponent() {
		to = append(to, '0')
	}
	return to
}

// rate is what one unit of the books' currency is in the claim's, in millionths, and whether DATEV can have it: it takes
// amounts of two decimals and rates of 1 to 9999.
func (row *booking) rate() (uint64, bool) {
	from, to := row.voucher.Currency, row.voucher.BaseCurrency
	if from.Exponent() > maxDecimals || row.amount == 0 || (row.amount < 0) != (row.base < 0) {
		return 0, false
	}
	scale := uint64(1)
	for range rateDecimals + to.Exponent() - from.Exponent() {
		scale *= 10
	}
	base := uint64(max(row.base, -row.base))
	high, low := bits.Mul64(uint64(max(row.amount, -row.amount)), scale)
	low, carry := bits.Add64(low, base/2, 0)
	if high+carry >= base {
		return 0, false
	}
	rate, _ := bits.Div64(high+carry, low, base)
	return rate, rate >= 1_000_000 && rate < 10_000_000_000
}

func appendRate(to []byte, millionths uint64) []byte {
	to = strconv.AppendUint(to, millionths/1_000_000, 10)
	to = append(to, ',')
	fraction := strconv.FormatUint(1_000_000+millionths%1_000_000, 10)
	return append(to, fraction[1:]...)
}
