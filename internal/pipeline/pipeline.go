package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// releaseGrace is how long giving claims back may take after an attempt's context has ended.
const releaseGrace = 10 * time.Second

// Pipeline executes attempts. It is safe for concurrent use; attempts share nothing.
type Pipeline struct {
	// Resolver finds what the export of a run refers to.
	Resolver *references.Resolver
	// Holder names this process: it is recorded with every attempt.
	Holder string
	// SpoolDirectory takes artifacts while they are rendered; empty is the system's directory for temporary files.
	SpoolDirectory string
	// Program and ProgramVersion name this software in artifacts.
	Program, ProgramVersion string
}

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
	// ProgramVersion is in some formats; a newer operator that resumes the run writes the one that began it.
	ProgramVersion string `json:"programVersion"`
}

// attempt is the state of one execution.
type attempt struct {
	*Pipeline
	task     Task
	progress *Progress
	outcome  Outcome

	export      *v1alpha1.AccountingExport
	chart       *v1alpha1.ChartOfAccounts
	database    *claims.Database
	destination destinations.Destination
	run         claims.Run
	inputs      inputs
	credentials map[string][]byte
	location    *time.Location
	exporter    exporters.Exporter
	mapper      *ledger.Mapper
	spool       spool
}

// Run makes one attempt. The error, if any, is a *failure.Error or wraps the context's.
func (p *Pipeline) Run(ctx context.Context, task Task, progress *Progress) (Outcome, error) {
	a := &attempt{Pipeline: p, task: task, progress: progress, spool: spool{directory: p.SpoolDirectory}}
	a.outcome.StageSeconds = map[v1alpha1.RunStage]float64{}
	defer a.close()
	if task.Release {
		err := a.release(ctx)
		return a.outcome, err
	}
	ctx, cancel := context.WithTimeout(ctx, task.Deadline)
	defer cancel()
	err := a.execute(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		err = failure.Transient(v1alpha1.ReasonDeadlineExceeded, err,
			"the attempt did not end within spec.deadline (%s): it was in stage %s with %d claims rendered", task.Deadline, a.outcome.Stage, progress.Claims())
	}
	return a.outcome, err
}

