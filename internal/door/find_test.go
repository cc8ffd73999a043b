package door

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestARunIsFoundThatACacheDoesNotKnowYet has another replica end a run, of which the cache of this one has not heard.
func TestARunIsFoundThatACacheDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	in := func(phase v1alpha1.RunPhase) client.Reader {
		has := fake.NewClientBuilder().WithScheme(scheme)
		if phase != "" {
			run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "october"}}
			run.Status.Phase = phase
			has.WithObjects(run)
		}
		return has.Build()
	}
	for name, test := range map[string]struct{ cached, live, want v1alpha1.RunPhase }{
		"that it does not have":          {"", v1alpha1.RunSucceeded, v1alpha1.RunSucceeded},
		"that is under way there":        {v1alpha1.RunRunning, v1alpha1.RunSucceeded, v1alpha1.RunSucceeded},
		"that is under way":              {v1alpha1.RunRunning, v1alpha1.RunRunning, v1alpha1.RunRunning},
		"that has ended, without asking": {v1alpha1.RunSucceeded, "", v1alpha1.RunSucceeded},
		"that there is not":              {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hall{Door: &Door{Objects: in(test.cached), Live: in(test.live)}}
			run, err := h.find(t.Context(), client.ObjectKey{Namespace: "acme", Name: "october"})
			if run.Status.Phase != test.want || apierrors.IsNotFound(err) != (test.want == "") {
				t.Errorf("the run is %q, %v, want %q", run.Status.Phase, err, test.want)
			}
		})
	}
}
