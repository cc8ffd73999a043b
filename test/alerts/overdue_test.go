package alerts_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/schedule"
)

// step is how often the operator's metrics are read.
const step = 5 * time.Minute

var exporting = builtin.Registry()

// period is some days of an export whose runs succeed a minute after their slots, but for an outage. The alert is looked at
// every hour, and must fire in those from fires until calm and in no other.
type period struct {
	name, schedule string
	from, until    time.Time
	down, up       time.Time // no run succeeds meanwhile; a slot that was missed is run when the outage ends
	fires, calm    time.Time
}

func TestNoSuccessFiresWhereASlotOfTheScheduleWasMissed(t *testing.T) {
	t.Parallel()
	november := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	periods := []period{
		{name: "weekdays: a weekend, and the Monday after it", schedule: "0 6 * * 1-5", from: november(20, 12), until: november(23, 18)},
		{name: "monthly: the last days of a long month", schedule: "0 6 1 * *", from: november(0, 0), until: november(1, 12)}, // the last of October is november(0)
		{name: "every ten minutes", schedule: "*/10 * * * *", from: november(1, 0), until: november(1, 12)},
		{
			name: "weekdays: an outage over the weekend that ends before the Monday's slot", schedule: "0 6 * * 1-5", from: november(20, 12), until: november(23, 18),
			down: november(20, 18), up: november(23, 5),
		}, {
			name: "weekdays: Monday's slot is missed until the afternoon", schedule: "0 6 * * 1-5", from: november(20, 12), until: november(23, 18),
			down: november(22, 0), up: november(23, 15), fires: november(23, 8), calm: november(23, 16),
		}, {
			name: "monthly: a slot is missed for a day", schedule: "0 6 1 * *", from: november(0, 12), until: november(2, 18),
			down: november(1, 0), up: november(2, 12), fires: november(1, 8), calm: november(2, 13),
		}, {
			name: "every ten minutes, an outage of six hours", schedule: "*/10 * * * *", from: november(1, 0), until: november(1, 12),
			down: november(1, 2), up: november(1, 8), fires: november(1, 4), calm: november(1, 9),
		},
	}
	var tests []any
	for _, p := range periods {
		tests = append(tests, p.test(t))
	}
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": (2 * step).String(), "tests": tests})
	must(t, err)
	promtool(t, text)
}

// test makes a unit test for promtool of the series that the operator would have told.
func (p *period) test(t *testing.T) map[string]any {
	t.Helper()
	values := map[string][]string{}
	for now := p.from; !now.After(p.until); now = now.Add(step) {
		for name, value := range p.told(t, now) {
			values[name] = append(values[name], fmt.Sprint(value))
		}
	}
	var series, looks []any
	for name, all := range values {
		series = append(series, map[string]any{"series": name + `{namespace="acme", export="scheduled"}`, "values": strings.Join(all, " ")})
	}
	for now := p.from; !now.After(p.until); now = now.Add(time.Hour) {
		const alert = `ALERTS{alertname="LedgerportNoSuccess", alertstate="firing"}`
		look := map[string]any{"expr": alert, "eval_time": now.Sub(p.from).String()}
		if !now.Before(p.fires) && now.Before(p.calm) {
			look["exp_samples"] = []any{map[string]any{"value": 1, "labels": strings.Replace(alert, "}", `, severity="critical", namespace="acme", export="scheduled"}`, 1)}}
		}
		looks = append(looks, look)
	}
	return map[string]any{"name": p.name, "interval": step.String(), "input_series": series, "promql_expr_test": looks}
}

// told returns the metrics of the export at a time.
func (p *period) told(t *testing.T, now time.Time) map[string]float64 {
	t.Helper()
	export := v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "scheduled", CreationTimestamp: metav1.NewTime(p.from.AddDate(0, -3, 0))}}
	export.Spec.Schedule, export.Spec.TimeZone = p.schedule, "UTC"
	started := p.succeeded(t, export.CreationTimestamp.Time, now)
	export.Status.LastSuccessfulRun = &v1alpha1.RunSummary{StartedAt: &metav1.Time{Time: started}, CompletedAt: &metav1.Time{Time: started.Add(time.Minute)}}
	registry := prometheus.NewPedanticRegistry()
	must(t, registry.Register(metrics.New(only{export: export}, exporting, func() time.Time { return now })))
	families, err := registry.Gather()
	must(t, err)
	values := map[string]float64{}
	for _, family := range families {
		values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
	}
	return values
}

// succeeded returns when the newest run began that has succeeded at a time.
func (p *period) succeeded(t *testing.T, created, now time.Time) time.Time {
	t.Helper()
	slots, err := schedule.Parse(p.schedule, time.UTC)
	must(t, err)
	newest := slots.Latest(created, now.Add(-time.Minute))
	switch missed := !newest.Before(p.down) && newest.Before(p.up); {
	case missed && now.After(p.up):
		return p.up
	case missed:
		return slots.Latest(created, p.down.Add(-time.Minute))
	}
	return newest
}

// only is a reader of one export.
type only struct {
	client.Reader
	export v1alpha1.AccountingExport
}

// List implements client.Reader.
func (o only) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if exports, are := list.(*v1alpha1.AccountingExportList); are {
		exports.Items = []v1alpha1.AccountingExport{o.export}
	}
	return nil
}
