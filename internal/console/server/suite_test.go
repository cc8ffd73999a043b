package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/oauth2-proxy/mockoidc"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/pages"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/console/server"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/rights"
	"github.com/ledgerport/ledgerport/test/testoidc"
)

// cluster is a control plane that accepts the tokens of one OIDC provider for one client, for all tests.
var cluster struct {
	plane     *environment.ControlPlane
	admin     client.Client
	console   *rest.Config // of the account that may impersonate
	provider  *mockoidc.MockOIDC
	authority *environment.Authority
}

func TestMain(m *testing.M) {
	code, err := runWithCluster(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithCluster(m *testing.M) (int, error) {
	ctx := context.Background()
	ctrl.SetLogger(logr.Discard())
	directory, err := os.MkdirTemp("", "ledgerport-console-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	if cluster.provider, cluster.authority, err = testoidc.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cluster.provider.Shutdown() }()
	known := filepath.Join(directory, "authentication.json")
	if err := os.WriteFile(known, authentication(), 0o600); err != nil {
		return 0, err
	}
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return 0, err
	}
	if cluster.plane, err = environment.StartControlPlane(ctx, assets, io.Discard, "authentication-config="+known); err != nil {
		return 0, err
	}
	defer cluster.plane.Stop()
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme) // they only fail where a type is registered twice
	_ = v1alpha1.AddToScheme(scheme)
	if cluster.admin, err = client.New(cluster.plane.Config, client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if err := install(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// authentication has the API server accept what the provider issues for the client "cluster".
func authentication() []byte {
	content, _ := json.Marshal(map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer":        map[string]any{"url": cluster.provider.Issuer(), "audiences": []string{cluster.provider.ClientID}, "certificateAuthority": string(cluster.authority.PEM)},
			"claimMappings": map[string]any{"username": map[string]any{"claim": "sub", "prefix": "direct:"}, "groups": map[string]any{"claim": "groups", "prefix": "direct:"}},
		}},
	})
	return content
}

// install makes the roles of people, and the account of the console.
func install(ctx context.Context) error {
	manifests, err := environment.Render(ctx, "config/console/impersonating")
	if err != nil {
		return err
	}
	for _, object := range manifests {
		if object.GetKind() == "ClusterRole" || object.GetKind() == "ClusterRoleBinding" || object.GetKind() == "Namespace" || object.GetKind() == "ServiceAccount" {
			if err := cluster.admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")); err != nil {
				return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
	}
	token, err := tokenFor(ctx, rights.Namespace, "ledgerport-console")
	cluster.console = rest.AnonymousClientConfig(cluster.plane.Config)
	cluster.console.BearerToken = token
	return err
}

func tokenFor(ctx context.Context, namespace, name string) (string, error) {
	request := &authenticationv1.TokenRequest{}
	err := cluster.admin.SubResource("token").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, request)
	return request.Status.Token, err
}

// console is a server of one test, and what it has said.
type console struct {
	*testing.T
	url    string
	trusts *x509.CertPool
	mu     sync.Mutex
	said   bytes.Buffer
	stop   func()
}

// serve starts a server, with another API if one is given.
func serve(t *testing.T, change func(*server.Options, *api.Options), another ...http.Handler) *console {
	t.Helper()
	c := &console{T: t, trusts: x509.NewCertPool()}
	certificates := t.TempDir()
	c.must(cluster.authority.WriteServing(certificates, "localhost"))
	c.trusts.AppendCertsFromPEM(cluster.authority.PEM)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	c.must(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	c.must(err)
	c.must(listener.Close())
	c.url = "https://localhost:" + port
	public, err := url.Parse(c.url)
	c.must(err)
	options := server.Options{
		Address: "127.0.0.1:" + port, Certificates: certificates, PublicURL: public, Cluster: cluster.console, Sessions: time.Hour,
		Log: logr.New(funcr.New(func(prefix, args string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.said.WriteString(prefix + args + "\n")
		}, funcr.Options{Verbosity: 1}).GetSink()),
	}
	answers := api.Options{}
	if change != nil {
		change(&options, &answers)
	}
	serving, err := server.New(options)
	c.must(err)
	answers.Clusters = serving
	answering, err := api.Handler(answers)
	c.must(err)
	for _, one := range another {
		answering = one
	}
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprintf(w, "page %s", r.URL.Path) })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serving.Serve(ctx, server.Doors{API: answering, Open: map[string]http.Handler{api.DocumentPath: api.Document()}, Pages: shown, Entrance: pages.NewEntrance(logr.Discard())})
	}()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server has ended with %v", err)
		}
	})
	t.Cleanup(c.stop)
	c.until(func() string {
		answer, err := c.client().Get(c.url + "/readyz")
		if err != nil {
			return err.Error()
		}
		return cmpStatus(answer, http.StatusOK)
	})
	return c
}

func cmpStatus(answer *http.Response, want int) string {
	_ = answer.Body.Close()
	if answer.StatusCode != want {
		return fmt.Sprintf("%s, want %d", answer.Status, want)
	}
	return ""
}

func (c *console) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *console) until(check func() string) {
	c.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check()
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.Fatal(missing)
		}
	}
}

