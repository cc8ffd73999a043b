package pipeline

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/internal/tracing"
)

// attempt is what one execution knows.
type attempt struct {
	*Pipeline
	task     Task
	progress *Progress
	outcome  Outcome
	client   *http.Client
	spool    *artifact.Spool
	reads    bool // and changes nothing, not even a schema

	cluster     cluster
	database    *claims.Database
	ledger      claims.Ledger
	run         claims.Run // as it is recorded, or would be for a preview
	original    claims.Run // whose artifact a redelivery delivers, once it is known
	books       books
	destination destinations.Destination
	// lacking says which claims lack receipts that are required, and what of them; nil where that is not known.
	lacking map[claimHash]lacked
	// copied are the receipts that were copied last, and may not be recorded.
	copied []receipts.Receipt
}

// stage runs a step that is reported as a stage of the run.
func (a *attempt) stage(ctx context.Context, stage v1alpha1.RunStage, step func(context.Context) error) error {
	a.progress.stage.Store(&stage)
	a.outcome.Stage = stage
	before := a.run.State
	start := time.Now() //nolint:forbidigo // how long a stage takes
	ctx, span := tracing.Stage(ctx, "stage "+strings.ToLower(string(stage)))
	err := step(ctx)
	span.Count("ledgerport.claims", a.progress.Claims())
	span.End(err)
	seconds := time.Since(start).Seconds()
	a.outcome.StageSeconds[stage] += seconds
	if err == nil && a.run.State != before {
		logr.FromContextOrDiscard(ctx).Info("the stage is done", "stage", stage, "state", a.run.State, "claims", a.progress.Claims(), "seconds", seconds)
	}
	return err
}

// note reports where the run is recorded, and when it began and ended.
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
	a.spool.Discard()
	a.client.CloseIdleConnections()
	if a.destination != nil {
		_ = a.destination.Close() // everything was written and confirmed before
	}
	if a.database != nil {
		a.database.Close()
	}
}
