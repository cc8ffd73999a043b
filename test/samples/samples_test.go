// Package samples_test applies what people install and copy to a real API server, which refuses fields that it does not know.
package samples_test

import (
	"io"
	"os"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/test/environment"
)

func TestTheAPIServerAcceptsWhatKustomizeRenders(t *testing.T) {
	t.Parallel()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controlPlane.Stop)
	admin, err := client.New(controlPlane.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{"config/default", "config/samples"} {
		kinds := map[string]int{}
		objects, err := environment.Render(t.Context(), directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			kinds[object.GetKind()]++
			applied := client.ApplyConfigurationFromUnstructured(object)
			if err := admin.Apply(t.Context(), applied, client.FieldOwner("test"), client.ForceOwnership); err != nil {
				t.Errorf("%s: %s %s: %v", directory, object.GetKind(), object.GetName(), err)
			}
		}
		if directory == "config/samples" && (kinds["ClaimSource"] != 2 || kinds["AccountingExport"] < 4) {
			t.Errorf("the samples are %v: want one source for several organisations, and one that an organisation has alone", kinds)
		}
	}
}
