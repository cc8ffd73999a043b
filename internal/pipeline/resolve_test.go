package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// reads counts what is read from the cluster, by kind.
type reads struct {
	client.Reader
	mu    sync.Mutex
	kinds map[string]int
}

// Get implements client.Reader.
func (r *reads) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	r.mu.Lock()
	r.kinds[fmt.Sprintf("%T", into)]++
	r.mu.Unlock()
	return r.Reader.Get(ctx, key, into, options...)
}

func TestAttemptReadsTheCluster(t *testing.T) {
	t.Parallel()
	t.Run("once, and asks again only whether it is still admitted", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		p := newPipeline(s.database, s.exports, "reader", nil)
		cluster := &reads{Reader: p.Resolver.Objects, kinds: map[string]int{}}
		p.Resolver.Objects, p.Resolver.Secrets = cluster, credentials.Secrets{API: cluster}
		if outcome, err := p.Run(t.Context(), task(1), &pipeline.Progress{}); err != nil || !outcome.Committed {
			t.Fatalf("the run ended with %+v (%v)", outcome, err)
		}
		want := map[string]int{
			"*v1alpha1.AccountingExport": 1, "*v1alpha1.ChartOfAccounts": 1, "*v1.Secret": 1,
			"*v1alpha1.ClaimSource": 2, "*v1alpha1.ExportDestination": 2, "*v1.Namespace": 4, // these also before claims are bound
		}
		if !maps.Equal(cluster.kinds, want) {
			t.Errorf("the attempt read %v, want %v", cluster.kinds, want)
		}
	})
}
