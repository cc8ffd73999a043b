package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/rights"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestTheOperatorWithTheRightsThatItIsInstalledWith starts the program against a real API server, with what config/namespaced
// grants and then with what config/rbac grants. Nothing it asks for is forbidden.
func TestTheOperatorWithTheRightsThatItIsInstalledWith(t *testing.T) {
	t.Parallel()
	i := &installation{directory: t.TempDir(), scan: leaks.New()}
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	must(t, err)
	i.controlPlane, err = environment.StartControlPlane(t.Context(), assets, os.Stderr)
	must(t, err)
	t.Cleanup(i.controlPlane.Stop)
	i.binary, err = environment.BuildOperator(t.Context(), i.directory, "")
	must(t, err)
	// One after the other: roles that are granted for the cluster would do for its namespaces.
	t.Run("exports in the namespaces that are named, and has no right beyond them", func(t *testing.T) { i.exportInNamespaces(t, assets) })
	t.Run("leads, and serves probes and authenticated metrics", func(t *testing.T) { i.leadAndServe(t) })
	t.Run("is ready while the cluster has all of its kinds, and works when it gets them", func(t *testing.T) { i.missKinds(t) })
	t.Run("is removed with all that it has made", func(t *testing.T) { i.undeploy(t, assets) })
}

// installation is a control plane, and the program that runs against it.
type installation struct {
	controlPlane      *environment.ControlPlane
	directory, binary string
	scan              *leaks.Scan
}

// start runs the operator with the rights of a directory of config, and when the test ends looks whether anything was
// forbidden.
func (i *installation) start(t *testing.T, directory, name string, flags ...string) *environment.Operator {
	t.Helper()
	manifests, err := environment.Render(t.Context(), directory)
	must(t, err)
	account, err := rights.Install(t.Context(), i.controlPlane.Config, manifests)
	must(t, err)
	kubeconfig := filepath.Join(i.directory, name+".kubeconfig")
	must(t, rights.WriteKubeconfig(account, kubeconfig))
	operator, err := environment.RunOperator(i.controlPlane, i.binary, i.directory, name, []string{"KUBECONFIG=" + kubeconfig},
		append(flags, "--leader-election-namespace="+rights.Namespace)...)
	must(t, err)
	t.Cleanup(func() {
		if err := operator.Stop(); err != nil {
			t.Errorf("the operator ended with: %s", err)
		}
		said, err := os.ReadFile(operator.LogPath)
		must(t, err)
		if !strings.Contains(string(said), `"msg":"starting"`) || !strings.Contains(string(said), "memory") {
			t.Errorf("the log does not tell of the start, and of the memory limit:\n%s", said)
		}
		for line := range strings.Lines(string(said)) {
			if strings.Contains(line, "forbidden") {
				t.Errorf("something was forbidden: %s", line)
			}
		}
		i.scan.Lines("log line", name, said)
		if found := i.scan.Found(); len(found) > 0 {
			t.Errorf("what nobody is to see was written: %q", found)
		}
	})
	return operator
}

// samples are those of a ClaimSource and of two organisations that it admits.
func samples(t *testing.T, database string) (objects []*unstructured.Unstructured) {
	t.Helper()
	for _, name := range []string{"10_claims.yaml", "20_acme_csv.yaml", "30_nordwind_sie.yaml"} {
		file, err := os.Open(filepath.Join("../config/samples", name))
		must(t, err)
		read, err := environment.Decode(file)
		must(t, err)
		must(t, file.Close())
		objects = append(objects, read...)
	}
	for _, object := range objects {
		switch object.GetKind() {
		case "Secret":
			must(t, unstructured.SetNestedField(object.Object, database, "stringData", "url"))
		case "AccountingExport":
			object.SetAnnotations(map[string]string{v1alpha1.RequestedAtAnnotation: "now"})
		}
	}
	return objects
}

