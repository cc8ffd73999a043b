package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// TestANamespaceWhoseObjectsHangKeepsNoOtherWaiting has more objects of a kind than its controller has workers, each of which waits
// for the API server without an end, and then one in another namespace. What runs wait for is a write to their export.
func TestANamespaceWhoseObjectsHangKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	for kind, test := range map[string]struct {
		hangs string
		make  func(*world) []client.Object
	}{
		"ChartOfAccounts":   {"chartsofaccounts", func(w *world) []client.Object { return []client.Object{w.chart()} }},
		"ClaimSource":       {"claimsources", func(w *world) []client.Object { return []client.Object{w.source()} }},
		"ExportDestination": {"exportdestinations", func(w *world) []client.Object { return []client.Object{w.destination()} }},
		"AccountingExport":  {"accountingexports", func(w *world) []client.Object { return []client.Object{w.export()} }},
		"ExportRun":         {"accountingexports", func(w *world) []client.Object { return []client.Object{w.export(), w.run("run")} }},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			other, never := home(t), make(chan struct{})
			w := newWorldWith(t, func(w *world) {
				path := "/namespaces/" + w.namespace + "/" + test.hangs + "/"
				w.writes.hold = func(request *http.Request) {
					if strings.Contains(request.URL.Path, path) {
						<-never
					}
				}
			}, other)
			t.Cleanup(func() { close(never) }) // before the operator is stopped
			create := func(namespace, suffix string) {
				for _, object := range test.make(w) {
					if run, is := object.(*v1alpha1.ExportRun); is {
						run.Spec.ExportRef.Name += suffix
					}
					object.SetNamespace(namespace)
					object.SetName(object.GetName() + suffix)
					w.create(object)
				}
			}
			looked := func(suffix string) {
				objects := test.make(w)
				object := w.unstructured(kind, objects[len(objects)-1].GetName()+suffix)
				object.SetNamespace(other)
				eventually(w, object, func(object *unstructured.Unstructured) string {
					if observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration"); observed != object.GetGeneration() {
						return fmt.Sprintf("generation %d of %s is observed", observed, object.GetName())
					}
					return ""
				})
			}
			create(other, "-before")
			looked("-before") // all controllers have begun
			for i := range 10 {
				create(w.namespace, fmt.Sprintf("-%d", i))
			}
			create(other, "-after")
			looked("-after")
		})
	}
}
