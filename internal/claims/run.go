package claims

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// MainBook is the book of what says no other.
const MainBook = "main"

// ReleasedSuperseded is the reason of a run that was released because another one of its series began after its deadline.
const ReleasedSuperseded = "superseded"

// RunType says what a run does.
type RunType string

const (
	// TypeExport exports approved claims.
	TypeExport RunType = "export"
	// TypeReversal reverses the vouchers of another run.
	TypeReversal RunType = "reversal"
	// TypeRedelivery delivers again what another run has delivered.
	TypeRedelivery RunType = "redelivery"
	// TypeAdoption records claims that were booked elsewhere. It is no ExportRun: see Adopt.
	TypeAdoption RunType = "adoption"
)

// RunIdentity says which run it is.
type RunIdentity struct {
	// ID is the UID of the ExportRun.
	ID string
	// Namespace of the resources, and the names of AccountingExport and ExportRun.
	Namespace, Export, Name string
	// OrganizationID of every claim of the run.
	OrganizationID string
}

// Attempt is what is recorded before an attempt does anything.
type Attempt struct {
	RunIdentity
	// Holder names the process that executes the attempt.
	Holder string
	// Cluster that the run belongs to: the UID of its namespace kube-system.
	Cluster string
	// Deadline is how long the attempt may take, by the clock of the database.
	Deadline time.Duration
	// Book that the claims are exported to, and Series of the voucher numbers in it.
	Book, Series string
	// Cutoff: only claims approved before it belong to the run. To the microsecond.
	Cutoff time.Time
	// Inputs is a JSON document of everything but the claims that decides the bytes of the artifact.
	Inputs []byte
	// Reverses is the ID of the run that a reversal reverses, which Reversible gave; empty for all others.
	Reverses string
	// Redelivers is the ID of the run whose artifact a redelivery delivers, which Redeliverable gave; empty for all others.
	Redelivers string
}

// kind of the run.
func (a *Attempt) kind() RunType {
	switch {
	case a.Reverses != "":
		return TypeReversal
	case a.Redelivers != "":
		return TypeRedelivery
	}
	return TypeExport
}

// Selection narrows the claims that a run may take.
type Selection struct {
	// ApprovedFrom is the instant before which an approved claim is none of the run's; zero if there is none.
	ApprovedFrom time.Time
	// IDs of the only claims that the run may take; empty if it may take all.
	IDs []string
	// Receipts reads those of each claim, too.
	Receipts bool
	// Expression by which the caller leaves out claims that it neither takes nor holds.
	Expression string
}

// Fence names one attempt of a run. A step with the fence of an older attempt fails with ReasonFenced and changes nothing.
type Fence struct {
	RunID, OrganizationID string
	Attempt               int32
}

// File is one file of an artifact.
type File = artifact.File

// Rendered is what is recorded of an artifact.
type Rendered struct {
	// Files of the artifact in the order of their delivery; none where the run exports nothing.
	Files []File
	// Manifest is the JSON document that describes the artifact, kept byte by byte.
	Manifest []byte
	// Claims and Lines that the artifact has, and claims that were held.
	Claims, Lines, Held int64
	// FirstVoucher and LastVoucher such as E/2026/1; empty if there are none.
	FirstVoucher, LastVoucher string
}

// NewRendered is what is recorded of an artifact with these figures.
func NewRendered(files []File, manifest []byte, figures *artifact.Figures) Rendered {
	return Rendered{
		Files: files, Manifest: manifest, Claims: figures.Claims, Lines: figures.Lines, Held: figures.HeldTotal,
		FirstVoucher: figures.FirstVoucher(), LastVoucher: figures.LastVoucher(),
	}
}

// Run is a recorded run.
type Run struct {
	RunIdentity
	// Cluster that the run belongs to; empty for one from before that was recorded.
	Cluster string
	// Sequence of the ledger at the newest step of the run that raised it.
	Sequence int64
	State    RunState
	Attempt  int32
	Holder   string
	Deadline time.Time
	// Book that the claims are exported to, and Series of the voucher numbers in it.
	Book, Series string
	Cutoff       time.Time
	Type         RunType
	// Reverses is the ID of the run that a reversal reverses, and Redelivers of the one whose artifact a redelivery delivers; empty for
	// all others.
	Reverses, Redelivers string
	// Inputs are those of the attempt that reserved the claims; before that, those of the newest.
	Inputs []byte
	// Selection of a run that reads claims. It is not recorded.
	Selection Selection
	Rendered
	// Location is the URL of the delivered artifact.
	Location      string
	ReleaseReason string
	StartedAt     time.Time
	// The times are nil for what has not happened.
	RenderedAt, DeliveredAt, CommittedAt, ReleasedAt, ArtifactRemovedAt *time.Time
}

