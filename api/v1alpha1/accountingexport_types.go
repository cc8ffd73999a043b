package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// RequestedAtAnnotation asks an AccountingExport for a run now. Any new value counts as one request; a time stamp is the custom.
	RequestedAtAnnotation = "accounting.ledgerport.dev/requestedAt"
	// ExportFinalizer keeps an AccountingExport until its runs that have not finished have given their claims back, which
	// needs everything that the export refers to.
	ExportFinalizer = "accounting.ledgerport.dev/runs"
	// ExportLabel carries the name of the AccountingExport on its ExportRuns.
	ExportLabel = "accounting.ledgerport.dev/export"
	// ClaimURLAnnotation of an AccountingExport says where the application shows a claim: an https URL with {id} once in its path, query or fragment.
	ClaimURLAnnotation = "accounting.ledgerport.dev/claim-url"
)

// ExporterSpec chooses the accounting system's format.
type ExporterSpec struct {
	// Type of the exporter: the name of its page in docs/exporters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Type string `json:"type"`
	// Options of the exporter; its page in the documentation lists them. An unknown option is refused. They are one value: who applies
	// them owns all of them.
	// +optional
	// +mapType=atomic
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Options *runtime.RawExtension `json:"options,omitempty"`
}

// CredentialsSpec names the accounting system's own credentials.
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.externalSecretRef)",message="exactly one of secretRef and externalSecretRef is required"
type CredentialsSpec struct {
	// SecretRef names a Secret in this namespace, which is taken as it is.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
	// ExternalSecretRef names an ExternalSecret in this namespace. The Secret that it binds is used while it is synced.
	// +optional
	ExternalSecretRef *ExternalSecretReference `json:"externalSecretRef,omitempty"`
}

// RetryPolicy says how often and how soon a run is attempted again.
type RetryPolicy struct {
	// Limit of failures that are followed by another attempt. When it is spent the run fails and its claims go to the next
	// run. Default: 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	Limit *int32 `json:"limit,omitempty"`
	// InitialBackoff before the second attempt; it doubles with each further one, up to ten minutes. Default: 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="initialBackoff is between 1s and 1h"
	InitialBackoff *metav1.Duration `json:"initialBackoff,omitempty"`
}

// PostingDatePolicy says which date a voucher is posted on.
// +kubebuilder:validation:Enum=ExpenseDate;ApprovalDate;RunDate
type PostingDatePolicy string

const (
	// PostOnExpenseDate posts a voucher on the latest expense date of its lines.
	PostOnExpenseDate PostingDatePolicy = "ExpenseDate"
	// PostOnApprovalDate posts a voucher on the day the claim was approved, in the export's time zone.
	PostOnApprovalDate PostingDatePolicy = "ApprovalDate"
	// PostOnRunDate posts a voucher on the day of the run's cutoff, in the export's time zone.
	PostOnRunDate PostingDatePolicy = "RunDate"
)

// ClosedPeriodPolicy says what becomes of vouchers of a period that is closed.
// +kubebuilder:validation:Enum=Hold;NextOpenDay
type ClosedPeriodPolicy string

const (
	// ClosedHold holds the claim.
	ClosedHold ClosedPeriodPolicy = "Hold"
	// ClosedNextOpenDay posts the voucher on the first day of the open period.
	ClosedNextOpenDay ClosedPeriodPolicy = "NextOpenDay"
)

