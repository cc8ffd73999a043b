package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// undeployment is a cluster with one finished run and one that is under way.
type undeployment struct {
	*installation
	cluster   client.Client
	assets    string
	database  string
	manifests string
}

// undeploy removes everything while the operator works, and after it has gone. There is no controller of namespaces: the
// manifests are those of the kinds.
func (i *installation) undeploy(t *testing.T, assets string) {
	if _, found := environment.Kubectl(assets); !found {
		t.Skip("there is no kubectl beside the control plane, nor on PATH")
	}
	scheme, err := newScheme()
	must(t, err)
	must(t, apiextensionsv1.AddToScheme(scheme))
	cluster, err := client.New(i.controlPlane.Config, client.Options{Scheme: scheme})
	must(t, err)
	u := &undeployment{installation: i, cluster: cluster, assets: assets, manifests: filepath.Join(t.TempDir(), "crds.json")}
	rendered, err := environment.Render(t.Context(), "config/crd")
	must(t, err)
	var file bytes.Buffer
	for _, object := range rendered {
		must(t, json.NewEncoder(&file).Encode(object))
	}
	must(t, os.WriteFile(u.manifests, file.Bytes(), 0o600))
	if said, err := u.run(t, "2s", "FORCE=1"); err != nil { // exports of other tests have seen the ledger of another database
		t.Fatalf("what other tests have left is not removed: %s\n%s", err, said)
	}

	t.Run("gives the claims of unfinished runs back while the operator works", func(t *testing.T) {
		u.fill(t)
		operator := i.start(t, "config/rbac", "undeployed", "--leader-elect=false", "--recheck-interval=1s")
		unlock := u.begin(t)
		defer unlock()
		if said, err := u.run(t, "60s"); err != nil {
			log, _ := os.ReadFile(operator.LogPath)
			t.Fatalf("it fails with %s\n%s\nThe operator's log:\n%s", err, said, log)
		}
		u.checkGone(t)
		if n := u.count(t, `select count(*) from ledgerport.runs where state not in ('committed', 'released')`); n != 0 {
			t.Errorf("%d runs are not ended in the database", n)
		}
	})
	t.Run("ends without an operator where no run is unfinished, and names those that are", func(t *testing.T) {
		u.fill(t)
		unlock := func() {}
		t.Run("with an operator that goes", func(t *testing.T) {
			i.start(t, "config/rbac", "gone", "--leader-elect=false", "--recheck-interval=1s")
			unlock = u.begin(t)
		})
		defer unlock()
		said, err := u.run(t, "2s")
		if err == nil || !strings.Contains(said, "acme") || !strings.Contains(said, "unfinished") || !strings.Contains(said, "FORCE=1") {
			t.Fatalf("with an unfinished run and no operator it ends with %v\n%s", err, said)
		}
		var exports v1alpha1.AccountingExportList
		must(t, cluster.List(t.Context(), &exports))
		if len(exports.Items) != 1 || exports.Items[0].Namespace != "acme" {
			t.Errorf("%d exports are left, want the one of the unfinished run", len(exports.Items))
		}
		added := []string{"apiservice.yaml", "authentication_reader.yaml", "finance_role.yaml", "reversal.yaml", "mark.yaml"} // of an operator that serves files
		for _, file := range added {
			u.kubectl(t, "apply", "--server-side", "-f", filepath.Join("..", "config", "books", "component", file))
		}
		if said, err := u.run(t, "2s", "FORCE=1"); err != nil || !strings.Contains(said, "by force: ExportRun acme/unfinished") {
			t.Fatalf("by force it ends with %v\n%s", err, said)
		}
		u.checkGone(t)
		for _, file := range added {
			if left := u.kubectl(t, "get", "--ignore-not-found", "-o", "name", "-f", filepath.Join("..", "config", "books", "component", file)); left != "" {
				t.Errorf("of %s are left %s", file, left)
			}
		}
	})
}