// execute goes on where the run stands.
func (a *attempt) execute(ctx context.Context) error {
	if err := a.stage(ctx, v1alpha1.StagePreflight, a.preflight); err != nil {
		return err
	}
	if a.run.State == claims.StateReleased {
		return failure.Stalled(v1alpha1.ReasonReleased, nil, "the claims of the run were given back before (%s); the next run takes them", a.run.ReleaseReason)
	}
	if a.run.State == claims.StateStarted {
		if err := a.stage(ctx, v1alpha1.StageRender, a.reserveAndRender); err != nil {
			return err
		}
	}
	if a.run.State == claims.StateRendered {
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
	start := time.Now()
	err := step(ctx)
	a.outcome.StageSeconds[stage] += time.Since(start).Seconds()
	return err
}

// preflight finds what is missing before anything is touched, and takes the run over.
func (a *attempt) preflight(ctx context.Context) error {
	if err := a.open(ctx); err != nil {
		return err
	}
	if done, err := a.finished(ctx); done || err != nil {
		return err
	}
	if _, err := a.database.Inspect(ctx); err != nil {
		return failure.On(v1alpha1.ConditionSourceReady, err)
	}
	if err := references.CheckDestination(ctx, a.destination); err != nil {
		return err
	}
	a.run.Series = a.export.Spec.VoucherSeries
	if err := a.compile(a.currentInputs()); err != nil {
		return err
	}
	if err := a.start(ctx); err != nil {
		return failure.On(v1alpha1.ConditionSourceReady, err)
	}
	if a.run.State == claims.StateStarted {
		return nil // the inputs just compiled are the ones on record
	}
	return a.recall()
}

// open resolves the references and opens database and destination.
func (a *attempt) open(ctx context.Context) (err error) {
	if a.export, err = a.Resolver.Export(ctx, a.task.Namespace, a.task.Export); err != nil {
		return err
	}
	source, err := a.Resolver.Source(ctx, a.export)
	if err != nil {
		return err
	}
	if a.chart, err = a.Resolver.Chart(ctx, a.export); err != nil {
		return err
	}
	destination, err := a.Resolver.Destination(ctx, a.export)
	if err != nil {
		return err
	}
	if a.credentials, err = a.Resolver.Credentials(ctx, a.export); err != nil {
		return err
	}
	if a.database, err = a.Resolver.OpenDatabase(ctx, source); err != nil {
		return err
	}
	a.destination, err = a.Resolver.OpenDestination(ctx, destination)
	return err
}

// finished says whether the database already knows the end of the run; then nothing else needs to work.
func (a *attempt) finished(ctx context.Context) (bool, error) {
	run, found, err := a.database.Run(ctx, a.task.RunID)
	if err != nil || !found || !run.State.Finished() {
		return false, failure.On(v1alpha1.ConditionSourceReady, err)
	}
	a.run = run
	return true, nil
}

func (a *attempt) currentInputs() inputs {
	spec := a.export.Spec
	return inputs{
		Exporter:  spec.Exporter,
		Chart:     a.chart.Spec,
		ChartName: a.chart.Name, ChartGeneration: a.chart.Generation,
		Posting: spec.Posting, TimeZone: spec.TimeZone,
		CreatedAt: a.task.CreatedAt, Cutoff: a.task.Cutoff, ProgramVersion: a.ProgramVersion,
	}
}

// start records holder, deadline and inputs in the database, and learns where the run stands.
func (a *attempt) start(ctx context.Context) error {
	recorded, err := json.Marshal(a.currentInputs())
	if err != nil {
		return fmt.Errorf("recording the inputs of the run: %w", err)
	}
	spec := a.export.Spec
	a.run, err = a.database.StartAttempt(ctx, claims.Attempt{
		RunIdentity: a.task.identity(spec.OrganizationID),
		Holder:      a.Holder,
		Deadline:    time.Now().Add(a.task.Deadline),
		Series:      spec.VoucherSeries,
		Cutoff:      a.task.Cutoff,
		Inputs:      recorded,
	})
	return err
}

// recall compiles the inputs on record, which may be older than the resources.
func (a *attempt) recall() error {
	var recorded inputs
	if err := json.Unmarshal(a.run.Inputs, &recorded); err != nil {
		return failure.Stalled(v1alpha1.ReasonInternal, err, "the inputs recorded for run %s can not be read; was it begun by a newer operator?", a.task.Name)
	}
	return a.compile(recorded)
}

// compile makes mapper and exporter from inputs.
func (a *attempt) compile(from inputs) (err error) {
	a.inputs = from
	if a.exporter, err = a.Resolver.Exporter(from.Exporter); err != nil {
		return err
	}
	if a.location, err = time.LoadLocation(from.TimeZone); err != nil {
		return failure.Stalled(v1alpha1.ReasonInvalidTimeZone, err, "spec.timeZone: %q is not a time zone of the tz database", from.TimeZone)
	}
	a.mapper, err = references.Mapper(&from.Chart, ledger.VoucherPolicy{
		Series: a.run.Series, Posting: from.Posting, Location: a.location, Cutoff: from.Cutoff,
	})
	return err
}

// commit records the claims as exported: from here on the resource may say so.
func (a *attempt) commit(ctx context.Context) error {
	if err := a.database.Commit(ctx, a.run.Fence()); err != nil {
		return failure.On(v1alpha1.ConditionSourceReady, err)
	}
	a.run.State = claims.StateCommitted
	return nil
}

func (a *attempt) close() {
	a.spool.discard()
	if a.destination != nil {
		_ = a.destination.Close() // everything was written and confirmed before
	}
	if a.database != nil {
		a.database.Close()
	}
}
