package pipeline

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// What an attempt finds wrong itself concerns one of these, or the run alone.
const (
	onSource      = failure.Condition(v1alpha1.ConditionSourceReady)
	onMapping     = failure.Condition(v1alpha1.ConditionMappingReady)
	onDestination = failure.Condition(v1alpha1.ConditionDestinationReady)
	onCredentials = failure.Condition(v1alpha1.ConditionCredentialsReady)
)

// releaseDeadline is what giving claims back may take at least, however short an attempt's deadline is.
const releaseDeadline = time.Minute

// retractDeadline is what an attempt that lost its run may take to remove what it delivered too late.
const retractDeadline = 30 * time.Second

// Pipeline executes attempts. It is safe for concurrent use; attempts share nothing.
type Pipeline struct {
	// Resolver finds what the export of a run refers to.
	Resolver *references.Resolver
	// Holder names this process: it is recorded with every attempt.
	Holder string
	// Cluster that runs belong to: the UID of its namespace kube-system. It is recorded with every run.
	Cluster string
	// SpoolDirectory takes artifacts while they are rendered; empty is the system's directory for temporary files.
	SpoolDirectory string
	// SpoolSpace bounds what artifacts take there; nil has no bounds.
	SpoolSpace *SpoolSpace
	// Program and ProgramVersion name this software in artifacts.
	Program, ProgramVersion string
	// Candid tells everything of sources and destinations in other namespaces: whoever runs this process may read them.
	Candid bool
	// Failpoints lets tests end or stop the process around every step; nil in production.
	Failpoints failpoint.Hook
}

// largestAnswer bounds one answer of an accounting system, in bytes: an exporter may keep all of it.
const largestAnswer = 8 << 20

// inputs are everything that decides the bytes of an artifact. They are recorded when the run begins; a resumed run
// renders from the record, whatever has become of the resources meanwhile.
type inputs struct {
	Exporter        v1alpha1.ExporterSpec        `json:"exporter"`
	Chart           v1alpha1.ChartOfAccountsSpec `json:"chart"`
	ChartName       string                       `json:"chartName"`
	ChartGeneration int64                        `json:"chartGeneration"`
	Posting         v1alpha1.PostingPolicy       `json:"posting"`
	TimeZone        string                       `json:"timeZone"`
	CreatedAt       time.Time                    `json:"createdAt"`
	Cutoff          time.Time                    `json:"cutoff"`
	// Reverses is the run that a reversal reverses; nil for an export.
	Reverses *manifestReversed `json:"reverses,omitempty"`
	// ProgramVersion is in some formats; a newer operator that resumes the run writes the one that began it.
	ProgramVersion string `json:"programVersion"`
	// Source is the ClaimSource that admitted the export, as namespace/name.
	Source string `json:"source"`
	// Destination is the location that the run delivers to. It is no input of the bytes, but part of the artifact may be
	// there already when the run is resumed.
	Destination string `json:"destination"`
	// Place and Marker say which destination that is; empty of runs that were begun before they were recorded, and the marker of
	// a destination that has none.
	Place  string `json:"destinationPlace,omitempty"`
	Marker string `json:"destinationMarker,omitempty"`
}

// attempt is the state of one execution.
type attempt struct {
	*Pipeline
	task     Task
	progress *Progress
	outcome  Outcome

	export      *v1alpha1.AccountingExport
	moved       bool // the export names another source by now
	database    *claims.Database
	ledger      claims.Ledger
	destination destinations.Destination
	checked     destinations.Checked // of the destination
	run         claims.Run
	inputs      inputs
	recalled    bool // the inputs are those on record
	credentials map[string][]byte
	client      *http.Client
	location    *time.Location
	exporter    exporters.Exporter
	mapper      *ledger.Mapper
	spool       spool
}

// Run makes one attempt. The error, if any, is a *failure.Error or wraps the context's.
func (p *Pipeline) Run(ctx context.Context, task Task, progress *Progress) (Outcome, error) {
	if task.Release {
		task.Deadline = max(task.Deadline, releaseDeadline)
	}
	a := &attempt{Pipeline: p, task: task, progress: progress, client: p.Resolver.Outbound.HTTPClient(), spool: spool{directory: p.SpoolDirectory, space: p.SpoolSpace, namespace: task.Namespace}}
	a.client.Transport = outbound.Bounded(a.client.Transport, largestAnswer)
	a.outcome.StageSeconds = map[v1alpha1.RunStage]float64{}
	defer a.close()
	work := a.execute
	switch {
	case task.RemoveArtifact:
		work = a.removeArtifact
	case task.Release:
		work = a.release
	case task.Type == v1alpha1.RunPreview:
		work = a.preview
	}
	ctx, cancel := context.WithTimeout(ctx, task.Deadline)
	defer cancel()
	a.spool.ended = ctx.Err
	err := work(ctx)
	if err == nil {
		err = a.refresh(ctx)
	}
	a.note()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = failure.Transient(v1alpha1.ReasonDeadlineExceeded, err,
			"the attempt did not end within its deadline (%s, which is spec.deadline of the export, or less where the operator allows no more, and at least %s to give claims back): it was in stage %s with %d claims rendered",
			task.Deadline, releaseDeadline, a.outcome.Stage, progress.Claims())
	}
	return a.outcome, a.discreet(err)
}

