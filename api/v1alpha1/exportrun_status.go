package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RunResult is what a run exported. All of it describes the whole run, not its last attempt.
type RunResult struct {
	// Claims exported, one voucher each.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	Claims int64 `json:"claims"`
	// Lines of the exported claims.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	Lines int64 `json:"lines"`
	// Held claims: approved, and left out because they cannot be posted yet.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	Held int64 `json:"held"`
	// Receipts delivered beside the artifact, or attached to vouchers that were sent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Receipts int64 `json:"receipts,omitempty"`
	// ReceiptsMissing counts those that are listed and were not delivered: the artifact's receipts.csv says which, and why.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReceiptsMissing int64 `json:"receiptsMissing,omitempty"`
	// Debit of all vouchers in the books' currency, an exact decimal. The credit is the same.
	// +optional
	Debit string `json:"debit,omitempty"`
	// Currency of the books.
	// +optional
	Currency string `json:"currency,omitempty"`
	// Total is debit and currency in one string, for people. It is the turnover of the vouchers; the manifest also has what
	// is payable to the claimants.
	// +optional
	Total string `json:"total,omitempty"`
	// Location of the artifact: a URL of its first file.
	// +optional
	Location string `json:"location,omitempty"`
	// SHA256 of the artifact's first file, in hexadecimal.
	// +optional
	SHA256 string `json:"sha256,omitempty"`
}

// RunFile is one file of the artifact of a run.
type RunFile struct {
	// Name of the file, below the directory of the run.
	// +kubebuilder:validation:MaxLength=255
	Name string `json:"name"`
	// Size in bytes.
	// +kubebuilder:validation:Minimum=0
	Size int64 `json:"size"`
	// SHA256 of the content, in hexadecimal.
	// +kubebuilder:validation:MaxLength=64
	SHA256 string `json:"sha256"`
	// MediaType of the content.
	// +optional
	// +kubebuilder:validation:MaxLength=100
	MediaType string `json:"mediaType,omitempty"`
}

// HeldClaim is one claim that a run left out.
type HeldClaim struct {
	// ID of the claim.
	ID string `json:"id"`
	// Reason, one word.
	Reason string `json:"reason"`
	// Message of the accounting system, in its own words, where it rejected the claim's voucher.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	Message string `json:"message,omitempty"`
}

// RunReversed says how much of a run was reversed.
// +kubebuilder:validation:Enum=Partly;Wholly
type RunReversed string

const (
	// PartlyReversed runs have claims that are still exported by them.
	PartlyReversed RunReversed = "Partly"
	// WhollyReversed runs have none.
	WhollyReversed RunReversed = "Wholly"
)

// Reversing is a run that reversed claims of another.
type Reversing struct {
	// Name of the ExportRun, which may be gone.
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Claims whose vouchers it reversed.
	// +kubebuilder:validation:Minimum=0
	Claims int64 `json:"claims"`
}

// RunProgress says how far the attempt under way has come.
type RunProgress struct {
	// Claims done so far: rendered, or where vouchers are sent to an accounting system, answered by it.
	// +kubebuilder:validation:Minimum=0
	Claims int64 `json:"claims"`
	// Total of claims that the attempt goes through, where the run is recorded with them or reverses another. It is absent
	// while claims are read for the first time: to count them beforehand would read them twice.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Total *int64 `json:"total,omitempty"`
}

// RunLedger is the ledger that a run is recorded in, and how far that had come.
type RunLedger struct {
	// ID of the ledger: that of the table ledgerport.ledger in the database.
	// +kubebuilder:validation:MaxLength=36
	ID string `json:"id"`
	// Sequence of the ledger at the newest step of the run that its attempts know of. A database that has a lower one has
	// forgotten the run.
	// +kubebuilder:validation:Minimum=0
	Sequence int64 `json:"sequence"`
	// RunID is the id of the run in the table ledgerport.runs: the UID of the ExportRun that began it.
	// +kubebuilder:validation:MaxLength=64
	RunID string `json:"runID"`
	// OrganizationID of the claims of the run.
	// +kubebuilder:validation:MaxLength=100
	OrganizationID string `json:"organizationID"`
}

