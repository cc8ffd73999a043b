package ledger

import "time"

// Claim is one approved expense claim as the application's database has it. Nothing in it has been checked yet; amounts
// are therefore text, exactly as stored.
type Claim struct {
	ID string
	// Held is why the claim has to wait whatever the chart says: what was wrong with its rows where they were read. Nil where
	// nothing was.
	Held *Hold
	// ClaimantID is the employee number, the claimant's key in the subledger.
	ClaimantID string
	// ClaimantName and ClaimantIBAN are for artifacts that must carry them. They never go into a log, event or status.
	ClaimantName, ClaimantIBAN string
	// ClaimantBIC is that of the claimant's bank, and ClaimantAddress where the claimant lives: for payments alone.
	ClaimantBIC     string
	ClaimantAddress Address
	// Currency of the claim, an ISO 4217 code.
	Currency    string
	ApprovedAt  time.Time
	ApprovedBy  string
	Description string
	// Advance is what the claimant was paid before and this claim settles, and BaseAdvance the same in the books' currency: decimals
	// as those of a line. Empty: none.
	Advance, BaseAdvance string
	Lines                []Line
	// Receipts of the claim; none where they were not asked for.
	Receipts []Receipt
}

// Address is where a claimant lives, in the parts by which banks know addresses. Any of them may be empty.
type Address struct {
	// Building is the number of the house. Country is an ISO 3166 code of two letters.
	Street, Building, PostCode, Town, Country string
}

// Bounds of one claim. What is beyond them is no expense claim, and would take memory that is for all.
const (
	// MaxLines of a claim.
	MaxLines = 10_000
	// MaxClaimSize bounds what a claim, and the dimensions that a chart gives it, take in memory, about, in bytes.
	MaxClaimSize = 8 << 20
	// MaxDimensions of a line.
	MaxDimensions = 100
	// MaxReceipts of a claim.
	MaxReceipts = 200
	// DimensionSize is what a dimension takes in memory beside its value, in bytes.
	DimensionSize = 32
)

// Line is one expense of a claim.
type Line struct {
	Number int
	// ExpenseDate is a date: midnight UTC.
	ExpenseDate time.Time
	Category    string
	Description string
	// Gross is the amount with tax, Tax the tax in it as the receipt shows it: decimals in the claim's currency.
	// Negative for a refund. An empty Tax is none.
	Gross, Tax string
	// TaxCode is the application's; empty where it has none.
	TaxCode string
	// Currency of the line where the table has such a column; it must be the claim's. Empty: the claim's.
	Currency string
	// BaseGross and BaseTax are the same amounts in the books' currency, perhaps with more decimals than it has.
	// Empty if there are none.
	BaseGross, BaseTax string
	// Dimensions by name, such as project or cost_center.
	Dimensions map[string]string
	// Quantity is a decimal; empty if there is none.
	Quantity   string
	Unit       string
	ReceiptURI string
	// PaymentMethod is the application's word for how the line was paid, such as company_card, and PaymentReference the card or
	// account. Empty: by the claimant, as far as the application says.
	PaymentMethod, PaymentReference string
	// Merchant, Country and DocumentNumber are on the receipt.
	Merchant, Country, DocumentNumber string
}
