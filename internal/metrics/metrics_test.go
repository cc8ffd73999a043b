package metrics

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/csv"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/schedule"
)

// resources are lists that a test fills.
type resources struct {
	client.Reader
	sources []v1alpha1.ClaimSource
	exports []v1alpha1.AccountingExport
}

// List implements client.Reader.
func (r *resources) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *v1alpha1.ClaimSourceList:
		l.Items = r.sources
	case *v1alpha1.AccountingExportList:
		l.Items = r.exports
	}
	return nil
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newMetrics(t *testing.T, of *resources) *Metrics {
	t.Helper()
	registry, err := exporters.NewRegistry(csv.New())
	if err != nil {
		t.Fatal(err)
	}
	return New(of, registry, func() time.Time { return now })
}

func expect(t *testing.T, m *Metrics, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestRunsAreCountedByExporterResultAndReason(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, &resources{})
	result := v1alpha1.RunResult{Claims: 495, Debit: "1474204.64", Currency: "EUR"}
	m.RunEnded("csv", v1alpha1.RunSucceeded, v1alpha1.ReasonSucceeded, result)
	m.RunEnded("csv", v1alpha1.RunSucceeded, v1alpha1.ReasonSucceeded, v1alpha1.RunResult{Claims: 5, Debit: "1000", Currency: "JPY"})
	m.RunEnded("csv", v1alpha1.RunFailed, v1alpha1.ReasonDestinationFull, result)
	m.RunEnded("whatever a tenant writes", v1alpha1.RunFailed, v1alpha1.ReasonUnknownExporter, v1alpha1.RunResult{})
	expect(t, m, `
# HELP ledgerport_amount_exported_minor_units_total Debit of the exported vouchers, in the smallest unit of the books' currency.
# TYPE ledgerport_amount_exported_minor_units_total counter
ledgerport_amount_exported_minor_units_total{currency="EUR",exporter="csv"} 1.47420464e+08
ledgerport_amount_exported_minor_units_total{currency="JPY",exporter="csv"} 1000
# HELP ledgerport_claims_exported_total Claims that were exported.
# TYPE ledgerport_claims_exported_total counter
ledgerport_claims_exported_total{exporter="csv"} 500
# HELP ledgerport_runs_total Runs that have ended.
# TYPE ledgerport_runs_total counter
ledgerport_runs_total{exporter="csv",reason="DestinationFull",result="Failed"} 1
ledgerport_runs_total{exporter="csv",reason="Succeeded",result="Succeeded"} 2
ledgerport_runs_total{exporter="unknown",reason="UnknownExporter",result="Failed"} 1
`, "ledgerport_runs_total", "ledgerport_claims_exported_total", "ledgerport_amount_exported_minor_units_total")
}

func TestErrorsAreCountedWhereTheyBelong(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, &resources{})
	for _, condition := range []string{v1alpha1.ConditionSourceReady, v1alpha1.ConditionDestinationReady, v1alpha1.ConditionMappingReady, ""} {
		m.Failed(&failure.Error{Condition: condition, Reason: "Because"})
	}
	expect(t, m, `
# HELP ledgerport_database_errors_total Looks at databases and attempts that failed because of the database.
# TYPE ledgerport_database_errors_total counter
ledgerport_database_errors_total{reason="Because"} 1
# HELP ledgerport_destination_errors_total Looks at destinations and attempts that failed because of the destination.
# TYPE ledgerport_destination_errors_total counter
ledgerport_destination_errors_total{reason="Because"} 1
`, "ledgerport_database_errors_total", "ledgerport_destination_errors_total")
}