// PostingPolicy says which date vouchers are posted on.
type PostingPolicy struct {
	// Date is ExpenseDate (the latest expense date of the claim's lines), ApprovalDate (the day the claim was approved) or
	// RunDate (the day of the run's cutoff), all in spec.timeZone. Default: ExpenseDate.
	// +optional
	// +kubebuilder:default=ExpenseDate
	Date PostingDatePolicy `json:"date,omitempty"`
	// OpenFrom is the first day of the open period, as YYYY-MM-DD; closed says what becomes of vouchers dated earlier. A run is
	// refused where it is after the run's cutoff.
	// +optional
	// +kubebuilder:validation:Format=date
	// +kubebuilder:validation:MaxLength=10
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}$`
	OpenFrom string `json:"openFrom,omitempty"`
	// Closed says what becomes of a claim with a voucher dated before openFrom: NextOpenDay posts the voucher on that day, Hold holds
	// the claim. Default: NextOpenDay.
	// +optional
	// +kubebuilder:default=NextOpenDay
	Closed ClosedPeriodPolicy `json:"closed,omitempty"`
}

// HistoryLimits says how many finished ExportRuns of each type are kept.
type HistoryLimits struct {
	// Succeeded and incomplete runs kept: those that exported something. Default: 12.
	// +optional
	// +kubebuilder:default=12
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Succeeded *int32 `json:"succeeded,omitempty"`
	// Failed and cancelled runs kept. Default: 5.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Failed *int32 `json:"failed,omitempty"`
}

// ReceiptPolicy says what becomes of the receipts of exported claims.
// +kubebuilder:validation:Enum=Ignore;Include;Require
type ReceiptPolicy string

const (
	// IgnoreReceipts delivers no receipts.
	IgnoreReceipts ReceiptPolicy = "Ignore"
	// IncludeReceipts delivers receipts beside the artifact, or attaches them to vouchers that are sent, and lists those that are missing.
	IncludeReceipts ReceiptPolicy = "Include"
	// RequireReceipts does the same, and holds claims of which one is missing.
	RequireReceipts ReceiptPolicy = "Require"
)

// ApprovalPolicy reports whether a person has to approve what a run delivers.
// +kubebuilder:validation:Enum=NotRequired;Required
type ApprovalPolicy string

const (
	// ApprovalNotRequired delivers at once.
	ApprovalNotRequired ApprovalPolicy = "NotRequired"
	// ApprovalRequired delivers nothing before somebody else than who asked for the run has approved it.
	ApprovalRequired ApprovalPolicy = "Required"
)

// ClaimSelection says which approved claims an export is for. The others are not exported by it, nor held.
type ClaimSelection struct {
	// ApprovedFrom: claims approved before this instant are not for this export, because they were booked elsewhere. Without it,
	// all that were ever approved are.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	ApprovedFrom *metav1.Time `json:"approvedFrom,omitempty"`
	// Expression in CEL over claim.id, claim.claimant_id, claim.currency, claim.description, claim.approved_at (a timestamp) and
	// claim.categories (those of its lines, each once): true for a claim that is for this export. Without it, every claim is.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// AccountingExportSpec says what one organisation exports, how, where to, and when.
type AccountingExportSpec struct {
	// OrganizationID of the claims, as the application's database has it. It cannot be changed: make another export instead.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="organizationID cannot be changed; make another AccountingExport"
	OrganizationID string `json:"organizationID"`
	// Book that the claims are exported to. Each claim is exported once to each book: posting to one and paying from another are
	// two exports of the same claims, each with voucher numbers, holds and reversals of its own. It cannot be changed: make another
	// export instead. Default: main.
	// +optional
	// +kubebuilder:default=main
	// +kubebuilder:validation:MaxLength=30
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="book cannot be changed; make another AccountingExport"
	Book string `json:"book,omitempty"`
	// Claims says which approved claims of the organisation the export is for. Without it, all.
	// +optional
	Claims *ClaimSelection `json:"claims,omitempty"`
	// Receipts is Ignore (none are delivered), Include (they are delivered beside the artifact, or attached to vouchers that are sent, and
	// those that are missing are listed) or Require (claims of which one is missing are held). The ClaimSource says where they are. Default: Ignore.
	// +optional
	// +kubebuilder:default=Ignore
	Receipts ReceiptPolicy `json:"receipts,omitempty"`
	// Approval is Required if what runs of type Export and Reversal have rendered is delivered, or sent, only when another person than who
	// asked for the run has approved it, with the verb approve for exportruns. Until then the run has its claims, and its totals are in its
	// status. It needs the policies of config/admission. A run that has begun with Required keeps to it. Default: NotRequired.
	// +optional
	// +kubebuilder:default=NotRequired
	Approval ApprovalPolicy `json:"approval,omitempty"`
	// ApprovalTimeout is how long a run waits for its approval before it fails and gives its claims back. Default: 168h.
	// +optional
	// +kubebuilder:default="168h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('2160h')",message="approvalTimeout is between 1m and 2160h"
	ApprovalTimeout *metav1.Duration `json:"approvalTimeout,omitempty"`
	// SourceRef names the ClaimSource. One in another namespace must admit this namespace and organisation.
	SourceRef NamespacedReference `json:"sourceRef"`
	// ChartOfAccountsRef names the ChartOfAccounts in this namespace.
	ChartOfAccountsRef LocalReference `json:"chartOfAccountsRef"`
	// DestinationRef names the ExportDestination, in this namespace or in another one whose destination admits this one.
	DestinationRef NamespacedReference `json:"destinationRef"`
	// Exporter chooses the accounting system's format.
	Exporter ExporterSpec `json:"exporter"`
	// Credentials of the accounting system; only where the exporter needs them. Its page in the documentation lists the keys.
	// +optional
	Credentials *CredentialsSpec `json:"credentials,omitempty"`
	// Schedule in cron format (five fields, or @daily and the like). Empty: only on request.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	Schedule string `json:"schedule,omitempty"`
	// TimeZone of the schedule and of every date in the file, a name of the tz database such as Europe/Berlin. Default: UTC.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == '' || self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && !self.matches('(?i)^local')",message="timeZone is a name of the tz database, such as Europe/Berlin; Local, the zone of a machine, is not"
	TimeZone string `json:"timeZone,omitempty"`
	// StartingDeadline: a slot missed for longer than this, counted from when its run should have begun, is skipped, and status reports it. Without it the newest missed slot is always run.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="startingDeadline is at least 10s"
	StartingDeadline *metav1.Duration `json:"startingDeadline,omitempty"`
	// StartJitter spreads the starts of scheduled runs: each begins later than its slot by the export's own share of this,
	// which is the same for every slot. Slot, run name and cutoff do not change. Default: no delay.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="startJitter is at most 24h"
	StartJitter *metav1.Duration `json:"startJitter,omitempty"`
	// Suspend stops scheduled and requested runs. A run under way goes on.
	// +optional
	// +kubebuilder:default=false
	Suspend bool `json:"suspend"`
	// Deadline for one attempt of the whole pipeline. Default: 150s.
	// +optional
	// +kubebuilder:default="150s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="deadline is between 1s and 24h"
	Deadline *metav1.Duration `json:"deadline,omitempty"`
	// Retry says how often and how soon a run is attempted again.
	// +optional
	// +kubebuilder:default={limit: 3}
	Retry RetryPolicy `json:"retry,omitempty"`
	// Posting says which date vouchers are posted on.
	// +optional
	// +kubebuilder:default={date: ExpenseDate}
	Posting PostingPolicy `json:"posting,omitempty"`
	// VoucherSeries of the vouchers. Numbers are counted without gaps per organisation, book, series and fiscal year. Default: E.
	// +optional
	// +kubebuilder:default=E
	// +kubebuilder:validation:Pattern=`^[A-Z0-9]{1,10}$`
	VoucherSeries string `json:"voucherSeries,omitempty"`
	// Notify has who is told when runs end, or wait for an approval.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=5
	Notify []NotificationTarget `json:"notify,omitempty"`
	// History says how many finished ExportRuns of each type are kept. What they recorded in the database stays.
	// +optional
	// +kubebuilder:default={succeeded: 12}
	History HistoryLimits `json:"history,omitempty"`
}

// RunSummary is what an AccountingExport says of one of its runs.
type RunSummary struct {
	// Name of the ExportRun.
	Name string `json:"name"`
	// Phase of the run.
	Phase RunPhase `json:"phase"`
	// Reason of the phase, one word.
	// +optional
	Reason string `json:"reason,omitempty"`
	// StartedAt is when the first attempt began.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// CompletedAt is when the run ended.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`
	RunResult   `json:",inline"`
}

