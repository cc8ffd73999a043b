package ledger

import (
	"strconv"
	"time"
)

// PostingKind says what a posting is in its voucher.
type PostingKind string

const (
	// ExpensePosting takes the expense of one line.
	ExpensePosting PostingKind = "Expense"
	// TaxPosting takes the deductible tax of one line. It follows its line's expense posting.
	TaxPosting PostingKind = "Tax"
	// RoundingPosting takes what is left after conversion to the books' currency.
	RoundingPosting PostingKind = "Rounding"
	// OffsetPosting balances the voucher: the debt to the claimant.
	OffsetPosting PostingKind = "Offset"
)

// Voucher is one balanced accounting entry, made from one claim. Its postings sum to zero in the books' currency and in
// the claim's.
type Voucher struct {
	// Series, FiscalYear and Number are the voucher's identity. Numbers are counted from 1 without gaps per organisation,
	// series and fiscal year. The fiscal year is named by the calendar year in which it begins.
	Series     string
	FiscalYear int
	Number     int64
	// PostingDate is a date: midnight UTC.
	PostingDate time.Time
	// DocumentDate is that of the claim's last expense, on whichever date it is posted.
	DocumentDate time.Time
	// Text describes the voucher: the claim's description, or its id where it has none. One line, no control characters.
	Text string
	// ClaimID is the way back to the claim.
	ClaimID string
	// ClaimantID is the employee number.
	ClaimantID string
	// ClaimantName and what follows are for artifacts that must carry them.
	ClaimantName, ClaimantIBAN, ClaimantBIC string
	ClaimantAddress                         Address
	ApprovedAt                              time.Time
	ApprovedBy                              string
	// Reverses is the ID of the voucher that this one reverses, such as E/2026/17: its postings are those of that voucher
	// with the signs changed. Empty on every other voucher.
	Reverses string
	// Currency is the claim's, BaseCurrency the books'. They may be the same.
	Currency, BaseCurrency Currency
	// Postings in the order of the claim's lines; rounding and offset come last.
	Postings []Posting
}

// Posting is one line of a voucher.
type Posting struct {
	Kind        PostingKind
	Account     string
	AccountName string
	// Amount in the voucher's currency and BaseAmount in the books': positive is debit, negative is credit.
	Amount, BaseAmount Amount
	// TaxCode of an expense posting whose tax is split off, and of its tax posting; empty otherwise. The tax posting
	// follows its expense posting.
	TaxCode string
	// TaxRate of the tax code in per cent, as the chart has it.
	TaxRate string
	// TaxAmount and BaseTaxAmount are, on an expense posting with a tax code, the tax that its tax posting carries, so
	// that Amount + TaxAmount is the gross amount on the receipt.
	TaxAmount, BaseTaxAmount Amount
	// Subledger is the claimant's id on the offset posting, if the chart has subledger.
	Subledger string
	// Dimensions of the posting, sorted by name.
	Dimensions []Dimension
	// Text describes the posting. One line, no control characters.
	Text string
	// LineNumber, ExpenseDate, Category, Quantity, Unit and ReceiptURI come from the claim's line. They are zero on
	// rounding and offset postings.
	LineNumber  int
	ExpenseDate time.Time
	Category    string
	Quantity    string
	Unit        string
	ReceiptURI  string
}

// Dimension is one analytical attribute of a posting, such as a cost centre.
type Dimension struct {
	Name, Value string
}

// ID returns series, fiscal year and number in one string, such as E/2026/17.
func (v *Voucher) ID() string {
	return v.Series + "/" + strconv.Itoa(v.FiscalYear) + "/" + strconv.FormatInt(v.Number, 10)
}

// Debit is the sum of the debit postings in the books' currency. The credit is the same.
func (v *Voucher) Debit() Amount {
	var debit Amount
	for i := range v.Postings {
		if v.Postings[i].BaseAmount > 0 {
			debit += v.Postings[i].BaseAmount
		}
	}
	return debit
}

// Balanced reports whether the postings sum to zero in both currencies.
func (v *Voucher) Balanced() bool {
	var sum, baseSum Amount
	for i := range v.Postings {
		sum += v.Postings[i].Amount
		baseSum += v.Postings[i].BaseAmount
	}
	return sum == 0 && baseSum == 0
}
