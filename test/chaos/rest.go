package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// restPatience is how long the operators may take to bring everything to its end once nothing disturbs them.
const restPatience = 3 * time.Minute

// rest ends all faults and waits until every claim is in a committed run and every run has ended. Runs are asked for as
// long as claims wait, because those of a run that failed go to the next.
func (w *world) rest(ctx context.Context) error {
	armed, _ := filepath.Glob(filepath.Join(w.failpoints, "*")) // the pattern is well formed
	for _, path := range armed {
		_ = os.Remove(path)
	}
	for _, o := range w.operators {
		o.signal(syscall.SIGCONT)
	}
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	for n := 0; ; n++ {
		why := w.unrest(ctx, n)
		if why == "" {
			return nil
		}
		pause(ctx, 500*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("after %s: %s", restPatience, why)
		}
	}
}

// unrest says what has not ended, and asks for a run where claims wait for one.
func (w *world) unrest(ctx context.Context, n int) string {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, t := range w.tenants {
		export := t.export()
		if err := w.api.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil {
			return err.Error()
		}
		if asked := export.Annotations[v1alpha1.RequestedAtAnnotation]; asked != export.Status.LastHandledRequest {
			return fmt.Sprintf("%s has no run yet for the request %q", t.namespace, asked)
		}
		var runs v1alpha1.ExportRunList
		if err := w.api.List(ctx, &runs, client.InNamespace(t.namespace)); err != nil {
			return err.Error()
		}
		for i := range runs.Items {
			if run := &runs.Items[i]; !run.Status.Phase.Finished() {
				return fmt.Sprintf("%s/%s is %s: %+v", run.Namespace, run.Name, run.Status.Phase, run.Status.Conditions)
			}
		}
		var waiting int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM public.claims c WHERE organization_id = $1 AND NOT EXISTS (
			SELECT FROM ledgerport.exported_claims e WHERE e.claim_id = c.id::text AND e.organization_id = c.organization_id::text)`, t.organization).Scan(&waiting)
		if err != nil {
			return err.Error()
		}
		if waiting > 0 {
			_ = w.request(ctx, t, fmt.Sprintf("rest-%d", n)) // asked for again, should it fail
			return fmt.Sprintf("%d claims of %s wait", waiting, t.namespace)
		}
	}
	return ""
}
