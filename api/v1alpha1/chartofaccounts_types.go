package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// SubledgerPolicy says what the offset posting carries in the subledger.
// +kubebuilder:validation:Enum=None;Claimant
type SubledgerPolicy string

const (
	// SubledgerNone leaves the offset posting on the account alone.
	SubledgerNone SubledgerPolicy = "None"
	// SubledgerClaimant puts the claimant's id (employee number) on the offset posting.
	SubledgerClaimant SubledgerPolicy = "Claimant"
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

// TaxCode is one tax code of the accounting system.
type TaxCode struct {
	// Code as the accounting system knows it. Text: leading zeros are kept.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Code string `json:"code"`
	// Rate in per cent, such as "25" or "5.5". It describes the code; tax is never computed from it,
	// because the tax on the receipt is what counts.
	// +kubebuilder:validation:Pattern=`^[0-9]{1,3}(\.[0-9]{1,4})?$`
	Rate string `json:"rate"`
	// Account that takes the tax. Empty: the tax is not deductible and stays on the expense account.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account,omitempty"`
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

// MappingRule says to which account the lines that it matches are posted.
type MappingRule struct {
	// Match selects the lines of this rule. The first rule that matches a line is used.
	// +optional
	Match RuleMatch `json:"match,omitempty"`
	// Account that takes the expense; one of spec.accounts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Account string `json:"account"`
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
	// Offset balances every voucher.
	Offset OffsetPosting `json:"offset"`
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
// +kubebuilder:printcolumn:name="REASON",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
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
