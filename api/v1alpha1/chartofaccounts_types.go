package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TextPolicy says what becomes of descriptions with characters that a format may lack.
// +kubebuilder:validation:Enum=Hold;Transliterate
type TextPolicy string

const (
	// TextsHold leaves descriptions as they are: a format that lacks a character holds the claim.
	TextsHold TextPolicy = "Hold"
	// TextsTransliterate writes other scripts in Latin letters, and leaves out what has none.
	TextsTransliterate TextPolicy = "Transliterate"
)

// UnmappedPolicy says what happens to a claim with a line that no rule matches.
// +kubebuilder:validation:Enum=Hold;Fail;Suspense
type UnmappedPolicy string

const (
	// UnmappedHold leaves the claim out of the run; a later run exports it once a rule matches.
	UnmappedHold UnmappedPolicy = "Hold"
	// UnmappedFail fails the run; nothing is reserved and nothing is delivered.
	UnmappedFail UnmappedPolicy = "Fail"
	// UnmappedSuspense posts the line to the suspense account.
	UnmappedSuspense UnmappedPolicy = "Suspense"
)

// SubledgerPolicy says what a posting that settles a claim carries in the subledger.
// +kubebuilder:validation:Enum=None;Claimant;PaymentReference
type SubledgerPolicy string

const (
	// SubledgerNone leaves the posting on the account alone.
	SubledgerNone SubledgerPolicy = "None"
	// SubledgerClaimant puts the claimant's id (employee number) on the posting.
	SubledgerClaimant SubledgerPolicy = "Claimant"
	// SubledgerPaymentReference puts the line's payment_reference (card or account) on the posting.
	SubledgerPaymentReference SubledgerPolicy = "PaymentReference"
)

// Account is one account of the books.
type Account struct {
	// Number of the account. Text: leading zeros are kept.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._:-]*$`
	Number string `json:"number"`
	// Name of the account, for people.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Name string `json:"name"`
}

// ReverseCharge says where tax goes that the organisation owes itself, because the supplier charges none.
type ReverseCharge struct {
	// Account that is credited with the tax that is owed; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
}

// TaxCode is one tax code of the accounting system.
// +kubebuilder:validation:XValidation:rule="!has(self.deductible) || has(self.account) || has(self.reverseCharge)",message="deductible needs an account, which takes the tax that is deducted"
// +kubebuilder:validation:XValidation:rule="!has(self.nonDeductibleAccount) || has(self.deductible)",message="nonDeductibleAccount is for codes with deductible"
// +kubebuilder:validation:XValidation:rule="!has(self.reverseCharge) || has(self.account) || (has(self.deductible) && double(self.deductible) == 0.0)",message="reverseCharge needs an account, which takes the tax that is deducted, unless deductible is 0"
// +kubebuilder:validation:XValidation:rule="!has(self.reverseCharge) || (double(self.rate) > 0.0 && double(self.rate) <= 100.0)",message="reverseCharge needs a rate above 0 and up to 100: the tax is computed from it"
type TaxCode struct {
	// Code as the accounting system knows it. Text: leading zeros are kept.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Code string `json:"code"`
	// Rate in per cent, such as "25" or "5.5". The tax on the receipt is what counts: it is not computed, but a claim with more tax
	// than the rate makes is held. With reverseCharge the tax is computed from it.
	// +kubebuilder:validation:Pattern=`^[0-9]{1,3}(\.[0-9]{1,4})?$`
	// +kubebuilder:validation:MaxLength=8
	Rate string `json:"rate"`
	// Account that takes the tax. Empty: the tax is not deductible and stays on the expense account.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account,omitempty"`
	// Deductible is how much of the tax is deducted, in per cent, such as "50". The rest is expense.
	// +optional
	// +kubebuilder:validation:Pattern=`^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$`
	// +kubebuilder:validation:MaxLength=8
	Deductible string `json:"deductible,omitempty"`
	// NonDeductibleAccount takes the tax that is not deducted; one of spec.accounts. Empty: the account of the line.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	NonDeductibleAccount string `json:"nonDeductibleAccount,omitempty"`
	// ReverseCharge is for receipts without tax of which the organisation owes the tax itself, such as services from abroad: rate ×
	// net is credited here and debited on account.
	// +optional
	ReverseCharge *ReverseCharge `json:"reverseCharge,omitempty"`
}

