package helm_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// cluster is an API server without nodes: objects are kept, and no pod runs.
type cluster struct {
	*testing.T
	client     client.Client
	kubeconfig string
}

func TestReleasesOnAnAPIServer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for name, file := range files {
		t.Run("it takes all objects, "+name, func(t *testing.T) { c.at(t).takes(read(t, file)) })
	}
	t.Run("a release comes, changes, goes back, goes and comes again", func(t *testing.T) { c.at(t).release() })
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	must(t, err)
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, io.Discard)
	must(t, err)
	t.Cleanup(controlPlane.Stop)
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, apiextensionsv1.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	made, err := client.New(controlPlane.Config, client.Options{Scheme: scheme})
	must(t, err)
	c := &cluster{T: t, client: made, kubeconfig: controlPlane.KubeconfigPath}
	for _, name := range []string{namespace, "acme", "nordwind"} {
		must(t, made.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	return c
}

func (c *cluster) at(t *testing.T) *cluster {
	return &cluster{T: t, client: c.client, kubeconfig: c.kubeconfig}
}

// takes has the API server look at all objects of a release, without keeping them. Objects of the Prometheus Operator are read as its own
// types instead, strictly.
func (c *cluster) takes(given map[string]any) {
	c.Helper()
	for _, object := range render(c.T, releaseName, given) {
		if object.GroupVersionKind().Group == "cert-manager.io" {
			continue // which is not there; they are those of config
		}
		if prometheus := map[string]any{"ServiceMonitor": &monitoringv1.ServiceMonitor{}, "PrometheusRule": &monitoringv1.PrometheusRule{}}[object.GetKind()]; prometheus != nil {
			text, err := yaml.Marshal(object.Object)
			must(c.T, err)
			if err := yaml.UnmarshalStrict(text, prometheus); err != nil {
				c.Errorf("%s: %s", identity(object), err)
			}
			continue
		}
		err := c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership, client.DryRunAll)
		if err != nil {
			c.Errorf("%s: %s", identity(object), err)
		}
	}
}

// release goes through the life of one, from an older version on.
func (c *cluster) release() {
	settings := values(c.T, "exports: {enabled: true}")
	c.takeOver(settings)
	c.withoutKinds()

	older := load(c.T)
	for _, file := range older.Files {
		file.Data = []byte(strings.ReplaceAll(string(file.Data), "    shortNames:\n    - xrun\n", ""))
	}
	c.install(older, settings)
	if c.shortNames("exportruns") != "" {
		c.Fatal("the older version knows the short name of the newer")
	}
	kept := &v1alpha1.ChartOfAccounts{}
	kept.Namespace, kept.Name = "acme", "kept"
	kept.Spec = v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", Accounts: []v1alpha1.Account{{Number: "4660", Name: "Travel"}, {Number: "1740", Name: "Owed"}},
		Rules: []v1alpha1.MappingRule{{Account: "4660"}}, Offset: v1alpha1.OffsetPosting{Account: "1740"},
	}
	must(c.T, c.client.Create(c.Context(), kept))

	settings["flags"] = map[string]any{"maxConcurrentRuns": 8}
	c.upgrade(settings)
	if args := c.args(); !slices.Contains(args, "--max-concurrent-runs=8") {
		c.Errorf("after the upgrade the arguments are %q", args)
	}
	if names := c.shortNames("exportruns"); names != "xrun" {
		c.Errorf("after the upgrade the short names are %q", names)
	}

	rollback := action.NewRollback(c.helm())
	rollback.Version, rollback.WaitStrategy, rollback.ServerSideApply = 1, kube.HookOnlyStrategy, "auto"
	must(c.T, rollback.Run(releaseName))
	if args := c.args(); slices.Contains(args, "--max-concurrent-runs=8") {
		c.Errorf("after the rollback the arguments are %q", args)
	}
	if names := c.shortNames("exportruns"); names != "" { // docs/upgrading.md says how to go back without this
		c.Errorf("a rollback does not take the kinds back: the short names are %q", names)
	}

	c.uninstall()
	var gone appsv1.Deployment
	if err := c.client.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "ledgerport-manager"}, &gone); !apierrors.IsNotFound(err) {
		c.Errorf("after the release the Deployment is still there: %v", err)
	}
	c.stays(kept)

	c.install(load(c.T), settings)
	c.stays(kept)
	if args := c.args(); !slices.Contains(args, "--max-concurrent-runs=8") {
		c.Errorf("after it came again the arguments are %q", args)
	}
	c.upgrade(values(c.T, "{exports: {enabled: true}, crds: {install: false}}"))
	c.stays(kept)
	c.uninstall()
	c.stays(kept)
}

