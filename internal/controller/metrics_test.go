package controller_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// series returns the value of every series of the operator's metrics, by name and labels.
func (w *world) series() map[string]float64 {
	w.Helper()
	families, err := w.metrics.Gather()
	w.must(err)
	all := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			all[strings.TrimPrefix(family.GetName(), "ledgerport_")+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return all
}

// expectSeries waits until series have values.
func (w *world) expectSeries(want map[string]float64) {
	w.Helper()
	w.until(func(context.Context) string {
		have := w.series()
		for name, value := range want {
			if got, there := have[name]; !there || got != value {
				return fmt.Sprintf("%s is %g (there: %t), want %g; there are %v", name, got, there, value, have)
			}
		}
		return ""
	})
}

func TestMetricsTellWhatBecameOfAnExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	export := requested(w.export())
	export.Spec.Schedule = "0 6 1 * *"
	secret := w.secret()
	w.create(w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), credentialsAre("False", v1alpha1.ReasonSecretNotFound))
	of, ours := ",name=monthly,namespace="+w.namespace, "export=monthly,namespace="+w.namespace
	w.expectSeries(map[string]float64{
		"credentials_ready{kind=AccountingExport" + of + "}":           0,
		"credentials_fallback_active{kind=AccountingExport" + of + "}": 0,
		"export_last_run_failed{" + ours + "}":                         0,
		"export_ready{" + ours + "}":                                   0,
	})
	w.create(secret)
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	w.expectSeries(map[string]float64{
		"credentials_ready{kind=AccountingExport" + of + "}":                             1,
		"runs_total{exporter=csv,reason=Succeeded,result=Succeeded}":                     1,
		"claims_exported_total{exporter=csv}":                                            3,
		"stage_duration_seconds{exporter=csv,stage=Deliver}":                             1,
		"export_held_claims{" + ours + "}":                                               0,
		"export_ready{" + ours + "}":                                                     1,
		"amount_exported_minor_units_total{currency=" + last.Currency + ",exporter=csv}": minorUnits(w, last.Debit),
	})
	have := w.series()
	for _, name := range []string{"export_seconds_since_last_success", "export_expected_interval_seconds", "export_overdue_seconds", "export_deadline_used_ratio"} {
		if _, there := have[name+"{"+ours+"}"]; !there {
			t.Errorf("there is no %s of the export", name)
		}
	}

	w.must(api.client.Delete(t.Context(), w.export()))
	w.gone(w.export())
	w.until(func(context.Context) string {
		for name := range w.series() {
			if slices.Contains(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("{},=", r) }), "monthly") {
				return name + " is left of a deleted export"
			}
		}
		return ""
	})
}

func TestMetricsTellOfFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(1)
	source := w.source()
	source.Spec.Postgres.Lines.Table = "public.receipts"
	chart := w.chart()
	w.create(w.secret(), source, chart, w.destination(), w.export(), w.run("by-hand"))
	eventually(w, w.run("by-hand"), runIs(v1alpha1.RunRetrying))
	w.until(func(context.Context) string {
		if n := w.series()["database_errors_total{reason=TableNotFound}"]; n < 1 {
			return "no error of the database was counted"
		}
		return ""
	})
	w.cancel(w.run("by-hand"))
	eventually(w, w.run("by-hand"), runIs(v1alpha1.RunCancelled))
	w.expectSeries(map[string]float64{"runs_total{exporter=csv,reason=Cancelled,result=Cancelled}": 1})
}

// TestAnAttemptIsCountedOnceThoughItsEndIsRecordedLate lets somebody else change the run whenever the end of its attempt is
// about to be recorded, so that the API server refuses that.
func TestAnAttemptIsCountedOnceThoughItsEndIsRecordedLate(t *testing.T) {
	t.Parallel()
	var conflicts atomic.Int64
	w := newWorldWith(t, func(w *world) {
		w.failpoints = func(at failpoint.Point) {
			if at == failpoint.RunStatus.Before() && w.committed() && conflicts.Add(1) <= 5 {
				w.touch(w.run("by-hand"))
			}
		}
	})
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("by-hand"))
	eventually(w, w.run("by-hand"), runIs(v1alpha1.RunSucceeded))
	w.expectSeries(map[string]float64{
		"runs_total{exporter=csv,reason=Succeeded,result=Succeeded}": 1,
		"stage_duration_seconds{exporter=csv,stage=Commit}":          1,
	})
	for name, value := range w.series() {
		if strings.HasPrefix(name, "stage_duration_seconds") && value != 1 {
			t.Errorf("%s is %g", name, value)
		}
	}
	if conflicts.Load() <= 5 {
		t.Errorf("the end was recorded after %d refusals, want 5", conflicts.Load())
	}
}

// committed reports whether a run is recorded as committed. It may be asked by any goroutine, also when the test is over.
func (w *world) committed() (is bool) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.database)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, "select exists (select from ledgerport.runs where state = 'committed')").Scan(&is)
	return err == nil && is
}

// touch changes an object as somebody else would: what was read of it before cannot be written any more.
func (w *world) touch(object client.Object) {
	change := fmt.Appendf(nil, `{"metadata": {"annotations": {"accounting.ledgerport.dev/changed": %q}}}`, rand.Text()) // the cache keeps no others
	if err := api.client.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, change)); err != nil {
		w.Error(err)
	}
}

// minorUnits returns an amount of euros in cents.
func minorUnits(w *world, decimal string) (cents float64) {
	w.Helper()
	whole, part, _ := strings.Cut(decimal, ".")
	if _, err := fmt.Sscan(whole+part, &cents); err != nil || len(part) != 2 {
		w.Fatalf("%q is no amount of euros", decimal)
	}
	return cents
}
