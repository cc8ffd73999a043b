package table

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/ledger/expression"
)

// row is what the variables speak of: one posting of one voucher of one batch.
type row struct {
	batch   *exporters.Batch
	voucher *ledger.Voucher
	posting *ledger.Posting // of no meaning where only voucher and batch are asked for
	mark    byte            // decimal mark
	year    ledger.FiscalYearStart
	scratch []byte // for a number on its way to a cell
}

// variable is one variable of expressions. Exactly one of the functions is set; it says which type the variable has.
type variable struct {
	text    func(*row) string
	integer func(*row) int64
	money   func(*row) money
	number  func(*row) string    // a decimal with a point, or nothing
	date    func(*row) time.Time // nothing where zero
	instant func(*row) time.Time
	members bool // the dimensions
}

// money is an amount, or nothing where it has no currency.
type money struct {
	amount   ledger.Amount
	currency ledger.Currency
}

// variables by name.
var variables = map[string]*variable{
	"batch.run":             {text: func(r *row) string { return r.batch.Run }},
	"batch.run_id":          {text: func(r *row) string { return r.batch.RunID }},
	"batch.export":          {text: func(r *row) string { return r.batch.Export }},
	"batch.organization_id": {text: func(r *row) string { return r.batch.OrganizationID }},
	"batch.created_at":      {instant: func(r *row) time.Time { return r.batch.CreatedAt }},
	"batch.cutoff":          {instant: func(r *row) time.Time { return r.batch.Cutoff }},

	"voucher.id":            {text: func(r *row) string { return r.voucher.ID() }},
	"voucher.series":        {text: func(r *row) string { return r.voucher.Series }},
	"voucher.fiscal_year":   {integer: func(r *row) int64 { return int64(r.voucher.FiscalYear) }},
	"voucher.period":        {integer: func(r *row) int64 { return int64(r.year.Period(r.voucher.PostingDate)) }},
	"voucher.number":        {integer: func(r *row) int64 { return r.voucher.Number }},
	"voucher.date":          {date: func(r *row) time.Time { return r.voucher.PostingDate }},
	"voucher.document_date": {date: func(r *row) time.Time { return r.voucher.DocumentDate }},
	"voucher.text":          {text: func(r *row) string { return r.voucher.Text }},
	"voucher.currency":      {text: func(r *row) string { return r.voucher.Currency.Code() }},
	"voucher.base_currency": {text: func(r *row) string { return r.voucher.BaseCurrency.Code() }},
	"voucher.reverses":      {text: func(r *row) string { return r.voucher.Reverses }},
	"voucher.item_id":       {text: func(r *row) string { return r.voucher.ItemID() }},
	"voucher.claim_id":      {text: func(r *row) string { return r.voucher.ClaimID }},
	"voucher.claimant_id":   {text: func(r *row) string { return r.voucher.ClaimantID }},
	"voucher.claimant_name": {text: func(r *row) string { return r.voucher.ClaimantName }},
	"voucher.claimant_iban": {text: func(r *row) string { return r.voucher.ClaimantIBAN }},
	"voucher.claimant_bic":  {text: func(r *row) string { return r.voucher.ClaimantBIC }},
	"voucher.approved_at":   {instant: func(r *row) time.Time { return r.voucher.ApprovedAt }},
	"voucher.approved_by":   {text: func(r *row) string { return r.voucher.ApprovedBy }},
	"voucher.receipts":      {text: func(r *row) string { return r.receipts(func(*ledger.Receipt) bool { return true }) }},

	"line.number":            {integer: func(r *row) int64 { return int64(r.posting.LineNumber) }},
	"line.kind":              {text: func(r *row) string { return string(r.posting.Kind) }},
	"line.account":           {text: func(r *row) string { return r.posting.Account }},
	"line.account_name":      {text: func(r *row) string { return r.posting.AccountName }},
	"line.text":              {text: func(r *row) string { return r.posting.Text }},
	"line.amount":            {money: func(r *row) money { return r.money(r.posting.Amount) }},
	"line.debit":             {money: func(r *row) money { return r.debit(r.money(r.posting.Amount)) }},
	"line.credit":            {money: func(r *row) money { return r.credit(r.money(r.posting.Amount)) }},
	"line.tax_amount":        {money: func(r *row) money { return r.money(r.posting.TaxAmount) }},
	"line.gross_amount":      {money: func(r *row) money { return r.money(r.posting.Amount + r.posting.TaxAmount) }},
	"line.base_amount":       {money: func(r *row) money { return r.base(r.posting.BaseAmount) }},
	"line.base_debit":        {money: func(r *row) money { return r.debit(r.base(r.posting.BaseAmount)) }},
	"line.base_credit":       {money: func(r *row) money { return r.credit(r.base(r.posting.BaseAmount)) }},
	"line.base_tax_amount":   {money: func(r *row) money { return r.base(r.posting.BaseTaxAmount) }},
	"line.base_gross_amount": {money: func(r *row) money { return r.base(r.posting.BaseAmount + r.posting.BaseTaxAmount) }},
	"line.tax_code":          {text: func(r *row) string { return r.posting.TaxCode }},
	"line.tax_rate":          {number: func(r *row) string { return r.posting.TaxRate }},
	"line.subledger":         {text: func(r *row) string { return r.posting.Subledger }},
	"line.item_id":           {text: func(r *row) string { return r.voucher.ItemOf(r.posting) }},
	"line.dimensions":        {members: true},
	"line.expense_date":      {date: func(r *row) time.Time { return r.posting.ExpenseDate }},
	"line.category":          {text: func(r *row) string { return r.posting.Category }},
	"line.quantity":          {number: func(r *row) string { return r.posting.Quantity }},
	"line.unit":              {text: func(r *row) string { return r.posting.Unit }},
	"line.receipt_uri":       {text: func(r *row) string { return r.posting.ReceiptURI }},
	"line.receipts": {text: func(r *row) string {
		return r.receipts(func(of *ledger.Receipt) bool {
			return of.LineNumber == r.posting.LineNumber && r.posting.Kind == ledger.ExpensePosting
		})
	}},
	"line.payment_method":    {text: func(r *row) string { return r.posting.PaymentMethod }},
	"line.payment_reference": {text: func(r *row) string { return r.posting.PaymentReference }},
	"line.merchant":          {text: func(r *row) string { return r.posting.Merchant }},
	"line.country":           {text: func(r *row) string { return r.posting.Country }},
	"line.document_number":   {text: func(r *row) string { return r.posting.DocumentNumber }},
}

