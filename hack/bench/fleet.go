package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// fleetRest is how long a fleet at rest is measured.
const fleetRest = time.Minute

// fleetResult is one line of output.
type fleetResult struct {
	Bench   string `json:"bench"`
	Exports int    `json:"exports"`
	// Sources of their own, each with a destination: the last ones. All others share one source and destination by namespace.
	Sources int `json:"sources"`
	// FirstStart is until all exports that an operator meets for the first time are ready, and FirstWrites what it writes for that.
	FirstStart   float64 `json:"firstStartSeconds"`
	FirstWrites  float64 `json:"firstStartWritesPerExport"`
	FirstPeakMiB float64 `json:"firstStartPeakRSSMiB"`
	// Restart is until an edit is seen that was made while nobody ran.
	Restart        float64 `json:"restartSeconds"`
	RestartPeakMiB float64 `json:"restartPeakRSSMiB"`
	// The rest is of a minute at rest, all having worked for a day.
	RestMiB     float64 `json:"restRSSMiB"`
	CPU         float64 `json:"restCPUPercent"`
	Sessions    float64 `json:"restSessionsPerMinute"`
	Statements  float64 `json:"restStatementsPerMinute"`
	SecretReads float64 `json:"restSecretReadsPerMinute"`
	Writes      float64 `json:"restWritesPerMinute"`
	Load        string  `json:"load"`
}

// fleet is exports of which none is due, and what they run on.
type fleet struct {
	*ground
	exports, sources int
}

// measureFleet measures an operator that has so many exports, of which none is due.
func measureFleet(ctx context.Context, exports, sources int) error {
	return onGround(ctx, func(g *ground) error {
		f := &fleet{g, exports, min(sources, exports)}
		result, err := f.measure(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	})
}

func (f *fleet) measure(ctx context.Context) (result fleetResult, err error) {
	result = fleetResult{Bench: "fleet", Exports: f.exports, Sources: f.sources}
	if err := f.createTables(ctx); err != nil {
		return result, err
	}
	if err := f.make(ctx); err != nil {
		return result, err
	}
	result.Load = machineLoad()
	for _, step := range []func(context.Context, *fleetResult) error{f.firstStart, f.restart, f.rest} {
		if err := step(ctx, &result); err != nil {
			return result, err
		}
	}
	return result, nil
}

// make makes the exports while no operator runs. The last ones have a source and a destination of their own. The operator is built meanwhile: what
// is measured are its starts.
func (f *fleet) make(ctx context.Context) error {
	if _, err := environment.BuildOperator(ctx, f.directory, ""); err != nil {
		return err
	}
	for n := range herdNamespaces {
		if err := f.create(ctx, append([]client.Object{namespaceOf(herdNamespace(n))}, shared(herdNamespace(n), f.postgres.URL)...)...); err != nil {
			return err
		}
	}
	for i := range f.exports {
		export := dueExport(herdNamespace(i%herdNamespaces), fmt.Sprintf("export-%d", i), organization)
		export.Annotations = nil
		if i >= f.exports-f.sources {
			if err := f.createOwn(ctx, export); err != nil {
				return err
			}
		}
		if err := f.api.Create(ctx, export); err != nil {
			return err
		}
	}
	return nil
}

// createOwn creates a source and a destination with Secrets, of one export alone.
func (f *fleet) createOwn(ctx context.Context, export *v1alpha1.AccountingExport) error {
	for _, object := range shared(export.Namespace, f.postgres.URL) {
		switch own := object.(type) {
		case *v1alpha1.ChartOfAccounts:
			continue
		case *v1alpha1.ClaimSource:
			own.Spec.Postgres.ConnectionSecretRef.Name = export.Name
		}
		object.SetName(export.Name)
		if err := f.api.Create(ctx, object); err != nil {
			return err
		}
	}
	export.Spec.SourceRef.Name, export.Spec.DestinationRef.Name = export.Name, export.Name
	return nil
}

func (f *fleet) firstStart(ctx context.Context, result *fleetResult) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(f.exports)*makingExport)
	defer cancel()
	began := time.Now()
	if err := f.startOperator(ctx); err != nil {
		return err
	}
	before, err := f.read(ctx)
	if err != nil {
		return err
	}
	at, err := f.until(ctx, f.exports, func(export *v1alpha1.AccountingExport) (bool, error) { return isReady(export), nil })
	if err != nil {
		return err
	}
	after, err := f.read(ctx)
	if err != nil {
		return err
	}
	result.FirstStart = round(at[len(at)-1].Sub(began).Seconds())
	result.FirstWrites = round((after.writes - before.writes) / float64(f.exports))
	result.FirstPeakMiB, err = f.peak()
	return err
}

