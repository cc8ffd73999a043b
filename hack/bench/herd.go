package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

const (
	herdClaims     = 50 // of each export
	herdNamespaces = 10
	// makingExport and makingReady are how long it may take to make an export and to check it, and all that they share.
	makingExport, makingReady = 60 * time.Millisecond, 40 * time.Second
	// herdTimeout is how long a herd may take for each export, beside a minute.
	herdTimeout = 300 * time.Millisecond
)

// herdResult is one line of output. What is counted is of one run.
type herdResult struct {
	Bench      string   `json:"bench"`
	Exports    int      `json:"exports"`
	Claims     int      `json:"claims"` // of each export
	Seconds    float64  `json:"seconds"`
	RunsSecond float64  `json:"runsPerSecond"`
	P50        float64  `json:"p50Seconds"` // from the slot to the success that the export reports
	P95        float64  `json:"p95Seconds"`
	CPU        cpuOfRun `json:"cpuMillisecondsPerRun"`
	// WritesAlone is what API server and etcd take for the writes of a run where nothing else is done.
	WritesAlone writesOfRun `json:"writesAloneMillisecondsPerRun"`
	PeakRSSMiB  float64     `json:"operatorPeakRSSMiB"`
	API         apiOfRun    `json:"apiPerRun"`
	Database    pgOfRun     `json:"databasePerRun"`
	Load        string      `json:"load"` // of the machine at the slot
}

type cpuOfRun struct {
	Operator  float64 `json:"operator"`
	Postgres  float64 `json:"postgres"`
	APIServer float64 `json:"apiServer"`
	Etcd      float64 `json:"etcd"`
}

type writesOfRun struct {
	APIServer float64 `json:"apiServer"`
	Etcd      float64 `json:"etcd"`
}

type apiOfRun struct {
	Requests float64 `json:"requests"` // but watches and leases
	Writes   float64 `json:"writes"`
	// Written are the writes by verb, resource and answer.
	Written map[string]float64 `json:"written"`
}

type pgOfRun struct {
	Statements   float64 `json:"statements"` // but those that begin, end and set up a transaction
	Transactions float64 `json:"transactions"`
	Sessions     float64 `json:"sessions"`
}

// herd is the exports that are due in the same second, and what they run on.
type herd struct {
	*ground
	exports int
}

// measureHerd measures exports that are due in the same second, against a real operator process.
func measureHerd(ctx context.Context, exports int) error {
	return onGround(ctx, func(g *ground) error {
		h := &herd{g, exports}
		if err := h.fill(ctx); err != nil {
			return err
		}
		if err := h.startOperator(ctx); err != nil {
			return err
		}
		slot, err := h.make(ctx)
		if err != nil {
			return err
		}
		result, err := h.measure(ctx, slot)
		if err != nil {
			return err
		}
		if err := h.stopOperator(syscall.SIGKILL); err != nil {
			return err
		}
		if result.WritesAlone.APIServer, result.WritesAlone.Etcd, err = h.writesAlone(ctx); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	})
}

