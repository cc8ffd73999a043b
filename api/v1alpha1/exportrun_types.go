package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RunFinalizer keeps an ExportRun until an interrupted run has given its claims back.
const RunFinalizer = "accounting.ledgerport.dev/release"

// Annotations that say who has had a part in a run, and why. They are the names of users as Kubernetes knows them. Where the policy of
// config/admission/who.yaml is installed, nobody writes another name there than their own; elsewhere nobody has verified them.
const (
	// RequestedByAnnotation names who has asked for the run: the user that created it or, on an AccountingExport, that asked it for one.
	RequestedByAnnotation = "accounting.ledgerport.dev/requested-by"
	// CancelledByAnnotation names who has asked the run to end.
	CancelledByAnnotation = "accounting.ledgerport.dev/cancelled-by"
	// ApprovedAnnotation approves a run that waits for it: its value is status.approval.digest of the run.
	ApprovedAnnotation = "accounting.ledgerport.dev/approved"
	// ApprovedByAnnotation names who has approved the run.
	ApprovedByAnnotation = "accounting.ledgerport.dev/approved-by"
	// ImportedAnnotation marks a run whose files somebody has imported into the accounting system. Its value is the reference under which
	// that has them, such as the number of a batch, of at most ImportReferenceLength characters; or nothing. Without the annotation the run is not marked.
	ImportedAnnotation = "accounting.ledgerport.dev/imported"
	// ImportedByAnnotation names who has marked the run as imported, or has taken that back, whichever was last.
	ImportedByAnnotation = "accounting.ledgerport.dev/imported-by"
	// ReasonAnnotation says why, such as what was wrong with a run that is reversed. It decides nothing, and may be anything.
	ReasonAnnotation = "accounting.ledgerport.dev/reason"
)

// ImportReferenceLength is how many characters the reference of an import has at most.
const ImportReferenceLength = 64

// RequestedBySchedule is who has asked for the run of a slot. No user has this name.
const RequestedBySchedule = "system:ledgerport:schedule"

// RunPhase is where a run is in its life.
// +kubebuilder:validation:Enum=Pending;Running;Retrying;AwaitingApproval;Releasing;Succeeded;Incomplete;Failed;Cancelled
type RunPhase string

const (
	// RunPending waits for its turn.
	RunPending RunPhase = "Pending"
	// RunRunning has an attempt under way.
	RunRunning RunPhase = "Running"
	// RunRetrying waits for the next attempt after one that failed.
	RunRetrying RunPhase = "Retrying"
	// RunAwaitingApproval has bound its claims and recorded its artifact, and delivers nothing before somebody has approved that.
	RunAwaitingApproval RunPhase = "AwaitingApproval"
	// RunReleasing gives its claims back before it ends as Failed or Cancelled.
	RunReleasing RunPhase = "Releasing"
	// RunSucceeded delivered its artifact and recorded its claims as exported.
	RunSucceeded RunPhase = "Succeeded"
	// RunIncomplete was ended while the accounting system that it sends vouchers to had some of them, or had not completed
	// them. Those are exported, and a person must see to them there; the other claims go to the next run.
	RunIncomplete RunPhase = "Incomplete"
	// RunFailed ended without an artifact; its claims go to the next run.
	RunFailed RunPhase = "Failed"
	// RunCancelled was ended by a person; its claims go to the next run.
	RunCancelled RunPhase = "Cancelled"
)

// Finished reports whether nothing more will happen in this phase.
func (p RunPhase) Finished() bool {
	return p.Exported() || p == RunFailed || p == RunCancelled
}

// Exported reports whether a run in this phase has exported claims, as far as there were any.
func (p RunPhase) Exported() bool {
	return p == RunSucceeded || p == RunIncomplete
}

// RunStage is how far an attempt has come.
// +kubebuilder:validation:Enum=Preflight;Reserve;Render;Deliver;Commit
type RunStage string