func (i *installation) exportInNamespaces(t *testing.T, assets string) {
	scheme, err := newScheme()
	must(t, err)
	cluster, err := client.New(i.controlPlane.Config, client.Options{Scheme: scheme})
	must(t, err)
	database := testdb.New(t)
	must(t, i.scan.PlantPassword("the database", database))
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	exports := map[string]*v1alpha1.AccountingExport{}
	for _, object := range samples(t, database) {
		must(t, cluster.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")))
		if object.GetKind() != "AccountingExport" {
			continue
		}
		exports[object.GetNamespace()] = &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName()}}
		organization, _, _ := unstructured.NestedString(object.Object, "spec", "organizationID")
		_, err := application.Fill(t.Context(), conn, application.Content{
			OrganizationID: organization, Claims: 5, Seed: uint64(len(exports)), Currency: map[string]string{"nordwind": "SEK"}[object.GetNamespace()],
			ApprovedFrom: time.Now().Add(-48 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		})
		must(t, err)
	}
	must(t, conn.Close(t.Context()))

	served, certificates := freeAddress(t), t.TempDir()
	_, port, err := net.SplitHostPort(served)
	must(t, err)
	served = net.JoinHostPort("127.0.0.1", port) // which the API server knows as localhost
	must(t, environment.PassBooks(t.Context(), i.controlPlane.Config, served, certificates))
	i.start(t, "config/namespaced", "namespaced", "--namespaces=acme,expenses,nordwind", "--recheck-interval=1s", "--books-bind-address="+served, "--books-certificates="+certificates)
	for _, export := range exports {
		until(t, func(ctx context.Context) string {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil {
				return err.Error()
			}
			if last := export.Status.LastRun; last == nil || last.Phase != v1alpha1.RunSucceeded || last.Claims != 5 {
				return fmt.Sprintf("the last run in %s is %+v, and the conditions are %+v", export.Namespace, last, export.Status.Conditions)
			}
			return ""
		})
	}
	t.Run("and does what people ask for with the command", func(t *testing.T) { i.servePeople(t, cluster, database, assets) })
}

// boundsStrangers opens hundreds of connections at the ports that every pod can reach, and sends half a megabyte of a header on each that does not
// end. Whatever they send, the operator keeps little of it, and goes on answering others.
func boundsStrangers(t *testing.T, operator *environment.Operator, metrics, reader string) {
	before, err := operator.RSS()
	must(t, err)
	for _, address := range []string{strings.TrimPrefix(operator.Probes, "http://"), metrics} {
		for range 300 {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			must(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			if address == metrics {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- nobody can verify it
			}
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nX: "+strings.Repeat("a", 512<<10)) // most are cut off meanwhile
		}
	}
	during, err := operator.RSS()
	must(t, err)
	if more := (during - before) >> 20; more > 64 {
		t.Errorf("strangers take %d MiB of the operator's memory", more)
	}
	expectStatus(t, operator.Probes+"/healthz", "", http.StatusOK)
	expectStatus(t, "https://"+metrics+"/metrics", reader, http.StatusOK)
}

func (i *installation) leadAndServe(t *testing.T) {
	metrics := freeAddress(t)
	cluster := kubernetes.NewForConfigOrDie(i.controlPlane.Config)
	must(t, cluster.CoreV1().Events(rights.Namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})) // of another leader
	operator := i.start(t, "config/rbac", "leader", "--metrics-bind-address="+metrics, "--profiling")
	expectStatus(t, operator.Probes+"/healthz", "", http.StatusOK)
	expectStatus(t, operator.Probes+"/readyz", "", http.StatusOK)
	expectStatus(t, "https://"+metrics+"/metrics", "", http.StatusUnauthorized)
	stranger, reader, profiler := tokenOf(t, cluster, "stranger"), tokenOf(t, cluster, "prometheus"), tokenOf(t, cluster, "profiler")
	expectStatus(t, "https://"+metrics+"/metrics", stranger, http.StatusForbidden)
	admit(t, cluster, "prometheus", "ledgerport-metrics-reader")
	admit(t, cluster, "profiler", "ledgerport-profile-reader")
	expectStatus(t, "https://"+metrics+"/metrics", reader, http.StatusOK)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.1"} {
		expectStatus(t, "https://"+metrics+path, "", http.StatusUnauthorized)
		for _, other := range []string{stranger, reader} { // who may read metrics may not read profiles
			expectStatus(t, "https://"+metrics+path, other, http.StatusForbidden)
		}
		expectStatus(t, "https://"+metrics+path, profiler, http.StatusOK)
	}
	expectStatus(t, "https://"+metrics+"/metrics", profiler, http.StatusForbidden)
	expectStatus(t, "https://"+metrics+"/debug/pprof/cmdline", profiler, http.StatusNotFound)
	boundsStrangers(t, operator, metrics, reader)
	until(t, func(ctx context.Context) string {
		events, err := cluster.CoreV1().Events(rights.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=LeaderElection"})
		if err != nil {
			return err.Error()
		}
		if len(events.Items) == 0 {
			return "no event tells who leads"
		}
		return ""
	})
}