// takeOver installs where the kinds are there already, without Helm.
func (c *cluster) takeOver(settings map[string]any) {
	c.Helper()
	install := action.NewInstall(c.helm())
	install.ReleaseName, install.Namespace, install.WaitStrategy = releaseName, namespace, kube.HookOnlyStrategy
	if _, err := install.RunWithContext(c.Context(), load(c.T), settings); err == nil || !strings.Contains(err.Error(), "cannot be imported") {
		c.Fatalf("kinds that are not of the release: %v", err)
	}
	install.TakeOwnership, install.ForceConflicts = true, true
	_, err := install.RunWithContext(c.Context(), load(c.T), settings)
	must(c.T, err)
	c.uninstall()
}

// stays fails if a resource has gone, or the volume of exports, or a kind.
func (c *cluster) stays(kept *v1alpha1.ChartOfAccounts) {
	c.Helper()
	must(c.T, c.client.Get(c.Context(), client.ObjectKeyFromObject(kept), kept))
	must(c.T, c.client.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "ledgerport-exports"}, &corev1.PersistentVolumeClaim{}))
	if n := len(c.kinds()); n != 5 {
		c.Errorf("%d kinds are there, want 5", n)
	}
}

func (c *cluster) kinds() (found []apiextensionsv1.CustomResourceDefinition) {
	c.Helper()
	var list apiextensionsv1.CustomResourceDefinitionList
	must(c.T, c.client.List(c.Context(), &list))
	for _, definition := range list.Items {
		if definition.Spec.Group == v1alpha1.GroupVersion.Group {
			found = append(found, definition)
		}
	}
	return found
}

func (c *cluster) shortNames(resource string) string {
	c.Helper()
	for _, definition := range c.kinds() {
		if definition.Spec.Names.Plural == resource {
			return strings.Join(definition.Spec.Names.ShortNames, ",")
		}
	}
	c.Fatalf("there is no kind of %s", resource)
	return ""
}

// withoutKinds removes the definitions that the control plane was started with.
func (c *cluster) withoutKinds() {
	c.Helper()
	for _, definition := range c.kinds() {
		must(c.T, c.client.Delete(c.Context(), &definition))
	}
	tick, again := time.NewTicker(50*time.Millisecond), time.NewTicker(5*time.Second)
	defer tick.Stop()
	defer again.Stop()
	for deadline := time.After(5 * time.Minute); len(c.kinds()) > 0; {
		select {
		case <-deadline:
			c.Fatalf("%d kinds are still there after five minutes", len(c.kinds()))
		case <-again.C:
			c.touchKinds()
		case <-tick.C:
		}
	}
}

// touchKinds has the API server look at once at the definitions that it removes. If something else changes one while it does, it looks
// again when all definitions are looked at, which is once in five minutes, or when one changes in more than how far its removal has come.
func (c *cluster) touchKinds() {
	c.Helper()
	for _, definition := range c.kinds() {
		touched := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":%q}}}`, time.Now()))
		must(c.T, client.IgnoreNotFound(c.client.Patch(c.Context(), &definition, touched)))
	}
}

func (c *cluster) args() []string {
	c.Helper()
	manager := &unstructured.Unstructured{}
	manager.SetAPIVersion("apps/v1")
	manager.SetKind("Deployment")
	must(c.T, c.client.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "ledgerport-manager"}, manager))
	return arguments(c.T, []*unstructured.Unstructured{manager})
}

// helm returns what actions of Helm need, with releases recorded in Secrets.
func (c *cluster) helm() *action.Configuration {
	c.Helper()
	settings := cli.New()
	settings.KubeConfig = c.kubeconfig
	settings.SetNamespace(namespace)
	configuration := action.NewConfiguration()
	must(c.T, configuration.Init(settings.RESTClientGetter(), namespace, "secret"))
	return configuration
}

func (c *cluster) install(ch *chart.Chart, given map[string]any) {
	c.Helper()
	install := action.NewInstall(c.helm())
	install.ReleaseName, install.Namespace, install.WaitStrategy = releaseName, namespace, kube.HookOnlyStrategy
	_, err := install.RunWithContext(c.Context(), ch, given)
	must(c.T, err)
}

func (c *cluster) upgrade(given map[string]any) {
	c.Helper()
	upgrade := action.NewUpgrade(c.helm())
	upgrade.Namespace, upgrade.WaitStrategy, upgrade.ServerSideApply = namespace, kube.HookOnlyStrategy, "auto"
	_, err := upgrade.RunWithContext(c.Context(), releaseName, load(c.T), given)
	must(c.T, err)
}

func (c *cluster) uninstall() {
	c.Helper()
	uninstall := action.NewUninstall(c.helm())
	uninstall.WaitStrategy = kube.HookOnlyStrategy
	_, err := uninstall.Run(releaseName)
	must(c.T, err)
}