// RunAttempt is the newest attempt of a run. What a run does next follows from it.
type RunAttempt struct {
	// Number of the attempt, counted from 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	Number int32 `json:"number"`
	// Holder is the process that executes the attempt. Empty once that was stopped cleanly.
	// +optional
	Holder string `json:"holder,omitempty"`
	// Queued is true while the attempt waits for a place among the operator's --max-concurrent-runs. It has touched nothing then.
	// +optional
	Queued bool `json:"queued,omitempty"`
	// StartedAt is when the attempt was announced.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// EndedAt is when the end of the attempt was recorded. Until then it is under way, or has ended with its process.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	EndedAt *metav1.Time `json:"endedAt,omitempty"`
	// MayHoldClaims is true once this attempt or one before it may have reserved claims, or may have found some that are
	// reserved for the run. In doubt it is true: a release without claims is harmless.
	// +optional
	MayHoldClaims bool `json:"mayHoldClaims,omitempty"`
}

// RunApproval is what is to be approved of a run, and who has done so.
type RunApproval struct {
	// Digest of what is to be approved, a SHA-256 in hexadecimal: of the figures and of the hashes of all files. An approval names it,
	// so that nothing else is approved than what was seen.
	// +kubebuilder:validation:MaxLength=64
	Digest string `json:"digest"`
	// Until is when the run gives its claims back if nobody has approved it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	Until *metav1.Time `json:"until,omitempty"`
	// ApprovedBy is who has approved it; empty until then.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	ApprovedBy string `json:"approvedBy,omitempty"`
	// ApprovedAt is when the operator has seen the approval.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	ApprovedAt *metav1.Time `json:"approvedAt,omitempty"`
}

// Given reports whether somebody has approved.
func (a *RunApproval) Given() bool { return a != nil && a.ApprovedBy != "" }

// RunImport is what a person has said of an import into the accounting system: that it was done, or that this was a mistake.
type RunImport struct {
	// By is who has marked it or taken that back, as the annotation accounting.ledgerport.dev/imported-by has it; empty if it names nobody.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	By string `json:"by,omitempty"`
	// At is when the operator has seen it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	At *metav1.Time `json:"at,omitempty"`
	// Reference under which the accounting system has what was imported, such as the number of a batch, if one was told.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	Reference string `json:"reference,omitempty"`
}

// UnderWay reports whether the end of the attempt is not recorded.
func (a *RunAttempt) UnderWay() bool { return a != nil && a.EndedAt == nil }

