package pipeline

import (
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// releaseDeadline is what giving claims back may take at least, however short an attempt's deadline is.
const releaseDeadline = time.Minute

// RetractDeadline is what an attempt that lost its run may take to remove what it delivered too late.
const RetractDeadline = 30 * time.Second

// Task is one attempt to be made.
type Task struct {
	// RunID is the UID of the ExportRun, Namespace, Name and Export the names of run and export.
	RunID, Namespace, Name, Export string
	// Source is the ClaimSource in whose database the run is recorded, or will be, and Type what the run does. Without a name
	// the source is the export's.
	Source v1alpha1.NamespacedReference
	Type   v1alpha1.RunType
	// Reverses is the name of the run that a Reversal reverses.
	Reverses string
	// Redelivers is the name of the run whose artifact a Redeliver delivers.
	Redelivers string
	// Destination that the run names itself. Without a name it is the export's.
	Destination v1alpha1.NamespacedReference
	// BeganWith is the ExportDestination that the run has begun with. It stays with that for as long as that exists. Without a name none
	// is known.
	BeganWith v1alpha1.NamespacedReference
	// Number of the attempt as the ExportRun counts them.
	Number int32
	// Cutoff: claims approved before it are exported.
	Cutoff time.Time
	// Claims are the ids of the only claims to be exported; empty for all.
	Claims []string
	// CreatedAt is when the run was created.
	CreatedAt time.Time
	// Limit of the claims of a preview; 0 is none.
	Limit int64
	// Deadline for the attempt, counted from its start.
	Deadline time.Duration
	// Alone lets no other attempt run beside it: attempts before it have ended with their process, and the next one that does is to
	// be blamed on this run and no other.
	Alone bool
	// Release gives the claims of the run back instead of going on with it. A run whose artifact is already at the
	// destination cannot be released: it is completed, and the outcome reports it.
	Release bool
	// Nameless is true where a run needs an approval by another person than who asked for it, and nobody is named who did. It goes on with what
	// is recorded, and begins nothing.
	Nameless bool
	// Awaited is true once the run has waited for an approval, whatever its export says by now. Approved is the digest of what was approved;
	// empty if nothing was.
	Awaited  bool
	Approved string
	// RequestedBy is who asked for the run, and ApprovedBy who approved it, and when; zero if nothing was approved.
	RequestedBy, ApprovedBy string
	ApprovedAt              time.Time
	// RemoveArtifact removes the artifact of a run that is committed, and does nothing else.
	RemoveArtifact bool
	// ReleaseReason is recorded with a release.
	ReleaseReason string
}

// WithoutClaims is the task without the claims that it names, which take more memory than all the rest.
func (t Task) WithoutClaims() Task {
	t.Claims = nil
	return t
}

// Work names what the attempt is for.
func (t Task) Work() string {
	switch {
	case t.RemoveArtifact:
		return "removal"
	case t.Release:
		return "release"
	case t.Type == "":
		return string(v1alpha1.RunExport)
	}
	return string(t.Type)
}

// Longest is what the attempt takes at most from its start, with what it cleans up at its end.
func (t Task) Longest() time.Duration {
	deadline := t.Deadline
	if t.Release {
		deadline = max(deadline, releaseDeadline)
	}
	return deadline + RetractDeadline
}

// Record is what an attempt has learned from the database of whether the run holds claims.
type Record int

const (
	// RecordUnknown: the database was not asked, or did not answer.
	RecordUnknown Record = iota
	// RecordEmpty: no run of this id or name is recorded, or it has ended.
	RecordEmpty
	// RecordOpen: the run is recorded and has not ended, or an attempt of it may live on that records it yet; it may hold claims.
	RecordOpen
)

// Outcome is what an attempt knows of the run at its end.
type Outcome struct {
	// Stage that the attempt reached.
	Stage v1alpha1.RunStage
	// Record reports whether the run may hold claims.
	Record Record
	// Committed is true where the run's claims are recorded as exported, or freed by a reversal, or where a preview was
	// delivered.
	Committed bool
	// Recovered is true if the run had ended before, under an earlier ExportRun of the same name.
	Recovered bool
	// ReleaseReason is why the claims of a run were given back; empty if they were not.
	ReleaseReason string
	// StartedAt and EndedAt are the run's, as recorded; zero if it is not recorded, or has not ended.
	StartedAt, EndedAt time.Time
	// Ledger is where the run is recorded; nil if it is not.
	Ledger *v1alpha1.RunLedger
	// Result is what the run exported, once it is rendered.
	Result v1alpha1.RunResult
	// Files are the first of the artifact, and FileCount is how many it has.
	Files     []v1alpha1.RunFile
	FileCount int64
	// Awaits is the digest of what has to be approved before the run goes on; empty if it need not be.
	Awaits string
	// Submitted is nil where the run sent no vouchers.
	Submitted *Submitted
	// FirstVoucher and LastVoucher of the run, such as E/2026/1.
	FirstVoucher, LastVoucher string
	// Held are the first of the claims that were left out.
	Held []v1alpha1.HeldClaim
	// StageSeconds is how long each stage took.
	StageSeconds map[v1alpha1.RunStage]float64
}

// Submitted says what an accounting system took of the vouchers of a run.
type Submitted = artifact.Submitted

// Progress is what an attempt tells while it is under way. It may be read at any time.
type Progress struct {
	stage  atomic.Pointer[v1alpha1.RunStage]
	claims atomic.Int64
	total  atomic.Int64 // 0 where it is not known
	waits  atomic.Pointer[string]
	trace  atomic.Pointer[string]
}

// TraceID is the id of the trace that the attempt is in; empty if there is none.
func (p *Progress) TraceID() string {
	if id := p.trace.Load(); id != nil {
		return *id
	}
	return ""
}

// Wait tells what an attempt waits for before it begins; nothing once it has begun.
func (p *Progress) Wait(what string) { p.waits.Store(&what) }

// Waits says what the attempt waits for before it begins.
func (p *Progress) Waits() string {
	if waits := p.waits.Load(); waits != nil {
		return *waits
	}
	return ""
}

// Stage that the attempt is in.
func (p *Progress) Stage() v1alpha1.RunStage {
	if stage := p.stage.Load(); stage != nil {
		return *stage
	}
	return v1alpha1.StagePreflight
}

// Claims done so far: rendered, or where vouchers are sent to an accounting system, answered by it.
func (p *Progress) Claims() int64 { return p.claims.Load() }

// Total of claims that the attempt goes through; 0 where it is not known.
func (p *Progress) Total() int64 { return p.total.Load() }

func (t Task) identity(organizationID string) claims.RunIdentity {
	return claims.RunIdentity{
		ID: t.RunID, Namespace: t.Namespace, Export: t.Export, Name: t.Name, OrganizationID: organizationID,
	}
}

// recordedType is the type that a run of the task has in the database.
func (t Task) recordedType() claims.RunType {
	switch t.Type {
	case v1alpha1.RunReversal:
		return claims.TypeReversal
	case v1alpha1.RunRedeliver:
		return claims.TypeRedelivery
	case v1alpha1.RunExport, v1alpha1.RunPreview:
	}
	return claims.TypeExport
}

// previews is the directory of previews at a destination. No namespace can have this name, because it is not a DNS label.
const previews = "_preview"

// exportDirectory is where the directories of the runs of the export are at the destination.
func (t Task) exportDirectory() string {
	if t.Type == v1alpha1.RunPreview {
		return path.Join(previews, t.Namespace, t.Export)
	}
	return path.Join(t.Namespace, t.Export)
}

// directory is where the files of the run are at the destination. Each attempt of a preview has a directory of its own, because no
// record tells one that wakes up late that another has delivered meanwhile; without a number there is only one.
func (t Task) directory() string {
	run := path.Join(t.exportDirectory(), t.Name)
	if t.Type != v1alpha1.RunPreview {
		return run
	}
	attempt := ""
	if t.Number > 0 {
		uid, _, _ := strings.Cut(t.RunID, "-")
		attempt = fmt.Sprintf("%s-%d", uid, t.Number)
	}
	return path.Join(run, attempt)
}
