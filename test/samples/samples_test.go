// Package samples_test applies what people install and copy to a real API server, which refuses fields that it does not know.
package samples_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/hack/environment"
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
		for _, object := range render(t, directory) {
			kinds[object.GetKind()]++
			applied := client.ApplyConfigurationFromUnstructured(object)
			if err := admin.Apply(t.Context(), applied, client.FieldOwner("test"), client.ForceOwnership); err != nil {
				t.Errorf("%s: %s %s: %v", directory, object.GetKind(), object.GetName(), err)
			}
		}
		if directory == "config/samples" && (kinds["ClaimSource"] != 1 || kinds["AccountingExport"] < 2) {
			t.Errorf("the samples are %v: want one source for several exports", kinds)
		}
	}
}

// render gives the objects of a directory in kustomize's order, which puts namespaces first.
func render(t *testing.T, directory string) (objects []*unstructured.Unstructured) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", directory)
	command.Dir = "../.."
	rendered, err := command.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v", directory, err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
}