func (r Run) owner() owner { return owner{organizationID: r.OrganizationID, runID: r.ID} }

// Fence of the attempt that this record is of.
func (r Run) Fence() Fence {
	return Fence{RunID: r.ID, OrganizationID: r.OrganizationID, Attempt: r.Attempt}
}

const runColumns = `id, namespace, export, name, organization_id, cluster, sequence, state, attempt, holder, deadline, book, series, cutoff, inputs,
	type, coalesce(reverses, ''), coalesce(redelivers, ''), claims, lines, held, first_voucher, last_voucher, files, manifest, location, release_reason,
	started_at, rendered_at, delivered_at, committed_at, released_at, artifact_removed_at`

func scanRun(row pgx.Row) (r Run, err error) {
	err = row.Scan(&r.ID, &r.Namespace, &r.Export, &r.Name, &r.OrganizationID, &r.Cluster, &r.Sequence, &r.State, &r.Attempt, &r.Holder, &r.Deadline, &r.Book, &r.Series, &r.Cutoff, &r.Inputs,
		&r.Type, &r.Reverses, &r.Redelivers, &r.Claims, &r.Lines, &r.Held, &r.FirstVoucher, &r.LastVoucher, fileList{&r.Files}, &r.Manifest, &r.Location, &r.ReleaseReason,
		&r.StartedAt, &r.RenderedAt, &r.DeliveredAt, &r.CommittedAt, &r.ReleasedAt, &r.ArtifactRemovedAt)
	if err == nil {
		err = r.validate()
	}
	return r, err
}