func TestExportsAreToldOfAsTheyAreAndForgottenWhenDeleted(t *testing.T) {
	t.Parallel()
	export := v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly", CreationTimestamp: metav1.NewTime(now.AddDate(-1, 0, 0))}}
	export.Spec.Schedule, export.Spec.TimeZone = "0 6 * * *", "UTC"
	export.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCredentialsReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonEnvironmentFallback}}
	export.Status.LastRun = &v1alpha1.RunSummary{Phase: v1alpha1.RunFailed}
	export.Status.LastSuccessfulRun = &v1alpha1.RunSummary{CompletedAt: &metav1.Time{Time: now.Add(-time.Hour)}, RunResult: v1alpha1.RunResult{Held: 7}}
	source := v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "claims"}}
	source.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCredentialsReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSecretNotFound}}
	of := &resources{sources: []v1alpha1.ClaimSource{source}, exports: []v1alpha1.AccountingExport{export}}
	m := newMetrics(t, of)
	m.AttemptEnded(types.NamespacedName{Namespace: "acme", Name: "monthly"}, "csv",
		map[v1alpha1.RunStage]float64{v1alpha1.StagePreflight: 10, v1alpha1.StageRender: 125}, 150*time.Second)
	names := []string{
		"ledgerport_credentials_ready", "ledgerport_credentials_fallback_active", "ledgerport_export_held_claims", "ledgerport_export_last_run_failed",
		"ledgerport_export_seconds_since_last_success", "ledgerport_export_expected_interval_seconds", "ledgerport_export_deadline_used_ratio",
	}
	expect(t, m, `
# HELP ledgerport_credentials_fallback_active 1 where credentials come from the operator's environment, because their store is broken; 0 elsewhere.
# TYPE ledgerport_credentials_fallback_active gauge
ledgerport_credentials_fallback_active{kind="AccountingExport",name="monthly",namespace="acme"} 1
ledgerport_credentials_fallback_active{kind="ClaimSource",name="claims",namespace="expenses"} 0
# HELP ledgerport_credentials_ready 1 where the credentials of a resource are in order, 0 where they are not; nothing while that is not known.
# TYPE ledgerport_credentials_ready gauge
ledgerport_credentials_ready{kind="AccountingExport",name="monthly",namespace="acme"} 1
ledgerport_credentials_ready{kind="ClaimSource",name="claims",namespace="expenses"} 0
# HELP ledgerport_export_deadline_used_ratio Part of spec.deadline that the newest attempt took; nothing before this process has seen one.
# TYPE ledgerport_export_deadline_used_ratio gauge
ledgerport_export_deadline_used_ratio{export="monthly",namespace="acme"} 0.9
# HELP ledgerport_export_expected_interval_seconds Seconds between the two newest slots of the schedule; nothing where there is no schedule or it is suspended.
# TYPE ledgerport_export_expected_interval_seconds gauge
ledgerport_export_expected_interval_seconds{export="monthly",namespace="acme"} 86400
# HELP ledgerport_export_held_claims Approved claims that the newest successful run left out, because they can not be posted yet.
# TYPE ledgerport_export_held_claims gauge
ledgerport_export_held_claims{export="monthly",namespace="acme"} 7
# HELP ledgerport_export_last_run_failed 1 where the newest run has failed or is incomplete, else 0.
# TYPE ledgerport_export_last_run_failed gauge
ledgerport_export_last_run_failed{export="monthly",namespace="acme"} 1
# HELP ledgerport_export_seconds_since_last_success Seconds since the newest run that succeeded, or since the export was created.
# TYPE ledgerport_export_seconds_since_last_success gauge
ledgerport_export_seconds_since_last_success{export="monthly",namespace="acme"} 3600
`, names...)
	of.exports[0].Spec.Suspend = true
	if n := testutil.CollectAndCount(m, "ledgerport_export_expected_interval_seconds"); n != 0 {
		t.Error("a suspended export is expected to succeed")
	}
	of.exports, of.sources = nil, nil
	if n := testutil.CollectAndCount(m, names...); n != 0 || len(m.deadlineUsed) != 0 {
		t.Errorf("%d series of deleted resources are left, %d are kept in mind", n, len(m.deadlineUsed))
	}
}

func TestExpectedIntervalIsThatOfTheNewestSlots(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	at := func(text string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	tests := []struct {
		name, schedule, created, now string
		want                         time.Duration
	}{
		{"each day", "0 6 * * *", "2026-01-01 00:00", "2026-11-24 12:00", day},
		{"a month of 31 days", "0 6 1 * *", "2026-01-01 00:00", "2026-11-24 12:00", 31 * day},
		{"a Monday after a weekend", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-23 06:01", 3 * day},
		{"a Tuesday", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-24 06:01", day},
		{"the first slot since the export was created", "0 6 * * *", "2026-11-24 05:00", "2026-11-24 06:01", time.Hour},
		{"before the first slot", "0 6 * * *", "2026-11-24 05:00", "2026-11-24 05:30", time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			slots, err := schedule.Parse(test.schedule, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			if got := interval(slots, at(test.created), at(test.now)); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