// discreet leaves out of an error what the export's namespace is not to know of a source or a destination in another.
func (a *attempt) discreet(err error) error {
	var failed *failure.Error
	if a.export == nil || !errors.As(err, &failed) {
		return err
	}
	switch failed.Condition {
	case v1alpha1.ConditionSourceReady:
		return a.ofSource(err)
	case v1alpha1.ConditionDestinationReady:
		return a.ofDestination(err)
	}
	return err
}

func (a *attempt) ofSource(err error) error {
	return a.of(err, "ClaimSource", references.SourceKey(a.export))
}

func (a *attempt) ofDestination(err error) error {
	return a.of(err, "ExportDestination", references.DestinationKey(a.export))
}

func (a *attempt) of(err error, kind string, object types.NamespacedName) error {
	if a.Candid {
		return err
	}
	return references.Discreet(err, kind, object, a.task.Namespace)
}

// execute goes on where the run stands.
func (a *attempt) execute(ctx context.Context) error {
	if err := a.stage(ctx, v1alpha1.StagePreflight, a.preflight); err != nil {
		return err
	}
	if a.run.State == claims.StateReleased && a.outcome.Recovered {
		return nil
	}
	if a.run.State == claims.StateReleased {
		return failure.Stalled(v1alpha1.ReasonReleased, nil, "the claims of the run were given back before (%s); the next run takes them", a.run.ReleaseReason)
	}
	if a.run.State == claims.StateStarted {
		render := a.reserveAndRender
		if a.run.Type == claims.TypeReversal {
			render = a.reverseAndRender
		}
		if err := a.stage(ctx, v1alpha1.StageRender, render); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered {
		if err := a.stage(ctx, v1alpha1.StageDeliver, a.post); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered || a.run.State == claims.StatePosted {
		if err := a.stage(ctx, v1alpha1.StageDeliver, a.deliver); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateDelivered {
		if err := a.stage(ctx, v1alpha1.StageCommit, a.commit); err != nil {
			return err
		}
	}
	return a.conclude()
}

func (a *attempt) stage(ctx context.Context, stage v1alpha1.RunStage, step func(context.Context) error) error {
	a.progress.stage.Store(&stage)
	a.outcome.Stage = stage
	before := a.run.State
	start := time.Now() //nolint:forbidigo // how long a stage takes
	err := step(ctx)
	seconds := time.Since(start).Seconds()
	a.outcome.StageSeconds[stage] += seconds
	if err == nil && a.run.State != before {
		logr.FromContextOrDiscard(ctx).Info("the stage is done", "stage", stage, "state", a.run.State, "claims", a.progress.Claims(), "seconds", seconds)
	}
	return err
}

// commit records the claims as exported: from here on the resource may say so.
func (a *attempt) commit(ctx context.Context) error {
	err := a.Failpoints.Around(failpoint.Commit, func() error { return a.database.Commit(ctx, a.run.Fence()) })
	if err != nil {
		return err
	}
	a.run.State = claims.StateCommitted
	return nil
}

// refresh reads the record of the run as its steps have left it.
func (a *attempt) refresh(ctx context.Context) error {
	if a.run.ID == "" || a.task.Type == v1alpha1.RunPreview {
		return nil
	}
	run, _, err := a.database.Run(ctx, a.run.ID)
	if err != nil {
		return err
	}
	a.run = run
	return nil
}

// note tells where the run is recorded, and when it began and ended.
func (a *attempt) note() {
	if a.run.ID == "" || a.ledger.ID == "" {
		return
	}
	o := &a.outcome
	o.Ledger = &v1alpha1.RunLedger{ID: a.ledger.ID, Sequence: a.run.Sequence, RunID: a.run.ID, OrganizationID: a.run.OrganizationID}
	o.StartedAt = a.run.StartedAt
	for _, end := range []*time.Time{a.run.CommittedAt, a.run.ReleasedAt} {
		if end != nil {
			o.EndedAt = *end
		}
	}
	if a.run.State == claims.StateReleased {
		o.ReleaseReason = a.run.ReleaseReason
	}
}

func (a *attempt) close() {
	a.spool.discard()
	a.client.CloseIdleConnections()
	if a.destination != nil {
		_ = a.destination.Close() // everything was written and confirmed before
	}
	if a.database != nil {
		a.database.Close()
	}
}
