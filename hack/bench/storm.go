package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

// stormNamespace has the source that all exports of a storm share.
const stormNamespace = "shared"

// stormResult is one line of output. Edits are of an export that has nothing to do with what breaks; times are from an edit to the status
// that tells of it.
type stormResult struct {
	Bench     string  `json:"bench"`
	Exports   int     `json:"exports"`
	Seconds   float64 `json:"seconds"` // until all exports tell that the source is broken
	Quiet     latency `json:"quietEditSeconds"`
	Elsewhere latency `json:"editSecondsInANamespaceOfItsOwn"`
	Beside    latency `json:"editSecondsInANamespaceOfTheStorm"`
	// Writes and Events are the API server's, of each export.
	Writes float64 `json:"writesPerExport"`
	Events float64 `json:"eventsPerExport"`
	Load   string  `json:"load"`
}

type latency struct {
	Edits int     `json:"edits"`
	P50   float64 `json:"p50"`
	Most  float64 `json:"most"`
}

func latencyOf(took []time.Duration) latency {
	if len(took) == 0 {
		return latency{}
	}
	slices.Sort(took)
	return latency{len(took), round(took[len(took)/2].Seconds()), round(took[len(took)-1].Seconds())}
}

// storm is the exports that share a source which breaks.
type storm struct {
	*ground
	exports int
}

// measureStorm measures how long an edit waits while so many exports are told that what they share is broken.
func measureStorm(ctx context.Context, exports int) error {
	return onGround(ctx, func(g *ground) error {
		s := &storm{g, exports}
		if err := s.createTables(ctx); err != nil {
			return err
		}
		if err := s.startOperator(ctx); err != nil {
			return err
		}
		if err := s.make(ctx); err != nil {
			return err
		}
		result, err := s.measure(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	})
}

func (g *ground) createTables(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, g.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // a connection of its own; nothing is pending
	if _, err := conn.Exec(ctx, `CREATE EXTENSION pg_stat_statements`); err != nil {
		return err
	}
	return application.CreateTables(ctx, conn)
}

// make makes the exports, and one in a namespace with a source of its own, and waits until all are ready.
func (s *storm) make(ctx context.Context) error {
	objects := append([]client.Object{namespaceOf(stormNamespace)}, shared(stormNamespace, s.postgres.URL)...)
	for _, object := range objects {
		if source, is := object.(*v1alpha1.ClaimSource); is {
			source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDs: []string{organization}}}
		}
	}
	for n := range herdNamespaces {
		objects = append(append(objects, namespaceOf(herdNamespace(n))), shared(herdNamespace(n), s.postgres.URL)...)
	}
	if err := s.create(ctx, objects...); err != nil {
		return err
	}
	for i := range s.exports {
		export := dueExport(herdNamespace(i%herdNamespaces), fmt.Sprintf("export-%d", i), organization)
		export.Annotations, export.Spec.SourceRef.Namespace = nil, stormNamespace
		if err := s.api.Create(ctx, export); err != nil {
			return err
		}
	}
	if err := s.create(ctx, append([]client.Object{namespaceOf("elsewhere")}, shared("elsewhere", s.postgres.URL)...)...); err != nil {
		return err
	}
	for _, namespace := range []string{"elsewhere", herdNamespace(0)} {
		export := dueExport(namespace, "edited", organization)
		export.Annotations = nil
		if err := s.api.Create(ctx, export); err != nil {
			return err
		}
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(s.exports)*makingExport*2)
	defer cancel()
	_, err := s.until(ready, s.exports+2, func(export *v1alpha1.AccountingExport) (bool, error) { return isReady(export), nil })
	return err
}

// measure breaks the source, and edits other exports until all have been told.
func (s *storm) measure(ctx context.Context) (result stormResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	result = stormResult{Bench: "storm", Exports: s.exports, Load: machineLoad()}
	quiet, err := s.edits(ctx, "elsewhere", func(edits int) bool { return edits == 20 })
	if err != nil {
		return result, err
	}
	result.Quiet = latencyOf(quiet)
	before, err := s.read(ctx)
	if err != nil {
		return result, err
	}
	began, told := time.Now(), make(chan error, 1)
	var all []time.Time
	go func() {
		all, err = s.until(ctx, s.exports, func(export *v1alpha1.AccountingExport) (bool, error) {
			return export.Name != "edited" && len(export.Status.Conditions) > 0 && !isReady(export), nil
		})
		told <- err
	}()
	if err := s.breakSource(ctx); err != nil {
		return result, err
	}
	beside := make(chan []time.Duration, 1)
	over, end := context.WithCancel(ctx)
	defer end()
	isOver := func(int) bool { return over.Err() != nil }
	go func() {
		took, _ := s.edits(ctx, herdNamespace(0), isOver) // one that fails shows as too few
		beside <- took
	}()
	elsewhere := make(chan []time.Duration, 1)
	go func() {
		took, _ := s.edits(ctx, "elsewhere", isOver)
		elsewhere <- took
	}()
	if err := <-told; err != nil {
		return result, err
	}
	end()
	result.Elsewhere, result.Beside = latencyOf(<-elsewhere), latencyOf(<-beside)
	after, err := s.read(ctx)
	if err != nil {
		return result, err
	}
	result.Seconds = round(all[len(all)-1].Sub(began).Seconds())
	edits := float64(result.Elsewhere.Edits+result.Beside.Edits) * 2 // the edit and the status that tells of it
	result.Writes = round((after.writes - before.writes - edits) / float64(s.exports))
	for what := range after.written {
		if strings.HasPrefix(what, "POST events") {
			result.Events += round((after.written[what] - before.written[what]) / float64(s.exports))
		}
	}
	return result, nil
}

// breakSource has the shared source name a key that its Secret does not have.
func (s *storm) breakSource(ctx context.Context) error {
	source := &v1alpha1.ClaimSource{}
	if err := s.api.Get(ctx, client.ObjectKey{Namespace: stormNamespace, Name: "bench"}, source); err != nil {
		return err
	}
	before := source.DeepCopy()
	source.Spec.Postgres.ConnectionSecretRef.Key = "gone"
	return s.api.Patch(ctx, source, client.MergeFrom(before))
}

// edits one export again and again, each time once its status tells of the edit before, and returns how long each took.
func (s *storm) edits(ctx context.Context, namespace string, enough func(edits int) bool) (took []time.Duration, err error) {
	changes, err := s.api.Watch(ctx, &v1alpha1.AccountingExportList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": "edited"})
	if err != nil {
		return nil, err
	}
	defer changes.Stop()
	for !enough(len(took)) {
		export := &v1alpha1.AccountingExport{}
		if err := s.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "edited"}, export); err != nil {
			return took, err
		}
		before := export.DeepCopy()
		export.Spec.Suspend = !export.Spec.Suspend
		began := time.Now()
		if err := s.api.Patch(ctx, export, client.MergeFrom(before)); err != nil {
			return took, err
		}
		if err := untilObserved(ctx, changes, export.Generation); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func untilObserved(ctx context.Context, changes watch.Interface, generation int64) error {
	for change := range changes.ResultChan() {
		if export, ok := change.Object.(*v1alpha1.AccountingExport); ok && export.Status.ObservedGeneration >= generation {
			return nil
		}
	}
	return fmt.Errorf("an edit was not seen: %w", ctx.Err())
}