// Run returns the record of a run, and whether there is one.
func (d *Database) Run(ctx context.Context, id string) (Run, bool, error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return Run{}, false, err
	}
	var run Run
	err = lookUp(ctx, conn, "", id, func(row pgx.Row) (err error) {
		run, err = scanRun(row)
		return err
	}, `SELECT `+runColumns+` FROM ledgerport.runs WHERE id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, nil
	}
	return run, err == nil, classify(ctx, "looking up the run", err)
}

// RunNamed returns the newest record of a run by the names of its resources, and whether there is one: an ExportRun that was
// deleted and applied again has another UID than the recorded one.
func (d *Database) RunNamed(ctx context.Context, identity RunIdentity) (Run, bool, error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return Run{}, false, err
	}
	var run Run
	err = lookUp(ctx, conn, identity.OrganizationID, "", func(row pgx.Row) (err error) {
		run, err = scanRun(row)
		return err
	}, `SELECT `+runColumns+` FROM ledgerport.runs
		WHERE namespace = $1 AND export = $2 AND name = $3 AND organization_id = $4 AND type <> 'adoption'
		ORDER BY started_at DESC LIMIT 1`, identity.Namespace, identity.Export, identity.Name, identity.OrganizationID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, nil
	}
	return run, err == nil, classify(ctx, "looking up the run by its name", err)
}

// Recorded returns the record of a run by its id, or else the newest by its names, as Run and RunNamed do, whether there is one, and
// whether it was found by its names alone.
func (d *Database) Recorded(ctx context.Context, identity RunIdentity) (run Run, known, named bool, err error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return Run{}, false, false, err
	}
	err = lookUp(ctx, conn, identity.OrganizationID, identity.ID, func(row pgx.Row) (err error) {
		run, err = scanRun(row)
		return err
	}, `SELECT `+runColumns+` FROM (
			(SELECT r.*, 1 AS place FROM ledgerport.runs r WHERE id = $5)
			UNION ALL (SELECT r.*, 2 FROM ledgerport.runs r WHERE namespace = $1 AND export = $2 AND name = $3 AND organization_id = $4 AND type <> 'adoption'
				ORDER BY started_at DESC LIMIT 1)) r ORDER BY place LIMIT 1`,
		identity.Namespace, identity.Export, identity.Name, identity.OrganizationID, identity.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, false, nil
	}
	if err != nil {
		return Run{}, false, false, classify(ctx, "looking up the run", err)
	}
	return run, true, run.ID != identity.ID, nil
}

// StartAttempt records who executes the run from now on, and returns the record as it now is, the attempt number raised.
// A finished run is given as it is. Identity, book, series, cutoff and inputs are recorded anew while the run holds nothing;
// later those recorded stand.
//
// Two unfinished runs of an organisation, but for redeliveries, cannot have the same series of a book: the second fails with ReasonSeriesBusy. A run that
// holds nothing and whose deadline has passed does not stand in the way: it is released, unless another cluster began it. A run of
// another cluster fails with ReasonOtherCluster.
func (d *Database) StartAttempt(ctx context.Context, attempt Attempt) (Run, error) {
	run, err := d.startAttempt(ctx, attempt, false)
	if violatedConstraint(err) == seriesConstraint && attempt.kind() != TypeRedelivery {
		run, err = d.startAttempt(ctx, attempt, true)
	}
	if violatedConstraint(err) == seriesConstraint {
		return Run{}, d.seriesBusy(ctx, attempt, err)
	}
	return run, classify(ctx, "recording the attempt", err)
}

// seriesConstraint keeps two unfinished runs from having the same series.
const seriesConstraint = "runs_unfinished_series"

// startAttempt is StartAttempt, which releases what stands in the way of the series only if something does.
func (d *Database) startAttempt(ctx context.Context, attempt Attempt, superseding bool) (Run, error) {
	run, err := takingOver(ctx, d, attempt.OrganizationID, attempt.ID, func(tx pgx.Tx) (run Run, err error) {
		if superseding {
			if err := supersede(ctx, tx, attempt); err != nil {
				return run, err
			}
		}
		if run, err = start(ctx, tx, attempt); err != nil || run.State.Finished() {
			return run, err
		}
		run.Sequence, err = raise(ctx, tx, attempt.ID, false)
		return run, err
	})
	if err == nil {
		d.newest = &run
	}
	return run, err
}

// TakeOver records who executes an unfinished run from now on, and returns the record as it now is, the attempt number
// raised. Nothing else of the run changes. A finished run is given as it is. One of another cluster fails with ReasonOtherCluster.
func (d *Database) TakeOver(ctx context.Context, id, holder, cluster string, deadline time.Duration) (Run, error) {
	organizationID, err := d.organization(ctx, id)
	if err != nil {
		return Run{}, err
	}
	run, err := takingOver(ctx, d, organizationID, id, func(tx pgx.Tx) (run Run, err error) {
		run, err = scanRun(tx.QueryRow(ctx, `UPDATE ledgerport.runs SET attempt = attempt + 1, holder = $2, cluster = $3, deadline = `+after("$4")+`
			WHERE id = $1 AND `+unfinished+` AND cluster IN ('', $3) RETURNING `+runColumns, id, holder, cluster, deadline.Seconds()))
		if errors.Is(err, pgx.ErrNoRows) {
			return unchanged(ctx, tx, id, cluster)
		}
		if err == nil {
			run.Sequence, err = raise(ctx, tx, id, false)
		}
		return run, err
	})
	return run, classify(ctx, "taking the run over", err)
}

// ReleaseUnbegun records a run as released that is not recorded, so that an attempt of it that nobody can stop, in a process that was
// taken for dead, finds it ended and begins nothing. It returns the record as it now is: a run that such an attempt has begun meanwhile
// is given as it is, and still to be released. Of what a reversal reverses and a redelivery delivers nothing is recorded.
func (d *Database) ReleaseUnbegun(ctx context.Context, attempt Attempt, of RunType, reason string) (Run, error) {
	run, err := committed(ctx, d, attempt.OrganizationID, attempt.ID, func(tx pgx.Tx) (run Run, err error) {
		run, err = scanRun(tx.QueryRow(ctx, `
			INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, cluster, book, series, state, attempt, holder, deadline, cutoff, inputs,
				type, reverses, redelivers, release_reason, released_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'released', 1, $9, clock_timestamp(), $10, '{}',
				$11, CASE $11 WHEN 'reversal' THEN '' END, CASE $11 WHEN 'redelivery' THEN '' END, $12, now())
			ON CONFLICT (id) DO NOTHING RETURNING `+runColumns,
			attempt.ID, attempt.Namespace, attempt.Export, attempt.Name, attempt.OrganizationID, attempt.Cluster, attempt.Book, attempt.Series,
			attempt.Holder, attempt.Cutoff.Truncate(time.Microsecond), of, reason))
		if errors.Is(err, pgx.ErrNoRows) {
			return unchanged(ctx, tx, attempt.ID, attempt.Cluster)
		}
		if err == nil {
			run.Sequence, err = raise(ctx, tx, attempt.ID, false)
		}
		return run, err
	})
	return run, classify(ctx, "recording that the run does not begin", err)
}

// after is the instant a number of seconds from now, by the clock of the database: no other clock decides over what another
// process does.
func after(seconds string) string {
	return `clock_timestamp() + make_interval(secs => ` + seconds + `)`
}

// unchanged returns a run that an attempt could not have: it is finished, or of another cluster.
func unchanged(ctx context.Context, tx pgx.Tx, id, cluster string) (Run, error) {
	run, err := scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM ledgerport.runs WHERE id = $1`, id))
	if err == nil && !run.State.Finished() {
		err = run.BelongsTo(cluster)
	}
	return run, err
}

