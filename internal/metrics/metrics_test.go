package metrics

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	broken := v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "broken", CreationTimestamp: metav1.NewTime(now)}}
	broken.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonInvalidSchedule}}
	export.Status.Conditions = append(export.Status.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady},
		metav1.Condition{Type: v1alpha1.ConditionNotified, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonTargetRefused},
		metav1.Condition{Type: v1alpha1.ConditionLastRunSucceeded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonLastRunFailed})
	export.Status.LastSuccessfulRun = &v1alpha1.RunSummary{StartedAt: &metav1.Time{Time: now.Add(-32 * time.Hour)}, CompletedAt: &metav1.Time{Time: now.Add(-time.Hour)}, RunResult: v1alpha1.RunResult{Held: 7}}
	source := v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Namespace: "expenses", Name: "claims"}}
	source.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCredentialsReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSecretNotFound}}
	of := &resources{sources: []v1alpha1.ClaimSource{source}, exports: []v1alpha1.AccountingExport{export, broken}}
	m := newMetrics(t, of)
	m.AttemptEnded(types.NamespacedName{Namespace: "acme", Name: "monthly"}, "csv",
		map[v1alpha1.RunStage]float64{v1alpha1.StagePreflight: 10, v1alpha1.StageRender: 125}, 150*time.Second)
	names := []string{
		"ledgerport_credentials_ready", "ledgerport_credentials_fallback_active", "ledgerport_export_ready", "ledgerport_export_held_claims", "ledgerport_export_last_run_failed", "ledgerport_export_notified",
		"ledgerport_export_seconds_since_last_success", "ledgerport_export_expected_interval_seconds", "ledgerport_export_overdue_seconds", "ledgerport_export_deadline_used_ratio",
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
# HELP ledgerport_export_held_claims Approved claims that the newest successful run left out, because they cannot be posted yet.
# TYPE ledgerport_export_held_claims gauge
ledgerport_export_held_claims{export="monthly",namespace="acme"} 7
# HELP ledgerport_export_last_run_failed 1 where the newest run has failed or is incomplete, else 0.
# TYPE ledgerport_export_last_run_failed gauge
ledgerport_export_last_run_failed{export="broken",namespace="acme"} 0
ledgerport_export_last_run_failed{export="monthly",namespace="acme"} 1
# HELP ledgerport_export_notified 1 where the targets of notifications take what they are told, 0 where one does not; nothing if there is none.
# TYPE ledgerport_export_notified gauge
ledgerport_export_notified{export="monthly",namespace="acme"} 0
# HELP ledgerport_export_overdue_seconds Seconds since the run of the oldest slot should have begun that no success has followed, 0 if there is none; nothing where there is no schedule or it is suspended.
# TYPE ledgerport_export_overdue_seconds gauge
ledgerport_export_overdue_seconds{export="monthly",namespace="acme"} 108000
# HELP ledgerport_export_ready 1 where runs of an export can begin, 0 where something keeps them from it; nothing while that is not known.
# TYPE ledgerport_export_ready gauge
ledgerport_export_ready{export="broken",namespace="acme"} 0
ledgerport_export_ready{export="monthly",namespace="acme"} 1
# HELP ledgerport_export_seconds_since_last_success Seconds since the newest run that succeeded, or since the export was created.
# TYPE ledgerport_export_seconds_since_last_success gauge
ledgerport_export_seconds_since_last_success{export="broken",namespace="acme"} 0
ledgerport_export_seconds_since_last_success{export="monthly",namespace="acme"} 3600
`, names...)
	of.exports[0].Spec.Suspend = true
	if n := testutil.CollectAndCount(m, "ledgerport_export_expected_interval_seconds", "ledgerport_export_overdue_seconds"); n != 0 {
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
			if got := interval(slots, at(t, test.created), at(t, test.now)); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestAnExportIsOverdueOnceASlotHasPassedWithoutASuccess(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	tests := []struct {
		name, schedule, created, succeeded, now string // succeeded is when the newest success began
		want                                    time.Duration
	}{
		{"weekdays: the weekend has no slot", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-20 06:00", "2026-11-22 23:59", 0},
		{"weekdays: the slot of Monday is now", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-20 06:00", "2026-11-23 06:00", 0},
		{"weekdays: the slot of Monday was an hour ago", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-20 06:00", "2026-11-23 07:00", time.Hour},
		{"weekdays: the run of Monday has succeeded", "0 6 * * 1-5", "2026-01-01 00:00", "2026-11-23 06:00", "2026-11-23 07:00", 0},
		{"monthly: the last day of a long month", "0 6 1 * *", "2026-01-01 00:00", "2026-10-01 06:00", "2026-10-31 23:59", 0},
		{"monthly: the day after a long month", "0 6 1 * *", "2026-01-01 00:00", "2026-10-01 06:00", "2026-11-02 06:00", day},
		{"monthly: the day after a short month", "0 6 1 * *", "2026-01-01 00:00", "2026-02-01 06:00", "2026-03-01 06:30", 30 * time.Minute},
		{"of several missed slots the oldest counts", "*/10 * * * *", "2026-01-01 00:00", "2026-11-24 06:00", "2026-11-24 08:05", 115 * time.Minute},
		{"a success just before the slot does not answer it", "0 6 * * *", "2026-01-01 00:00", "2026-11-24 05:59", "2026-11-24 08:00", 2 * time.Hour},
		{"a request that succeeds after the slot answers it", "0 6 * * *", "2026-01-01 00:00", "2026-11-24 07:10", "2026-11-24 08:00", 0},
		{"younger than its first slot", "0 6 1 * *", "2026-11-02 00:00", "", "2026-11-24 12:00", 0},
		{"its first slot passes without a success", "0 6 1 * *", "2026-11-02 00:00", "", "2026-12-01 07:00", time.Hour},
		{"a success from before the export was applied again", "0 6 1 * *", "2026-11-02 00:00", "2026-09-01 06:00", "2026-11-24 12:00", 0},
		{"the clock is before the newest success", "0 6 * * *", "2026-01-01 00:00", "2026-11-24 06:00", "2026-11-23 05:00", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			export := scheduled(test.schedule, at(t, test.created))
			if test.succeeded != "" {
				export.Status.LastSuccessfulRun = &v1alpha1.RunSummary{StartedAt: &metav1.Time{Time: at(t, test.succeeded)}}
			}
			if got := overdueAt(t, export, at(t, test.now)); got != test.want {
				t.Errorf("overdue for %s, want %s", got, test.want)
			}
		})
	}
}

func TestAnExportIsNotOverdueWhileItsRunsAreDelayed(t *testing.T) {
	t.Parallel()
	export := scheduled("0 6 * * *", at(t, "2026-01-01 00:00"))
	export.Spec.StartJitter = &metav1.Duration{Duration: 24 * time.Hour}
	delay := schedule.Delay(export.Namespace, export.Name, 24*time.Hour)
	slot := at(t, "2026-11-24 06:00")
	export.Status.LastSuccessfulRun = &v1alpha1.RunSummary{StartedAt: &metav1.Time{Time: slot.AddDate(0, 0, -1).Add(delay).Truncate(time.Second)}}
	if got := overdueAt(t, export, slot.Add(delay)); got != 0 {
		t.Errorf("overdue for %s when the delayed run begins", got)
	}
	if got := overdueAt(t, export, slot.Add(delay+time.Hour)); got != time.Hour {
		t.Errorf("overdue for %s an hour after the delayed run should have begun", got)
	}
}

func TestAnExportWithoutScheduleIsNeverOverdue(t *testing.T) {
	t.Parallel()
	export := scheduled("", at(t, "2026-01-01 00:00"))
	if got := overdueAt(t, export, now); got != -1 {
		t.Errorf("overdue for %s, want no series", got)
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func scheduled(expression string, created time.Time) *v1alpha1.AccountingExport {
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "scheduled", CreationTimestamp: metav1.NewTime(created)}}
	export.Spec.Schedule, export.Spec.TimeZone = expression, "UTC"
	return export
}

// overdueAt returns the gauge of an export at a time; -1 if there is none.
func overdueAt(t *testing.T, export *v1alpha1.AccountingExport, now time.Time) time.Duration {
	t.Helper()
	told := time.Duration(-1)
	tellExport(func(description *prometheus.Desc, value float64, _ ...string) {
		if description == overdueSeconds {
			told = time.Duration(value * float64(time.Second))
		}
	}, export, now)
	return told
}

// TestExportsThatNobodyScrapesAreForgotten has more of them end attempts than are kept in mind.
func TestExportsThatNobodyScrapesAreForgotten(t *testing.T) {
	t.Parallel()
	registry, err := exporters.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	m := New(nil, registry, time.Now)
	for i := range mostDeadlines + 10 {
		name := types.NamespacedName{Namespace: "tenant", Name: strconv.Itoa(i)}
		m.AttemptEnded(name, "csv", map[v1alpha1.RunStage]float64{v1alpha1.StagePreflight: 1}, time.Minute)
		m.AttemptEnded(name, "csv", map[v1alpha1.RunStage]float64{v1alpha1.StagePreflight: 30}, time.Minute)
		if m.deadlineUsed[name] != 0.5 {
			t.Fatalf("the newest attempt of %s took %v of its deadline", name, m.deadlineUsed[name])
		}
	}
	if len(m.deadlineUsed) != mostDeadlines {
		t.Errorf("%d exports are kept in mind", len(m.deadlineUsed))
	}
}
