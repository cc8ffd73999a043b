package executor

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

// hanging are records of which those of one namespace are in a database that does not answer.
type hanging struct{ namespace string }

// Learn implements Records.
func (h hanging) Learn(ctx context.Context, task pipeline.Task) (pipeline.Outcome, error) {
	if task.Namespace == h.namespace {
		<-ctx.Done()
		return pipeline.Outcome{}, ctx.Err()
	}
	return pipeline.Outcome{Committed: true}, nil
}

// Seen implements Records.
func (hanging) Seen(context.Context, pipeline.Task) (references.Seen, error) {
	return references.Seen{}, nil
}

// TestADatabaseThatHangsKeepsNoRecordOfAnotherNamespaceUnread has the Jobs of one namespace end by the dozen, each with a record in a
// database that never answers, and then one of another namespace.
func TestADatabaseThatHangsKeepsNoRecordOfAnotherNamespaceUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reading sync.WaitGroup
		jobs := NewJobs(nil, nil, hanging{"greedy"}, JobSettings{})
		for range 24 {
			reading.Go(func() { _, _ = jobs.learn(t.Context(), pipeline.Task{Namespace: "greedy"}) })
		}
		synctest.Wait()
		read := false
		reading.Go(func() {
			outcome, err := jobs.learn(t.Context(), pipeline.Task{Namespace: "honest"})
			read = err == nil && outcome.Committed
		})
		synctest.Wait() // no time passes meanwhile
		if !read {
			t.Error("the record of a run of another namespace is not read while the database of one does not answer")
		}
		reading.Wait() // each ends when its time does
	})
}
