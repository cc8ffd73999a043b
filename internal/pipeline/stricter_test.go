package pipeline_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/csv"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/ledger"
)

// stricter is the exporter of a newer operator, which refuses what an older one took.
type stricter struct {
	exporters.Exporter
	options, beginning, voucher error
}

func (s stricter) Validate([]byte) error { return s.options }

func (s stricter) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	if s.beginning != nil {
		return nil, s.beginning
	}
	writer, err := s.Exporter.Begin(ctx, batch, sink)
	return stricterWriter{writer, s.voucher}, err
}

type stricterWriter struct {
	exporters.Writer
	voucher error
}

func (w stricterWriter) Write(ctx context.Context, voucher *ledger.Voucher) error {
	return errors.Join(w.voucher, w.Writer.Write(ctx, voucher))
}

func TestResumedRunThatANewerOperatorRefuses(t *testing.T) {
	t.Parallel()
	option := &exporters.OptionError{Field: "columns[2].value", Problem: "is too long"}
	sql := func(statement string) func(context.Context, *pgx.Conn) error {
		return func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, statement)
			return err
		}
	}
	for name, test := range map[string]struct {
		died    failpoint.Point
		newer   exporters.Exporter
		changed func(context.Context, *pgx.Conn) error
		says    string
	}{
		"for its options": {died: failpoint.Record.After(), newer: stricter{Exporter: csv.New(), options: option}, says: "columns[2].value"},
		"for its books":   {died: failpoint.Record.After(), newer: stricter{Exporter: csv.New(), beginning: option}, says: "columns[2].value"},
		"for a voucher": {
			died:  failpoint.Record.After(),
			newer: stricter{Exporter: csv.New(), voucher: &ledger.Hold{ClaimID: "C-1", Reason: ledger.HoldUnsupportedByFormat, Message: "the text is too long"}}, says: "claim C-1: the text is too long",
		},
		"for its time zone": {
			died: failpoint.Record.After(), newer: csv.New(), says: "spec.timeZone",
			changed: sql(`update ledgerport.runs set inputs = replace(inputs::text, '"Europe/Berlin"', '"Local"')::json`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.crash(task(1), test.died)
			if test.changed != nil {
				s.sql(test.changed)
			}
			newer := newPipeline(s.database, s.exports, "newer", nil)
			registry, err := exporters.NewRegistry(test.newer)
			s.must(err)
			newer.Resolver.Exporters = registry
			_, err = newer.Run(t.Context(), task(2), &pipeline.Progress{})
			failed := failure.From(err)
			if failed.Reason != v1alpha1.ReasonInputsRefused || !failed.Stalled || !strings.Contains(failed.Message, test.says) || !strings.Contains(failed.Message, "cancel the run") {
				t.Errorf("%s: %s", failed.Reason, failed.Message)
			}
			if outcome, err := newer.Run(t.Context(), released(task(3)), &pipeline.Progress{}); err != nil || outcome.Committed || s.state(task(1).RunID) != "released" {
				t.Errorf("the release ended with %+v (%v)", outcome, err)
			}
			if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != claimCount {
				t.Errorf("the next run ended with %+v (%v)", outcome, err)
			}
		})
	}
}

// TestAReleaseHasItsOwnDeadline: the record and the message have the time that a release may really take.
func TestAReleaseHasItsOwnDeadline(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	short := task(2)
	short.Deadline = 1
	s.crash(task(1), failpoint.Record.After())
	var recorded string
	ctx, cancel := context.WithCancel(t.Context())
	_, err := newPipeline(s.database, s.exports, "living", func(point failpoint.Point) {
		if point == failpoint.Attempt.After() {
			recorded = s.text(`select (extract(epoch from deadline - now()) between 30 and 90)::text from ledgerport.runs`)
			cancel()
		}
	}).Run(ctx, released(short), &pipeline.Progress{})
	if recorded != "true" {
		t.Errorf("the record has not the deadline of a release (%s): %v", recorded, err)
	}
	_, err = s.attempt(short, nil)
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonDeadlineExceeded || !strings.Contains(failed.Message, short.Deadline.String()) {
		t.Errorf("an attempt of %s ended with %s: %s", short.Deadline, failed.Reason, failed.Message)
	}
}

// TestARunInTheZoneOfAMachineIsRefused: the schema refuses such an export, and one that is older than the schema has runs by hand.
func TestARunInTheZoneOfAMachineIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, zone := range []string{"Local", "localtime"} {
		p := newPipeline(s.database, s.exports, "living", nil)
		objects := p.Resolver.Objects.(client.Client)
		var export v1alpha1.AccountingExport
		s.must(objects.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &export))
		export.Spec.TimeZone = zone
		s.must(objects.Update(t.Context(), &export))
		_, err := p.Run(t.Context(), task(1), &pipeline.Progress{})
		if failed := failure.From(err); failed.Reason != v1alpha1.ReasonInvalidTimeZone || !failed.Stalled || !strings.Contains(failed.Message, zone) {
			t.Errorf("in the zone %s a run ends with %s: %s", zone, failed.Reason, failed.Message)
		}
	}
	if files := s.files(); len(files) > 0 {
		t.Errorf("%d files were delivered", len(files))
	}
}
