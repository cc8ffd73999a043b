//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// firstFile is how long it may take from installing on a fresh cluster to a first file.
const firstFile = 2 * time.Minute

// TestChartOnACluster installs, upgrades, rolls back and uninstalls the chart, each with a run under way, installs it again, and counts
// what became of the claims.
func TestChartOnACluster(t *testing.T) {
	c := connect(t)
	c.beginsAlone()
	c.nothingIsLeft()
	postgres, store := c.startServers()
	t.Cleanup(func() { c.tidy() })
	c.makeNamespace()
	c.findHelm()
	settings := c.imageSettings()

	c.step("one install and one apply bring a first file", func(c *cluster) {
		file := c.fileOf("first")
		start := time.Now()
		c.helm(append([]string{"install", "ledgerport", "../../charts/ledgerport"}, settings...)...)
		c.kubectl("apply", "--filename="+file)
		c.checkManifest(store, c.succeeds(c.runNamed("first")), claims)
		if took := time.Since(start); took > firstFile {
			c.Errorf("it took %s, want at most %s", took, firstFile)
		} else {
			c.Logf("it took %s", took.Round(time.Second))
		}
	})
	c.step("an upgrade loses nothing", func(c *cluster) {
		c.meanwhile(postgres, store, "upgraded", 2, func() {
			c.helm(append([]string{"upgrade", "ledgerport", "../../charts/ledgerport", "--set=flags.maxConcurrentRuns=8"}, settings...)...)
		})
		c.expectFlag("--max-concurrent-runs=8", true)
	})
	c.step("a rollback loses nothing", func(c *cluster) {
		c.meanwhile(postgres, store, "rolled-back", 3, func() { c.helm("rollback", "ledgerport", "1") })
		c.expectFlag("--max-concurrent-runs=8", false)
	})
	c.step("an uninstall keeps the kinds and all resources, and what comes after goes on", func(c *cluster) {
		c.meanwhile(postgres, store, "left-alone", 4, func() {
			c.helm("uninstall", "ledgerport")
			c.gone(&appsv1.Deployment{}, operatorNamespace, "ledgerport-manager")
			c.exportSays(metav1.ConditionTrue, v1alpha1.ReasonReady) // as the operator has left it
			c.helm(append([]string{"install", "ledgerport", "../../charts/ledgerport"}, settings...)...)
		})
	})
	c.step("every claim was exported once", func(c *cluster) { c.checkExported(postgres, claims+3*meanwhileClaims) })
	c.step("nothing is left after resources, release and kinds have gone, and claims of a run under way are free", func(c *cluster) {
		c.fill(postgres, meanwhileClaims, 5)
		unlock := c.begin(postgres, "interrupted")
		defer unlock()
		c.must(c.client.DeleteAllOf(c.Context(), &v1alpha1.AccountingExport{}, client.InNamespace(tenant)))
		c.gone(&v1alpha1.AccountingExport{}, tenant, "monthly")
		c.givenBack(postgres)
		c.remove()
	})
	c.step("it comes back whole, and exports what was given back", func(c *cluster) {
		c.makeNamespace()
		c.helm(append([]string{"install", "ledgerport", "../../charts/ledgerport"}, settings...)...)
		c.kubectl("apply", "--filename="+c.fileOf("again"))
		c.checkManifest(store, c.succeeds(c.runNamed("again")), meanwhileClaims)
		c.checkExported(postgres, claims+4*meanwhileClaims)
		c.must(c.client.DeleteAllOf(c.Context(), &v1alpha1.AccountingExport{}, client.InNamespace(tenant)))
		c.gone(&v1alpha1.AccountingExport{}, tenant, "monthly")
		c.remove()
	})
}

// makeNamespace makes that of the operator, with the strictest profile of pods.
func (c *cluster) makeNamespace() {
	c.Helper()
	c.must(c.client.Create(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: operatorNamespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}))
}

// remove takes runs, release, kinds and namespaces away, as docs/install-with-helm.md says, and looks for what is left.
func (c *cluster) remove() {
	c.Helper()
	c.must(c.client.DeleteAllOf(c.Context(), &v1alpha1.ExportRun{}, client.InNamespace(tenant)))
	c.helm("uninstall", "ledgerport")
	c.dropKinds()
	for _, name := range []string{tenant, operatorNamespace} {
		c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
		c.gone(&corev1.Namespace{}, "", name)
	}
	c.nothingIsLeft()
}

