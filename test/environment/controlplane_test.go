package environment_test

import (
	"os"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/test/environment"
)

func TestControlPlaneServesTheKindsToWhoHasItsKubeconfig(t *testing.T) {
	t.Parallel()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controlPlane.Stop)
	config, err := clientcmd.BuildConfigFromFlags("", controlPlane.KubeconfigPath)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	var kinds apiextensionsv1.CustomResourceDefinitionList
	if err := admin.List(t.Context(), &kinds); err != nil || len(kinds.Items) != 5 {
		t.Errorf("%d kinds are served (%v), want 5", len(kinds.Items), err)
	}
}
