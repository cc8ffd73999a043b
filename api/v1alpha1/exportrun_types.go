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