// AccountingExportStatus is what became of the export.
type AccountingExportStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling, Stalled, CredentialsReady, SourceReady, MappingReady, DestinationReady, LastRunSucceeded and
	// Notified.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('3000-01-01T00:00:00Z')",message="lastTransitionTime is an RFC 3339 time from 1970 to 2999"
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// LastRun is the newest run of type Export. One that has not ended takes the place of a success only: a failure stays until
	// another run has ended. One that was applied again takes the place of no other.
	// +optional
	LastRun *RunSummary `json:"lastRun,omitempty"`
	// LastSuccessfulRun is the newest run of type Export that succeeded.
	// +optional
	LastSuccessfulRun *RunSummary `json:"lastSuccessfulRun,omitempty"`
	// NextScheduleTime is the next slot whose run has not begun yet. The run begins at this time, or later by the export's own
	// share of spec.startJitter.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	NextScheduleTime *metav1.Time `json:"nextScheduleTime,omitempty"`
	// LastScheduleTime is the newest slot that was run or skipped.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`
	// LastHandledRequest is the newest value of the annotation accounting.ledgerport.dev/requestedAt that was answered with a run.
	// +optional
	LastHandledRequest string `json:"lastHandledRequest,omitempty"`
	// HandledRequests counts the requests that were answered with a run.
	// +optional
	// +kubebuilder:validation:Minimum=0
	HandledRequests int64 `json:"handledRequests,omitempty"`
}

