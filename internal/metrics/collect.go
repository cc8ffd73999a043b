package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/schedule"
)

// scrapeTimeout bounds reading the resources, which are not there before the cache has them.
const scrapeTimeout = 5 * time.Second

var (
	credentialsReady = description("credentials_ready", "1 where the credentials of a resource are in order, 0 where they are not; nothing while that is not known.", "kind", "namespace", "name")
	fallbackActive   = description("credentials_fallback_active", "1 where credentials come from the operator's environment, because their store is broken; 0 elsewhere.", "kind", "namespace", "name")
	exportReady      = description("export_ready", "1 where runs of an export can begin, 0 where something keeps them from it; nothing while that is not known.", "namespace", "export")
	heldClaims       = description("export_held_claims", "Approved claims that the newest successful run left out, because they cannot be posted yet.", "namespace", "export")
	lastRunFailed    = description("export_last_run_failed", "1 where the newest run has failed or is incomplete, else 0.", "namespace", "export")
	exportNotified   = description("export_notified", "1 where the targets of notifications take what they are told, 0 where one does not; nothing if there is none.", "namespace", "export")
	sinceSuccess     = description("export_seconds_since_last_success", "Seconds since the newest run that succeeded, or since the export was created.", "namespace", "export")
	expectedInterval = description("export_expected_interval_seconds", "Seconds between the two newest slots of the schedule; nothing where there is no schedule or it is suspended.", "namespace", "export")
	overdueSeconds   = description("export_overdue_seconds", "Seconds since the run of the oldest slot should have begun that no success has followed, 0 if there is none; nothing where there is no schedule or it is suspended.", "namespace", "export")
	undecodable      = description("undecodable", "1 for a resource with a value that the operator cannot decode; nothing for all others.", "kind", "namespace", "name")
	deadlineUsed     = description("export_deadline_used_ratio", "Part of spec.deadline that the newest attempt took; nothing before this process has seen one.", "namespace", "export")
)

func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ledgerport_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(into chan<- *prometheus.Desc) {
	for _, vector := range m.vectors() {
		vector.Describe(into)
	}
	for _, gauge := range []*prometheus.Desc{credentialsReady, fallbackActive, exportReady, heldClaims, lastRunFailed, exportNotified, sinceSuccess, expectedInterval, overdueSeconds, undecodable, deadlineUsed} {
		into <- gauge
	}
}

// Collect implements prometheus.Collector. Resources that cannot be read are not told of.
func (m *Metrics) Collect(into chan<- prometheus.Metric) {
	var err error
	defer func() {
		if err != nil {
			into <- prometheus.NewInvalidMetric(exportReady, err) // what a resource has broken fails the scrape, not the process
		}
	}()
	defer panics.Catch(&err)
	for _, vector := range m.vectors() {
		vector.Collect(into)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(description *prometheus.Desc, value float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, labels...)
	}
	var sources v1alpha1.ClaimSourceList
	if m.resources.List(ctx, &sources, client.UnsafeDisableDeepCopy) == nil {
		for i := range sources.Items {
			tellCredentials(gauge, "ClaimSource", &sources.Items[i], sources.Items[i].Status.Conditions)
			tellUndecodable(gauge, "ClaimSource", &sources.Items[i], sources.Items[i].Undecoded)
		}
	}
	var destinations v1alpha1.ExportDestinationList
	if m.resources.List(ctx, &destinations, client.UnsafeDisableDeepCopy) == nil {
		for i := range destinations.Items {
			tellCredentials(gauge, "ExportDestination", &destinations.Items[i], destinations.Items[i].Status.Conditions)
			tellUndecodable(gauge, "ExportDestination", &destinations.Items[i], destinations.Items[i].Undecoded)
		}
	}
	var exports v1alpha1.AccountingExportList
	if m.resources.List(ctx, &exports, client.UnsafeDisableDeepCopy) == nil {
		for i := range exports.Items {
			tellCredentials(gauge, "AccountingExport", &exports.Items[i], exports.Items[i].Status.Conditions)
			tellUndecodable(gauge, "AccountingExport", &exports.Items[i], exports.Items[i].Undecoded)
			tellExport(gauge, &exports.Items[i], m.now())
		}
		m.tellDeadlines(gauge, exports.Items)
	}
	var charts v1alpha1.ChartOfAccountsList
	if m.resources.List(ctx, &charts, client.UnsafeDisableDeepCopy) == nil {
		for i := range charts.Items {
			tellUndecodable(gauge, "ChartOfAccounts", &charts.Items[i], charts.Items[i].Undecoded)
		}
	}
	var runs v1alpha1.ExportRunList
	if m.resources.List(ctx, &runs, client.UnsafeDisableDeepCopy) == nil {
		for i := range runs.Items {
			tellUndecodable(gauge, "ExportRun", &runs.Items[i], runs.Items[i].Undecoded)
		}
	}
}

