package report

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestPatchOfAnObjectOfAMegabyte measures, so that it is not parallel.
func TestPatchOfAnObjectOfAMegabyte(t *testing.T) { //nolint:paralleltest // see above
	large := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{
		Name: "monthly", ResourceVersion: "7", Labels: map[string]string{"another's": "x"}, Finalizers: []string{"another's"},
	}}
	large.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`{"a":[` + strings.Repeat(`{"a":{}},`, 150_000) + `0]}`)}
	for _, test := range []struct {
		name   string
		since  func(before *v1alpha1.AccountingExport) client.Patch
		change func(after *v1alpha1.AccountingExport)
		want   string
	}{
		{"has the change of its status alone", func(before *v1alpha1.AccountingExport) client.Patch { return statusSince(before) },
			func(after *v1alpha1.AccountingExport) { after.Status.ObservedGeneration = 3 },
			`{"metadata":{"resourceVersion":"7"},"status":{"observedGeneration":3}}`},
		{"takes out of its status what is gone", func(before *v1alpha1.AccountingExport) client.Patch {
			before.Status.ObservedGeneration = 3
			return statusSince(before)
		}, func(after *v1alpha1.AccountingExport) { after.Status.ObservedGeneration = 0 },
			`{"metadata":{"resourceVersion":"7"},"status":{"observedGeneration":null}}`},
		{"has the change of its finalizers alone", func(before *v1alpha1.AccountingExport) client.Patch { return UnchangedSince(before) },
			func(after *v1alpha1.AccountingExport) {
				after.Finalizers = append(after.Finalizers, v1alpha1.ExportFinalizer)
			},
			`{"metadata":{"finalizers":["another's","` + v1alpha1.ExportFinalizer + `"],"resourceVersion":"7"}}`},
	} {
		t.Run(test.name, func(t *testing.T) { //nolint:paralleltest // it measures
			before, after := large.DeepCopy(), large.DeepCopy()
			test.change(after)
			changed := test.since(before)
			if got, err := changed.Data(after); err != nil || string(got) != test.want {
				t.Errorf("the patch is %s, %v; want %s", got, err, test.want)
			}
			if many := testing.AllocsPerRun(1, func() { _, _ = changed.Data(after) }); many > 1000 {
				t.Errorf("it takes %.0f allocations, which are as many as the object has values", many)
			}
		})
	}
}