// fill approves the claims of all organisations.
func (h *herd) fill(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, h.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := application.CreateTables(ctx, conn); err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE EXTENSION pg_stat_statements`,
		fmt.Sprintf(`INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, status, approved_at, currency)
			SELECT gen_random_uuid(), ('3f2c9a1e-0000-4000-8000-' || lpad(o::text, 12, '0'))::uuid, 'E' || i, 'Employee ' || i, 'approved', now() - i * interval '1 hour', 'EUR'
			FROM generate_series(0, %d) o, generate_series(1, %d) i`, h.exports-1, herdClaims),
		`INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, description, gross_amount, tax_amount)
			SELECT c.id, n, c.approved_at::date, 'travel', 'Train ticket', 119, 19 FROM public.claims c, generate_series(1, 3) n`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

// make makes all exports, and waits until all are ready. They are due at the time that it returns.
func (h *herd) make(ctx context.Context) (slot time.Time, err error) {
	began := time.Now()
	slot = began.Add(makingReady + time.Duration(h.exports)*makingExport).Truncate(time.Minute).Add(time.Minute)
	for n := range herdNamespaces {
		namespace := herdNamespace(n)
		if err := h.create(ctx, append([]client.Object{namespaceOf(namespace)}, shared(namespace, h.postgres.URL)...)...); err != nil {
			return slot, err
		}
	}
	for i := range h.exports {
		export := dueExport(herdNamespace(i%herdNamespaces), fmt.Sprintf("export-%d", i), organizationNumber(i))
		export.Annotations = nil
		export.Spec.TimeZone = "UTC"
		export.Spec.Schedule = fmt.Sprintf("%d %d %d %d *", slot.UTC().Minute(), slot.UTC().Hour(), slot.UTC().Day(), slot.UTC().Month())
		if err := h.api.Create(ctx, export); err != nil {
			return slot, err
		}
	}
	ready, cancel := context.WithDeadline(ctx, slot.Add(-5*time.Second))
	defer cancel()
	_, err = h.until(ready, h.exports, func(export *v1alpha1.AccountingExport) (bool, error) {
		return export.Status.NextScheduleTime != nil && isReady(export), nil
	})
	fmt.Fprintf(os.Stderr, "bench: %d exports were ready after %.1f s; they are due at %s\n", h.exports, time.Since(began).Seconds(), slot.Format(time.TimeOnly))
	return slot, err
}

func namespaceOf(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func herdNamespace(n int) string { return fmt.Sprintf("tenant-%d", n) }

func isReady(export *v1alpha1.AccountingExport) bool {
	return slices.ContainsFunc(export.Status.Conditions, func(condition metav1.Condition) bool {
		return condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue
	})
}

// measure waits for the slot, and measures until all exports report a success.
func (h *herd) measure(ctx context.Context, slot time.Time) (result herdResult, err error) {
	ctx, cancel := context.WithDeadline(ctx, slot.Add(time.Minute+time.Duration(h.exports)*herdTimeout))
	defer cancel()
	select {
	case <-time.After(time.Until(slot.Add(-time.Second))):
	case <-ctx.Done():
		return result, ctx.Err()
	}
	load := machineLoad()
	before, err := h.read(ctx)
	if err != nil {
		return result, err
	}
	at, err := h.until(ctx, h.exports, succeeded)
	if err != nil {
		return result, err
	}
	after, err := h.read(ctx)
	if err != nil {
		return result, err
	}
	peak, err := h.operator.PeakRSS()
	took := func(part float64) float64 { return at[min(len(at)-1, int(float64(len(at))*part))].Sub(slot).Seconds() }
	result = herdResult{
		Bench: "herd", Exports: h.exports, Claims: herdClaims, Seconds: round(took(1)), RunsSecond: round(float64(h.exports) / took(1)), P50: round(took(0.5)), P95: round(took(0.95)),
		PeakRSSMiB: round(float64(peak) / (1 << 20)), Load: load,
	}
	each := func(of func(*reading) float64) float64 { return round((of(after) - of(before)) / float64(h.exports)) }
	result.CPU = cpuOfRun{
		Operator: each(func(r *reading) float64 { return r.operator }), Postgres: each(func(r *reading) float64 { return r.postgres }),
		APIServer: each(func(r *reading) float64 { return r.apiServer }), Etcd: each(func(r *reading) float64 { return r.etcd }),
	}
	result.API = apiOfRun{Requests: each(func(r *reading) float64 { return r.requests }), Writes: each(func(r *reading) float64 { return r.writes }), Written: map[string]float64{}}
	for what := range after.written {
		if times := each(func(r *reading) float64 { return r.written[what] }); times > 0 {
			result.API.Written[what] = times
		}
	}
	result.Database = pgOfRun{
		Statements: each(func(r *reading) float64 { return r.statements }), Transactions: each(func(r *reading) float64 { return r.transactions }),
		Sessions: each(func(r *reading) float64 { return r.sessions }),
	}
	return result, err
}

func succeeded(export *v1alpha1.AccountingExport) (bool, error) {
	last := export.Status.LastRun
	if last == nil || !last.Phase.Finished() || export.Namespace == asking {
		return false, nil
	}
	if last.Phase != v1alpha1.RunSucceeded || last.Claims != herdClaims {
		return false, fmt.Errorf("%s is %s with %d claims: %s", last.Name, last.Phase, last.Claims, last.Reason)
	}
	return true, nil
}
