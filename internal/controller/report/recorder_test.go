package report

import (
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
)

func TestAReconcileEnds(t *testing.T) {
	t.Parallel()
	failed, conflict := errors.New("failed"), apierrors.NewConflict(schema.GroupResource{Resource: "exportruns"}, "a", errors.New("changed"))
	denied := apierrors.NewConflict(schema.GroupResource{}, "a", nil)
	denied.ErrStatus.Message = `admission webhook "policy" denied the request`
	hour := ctrl.Result{RequeueAfter: time.Hour}
	for name, test := range map[string]struct {
		err, unrecorded error
		want            ctrl.Result
		wantErrs        []error
	}{
		"as it was decided, if its status is recorded":                      {want: hour},
		"soon and without an error, if the object has changed since":        {unrecorded: Refusal("record", fmt.Errorf("recording: %w", conflict)), want: ctrl.Result{RequeueAfter: staleness}},
		"soon and without an error, if another object has changed since":    {err: conflict, want: ctrl.Result{RequeueAfter: staleness}},
		"soon and without an error, if both have":                           {err: fmt.Errorf("owning: %w", conflict), unrecorded: conflict, want: ctrl.Result{RequeueAfter: staleness}},
		"with an error alone, if the status was refused for another reason": {unrecorded: failed, wantErrs: []error{failed}},
		"with an error alone, if a webhook denied it with that code":        {unrecorded: Refusal("record", denied), wantErrs: []error{denied}},
		"with an error alone, if it failed":                                 {err: failed, wantErrs: []error{failed}},
		"with both errors, if it failed and the object has changed since":   {err: failed, unrecorded: conflict, wantErrs: []error{failed, conflict}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ending(hour, test.err, test.unrecorded)
			if got != test.want || (err != nil) != (test.wantErrs != nil) {
				t.Errorf("got %+v, %v", got, err)
			}
			for _, want := range test.wantErrs {
				if !errors.Is(err, want) {
					t.Errorf("%v lacks %v", err, want)
				}
			}
		})
	}
}
