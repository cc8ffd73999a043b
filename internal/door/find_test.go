package door

import (
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
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

func TestAnExportThatACacheDoesNotKnowYetIsAskedForAgain(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	unknown := failure.Transient(v1alpha1.ReasonExportNotFound, nil, "AccountingExport acme/monthly does not exist")
	for name, test := range map[string]struct {
		live []client.Object
		err  error
		code int32
	}{
		"one that was made a moment ago": {[]client.Object{&v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}}}, unknown, http.StatusServiceUnavailable},
		"one that does not exist":        {nil, unknown, http.StatusNotFound},
		"one that is known, and fails":   {nil, failure.Transient(v1alpha1.ReasonAccessDenied, nil, "it is not admitted"), http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hall{Door: &Door{Live: fake.NewClientBuilder().WithScheme(scheme).WithObjects(test.live...).Build()}}
			if answer := ofFailure(h.unheard(t.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, test.err)); answer.code != test.code {
				t.Errorf("it is answered %d: %s", answer.code, answer.message)
			}
		})
	}
}