func (r *row) money(amount ledger.Amount) money { return money{amount, r.voucher.Currency} }
func (r *row) base(amount ledger.Amount) money  { return money{amount, r.voucher.BaseCurrency} }

// credited says on which side the posting is, in both currencies: one of its amounts may be 0, as with rounding.
func (r *row) credited() bool {
	return r.posting.Amount < 0 || r.posting.Amount == 0 && r.posting.BaseAmount < 0
}

// debit is the amount of a posting on the debit side.
func (r *row) debit(m money) money {
	if r.credited() {
		return money{}
	}
	return m
}

// credit is the amount, without its sign, of a posting on the credit side.
func (r *row) credit(m money) money {
	if !r.credited() {
		return money{}
	}
	return money{-m.amount, m.currency}
}

// dimension returns the value of a dimension of the posting, "" where it has none.
func (r *row) dimension(name string) string {
	at, found := slices.BinarySearchFunc(r.posting.Dimensions, name, func(d ledger.Dimension, name string) int {
		return strings.Compare(d.Name, name)
	})
	if !found {
		return ""
	}
	return r.posting.Dimensions[at].Value
}

// receipts are the names of files of the voucher's receipts, with a space between two.
func (r *row) receipts(which func(*ledger.Receipt) bool) string {
	var names []string
	for i := range r.voucher.Receipts {
		if of := &r.voucher.Receipts[i]; which(of) {
			names = append(names, of.File)
		}
	}
	return strings.Join(names, " ")
}

// zone is the export's, in which an instant is shown.
func (r *row) zone() *time.Location { return r.batch.CreatedAt.Location() }

// kind is the type of the variable in expressions.
func (v *variable) kind() *cel.Type {
	switch {
	case v.integer != nil:
		return expression.Int
	case v.money != nil, v.number != nil:
		return decimalType
	case v.instant != nil:
		return expression.Timestamp
	case v.members:
		return expression.Texts
	}
	return expression.String
}

// Variable implements expression.Variables.
func (r *row) Variable(name string) (ref.Val, bool) {
	v, ok := variables[name]
	if !ok {
		return nil, false
	}
	switch {
	case v.text != nil:
		return types.String(v.text(r)), true
	case v.integer != nil:
		return types.Int(v.integer(r)), true
	case v.instant != nil:
		return types.Timestamp{Time: v.instant(r).In(r.zone())}, true
	case v.members:
		members := make(map[string]string, len(r.posting.Dimensions))
		for _, d := range r.posting.Dimensions {
			members[d.Name] = d.Value
		}
		return expression.NewTexts(members), true
	case v.date != nil:
		return types.String(appendDateOnly(nil, v.date(r))), true
	case v.number != nil:
		return decimal{v.number(r), r.mark}, true
	}
	return decimal{string(appendMoney(nil, v.money(r), '.')), r.mark}, true
}

func appendMoney(to []byte, m money, mark byte) []byte {
	if m.currency == (ledger.Currency{}) {
		return to
	}
	return m.amount.AppendDecimal(to, m.currency, mark)
}

func appendDateOnly(to []byte, date time.Time) []byte {
	if date.IsZero() {
		return to
	}
	return date.AppendFormat(to, time.DateOnly)
}

// VariableNames lists the variables of expressions, for the pages that describe them.
func VariableNames() []string { return slices.Sorted(maps.Keys(variables)) }

// scope declares what the expressions of columns may use.
var scope = sync.OnceValue(func() *expression.Scope {
	kinds := make(map[string]*cel.Type, len(variables))
	for name, v := range variables {
		kinds[name] = v.kind()
	}
	s, err := expression.NewScope(kinds, functions()...)
	if err != nil {
		panic(err) // the variables and functions are constants
	}
	return s
})
