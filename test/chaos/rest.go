package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// restPatience is how long the operators may take to bring everything to its end once nothing disturbs them. Where they are pods a kubelet
// may wait for five minutes before it starts one again.
func (w *world) restPatience() time.Duration {
	if w.pods != nil {
		return 10 * time.Minute
	}
	return 5 * time.Minute
}

// sayEvery is how often it is said what they have not brought there.
const sayEvery = 15 * time.Second

// rest ends all faults and waits until every claim is in a committed run and every run has ended. Runs are asked for as
// long as claims wait, because those of a run that failed go to the next.
func (w *world) rest(ctx context.Context) error {
	armed, _ := filepath.Glob(filepath.Join(w.failpoints, "*")) // the pattern is well formed
	for _, path := range armed {
		_ = os.Remove(path)
	}
	w.inbox.calm.Store(true)
	for _, o := range w.running() {
		o.rests(true)
	}
	defer func() {
		for _, o := range w.running() {
			o.rests(false)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, w.restPatience())
	defer cancel()
	told := time.Now()
	for last := "nothing was found out"; ; pause(ctx, 500*time.Millisecond) {
		why := w.unrest(ctx)
		if why == "" {
			return nil
		}
		if time.Since(told) > sayEvery {
			say("there is no rest yet: %.300s", why)
			told = time.Now()
		}
		if ctx.Err() != nil { // what was asked for last may have been cut off by that
			return fmt.Errorf("after %s: %s", w.restPatience(), last)
		}
		last = why
	}
}

// unrest says what has not ended, and asks for a run where claims wait for one.
func (w *world) unrest(ctx context.Context) string {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, a := range w.applications { // what was never answered may be a run
		if why := a.unanswered(ctx); why != "" {
			return why
		}
	}
	for _, t := range w.tenants {
		if why := w.fix(ctx, t); why != "" {
			return why
		}
		w.approveAll(ctx, t)
		if why := w.unrestOf(ctx, w.api, t); why != "" {
			return why
		}
		if w.staging != nil && w.staging.has(t) {
			if why := w.unrestOf(ctx, w.staging.api, t); why != "" {
				return "in the second cluster: " + why
			}
		}
		for _, export := range t.exports {
			var waiting int
			if err := conn.QueryRow(ctx, waitingClaims, t.organization, bookOf(export)).Scan(&waiting); err != nil {
				return err.Error()
			}
			if waiting > 0 {
				_ = w.request(ctx, t, export) // asked for again, should it fail
				return fmt.Sprintf("%d claims of %s wait for the book %s", waiting, t.namespace, bookOf(export))
			}
		}
	}
	return ""
}

// waitingClaims counts the approved claims of an organisation that no run of a book has, but for those that are always held.
const waitingClaims = `SELECT count(*) FROM public.claims c WHERE organization_id = $1
	AND NOT EXISTS (SELECT FROM ledgerport.exported_claims e JOIN ledgerport.claim_tables t ON t.id = e.claim_table WHERE e.claim_id = c.id::text AND t.book = $2)
	AND NOT EXISTS (SELECT FROM public.claim_lines l WHERE l.claim_id = c.id GROUP BY l.line_no HAVING count(*) > 1)`

// unrestOf says what has not ended of a tenant's runs in one cluster. Runs come first: a request waits for one whose destination has been
// edited.
func (w *world) unrestOf(ctx context.Context, api client.Client, t tenant) string {
	var runs v1alpha1.ExportRunList
	if err := api.List(ctx, &runs, client.InNamespace(t.namespace)); err != nil {
		return err.Error()
	}
	unfinished := slices.DeleteFunc(slices.Clone(runs.Items), func(run v1alpha1.ExportRun) bool { return run.Status.Phase.Finished() })
	for i := range unfinished { // first those for which others wait
		conditions := unfinished[i].Status.Conditions
		at := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Reason == v1alpha1.ReasonDestinationChanged })
		if at < 0 {
			continue
		}
		if err := t.moveDestinationFor(ctx, api, conditions[at]); err != nil { // and it stays there until the run has ended
			return err.Error()
		}
		pause(ctx, 2*time.Second)
		break
	}
	if len(unfinished) > 0 {
		run := &unfinished[0]
		return fmt.Sprintf("%s/%s is %s: %+v", run.Namespace, run.Name, run.Status.Phase, run.Status.Conditions)
	}
	for i := range runs.Items {
		for _, one := range runs.Items[i].Status.Notifications {
			if one.State == v1alpha1.NotificationPending {
				return fmt.Sprintf("%s of %s/%s is to be told to %s", one.Event, t.namespace, runs.Items[i].Name, one.Target)
			}
		}
	}
	for _, name := range t.exports {
		export := t.export(name)
		if err := api.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil {
			return err.Error()
		}
		if asked := export.Annotations[v1alpha1.RequestedAtAnnotation]; asked != export.Status.LastHandledRequest {
			return fmt.Sprintf("%s/%s has no run yet for the request %q: %+v", t.namespace, name, asked, export.Status.Conditions)
		}
	}
	return ""
}