// RuleMatch selects claim lines. Both parts must hold; an empty match selects every line.
type RuleMatch struct {
	// Categories of the application; any of them matches. Empty: every category.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:items:MaxLength=200
	Categories []string `json:"categories,omitempty"`
	// Expression in CEL over claim and line, such as line.dimensions['project'] == 'P1'. It must return a bool.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// SplitPart is the share of a line that goes to one account.
type SplitPart struct {
	// Percent of the line. Those of all parts sum to 100; the last part takes the cent that rounding leaves.
	// +kubebuilder:validation:Pattern=`^[0-9]{1,2}(\.[0-9]{1,4})?$`
	// +kubebuilder:validation:MaxLength=7
	Percent string `json:"percent"`
	// Account that takes the expense; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
	// TaxCode of the part; one of spec.taxCodes. Empty: that of the rule, else that of the line.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	TaxCode string `json:"taxCode,omitempty"`
	// Dimensions of the part, as those of the rule, which it has too unless it says otherwise.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// MappingRule says to which account the lines that it matches are posted.
// +kubebuilder:validation:XValidation:rule="has(self.account) != has(self.split)",message="exactly one of account and split is required"
// +kubebuilder:validation:XValidation:rule="!has(self.split) || (self.split.map(p, double(p.percent)).sum() > 99.99999 && self.split.map(p, double(p.percent)).sum() < 100.00001)",message="the percentages of split must sum to 100"
type MappingRule struct {
	// Match selects the lines of this rule. The first rule that matches a line is used.
	// +optional
	Match RuleMatch `json:"match,omitempty"`
	// Account that takes the expense; one of spec.accounts.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account,omitempty"`
	// Split divides the line between accounts instead, such as 70 % and 30 % of an entertainment.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=10
	Split []SplitPart `json:"split,omitempty"`
	// TaxCode of the posting; one of spec.taxCodes. Empty: the tax code of the line, where it has one.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	TaxCode string `json:"taxCode,omitempty"`
	// Dimensions of the posting by name, each a CEL expression that returns a string. An empty result leaves the dimension out.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// OffsetPosting is what balances a voucher: the debt to the claimant.
// +kubebuilder:validation:XValidation:rule="!has(self.subledger) || self.subledger != 'PaymentReference'",message="subledger is None or Claimant: what the offset takes is owed to the claimant; PaymentReference is for offsets"
type OffsetPosting struct {
	// Account that is credited; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
	// Subledger of the posting: None or Claimant.
	// +optional
	// +kubebuilder:default=None
	Subledger SubledgerPolicy `json:"subledger,omitempty"`
}

// PaymentMatch selects claim lines by how they were paid. Both parts must hold.
// +kubebuilder:validation:XValidation:rule="has(self.paymentMethods) || has(self.expression)",message="paymentMethods or expression is required: lines that no offset matches are owed to the claimant"
type PaymentMatch struct {
	// PaymentMethods of the application; any of them matches. Empty: every payment method.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=200
	PaymentMethods []string `json:"paymentMethods,omitempty"`
	// Expression in CEL over claim and line, such as line.payment_reference.startsWith('4571'). It must return a bool.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// PaidPosting says which account is credited for the lines that somebody else than the claimant has paid, such as with a company card.
type PaidPosting struct {
	// Match selects the lines. The first entry that matches a line is used.
	Match PaymentMatch `json:"match"`
	// Account that is credited; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
	// Subledger of the posting: None, Claimant, or PaymentReference, which is the line's payment_reference.
	// +optional
	// +kubebuilder:default=None
	Subledger SubledgerPolicy `json:"subledger,omitempty"`
	// Dimensions of the posting by name, each a CEL expression that returns a string. An empty result leaves the dimension out.
	// +optional
	// +kubebuilder:validation:MaxProperties=20
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// AdvancePosting settles what the claimant was paid before.
// +kubebuilder:validation:XValidation:rule="!has(self.subledger) || self.subledger != 'PaymentReference'",message="subledger is None or Claimant: an advance was paid to the claimant"
type AdvancePosting struct {
	// Account that the advance was booked on and that is credited; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
	// Subledger of the posting: None or Claimant.
	// +optional
	// +kubebuilder:default=None
	Subledger SubledgerPolicy `json:"subledger,omitempty"`
}

// RoundingPosting takes what remains when amounts converted to the books' currency are rounded line by line.
type RoundingPosting struct {
	// Account that takes the residue; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
	// Limit of the residue of one voucher, in the books' currency. A claim that leaves more is held.
	// +kubebuilder:validation:Pattern=`^[0-9]{1,9}(\.[0-9]{1,4})?$`
	// +kubebuilder:default="1.00"
	// +optional
	Limit string `json:"limit,omitempty"`
}

// FiscalYearsPolicy says what becomes of a voucher with expenses of several fiscal years.
// +kubebuilder:validation:Enum=Hold;Post
type FiscalYearsPolicy string

const (
	// FiscalYearsHold holds the claim.
	FiscalYearsHold FiscalYearsPolicy = "Hold"
	// FiscalYearsPost posts the voucher as any other, in the year of its posting date.
	FiscalYearsPost FiscalYearsPolicy = "Post"
)

// VoucherSplit is what the lines of one voucher have in common, where a claim becomes several.
// +kubebuilder:validation:Enum=PaymentMethod;FiscalYear;Month;Line
type VoucherSplit string

const (
	// SplitByPaymentMethod makes a voucher for each payment method.
	SplitByPaymentMethod VoucherSplit = "PaymentMethod"
	// SplitByFiscalYear makes a voucher for each fiscal year of the expenses.
	SplitByFiscalYear VoucherSplit = "FiscalYear"
	// SplitByMonth makes a voucher for each month of the expenses.
	SplitByMonth VoucherSplit = "Month"
	// SplitByLine makes a voucher for each line.
	SplitByLine VoucherSplit = "Line"
)

// ClaimVouchers says what vouchers a claim becomes.
type ClaimVouchers struct {
	// SplitBy makes several vouchers of a claim: one for the lines that have all of these in common. They are exported together, held
	// together and reversed together. Default: a claim becomes one voucher.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	SplitBy []VoucherSplit `json:"splitBy,omitempty"`
	// AcrossFiscalYears says what becomes of a voucher with expenses of several fiscal years: Hold holds the claim, Post posts all of
	// it in the year of its posting date. Default: Hold.
	// +optional
	// +kubebuilder:default=Hold
	AcrossFiscalYears FiscalYearsPolicy `json:"acrossFiscalYears,omitempty"`
}

// ChartOfAccountsSpec describes the books of one organisation and how claims are posted to them.
// +kubebuilder:validation:XValidation:rule="self.unmapped != 'Suspense' || has(self.suspenseAccount)",message="suspenseAccount is required where unmapped is Suspense"
type ChartOfAccountsSpec struct {
	// Currency of the books, an ISO 4217 code.
	// +kubebuilder:validation:Pattern=`^[A-Z]{3}$`
	Currency string `json:"currency"`
	// FiscalYearStart is the month and day on which the books' year begins, as MM-DD. Voucher numbers are counted per fiscal year.
	// +optional
	// +kubebuilder:default="01-01"
	// +kubebuilder:validation:Pattern=`^(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$`
	FiscalYearStart string `json:"fiscalYearStart,omitempty"`
	// Vouchers say what vouchers a claim becomes.
	// +optional
	Vouchers ClaimVouchers `json:"vouchers,omitempty"`
	// Accounts of the books that the rules may use.
	// +listType=map
	// +listMapKey=number
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2000
	Accounts []Account `json:"accounts"`
	// TaxCodes of the accounting system.
	// +optional
	// +listType=map
	// +listMapKey=code
	// +kubebuilder:validation:MaxItems=200
	TaxCodes []TaxCode `json:"taxCodes,omitempty"`
	// Rules from claim lines to accounts; the first match wins.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=500
	Rules []MappingRule `json:"rules,omitempty"`
	// Offsets say which account is credited for lines that the claimant has not paid, such as with a company card; the first match wins.
	// Nothing of them is owed to the claimant.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Offsets []PaidPosting `json:"offsets,omitempty"`
	// Offset balances every voucher: what is owed to the claimant, which is what no entry of offsets matches, less advances.
	Offset OffsetPosting `json:"offset"`
	// Advances settle the advance_amount of a claim. Without it a claim with an advance is held.
	// +optional
	Advances *AdvancePosting `json:"advances,omitempty"`
	// TaxTolerance is by how much the tax of a line may exceed what the rate of its code makes, in the books' currency. A claim with more
	// is held. Without it ten of the currency's smallest units, such as 0.10.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9]{1,9}(\.[0-9]{1,4})?$`
	// +kubebuilder:validation:MaxLength=14
	TaxTolerance string `json:"taxTolerance,omitempty"`
	// Rounding takes residues of currency conversion. Without it a claim that leaves a residue is held.
	// +optional
	Rounding *RoundingPosting `json:"rounding,omitempty"`
	// Unmapped says what happens to a claim with a line that no rule matches: Hold, Fail or Suspense.
	// +optional
	// +kubebuilder:default=Hold
	Unmapped UnmappedPolicy `json:"unmapped,omitempty"`
	// SuspenseAccount takes unmatched lines where unmapped is Suspense; one of spec.accounts.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	SuspenseAccount string `json:"suspenseAccount,omitempty"`
	// Texts says what becomes of descriptions with characters that a format may lack, such as an emoji or another script: Hold
	// leaves that to the format, which holds the claim; Transliterate writes them in Latin letters, or leaves them out. Codes,
	// ids and names are never changed.
	// +optional
	// +kubebuilder:default=Hold
	Texts TextPolicy `json:"texts,omitempty"`
}

// ChartOfAccountsStatus reports whether the chart can be used.
type ChartOfAccountsStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('3000-01-01T00:00:00Z')",message="lastTransitionTime is an RFC 3339 time from 1970 to 2999"
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ChartOfAccounts describes the books of an organisation: accounts, tax codes, and the rules that post claim lines to them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=chartsofaccounts,singular=chartofaccounts,shortName=coa,categories=ledgerport
// +kubebuilder:printcolumn:name="CURRENCY",type=string,JSONPath=`.spec.currency`
// +kubebuilder:printcolumn:name="UNMAPPED",type=string,JSONPath=`.spec.unmapped`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type ChartOfAccounts struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ChartOfAccountsSpec `json:"spec"`
	// Status is what the operator has found. It has observed generation -1 until the operator has looked.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ChartOfAccountsStatus `json:"status,omitempty"`
	// Undecoded says what of the object does not decode; nothing for almost all.
	Undecoded Undecoded `json:"-"`
}

// ChartOfAccountsList is a list of ChartOfAccounts.
// +kubebuilder:object:root=true
type ChartOfAccountsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ChartOfAccounts `json:"items"`
}