// client is a browser with cookies of its own, which follows no redirect.
func (c *console) client() *http.Client {
	jar, _ := cookiejar.New(nil) // it does not fail
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.trusts, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 100}
	c.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// tenant is a namespace with an export, and an account with a role in it.
type tenant struct {
	*console
	namespace, token string
	http             *http.Client
}

// tenant makes one. Its name is that of the test, made short.
func (c *console) tenant(role string) *tenant {
	c.Helper()
	ctx := c.Context()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tenant-"}}
	c.must(cluster.admin.Create(ctx, namespace))
	t := &tenant{console: c, namespace: namespace.Name, http: c.client()}
	c.must(cluster.admin.Create(ctx, &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: "monthly"},
		Spec: v1alpha1.AccountingExportSpec{
			OrganizationID: "acme", SourceRef: v1alpha1.NamespacedReference{Name: "claims"}, ChartOfAccountsRef: v1alpha1.LocalReference{Name: "acme"},
			DestinationRef: v1alpha1.NamespacedReference{Name: "finance"}, Exporter: v1alpha1.ExporterSpec{Type: "csv"},
		},
	}))
	t.token = t.account("application", role)
	return t
}

// account makes a service account with a role in the namespace, and returns its token.
func (t *tenant) account(name, role string) string {
	t.Helper()
	ctx := t.Context()
	t.must(cluster.admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: name}}))
	t.bind(name, role, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: t.namespace, Name: name})
	token, err := tokenFor(ctx, t.namespace, name)
	t.must(err)
	if role == "" {
		return token
	}
	t.until(func() string { // the API server knows of the role a moment later
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + t.namespace + ":" + name,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: t.namespace, Verb: "get", Group: v1alpha1.GroupVersion.Group, Resource: "exportruns"},
		}}
		if err := cluster.admin.Create(ctx, review); err != nil || !review.Status.Allowed {
			return fmt.Sprintf("%s has no right yet: %v", name, err)
		}
		return ""
	})
	return token
}

// bind gives somebody a role in the namespace.
func (t *tenant) bind(name, role string, to rbacv1.Subject) {
	t.Helper()
	if role == "" {
		return
	}
	t.must(cluster.admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}, Subjects: []rbacv1.Subject{to},
	}))
}

// path below the export.
func (t *tenant) path(below string) string {
	return "/api/v1/namespaces/" + t.namespace + "/exports/monthly" + below
}

// answer is what is answered, read.
type answer struct {
	*http.Response
	content []byte
}

func (a answer) problem() (p problem.Problem) {
	_ = json.Unmarshal(a.content, &p) // nothing, if it is none
	return p
}

// ask sends a request with the token of the tenant, unless a header is given: name, value and so on.
func (t *tenant) ask(method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, t.url+path, strings.NewReader(body))
	t.must(err)
	request.Header.Set("Authorization", "Bearer "+t.token)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Del(headers[i])
		if headers[i+1] != "" {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	response, err := t.http.Do(request) //nolint:bodyclose // readAll does
	t.must(err)
	return t.readAll(response)
}

// readAll reads an answer to its end.
func (c *console) readAll(response *http.Response) answer {
	c.Helper()
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	c.must(err)
	return answer{response, content}
}

// insecure asks servers whose certificate is their own.
func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
}

// waitFor asks for a run until the tenant may wait for it, and returns what is answered after so long, or when the run has finished.
func (t *tenant) waitFor(id, long string) answer {
	for {
		is := t.ask(http.MethodGet, t.path("/runs/"+id+"?wait="+long), "")
		if is.StatusCode != http.StatusTooManyRequests {
			return is
		}
		seconds, err := strconv.Atoi(is.Header.Get("Retry-After"))
		if err != nil {
			t.Error(err)
			return is
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-t.Context().Done():
			return is
		}
	}
}

// run decodes a run from an answer with a code.
func (t *tenant) run(a answer, code int) (run api.Run) {
	t.Helper()
	if a.StatusCode != code {
		t.Fatalf("%s %s, want %d", a.Status, a.content, code)
	}
	t.must(json.Unmarshal(a.content, &run))
	return run
}

// refused insists on a problem.
func (t *tenant) refused(a answer, code int, word string, texts ...string) {
	t.Helper()
	is := a.problem()
	if a.StatusCode != code || is.Status != code || is.Code != word || a.Header.Get("Content-Type") != problem.MediaType {
		t.Errorf("%s %s %s, want a problem %d %s", a.Status, a.Header.Get("Content-Type"), a.content, code, word)
	}
	for _, text := range texts {
		if !strings.Contains(is.Detail, text) {
			t.Errorf("it says %q, which lacks %q", is.Detail, text)
		}
	}
}

// finish has a run end as the operator would.
func finish(ctx context.Context, namespace, name string, phase v1alpha1.RunPhase) error {
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return cluster.admin.Status().Patch(ctx, run, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"status":{"phase":%q,"claims":3}}`, phase)))
}

// caPool has the authority of the provider.
func caPool() *x509.CertPool {
	pool := x509.NewCertPool()
	block, _ := pem.Decode(cluster.authority.PEM)
	certificate, _ := x509.ParseCertificate(block.Bytes)
	pool.AddCert(certificate)
	return pool
}