const (
	// StagePreflight checks references, tenancy, credentials, source and destination.
	StagePreflight RunStage = "Preflight"
	// StageReserve binds approved claims to the run.
	StageReserve RunStage = "Reserve"
	// StageRender turns claims into vouchers and vouchers into the artifact.
	StageRender RunStage = "Render"
	// StageDeliver makes the artifact visible at the destination.
	StageDeliver RunStage = "Deliver"
	// StageCommit records the claims as exported.
	StageCommit RunStage = "Commit"
)

// Beyond reports whether one stage comes after another. No stage comes before all.
func (s RunStage) Beyond(other RunStage) bool {
	order := []RunStage{"", StagePreflight, StageReserve, StageRender, StageDeliver, StageCommit}
	return slices.Index(order, s) > slices.Index(order, other)
}

// RunType says what a run does.
// +kubebuilder:validation:Enum=Export;Reversal;Preview;Redeliver
type RunType string

const (
	// RunExport exports approved claims.
	RunExport RunType = "Export"
	// RunReversal reverses the vouchers of a committed run, or those of some of its claims, and frees the claims for the next run.
	RunReversal RunType = "Reversal"
	// RunPreview delivers under _preview/ what an export would deliver now, and records nothing.
	RunPreview RunType = "Preview"
	// RunRedeliver delivers the artifact of a committed run again, and exports nothing.
	RunRedeliver RunType = "Redeliver"
)

// TakesTurns reports whether runs of the type wait for those of their export that come before them, and let others wait: what holds
// no claims and no voucher numbers stands in nobody's way.
func (t RunType) TakesTurns() bool { return t != RunPreview && t != RunRedeliver }

// NeedsApproval reports whether runs of the type wait for an approval if their export requires it: those that export or take back claims. A
// preview records nothing, and a redelivery delivers what was approved before.
func (t RunType) NeedsApproval() bool { return t == "" || t == RunExport || t == RunReversal }

