package watch_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ledgerport/ledgerport/internal/controller/watch"
)

func TestObjectsThatFailDelayNoOthers(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]controller.Options{"workers": watch.Workers(), "compilers": watch.Compilers(), "checkers": watch.Checkers(), "tellers": watch.Tellers()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 10_000 {
				options.RateLimiter.When(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "hog", Name: fmt.Sprintf("export-%d", i)}})
			}
			if wait := options.RateLimiter.When(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "other", Name: "monthly"}}); wait > time.Second {
				t.Errorf("the first failure of another is tried again in %s", wait)
			}
		})
	}
}