// peak is the most memory that the operator has had, in MiB.
func (f *fleet) peak() (float64, error) {
	peak, err := f.operator.PeakRSS()
	return round(float64(peak) / (1 << 20)), err
}

// restart has all sources and destinations work since yesterday, and measures how long an operator that is started anew takes to see an
// edit of the last export.
func (f *fleet) restart(ctx context.Context, result *fleetResult) error {
	if err := f.stopOperator(syscall.SIGTERM); err != nil {
		return err
	}
	if err := f.age(ctx); err != nil {
		return err
	}
	edited := &v1alpha1.AccountingExport{}
	last := client.ObjectKey{Namespace: herdNamespace((f.exports - 1) % herdNamespaces), Name: fmt.Sprintf("export-%d", f.exports-1)}
	if err := f.api.Get(ctx, last, edited); err != nil {
		return err
	}
	before := edited.DeepCopy()
	edited.Spec.Suspend = true
	if err := f.api.Patch(ctx, edited, client.MergeFrom(before)); err != nil {
		return err
	}
	changes, err := f.api.Watch(ctx, &v1alpha1.AccountingExportList{}, client.InNamespace(last.Namespace), client.MatchingFields{"metadata.name": last.Name})
	if err != nil {
		return err
	}
	defer changes.Stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(f.exports)*makingExport)
	defer cancel()
	began := time.Now()
	if err := f.startOperator(ctx); err != nil {
		return err
	}
	if err := untilObserved(ctx, changes, edited.Generation); err != nil {
		return err
	}
	result.Restart = round(time.Since(began).Seconds())
	return nil
}

// age has the conditions of sources and destinations be as they are since yesterday.
func (f *fleet) age(ctx context.Context) error {
	yesterday := metav1.NewTime(time.Now().Add(-24 * time.Hour))
	var sources v1alpha1.ClaimSourceList
	var destinations v1alpha1.ExportDestinationList
	if err := f.api.List(ctx, &sources); err != nil {
		return err
	}
	if err := f.api.List(ctx, &destinations); err != nil {
		return err
	}
	for i := range sources.Items {
		for c := range sources.Items[i].Status.Conditions {
			sources.Items[i].Status.Conditions[c].LastTransitionTime = yesterday
		}
		if err := f.api.Status().Update(ctx, &sources.Items[i]); err != nil {
			return err
		}
	}
	for i := range destinations.Items {
		for c := range destinations.Items[i].Status.Conditions {
			destinations.Items[i].Status.Conditions[c].LastTransitionTime = yesterday
		}
		if err := f.api.Status().Update(ctx, &destinations.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// rest waits until the operator has looked at everything, and measures what it does then.
func (f *fleet) rest(ctx context.Context, result *fleetResult) error {
	before, err := f.quiet(ctx)
	if err != nil {
		return err
	}
	if result.RestartPeakMiB, err = f.peak(); err != nil {
		return err
	}
	pause(ctx, fleetRest)
	after, err := f.read(ctx)
	if err != nil {
		return err
	}
	result.CPU = round((after.operator - before.operator) / float64(fleetRest/time.Millisecond) * 100)
	result.Sessions, result.Statements = round(after.sessions-before.sessions), round(after.statements-before.statements)
	result.SecretReads, result.Writes = round(after.secretReads-before.secretReads), round(after.writes-before.writes)
	resident, err := f.operator.RSS()
	result.RestMiB = round(float64(resident) / (1 << 20))
	return err
}

// quiet waits for five seconds without a new session with the database, and returns what was counted by then.
func (f *fleet) quiet(ctx context.Context) (last *reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(f.exports)*makingExport)
	defer cancel()
	for ctx.Err() == nil {
		now, err := f.read(ctx)
		if err != nil {
			return nil, err
		}
		if last != nil && now.sessions-last.sessions <= 2 { // one is the reading's own
			return now, nil
		}
		last = now
		pause(ctx, 5*time.Second)
	}
	return nil, fmt.Errorf("the operator does not rest: %w", ctx.Err())
}

func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}