// missKinds takes a kind away from the cluster before the operator starts, and while it works.
func (i *installation) missKinds(t *testing.T) {
	crds, err := envtest.InstallCRDs(i.controlPlane.Config, envtest.CRDInstallOptions{Paths: []string{"../config/crd/bases"}})
	must(t, err)
	scheme := runtime.NewScheme()
	must(t, errors.Join(apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	cluster, err := client.New(i.controlPlane.Config, client.Options{Scheme: scheme})
	must(t, err)
	const name = "chartsofaccounts.accounting.ledgerport.dev"
	remove := func() {
		crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		must(t, cluster.Delete(t.Context(), crd))
		until(t, func(ctx context.Context) string {
			if err := cluster.Get(ctx, client.ObjectKeyFromObject(crd), crd); !apierrors.IsNotFound(err) {
				return fmt.Sprintf("the CRD is still there: %v", err)
			}
			return ""
		})
	}
	install := func() {
		for _, crd := range crds {
			crd.SetResourceVersion("")
		}
		_, err := envtest.InstallCRDs(i.controlPlane.Config, envtest.CRDInstallOptions{CRDs: crds})
		must(t, err)
	}
	remove()
	operator := i.start(t, "config/rbac", "missing", "--leader-elect=false")
	expectStatus(t, operator.Probes+"/readyz/"+name, "", http.StatusInternalServerError)
	expectStatus(t, operator.Probes+"/readyz", "", http.StatusInternalServerError)
	expectStatus(t, operator.Probes+"/healthz", "", http.StatusOK) // to restart it would not help
	said, err := os.ReadFile(operator.LogPath)
	must(t, err)
	if !strings.Contains(string(said), `"missing":"`+name+`"`) {
		t.Errorf("the log does not name the missing kind:\n%s", said)
	}
	install()
	expectStatus(t, operator.Probes+"/readyz", "", http.StatusOK)
	remove()
	expectStatus(t, operator.Probes+"/readyz", "", http.StatusInternalServerError)
	expectStatus(t, operator.Probes+"/readyz/claimsources.accounting.ledgerport.dev", "", http.StatusOK)
	install()
	expectStatus(t, operator.Probes+"/readyz", "", http.StatusOK)
	chart := &v1alpha1.ChartOfAccounts{ObjectMeta: metav1.ObjectMeta{Name: "books", Namespace: "default"}, Spec: v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", Accounts: []v1alpha1.Account{{Number: "4000", Name: "Expenses"}, {Number: "1740", Name: "Owed"}},
		Rules: []v1alpha1.MappingRule{{Account: "4000"}}, Offset: v1alpha1.OffsetPosting{Account: "1740"},
	}}
	must(t, cluster.Create(t.Context(), chart))
	until(t, func(ctx context.Context) string {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(chart), chart); err != nil {
			return err.Error()
		}
		if chart.Status.ObservedGeneration != chart.Generation {
			return "the operator does not look at a chart of the kind that came back"
		}
		return ""
	})
}

// until waits for a check to find nothing missing.
func until(t *testing.T, check func(context.Context) (missing string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check(ctx)
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(missing)
		case <-tick.C:
		}
	}
}

// expectStatus asks until the server gives the answer, because it starts meanwhile.
func expectStatus(t *testing.T, url, token string, want int) {
	t.Helper()
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the certificate is the server's own
	defer insecure.CloseIdleConnections()
	until(t, func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		must(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := insecure.Do(request)
		if err != nil {
			return err.Error()
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			return fmt.Sprintf("%s answers %s, want %d", url, answer.Status, want)
		}
		return ""
	})
}

// tokenOf makes a service account and returns a token for it.
func tokenOf(t *testing.T, cluster kubernetes.Interface, name string) string {
	t.Helper()
	accounts := cluster.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return token.Status.Token
}

// admit binds one of the roles of config/rbac to a service account.
func admit(t *testing.T, cluster kubernetes.Interface, account, role string) {
	t.Helper()
	_, err := cluster.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: "default"}},
	}, metav1.CreateOptions{})
	must(t, err)
}

// freeAddress returns an address for a process that is yet to start. Nothing else here listens at it, nor connects from it.
func freeAddress(t *testing.T) string {
	t.Helper()
	random := rand.Uint32()
	listener, err := net.Listen("tcp", net.JoinHostPort(net.IPv4(127, byte(random>>16|1), byte(random>>8), byte(random|1)).String(), "0"))
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