// AccountingExport is what one organisation exports to its accounting system: which claims, in which format, where to, and when.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=accountingexports,singular=accountingexport,shortName=aex,categories=ledgerport
// +kubebuilder:printcolumn:name="ORGANIZATION",type=string,JSONPath=`.spec.organizationID`
// +kubebuilder:printcolumn:name="EXPORTER",type=string,JSONPath=`.spec.exporter.type`
// +kubebuilder:printcolumn:name="SCHEDULE",type=string,JSONPath=`.spec.schedule`
// +kubebuilder:printcolumn:name="SUSPEND",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="LAST RUN",type=string,JSONPath=`.status.lastRun.phase`
// +kubebuilder:printcolumn:name="CLAIMS",type=integer,JSONPath=`.status.lastRun.claims`
// +kubebuilder:printcolumn:name="HELD",type=integer,JSONPath=`.status.lastRun.held`
// +kubebuilder:printcolumn:name="LAST SUCCESS",type=date,JSONPath=`.status.lastSuccessfulRun.completedAt`
// +kubebuilder:printcolumn:name="NEXT",type=string,format=date-time,JSONPath=`.status.nextScheduleTime`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="BOOK",type=string,priority=1,JSONPath=`.spec.book`
// +kubebuilder:printcolumn:name="TOTAL",type=string,priority=1,JSONPath=`.status.lastRun.total`
// +kubebuilder:printcolumn:name="LOCATION",type=string,priority=1,JSONPath=`.status.lastRun.location`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="LAST REASON",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="LastRunSucceeded")].reason`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 52",message="the name has at most 52 characters, because the names of its runs add to it"
type AccountingExport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec AccountingExportSpec `json:"spec"`
	// Status is what the operator has found. It has observed generation -1 until the operator has looked.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status AccountingExportStatus `json:"status,omitempty"`
	// Undecoded says what of the object does not decode; nothing for almost all.
	Undecoded Undecoded `json:"-"`
}

// AccountingExportList is a list of AccountingExport.
// +kubebuilder:object:root=true
type AccountingExportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AccountingExport `json:"items"`
}
