package ledger

import (
	"cmp"
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
	// NonDeductiblePosting takes the tax of one line that is not deducted, where only a part is.
	NonDeductiblePosting PostingKind = "NonDeductible"
	// ReverseChargePosting takes tax of one line that the organisation owes itself: it is credited with all of it, and debited with
	// what is deducted of it and, without a tax code, with the rest. These follow their expense posting, and sum to zero.
	ReverseChargePosting PostingKind = "ReverseCharge"
	// PaidPosting takes the gross amount of one line that somebody else than the claimant has paid, such as with a company card: the
	// other side of the line's postings, which it follows.
	PaidPosting PostingKind = "Paid"
	// RoundingPosting takes what is left after conversion to the books' currency.
	RoundingPosting PostingKind = "Rounding"
	// AdvancePosting settles what the claimant was paid before.
	AdvancePosting PostingKind = "Advance"
	// OffsetPosting balances the voucher: the debt to the claimant, which alone is to be paid. A voucher that owes nothing has none.
	OffsetPosting PostingKind = "Offset"
)

// MaxPostings of a voucher.
const MaxPostings = 3 * MaxLines

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
	// Postings in the order of the claim's lines; rounding, advance and offset come last.
	Postings []Posting
	// Receipts of the claim that are delivered beside the artifact; none where they are not.
	Receipts []Receipt
}

// Posting is one line of a voucher.
type Posting struct {
	Kind        PostingKind
	Account     string
	AccountName string
	// Amount in the voucher's currency and BaseAmount in the books': positive is debit, negative is credit.
	Amount, BaseAmount Amount
	// TaxCode of an expense posting whose tax is split off or owed by reverse charge, and of its tax postings; empty otherwise. The
	// tax postings follow their expense posting.
	TaxCode string
	// TaxRate of the tax code in per cent, as the chart has it.
	TaxRate string
	// TaxAmount and BaseTaxAmount are, on an expense posting with a tax code, the tax that its tax posting carries, so
	// that Amount + TaxAmount is the gross amount on the receipt, but for tax that is not deducted.
	TaxAmount, BaseTaxAmount Amount
	// Subledger is the claimant's id, or on a paid posting the payment reference, if the chart names it.
	Subledger string
	// Dimensions of the posting, sorted by name.
	Dimensions []Dimension
	// Text describes the posting. One line, no control characters.
	Text string
	// LineNumber and what is behind it come from the claim's line. They are zero on rounding, advance and offset postings.
	LineNumber                        int
	ExpenseDate                       time.Time
	Category                          string
	Quantity                          string
	Unit                              string
	ReceiptURI                        string
	PaymentMethod, PaymentReference   string
	Merchant, Country, DocumentNumber string
}

// Dimension is one analytical attribute of a posting, such as a cost centre.
type Dimension struct {
	Name, Value string
}

// SettledBy returns the posting that is the other side of the postings of a line: its paid posting, or nil if the claimant has paid
// the line. The place is that of a posting of the line.
func (v *Voucher) SettledBy(place int) *Posting {
	for i := place; i < len(v.Postings) && v.Postings[i].LineNumber == v.Postings[place].LineNumber; i++ {
		p := &v.Postings[i]
		if p.Kind == PaidPosting {
			return p
		}
		if p.Kind == RoundingPosting || p.Kind == AdvancePosting || p.Kind == OffsetPosting { // of no line
			return nil
		}
	}
	return nil
}

// IsReverseCharge reports whether the posting is an expense whose tax the organisation owes itself: it has a code, and the receipt no
// tax.
func (p *Posting) IsReverseCharge() bool {
	return p.Kind == ExpensePosting && p.TaxCode != "" && p.TaxAmount == 0 && p.BaseTaxAmount == 0
}

// Deduction is how much of a tax is deducted.
type Deduction string

// Deductions.
const (
	DeductedInFull Deduction = "Full"
	DeductedInPart Deduction = "Part"
	NotDeducted    Deduction = "None"
)

// SelfAssessed returns the tax that is owed for the expense at a place, and how much of it is deducted.
func (v *Voucher) SelfAssessed(place int) (tax, base Amount, deduction Deduction) {
	deducted, rest := false, false
	for i := place + 1; i < len(v.Postings) && v.Postings[i].Kind == ReverseChargePosting; i++ {
		p := &v.Postings[i]
		if owed := p.BaseAmount < 0 != (v.Postings[place].BaseAmount < 0); owed {
			tax, base = tax-p.Amount, base-p.BaseAmount
		} else if p.TaxCode == "" {
			rest = true
		} else {
			deducted = true
		}
	}
	switch {
	case !rest:
		return tax, base, DeductedInFull
	case deducted:
		return tax, base, DeductedInPart
	}
	return tax, base, NotDeducted
}

// Payable returns what the voucher owes the claimant, in its currency and in the books'.
func (v *Voucher) Payable() (amount, base Amount) {
	for i := range v.Postings {
		if v.Postings[i].Kind == OffsetPosting {
			amount -= v.Postings[i].Amount
			base -= v.Postings[i].BaseAmount
		}
	}
	return amount, base
}

// LineCount is how many lines of the claim are in the voucher.
func (v *Voucher) LineCount() int64 {
	var count, last int64
	for i := range v.Postings {
		p := &v.Postings[i]
		if number := int64(p.LineNumber); p.Kind == ExpensePosting && (count == 0 || number != last) {
			count, last = count+1, number
		}
	}
	return count
}

// ID returns series, fiscal year and number in one string, such as E/2026/17.
func (v *Voucher) ID() string {
	return v.Series + "/" + strconv.Itoa(v.FiscalYear) + "/" + strconv.FormatInt(v.Number, 10)
}

// ItemID is the id by which the open item of the voucher is known in a subledger: its own, or that of the voucher which it
// reverses, so that both clear each other.
func (v *Voucher) ItemID() string { return cmp.Or(v.Reverses, v.ID()) }

// ItemOf is the id of the open item that a posting makes or clears: nothing where it has no subledger, and for an advance, which
// was paid under another number.
func (v *Voucher) ItemOf(posting *Posting) string {
	if posting.Subledger == "" || posting.Kind == AdvancePosting {
		return ""
	}
	return v.ItemID()
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