// fill installs the kinds and the samples of two organisations.
func (u *undeployment) fill(t *testing.T) {
	t.Helper()
	u.kubectl(t, "apply", "--server-side", "-f", u.manifests)
	u.kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "-f", u.manifests)
	u.database = testdb.New(t)
	must(t, u.scan.PlantPassword("the database", u.database))
	conn, err := pgx.Connect(t.Context(), u.database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	for _, object := range samples(t, u.database) {
		if object.GetKind() == "AccountingExport" && object.GetNamespace() == "acme" {
			organization, _, _ := unstructured.NestedString(object.Object, "spec", "organizationID")
			_, err := application.Fill(t.Context(), conn, application.Content{
				OrganizationID: organization, Claims: 2, Seed: 1, ApprovedFrom: time.Now().Add(-48 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
			})
			must(t, err)
		}
		must(t, u.cluster.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership))
	}
	must(t, conn.Close(t.Context()))
}

// begin waits for the requested runs to finish, and lets another begin that cannot go on until it is unlocked.
func (u *undeployment) begin(t *testing.T) (unlock func()) {
	t.Helper()
	until(t, func(ctx context.Context) string {
		var exports v1alpha1.AccountingExportList
		if err := u.cluster.List(ctx, &exports); err != nil {
			return err.Error()
		}
		for _, export := range exports.Items {
			if last := export.Status.LastRun; last == nil || last.CompletedAt == nil {
				return fmt.Sprintf("the last run in %s is %+v, and the conditions are %+v", export.Namespace, last, export.Status.Conditions)
			}
		}
		return ""
	})
	conn, err := pgx.Connect(t.Context(), u.database)
	must(t, err)
	_, err = conn.Exec(t.Context(), `begin; lock table claim_lines in access exclusive mode`)
	must(t, err)
	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "unfinished"},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: u.exportOf(t, "acme")}},
	}
	must(t, u.cluster.Create(t.Context(), run))
	until(t, func(ctx context.Context) string {
		if err := u.cluster.Get(ctx, client.ObjectKeyFromObject(run), run); err != nil {
			return err.Error()
		}
		if run.Status.Phase != v1alpha1.RunRunning {
			return "the run is " + string(run.Status.Phase)
		}
		return ""
	})
	return func() { _ = conn.Close(context.Background()) } // which rolls back
}

func (u *undeployment) exportOf(t *testing.T, namespace string) string {
	t.Helper()
	var exports v1alpha1.AccountingExportList
	must(t, u.cluster.List(t.Context(), &exports, client.InNamespace(namespace)))
	if len(exports.Items) != 1 {
		t.Fatalf("%d exports in %s", len(exports.Items), namespace)
	}
	return exports.Items[0].Name
}

func (u *undeployment) run(t *testing.T, timeout string, variables ...string) (said string, err error) {
	t.Helper()
	kubectl, _ := environment.Kubectl(u.assets)
	command := exec.CommandContext(t.Context(), "../hack/undeploy.sh", u.manifests)
	command.Env = append(os.Environ(), "KUBECTL="+kubectl, "KUBECONFIG="+u.controlPlane.KubeconfigPath, "TIMEOUT="+timeout)
	command.Env = append(command.Env, variables...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (u *undeployment) kubectl(t *testing.T, arguments ...string) (output string) {
	t.Helper()
	kubectl, _ := environment.Kubectl(u.assets)
	command := exec.CommandContext(t.Context(), kubectl, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+u.controlPlane.KubeconfigPath)
	written, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %s\n%s", strings.Join(arguments, " "), err, written)
	}
	return string(written)
}

func (u *undeployment) checkGone(t *testing.T) {
	t.Helper()
	var crds apiextensionsv1.CustomResourceDefinitionList
	must(t, u.cluster.List(t.Context(), &crds))
	for _, crd := range crds.Items {
		if crd.Spec.Group == v1alpha1.GroupVersion.Group {
			t.Errorf("%s is still there", crd.Name)
		}
	}
}

func (u *undeployment) count(t *testing.T, query string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), u.database)
	must(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	must(t, conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}