// ExportRunStatus is what became of the run.
type ExportRunStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready (the run succeeded), Reconciling (it is under way), Stalled (it cannot succeed) and Complete (it has ended,
	// however it did).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('3000-01-01T00:00:00Z')",message="lastTransitionTime is an RFC 3339 time from 1970 to 2999"
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Phase of the run.
	// +optional
	Phase RunPhase `json:"phase,omitempty"`
	// Stage that the run has reached in any of its attempts, for people.
	// +optional
	Stage RunStage `json:"stage,omitempty"`
	// Attempt is the newest attempt of the run.
	// +optional
	Attempt *RunAttempt `json:"attempt,omitempty"`
	// Attempts begun, those to give claims back included. It is the number of the newest.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Attempts int32 `json:"attempts,omitempty"`
	// Failures of attempts; spec.retry.limit of the export is compared with them. An attempt that was interrupted because
	// the operator stopped is none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Failures int32 `json:"failures,omitempty"`
	// LostAttempts in a row ended with their process, and nobody knows how. From the second on each is a failure, and the next
	// attempt runs alone. A run that follows one that failed for this is suspect from its start.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	LostAttempts int32 `json:"lostAttempts,omitempty"`
	// WaitsForSeries is true while the run holds nothing, and waits for the voucher series that another run has. Newer runs of the
	// export do not wait for it then.
	// +optional
	WaitsForSeries bool `json:"waitsForSeries,omitempty"`
	// ReleaseReason is why the run gives its claims back, or gave them back: what it failed for, or Cancelled. It is what the operator
	// found, and never what a database says of an earlier run.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ReleaseReason Reason `json:"releaseReason,omitempty"`
	// Holder is that of the newest attempt once more, for operators and definitions from before status.attempt.
	// +optional
	Holder string `json:"holder,omitempty"`
	// SourceRef is the ClaimSource in whose database the run is recorded. A run that may hold claims stays with it, whatever
	// spec.sourceRef of the export has become. A reversal is with the run that it reverses.
	// +optional
	SourceRef *NamespacedReference `json:"sourceRef,omitempty"`
	// DestinationRef is the ExportDestination that the run delivers to. A run that may hold claims, and the files of one that has
	// ended, stay with it for as long as it exists, whatever spec.destinationRef of the export has become.
	// +optional
	DestinationRef *NamespacedReference `json:"destinationRef,omitempty"`
	// Ledger that the run is recorded in. No run begins in a database that knows less of this ledger than the runs of the
	// cluster have seen.
	// +optional
	Ledger *RunLedger `json:"ledger,omitempty"`
	// RequestedBy is who has asked for the run, as the annotation accounting.ledgerport.dev/requested-by had it when the operator first
	// looked: a user, or system:ledgerport:schedule. It is verified where the policy of config/admission/who.yaml is installed, and
	// empty if nobody wrote it.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	RequestedBy string `json:"requestedBy,omitempty"`
	// CancelledBy is who has set spec.cancel, as the annotation accounting.ledgerport.dev/cancelled-by has it.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	CancelledBy string `json:"cancelledBy,omitempty"`
	// Approval of a run that needs one (spec.approval of the export), from when it waits for it.
	// +optional
	Approval *RunApproval `json:"approval,omitempty"`
	// Recovered is true if the run had ended before, under an ExportRun of the same name that was deleted: all that is
	// told, the times too, is from the record in the database.
	// +optional
	Recovered bool `json:"recovered,omitempty"`
	// StartedAt is when the first attempt began, to the microsecond: runs of an export are in this order.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	// NextAttemptAt is when the next attempt begins, while the phase is Retrying or Releasing.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	NextAttemptAt *metav1.Time `json:"nextAttemptAt,omitempty"`
	// CompletedAt is when the run ended.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`
	// Duration from the first attempt's begin to the end, for people.
	// +optional
	Duration string `json:"duration,omitempty"`
	// Progress of the attempt under way, updated at a bounded rate.
	// +optional
	Progress  *RunProgress `json:"progress,omitempty"`
	RunResult `json:",inline"`
	// Files of the artifact, the first 20 in the order of their delivery. Receipts beside them are not among these.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Files []RunFile `json:"files,omitempty"`
	// FileCount is how many files the artifact has.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FileCount int64 `json:"fileCount,omitempty"`
	// FirstVoucher number of the run, with series and fiscal year, such as E/2026/1. Of a run over several fiscal years it is
	// the first of the earliest year and lastVoucher the last of the latest; the manifest has the range of each.
	// +optional
	FirstVoucher string `json:"firstVoucher,omitempty"`
	// LastVoucher number of the run, with series and fiscal year.
	// +optional
	LastVoucher string `json:"lastVoucher,omitempty"`
	// Reversed reports whether the run was reversed since, Partly or Wholly. It is absent if it was not.
	// +optional
	Reversed RunReversed `json:"reversed,omitempty"`
	// ReversedClaims is how many claims of the run were reversed since.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ReversedClaims int64 `json:"reversedClaims,omitempty"`
	// ReversedBy names the first runs that reversed claims of this one; the view ledgerport.vouchers names all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	ReversedBy []Reversing `json:"reversedBy,omitempty"`
	// Imported is set while the run is marked as imported into the accounting system (annotation accounting.ledgerport.dev/imported). It
	// says what a person has said: nothing in the cluster can see into that system.
	// +optional
	Imported *RunImport `json:"imported,omitempty"`
	// ImportTakenBack is who has last taken such a mark back, when, and what reference it had. It goes with the next mark.
	// +optional
	ImportTakenBack *RunImport `json:"importTakenBack,omitempty"`
	// HeldClaims names the first of the held claims; the manifest and the table ledgerport.held_claims name all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	HeldClaims []HeldClaim `json:"heldClaims,omitempty"`
	// Notifications are the events of the run that targets of the export are told of, in their order. They are recorded
	// with its end, or when it begins to wait for its approval.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Notifications []RunNotification `json:"notifications,omitempty"`
}
