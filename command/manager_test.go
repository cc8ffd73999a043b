package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/hack/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestManagerServesProbesAndAuthenticatedMetricsAndStops starts the real command against a real API server.
func TestManagerServesProbesAndAuthenticatedMetricsAndStops(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	must(t, err)
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, os.Stderr)
	must(t, err)
	t.Cleanup(controlPlane.Stop)
	t.Setenv("KUBECONFIG", controlPlane.KubeconfigPath)

	metrics, probes := freeAddress(t), freeAddress(t)
	command := New(builtin.Registry())
	command.SetArgs([]string{
		"manager", "--metrics-bind-address", metrics, "--health-probe-bind-address", probes,
		"--leader-elect", "--leader-election-namespace", "default", "--filesystem-root", t.TempDir(),
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- command.ExecuteContext(ctx) }()

	expectStatus(t, "http://"+probes+"/healthz", "", http.StatusOK)
	expectStatus(t, "http://"+probes+"/readyz", "", http.StatusOK)
	expectStatus(t, "https://"+metrics+"/metrics", "", http.StatusUnauthorized)
	cluster := kubernetes.NewForConfigOrDie(controlPlane.Config)
	expectStatus(t, "https://"+metrics+"/metrics", tokenOf(t, cluster, "stranger"), http.StatusForbidden)
	reader := tokenOf(t, cluster, "prometheus")
	admit(t, cluster, "prometheus")
	expectStatus(t, "https://"+metrics+"/metrics", reader, http.StatusOK)

	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the manager ended with: %s", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the manager did not stop within 30 s")
	}
}

func TestFlagsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"manager", "--max-concurrent-runs=0"}, {"manager", "extra"}, {"nonsense"}} {
		command := New(builtin.Registry())
		command.SetArgs(arguments)
		if err := command.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%q was taken", arguments)
		}
	}
}

func TestMigrateMakesTheSchemaAndIsRepeatable(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	for range 2 {
		var out bytes.Buffer
		command := New(builtin.Registry())
		command.SetOut(&out)
		command.SetArgs([]string{"migrate", "--database-url", url})
		must(t, command.ExecuteContext(t.Context()))
		if !strings.HasPrefix(out.String(), "schema ledgerport is at version ") {
			t.Errorf("it says %q", out.String())
		}
	}
	command := New(builtin.Registry())
	command.SetArgs([]string{"migrate", "--database-url", "mysql://root:hunter2@db/claims"})
	if err := command.ExecuteContext(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong URL: %v, want an error without the password", err)
	}
}

func TestVersionIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	command := New(builtin.Registry())
	command.SetOut(&out)
	command.SetArgs([]string{"version"})
	must(t, command.ExecuteContext(t.Context()))
	if !strings.HasPrefix(out.String(), "ledgerport ") {
		t.Errorf("it says %q", out.String())
	}
}

// expectStatus asks until the server gives the answer, because it starts meanwhile.
func expectStatus(t *testing.T, url, token string, want int) {
	t.Helper()
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the certificate is the server's own
	defer insecure.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		must(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		got := "no answer"
		if answer, err := insecure.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == want {
				return
			}
			got = answer.Status
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s answers %s, want %d", url, got, want)
		case <-tick.C:
		}
	}
}

// tokenOf makes a service account and gives a token for it.
func tokenOf(t *testing.T, cluster kubernetes.Interface, name string) string {
	t.Helper()
	accounts := cluster.CoreV1().ServiceAccounts("default")
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return token.Status.Token
}

// admit lets a service account read metrics, as config/rbac's ledgerport-metrics-reader does.
func admit(t *testing.T, cluster kubernetes.Interface, account string) {
	t.Helper()
	rbac := cluster.RbacV1()
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics-reader"},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics-reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: "default"}},
	}, metav1.CreateOptions{})
	must(t, err)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
