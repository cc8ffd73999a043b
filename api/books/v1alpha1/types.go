// Package v1alpha1 has what the operator serves through the API server, read only: the files and vouchers of a run, and the held claims of
// an export. Nothing of it is stored in the cluster.
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion of this API. It differs from that of the resources, which the API server serves itself.
var GroupVersion = schema.GroupVersion{Group: "books.accounting.ledgerport.dev", Version: "v1alpha1"}

// The resources, each with what is served below one of its objects.
const (
	// ExportRuns have files and vouchers.
	ExportRuns = "exportruns"
	// AccountingExports have held claims, and say what became of a claim.
	AccountingExports = "accountingexports"

	// Files are those of a run's artifact; a name behind it is the file itself.
	Files = "files"
	// Vouchers are those that a run exported.
	Vouchers = "vouchers"
	// HeldClaims are those that wait for a person.
	HeldClaims = "heldclaims"
	// Claims says what became of one that is named.
	Claims = "claims"
)

// FileList lists the files of an artifact, in the order of their delivery.
type FileList struct {
	metav1.TypeMeta `json:",inline"`
	// RemovedAt is when the artifact was removed from its destination; absent while it is there.
	RemovedAt *metav1.Time `json:"removedAt,omitempty"`
	Items     []File       `json:"items"`
}

// File is one file of an artifact, as it is recorded.
type File struct {
	Name string `json:"name"`
	// Size in bytes.
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	// SHA256 of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
}

// VoucherList is a page of the vouchers of a run, in the order of its artifact. A page may have fewer than were asked for, or none, although
// there are more: metadata.continue is there then.
type VoucherList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Voucher `json:"items"`
}

// Voucher says what one voucher is, and not what it is for.
type Voucher struct {
	// Number with series and fiscal year, such as E/2026/1.
	Number string `json:"number"`
	// Date of posting, as YYYY-MM-DD.
	Date string `json:"date"`
	// Claim is the id of the claim that the voucher is of.
	Claim string `json:"claim"`
	// Amount is the debit in the currency of the claim, an exact decimal. The credit is the same.
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
	// BaseAmount is the debit in the currency of the books.
	BaseAmount   string `json:"baseAmount"`
	BaseCurrency string `json:"baseCurrency"`
	// Reverses is the number of the voucher that this one reverses.
	Reverses string `json:"reverses,omitempty"`
}

// HeldClaimList is a page of the claims that runs of an export have held, and that still wait.
type HeldClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	// Groups count all of them by reason, the most frequent first. Only the first page has them.
	Groups []HeldGroup `json:"groups,omitempty"`
	Items  []HeldClaim `json:"items"`
}

// HeldGroup counts the claims that are held for one reason.
type HeldGroup struct {
	// Reason in one word.
	Reason string `json:"reason"`
	Claims int64  `json:"claims"`
	// Since when the first of them has been held.
	Since metav1.Time `json:"since"`
}

// HeldClaim is one claim that waits.
type HeldClaim struct {
	// Claim is its id.
	Claim string `json:"claim"`
	// Reason in one word.
	Reason string `json:"reason"`
	// Message says what is wrong with it.
	Message string `json:"message"`
	// Since when it has been held.
	Since metav1.Time `json:"since"`
	// Run that held it last.
	Run string `json:"run"`
}

// ClaimStatusList says what became of one claim: an entry for each book that runs of the export have exported it to, or hold it for. It is
// empty if the claim is neither exported nor held by them: it is not approved, waits for the next run, or was taken back by a reversal.
type ClaimStatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []ClaimStatus `json:"items"`
}

// ClaimStatus is what became of a claim in one book.
type ClaimStatus struct {
	// Claim is its id.
	Claim string `json:"claim"`
	Book  string `json:"book"`
	// State is exporting, exported, adopted or held.
	State string `json:"state"`
	// Vouchers that it became, in their order.
	Vouchers []string `json:"vouchers,omitempty"`
	// Run that has exported it, or has held it last.
	Run string `json:"run"`
	// Location of the artifact.
	Location string `json:"location,omitempty"`
	// Reference by which an accounting system knows the voucher.
	Reference string `json:"reference,omitempty"`
	// Reason, in one word, and message why it is held.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Since when that is so.
	Since *metav1.Time `json:"since,omitempty"`
}