// RunReference names a recorded run of the same export, whether or not its ExportRun still exists.
type RunReference struct {
	// Name of the ExportRun.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// NamedClaims are claims by their ids.
type NamedClaims struct {
	// IDs of claims, as the application's table has them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=200
	// +listType=set
	IDs []string `json:"ids"`
}

// ExportRunSpec says what to run. It cannot be changed, except that cancel may be set.
// +kubebuilder:validation:XValidation:rule="has(self.reverses) == (self.type == 'Reversal')",message="reverses names the run to be reversed: a run of type Reversal needs it, and no other may have it"
// +kubebuilder:validation:XValidation:rule="self.type != 'Reversal' || !has(self.cutoff)",message="a run of type Reversal has no cutoff: it reverses what another run exported"
// +kubebuilder:validation:XValidation:rule="has(self.redelivers) == (self.type == 'Redeliver')",message="redelivers names the run whose artifact is delivered again: a run of type Redeliver needs it, and no other may have it"
// +kubebuilder:validation:XValidation:rule="self.type != 'Redeliver' || !has(self.cutoff) && !has(self.claims)",message="a run of type Redeliver has neither cutoff nor claims: it delivers what another run exported"
// +kubebuilder:validation:XValidation:rule="self.type == 'Redeliver' || !has(self.destinationRef)",message="only a run of type Redeliver names a destination: all others deliver to that of their export"
// +kubebuilder:validation:XValidation:rule="self.type == 'Export' || !has(self.slot)",message="only a run of type Export has a slot"
// +kubebuilder:validation:XValidation:rule="self.exportRef == oldSelf.exportRef && self.type == oldSelf.type && has(self.reverses) == has(oldSelf.reverses) && (!has(self.reverses) || self.reverses == oldSelf.reverses) && has(self.cutoff) == has(oldSelf.cutoff) && (!has(self.cutoff) || self.cutoff == oldSelf.cutoff) && has(self.slot) == has(oldSelf.slot) && (!has(self.slot) || self.slot == oldSelf.slot) && has(self.redelivers) == has(oldSelf.redelivers) && (!has(self.redelivers) || self.redelivers == oldSelf.redelivers) && has(self.destinationRef) == has(oldSelf.destinationRef) && (!has(self.destinationRef) || self.destinationRef == oldSelf.destinationRef) && has(self.claims) == has(oldSelf.claims) && (!has(self.claims) || self.claims == oldSelf.claims)",message="the spec of a run cannot be changed; create another ExportRun"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",message="a cancellation cannot be taken back; create another ExportRun"
type ExportRunSpec struct {
	// ExportRef names the AccountingExport in this namespace.
	ExportRef LocalReference `json:"exportRef"`
	// Type says what the run does. Export: export approved claims. Reversal: write the reversing vouchers of a committed run, or of
	// some of its claims, and free the claims for the next run. Preview: deliver under _preview/ what an export would deliver now, with the voucher
	// numbers that it would take, and record nothing. Redeliver: deliver the artifact of a committed run again, with the same bytes, and
	// export nothing. Default: Export.
	// +optional
	// +kubebuilder:default=Export
	Type RunType `json:"type,omitempty"`
	// Reverses names the committed run of the same export that a Reversal reverses.
	// +optional
	Reverses *RunReference `json:"reverses,omitempty"`
	// Redelivers names the committed run of the same export whose artifact a Redeliver delivers.
	// +optional
	Redelivers *RunReference `json:"redelivers,omitempty"`
	// DestinationRef names the ExportDestination that a Redeliver delivers to. Without it, the export's.
	// +optional
	DestinationRef *NamespacedReference `json:"destinationRef,omitempty"`
	// Claims: these alone are exported, if they are approved, selected by the export and not exported yet. Without it, all that are.
	// A Reversal reverses the vouchers of these alone: of all of them or, if the other run did not export one or it is reversed
	// already, of none. Without it, of all that are not reversed yet.
	// +optional
	Claims *NamedClaims `json:"claims,omitempty"`
	// Cutoff: claims approved before this instant are exported. Without it, the time the run was created.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	Cutoff *metav1.Time `json:"cutoff,omitempty"`
	// Slot of the schedule that this run is for. The schedule writes it; it does not delay a run. Empty for a run on request.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	Slot *metav1.Time `json:"slot,omitempty"`
	// Cancel ends the run, if it is not finished, and gives its claims back.
	// +optional
	Cancel bool `json:"cancel,omitempty"`
}

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

// ExportRun is one execution of an AccountingExport.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exportruns,singular=exportrun,shortName=xrun,categories=ledgerport
// +kubebuilder:printcolumn:name="EXPORT",type=string,JSONPath=`.spec.exportRef.name`
// +kubebuilder:printcolumn:name="TYPE",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="PHASE",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="REVERSED",type=string,JSONPath=`.status.reversed`
// +kubebuilder:printcolumn:name="STAGE",type=string,JSONPath=`.status.stage`
// +kubebuilder:printcolumn:name="CLAIMS",type=integer,JSONPath=`.status.claims`
// +kubebuilder:printcolumn:name="HELD",type=integer,JSONPath=`.status.held`
// +kubebuilder:printcolumn:name="TOTAL",type=string,JSONPath=`.status.total`
// +kubebuilder:printcolumn:name="DURATION",type=string,JSONPath=`.status.duration`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="FILES",type=integer,priority=1,JSONPath=`.status.fileCount`
// +kubebuilder:printcolumn:name="LOCATION",type=string,priority=1,JSONPath=`.status.location`
// +kubebuilder:printcolumn:name="REASON",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="REQUESTED BY",type=string,priority=1,JSONPath=`.status.requestedBy`
// +kubebuilder:printcolumn:name="IMPORTED",type=date,priority=1,JSONPath=`.status.imported.at`
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || self.metadata.name.size() <= 128",optionalOldSelf=true,message="the name has at most 128 characters, because it is part of the names of the run's files"
type ExportRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ExportRunSpec `json:"spec"`
	// Status is what the operator has found. It has observed generation -1 until the operator has looked.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ExportRunStatus `json:"status,omitempty"`
	// Undecoded says what of the object does not decode; nothing for almost all.
	Undecoded Undecoded `json:"-"`
}

// ExportRunList is a list of ExportRun.
// +kubebuilder:object:root=true
type ExportRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ExportRun `json:"items"`
}