func (m *Metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.stages, m.claims, m.amounts, m.databaseErrors, m.destinationErrors, m.lost, m.notifications}
}

type tell func(description *prometheus.Desc, value float64, labels ...string)

func tellCredentials(gauge tell, kind string, object client.Object, conditions []metav1.Condition) {
	said := meta.FindStatusCondition(conditions, v1alpha1.ConditionCredentialsReady)
	if said == nil || said.Status == metav1.ConditionUnknown {
		return
	}
	gauge(credentialsReady, one(said.Status == metav1.ConditionTrue), kind, object.GetNamespace(), object.GetName())
	gauge(fallbackActive, one(said.Reason == v1alpha1.ReasonEnvironmentFallback), kind, object.GetNamespace(), object.GetName())
}

func tellUndecodable(gauge tell, kind string, object client.Object, undecoded v1alpha1.Undecoded) {
	if undecoded != (v1alpha1.Undecoded{}) {
		gauge(undecodable, 1, kind, object.GetNamespace(), object.GetName())
	}
}

func tellExport(gauge tell, export *v1alpha1.AccountingExport, now time.Time) {
	status := &export.Status
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionUnknown {
		gauge(exportReady, one(ready.Status == metav1.ConditionTrue), export.Namespace, export.Name)
	}
	if notified := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionNotified); notified != nil {
		gauge(exportNotified, one(notified.Status == metav1.ConditionTrue), export.Namespace, export.Name)
	}
	gauge(lastRunFailed, one(status.LastRun != nil && (status.LastRun.Phase == v1alpha1.RunFailed || status.LastRun.Phase == v1alpha1.RunIncomplete)), export.Namespace, export.Name)
	since := export.CreationTimestamp.Time
	if last := status.LastSuccessfulRun; last != nil {
		gauge(heldClaims, float64(last.Held), export.Namespace, export.Name)
		if last.CompletedAt != nil {
			since = last.CompletedAt.Time
		}
	}
	gauge(sinceSuccess, max(now.Sub(since).Seconds(), 0), export.Namespace, export.Name)
	if _, slots, err := references.Timing(export); err == nil && slots != nil && !export.Spec.Suspend {
		gauge(expectedInterval, interval(slots, export.CreationTimestamp.Time, now).Seconds(), export.Namespace, export.Name)
		gauge(overdueSeconds, overdue(slots, answered(export), delay(export), now).Seconds(), export.Namespace, export.Name)
	}
}

// tellDeadlines tells of the exports that exist, and forgets the others.
func (m *Metrics) tellDeadlines(gauge tell, exports []v1alpha1.AccountingExport) {
	m.mu.Lock()
	defer m.mu.Unlock()
	present := make(map[types.NamespacedName]float64, len(m.deadlineUsed))
	for i := range exports {
		name := client.ObjectKeyFromObject(&exports[i])
		if ratio, known := m.deadlineUsed[name]; known {
			gauge(deadlineUsed, ratio, name.Namespace, name.Name)
			present[name] = ratio
		}
	}
	m.deadlineUsed = present
}

// interval is how long ago a success may be just after a slot fell due: the time between the two newest slots, of which the
// creation of the export counts as one. Before its first slot it is the time until then.
func interval(slots *schedule.Schedule, created, now time.Time) time.Duration {
	newest := slots.Latest(created, now)
	if newest.IsZero() {
		return slots.Next(now).Sub(created)
	}
	before := slots.Latest(created, newest.Add(-time.Second))
	if before.IsZero() {
		before = created
	}
	return newest.Sub(before)
}

// answered is the time up to which no slot is missed: those before the newest success began are answered by it, and those
// before the export was created are none.
func answered(export *v1alpha1.AccountingExport) time.Time {
	if last := export.Status.LastSuccessfulRun; last != nil && last.StartedAt != nil && last.StartedAt.After(export.CreationTimestamp.Time) {
		return last.StartedAt.Time
	}
	return export.CreationTimestamp.Time
}

// overdue is how long ago the run of the oldest slot that is not answered should have begun, or 0. A slot that was skipped,
// because it was missed for longer than spec.startingDeadline, is not answered either.
func overdue(slots *schedule.Schedule, answered time.Time, delay time.Duration, now time.Time) time.Duration {
	missed := slots.Next(answered)
	if missed.IsZero() {
		return 0
	}
	return max(now.Sub(missed.Add(delay)), 0)
}

// delay is how much later than their slots the runs of an export begin.
func delay(export *v1alpha1.AccountingExport) time.Duration {
	if export.Spec.StartJitter == nil {
		return 0
	}
	return schedule.Delay(export.Namespace, export.Name, export.Spec.StartJitter.Duration)
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
