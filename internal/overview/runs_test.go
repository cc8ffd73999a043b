package overview_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/overview"
)

func TestRunsOfTheSameSecondAreInTheOrderInWhichTheyBegan(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	made := time.Date(2026, time.November, 1, 6, 0, 0, 0, time.UTC)
	objects := fake.NewClientBuilder().WithScheme(scheme)
	for name, began := range map[string]time.Duration{"later": time.Hour, "a": 300 * time.Millisecond, "b": 200 * time.Millisecond, "c": 400 * time.Millisecond, "waits": 0} {
		run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, CreationTimestamp: metav1.Time{Time: made}}}
		run.Spec.ExportRef.Name = "monthly"
		if began > time.Second {
			run.CreationTimestamp.Time = made.Add(began)
		}
		if began > 0 {
			run.Status.StartedAt = &metav1.MicroTime{Time: made.Add(began)}
		}
		objects.WithObjects(run)
	}
	runs, err := overview.Runs(t.Context(), objects.Build(), "acme", "monthly")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range runs.Items {
		names = append(names, runs.Items[i].Name)
	}
	if want := []string{"later", "waits", "c", "a", "b"}; !slices.Equal(names, want) {
		t.Errorf("the runs are %q, want %q", names, want)
	}
}