// supersede releases what began in the same series and cluster, holds nothing and is past its deadline.
func supersede(ctx context.Context, tx pgx.Tx, attempt Attempt) error {
	_, err := tx.Exec(ctx, `UPDATE ledgerport.runs SET state = 'released', release_reason = $4, released_at = now()
		WHERE organization_id = $1 AND book = $6 AND series = $2 AND id <> $3 AND type <> 'redelivery' AND state = 'started' AND deadline < clock_timestamp() AND cluster IN ('', $5)`,
		attempt.OrganizationID, attempt.Series, attempt.ID, ReleasedSuperseded, attempt.Cluster, attempt.Book)
	return err
}

func start(ctx context.Context, tx pgx.Tx, attempt Attempt) (Run, error) {
	upsert := `
		INSERT INTO ledgerport.runs AS r (id, namespace, export, name, organization_id, series, state, attempt, holder, deadline, cutoff, inputs, type, reverses, cluster, book, redelivers)
		VALUES ($1, $2, $3, $4, $5, $6, 'started', 1, $7, ` + after("$8") + `, $9, $10, $11, nullif($12, ''), $13, $14, nullif($15, ''))
		ON CONFLICT (id) DO UPDATE SET
			attempt = r.attempt + 1, holder = excluded.holder, deadline = excluded.deadline, cluster = excluded.cluster,
			organization_id = CASE r.state WHEN 'started' THEN excluded.organization_id ELSE r.organization_id END,
			book = CASE r.state WHEN 'started' THEN excluded.book ELSE r.book END,
			series = CASE r.state WHEN 'started' THEN excluded.series ELSE r.series END,
			cutoff = CASE r.state WHEN 'started' THEN excluded.cutoff ELSE r.cutoff END,
			inputs = CASE r.state WHEN 'started' THEN excluded.inputs ELSE r.inputs END,
			reverses = CASE r.state WHEN 'started' THEN excluded.reverses ELSE r.reverses END,
			redelivers = CASE r.state WHEN 'started' THEN excluded.redelivers ELSE r.redelivers END
		WHERE r.` + unfinished + ` AND r.cluster IN ('', excluded.cluster)
		RETURNING ` + runColumns
	run, err := scanRun(tx.QueryRow(ctx, upsert, attempt.ID, attempt.Namespace, attempt.Export, attempt.Name, attempt.OrganizationID,
		attempt.Series, attempt.Holder, attempt.Deadline.Seconds(), attempt.Cutoff.Truncate(time.Microsecond), attempt.Inputs, attempt.kind(), attempt.Reverses, attempt.Cluster, attempt.Book, attempt.Redelivers))
	if errors.Is(err, pgx.ErrNoRows) {
		return unchanged(ctx, tx, attempt.ID, attempt.Cluster)
	}
	return run, err
}

// seriesBusy names the run that has the series.
func (d *Database) seriesBusy(ctx context.Context, attempt Attempt, cause error) error {
	other := "another run"
	err := d.transact(ctx, pgx.ReadOnly, attempt.OrganizationID, attempt.ID, func(tx pgx.Tx) error {
		busy, err := scanRun(tx.QueryRow(ctx, `SELECT `+runColumns+` FROM ledgerport.runs
			WHERE organization_id = $1 AND book = $2 AND series = $3 AND type <> 'redelivery' AND `+unfinished, attempt.OrganizationID, attempt.Book, attempt.Series))
		if err == nil {
			other = fmt.Sprintf("run %s/%s (%s)", busy.Namespace, busy.Name, busy.State)
			if busy.BelongsTo(attempt.Cluster) != nil {
				other += fmt.Sprintf(" of the cluster %.64q; if that cluster is gone: %s", busy.Cluster, handOver(busy, attempt.Cluster))
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // it has just ended; the next attempt will do
		return classify(ctx, "recording the attempt", err)
	}
	return failure.OnSource.Transient(v1alpha1.ReasonSeriesBusy, cause,
		"the voucher series %q of organisation %s (book %s) is in use; this run goes on when that one has ended: %s",
		attempt.Series, attempt.OrganizationID, attempt.Book, other)
}