// fileOf writes a file with all resources of the organisation and a run, for one apply.
func (c *cluster) fileOf(run string) (path string) {
	c.Helper()
	asked := c.runNamed(run)
	asked.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ExportRun"))
	var objects []client.Object
	for _, object := range c.plain() {
		objects = append(objects, object)
	}
	var all [][]byte
	for _, object := range append(objects, asked) {
		text, err := yaml.Marshal(object)
		c.must(err)
		all = append(all, text)
	}
	directory, err := os.MkdirTemp("", "ledgerport-e2e-") // kubectl takes a comma, which names of subtests have, for the end of a path
	c.must(err)
	c.Cleanup(func() { _ = os.RemoveAll(directory) })
	path = filepath.Join(directory, "all.yaml")
	c.must(os.WriteFile(path, bytes.Join(all, []byte("---\n")), 0o600))
	return path
}

// findHelm builds Helm.
func (c *cluster) findHelm() {
	c.Helper()
	helm, err := exec.CommandContext(c.Context(), "go", "-C", "../helm", "tool", "-n", "helm").Output()
	c.must(err)
	c.values["helm"] = strings.TrimSpace(string(helm))
}

// imageSettings are values of the chart that every installation has here.
func (c *cluster) imageSettings() []string {
	c.Helper()
	image := required(c, "E2E_IMAGE")
	colon := strings.LastIndex(image, ":")
	return []string{"--set=image.repository=" + image[:colon], "--set=image.tag=" + image[colon+1:],
		"--set=flags.allowInsecureDatabases=true", "--set=flags.allowPlainHttp=true"}
}

// meanwhileClaims are approved for each run that something happens to.
const meanwhileClaims = 20

// meanwhile begins a run, does something to the operator while it cannot go on, and waits for its success.
func (c *cluster) meanwhile(postgres string, store *s3.Client, name string, seed uint64, do func()) {
	c.Helper()
	c.fill(postgres, meanwhileClaims, seed)
	unlock := c.begin(postgres, name)
	defer unlock()
	do()
	c.available(operatorNamespace, "ledgerport-manager")
	unlock()
	c.checkManifest(store, c.succeeds(c.runNamed(name)), meanwhileClaims)
}

// helm runs Helm as people do, and waits for what it has changed.
func (c *cluster) helm(arguments ...string) {
	c.Helper()
	arguments = append(arguments, "--namespace="+operatorNamespace, "--wait", "--timeout=3m")
	if output, err := exec.CommandContext(c.Context(), c.values["helm"], arguments...).CombinedOutput(); err != nil {
		c.Fatalf("helm %s: %s\n%s", strings.Join(arguments, " "), err, output)
	}
}

// applyPlain applies the organisation's resources with plain Secrets in place of ExternalSecrets.
func (c *cluster) applyPlain() {
	c.Helper()
	for _, object := range c.plain() {
		c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership))
	}
}

// plain returns the organisation's resources with Secrets in place of ExternalSecrets.
func (c *cluster) plain() []*unstructured.Unstructured {
	c.Helper()
	objects := c.objects("plain.yaml")
	for _, object := range c.objects("tenant.yaml") {
		if slices.Contains([]string{"ChartOfAccounts", "AccountingExport"}, object.GetKind()) {
			objects = append(objects, object)
		}
	}
	return objects
}

// expectFlag fails unless the operator has a flag, or has it not.
func (c *cluster) expectFlag(flag string, want bool) {
	c.Helper()
	var manager appsv1.Deployment
	c.must(c.client.Get(c.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "ledgerport-manager"}, &manager))
	if args := manager.Spec.Template.Spec.Containers[0].Args; slices.Contains(args, flag) != want {
		c.Errorf("the flags are %q", args)
	}
}

// checkExported compares the claims that the ledger has as exported with those that there are.
func (c *cluster) checkExported(postgres string, want int) {
	c.Helper()
	c.sql(postgres, func(ctx context.Context, conn *pgx.Conn) error {
		var exported, once int
		err := conn.QueryRow(ctx, `select count(*), count(distinct claim_id) from ledgerport.exported_claims`).Scan(&exported, &once)
		if err == nil && (exported != want || once != want) {
			err = fmt.Errorf("%d claims are recorded as exported, %d of them different, want %d", exported, once, want)
		}
		return err
	})
}

// dropKinds deletes the CustomResourceDefinitions, as docs/install-with-helm.md says, and waits for them to go.
func (c *cluster) dropKinds() {
	c.Helper()
	for _, kind := range []string{"accountingexports", "chartsofaccounts", "claimsources", "exportdestinations", "exportruns"} {
		definition := &unstructured.Unstructured{}
		definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		definition.SetName(kind + "." + v1alpha1.GroupVersion.Group)
		c.must(c.client.Delete(c.Context(), definition))
		c.gone(definition, "", definition.GetName())
	}
}
