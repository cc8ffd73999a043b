// Package stage has everything that an application meets, for tests of other modules: a control plane, a database with claims, and operator and
// console as processes.
package stage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// Namespace and Export are those of the sample that is on stage.
const (
	Namespace    = "acme"
	Export       = "monthly"
	organization = "3f2c9a1e-0000-4000-8000-000000000001"
)

// Stage is set for one test.
type Stage struct {
	testing.TB
	Admin client.Client
	// Database has the application's tables.
	Database string
	// URL of the console, and the authority of its certificate.
	URL       string
	Authority *environment.Authority

	plane             *environment.ControlPlane
	directory, binary string
	books             string
	certificates      string
	port              int
	operator          *environment.Operator
	console           *environment.Console
	approved          uint64
}

// Set starts everything, without claims. It ends with the test.
func Set(t testing.TB) *Stage {
	t.Helper()
	s := &Stage{TB: t, directory: t.TempDir(), certificates: t.TempDir()}
	ctx := t.Context()
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	s.Must(err)
	s.plane, err = environment.StartControlPlane(ctx, assets, os.Stderr)
	s.Must(err)
	t.Cleanup(s.plane.Stop)
	s.binary, err = environment.BuildOperator(ctx, s.directory, "")
	s.Must(err)
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme) // they only fail where a type is registered twice
	_ = v1alpha1.AddToScheme(scheme)
	s.Admin, err = client.New(s.plane.Config, client.Options{Scheme: scheme})
	s.Must(err)
	s.Authority, err = environment.NewAuthority("console")
	s.Must(err)
	s.port, err = environment.FreePort()
	s.Must(err)
	port, err := environment.FreePort()
	s.Must(err)
	s.books = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s.Must(environment.PassBooks(ctx, s.plane.Config, s.books, s.certificates))
	s.Database = testdb.New(t)
	s.WithDatabase(application.CreateTables)
	s.StartOperator()
	s.StartConsole()
	t.Cleanup(func() {
		s.KillOperator()
		s.KillConsole()
	})
	s.applySamples()
	return s
}

// Must ends the test with an error.
func (s *Stage) Must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// WithDatabase does something in the application's database.
func (s *Stage) WithDatabase(do func(context.Context, *pgx.Conn) error) {
	s.Helper()
	ctx := context.WithoutCancel(s.Context())
	conn, err := pgx.Connect(ctx, s.Database)
	s.Must(err)
	err = do(ctx, conn)
	_ = conn.Close(ctx) // what counts is done
	s.Must(err)
}

// Approve has claims approved, and returns how many of them can be exported.
func (s *Stage) Approve(claims int) {
	s.Helper()
	s.approved++
	s.WithDatabase(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: claims, Seed: s.approved, ApprovedFrom: time.Now().Add(-48 * time.Hour), ApprovedTo: time.Now().Add(-time.Second),
		})
		return err
	})
}

// Lock keeps every run from reading claims until it is unlocked.
func (s *Stage) Lock() (unlock func()) {
	s.Helper()
	ctx := context.WithoutCancel(s.Context())
	conn, err := pgx.Connect(ctx, s.Database)
	s.Must(err)
	_, err = conn.Exec(ctx, `begin; lock table claim_lines in access exclusive mode`)
	s.Must(err)
	return func() { _ = conn.Close(ctx) } // which rolls back
}

func (s *Stage) applySamples() {
	s.Helper()
	root, err := environment.ModuleRoot()
	s.Must(err)
	for _, name := range []string{"10_claims.yaml", "20_acme_csv.yaml"} {
		file, err := os.Open(filepath.Join(root, "config", "samples", name))
		s.Must(err)
		objects, err := environment.Decode(file)
		s.Must(err)
		s.Must(file.Close())
		for _, object := range objects {
			if object.GetKind() == "Secret" {
				s.Must(unstructured.SetNestedField(object.Object, s.Database, "stringData", "url"))
			}
			if object.GetKind() == "AccountingExport" {
				unstructured.RemoveNestedField(object.Object, "spec", "schedule")
			}
			s.Must(s.Admin.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")))
		}
	}
	s.Until(func(ctx context.Context) string {
		var export v1alpha1.AccountingExport
		if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: Export}, &export); err != nil {
			return err.Error()
		}
		for _, condition := range export.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady && condition.Status == metav1.ConditionTrue {
				return ""
			}
		}
		return "the export is not ready"
	})
}

// Until tries again and again until nothing is missing.
func (s *Stage) Until(check func(context.Context) (missing string)) {
	s.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check(s.Context())
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.Fatal(missing)
		}
	}
}

// StartOperator starts the operator, which serves files to the API server.
func (s *Stage) StartOperator() {
	s.Helper()
	var err error
	s.operator, err = environment.RunOperator(s.plane, s.binary, s.directory, "operator", nil,
		"--recheck-interval=1s", "--books-bind-address="+s.books, "--books-certificates="+s.certificates,
		"--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1500ms", "--leader-elect-retry-period=200ms")
	s.Must(err)
}

// KillOperator ends the operator at once.
func (s *Stage) KillOperator() {
	_ = s.operator.Signal(syscall.SIGKILL) // it may have ended
	_ = s.operator.Wait()
}

// StartConsole starts the console, and waits until it answers.
func (s *Stage) StartConsole() {
	s.Helper()
	var err error
	s.console, err = environment.RunConsole(s.plane.Config, s.binary, s.directory, s.port, s.Authority)
	s.Must(err)
	s.URL = s.console.URL
	s.Until(func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", http.NoBody)
		s.Must(err)
		answer, err := s.HTTP().Do(request)
		if err != nil {
			return err.Error()
		}
		return map[bool]string{false: answer.Status}[answer.Body.Close() == nil && answer.StatusCode == http.StatusOK]
	})
}

// KillConsole ends the console at once.
func (s *Stage) KillConsole() { _ = s.console.Kill() }

// HTTP is a client that trusts the console.
func (s *Stage) HTTP() *http.Client {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(s.Authority.PEM)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	s.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Token of an account that has a role in the namespace.
func (s *Stage) Token(account, role string) string {
	s.Helper()
	meta := metav1.ObjectMeta{Namespace: Namespace, Name: account}
	s.Must(s.Admin.Create(s.Context(), &corev1.ServiceAccount{ObjectMeta: meta}))
	s.Must(s.Admin.Create(s.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: account}},
	}))
	request := &authenticationv1.TokenRequest{}
	s.Must(s.Admin.SubResource("token").Create(s.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, request))
	return request.Status.Token
}

// Log is what operator and console have said.
func (s *Stage) Log() string {
	var all []byte
	for _, path := range []string{s.operator.LogPath, s.console.LogPath} {
		content, _ := os.ReadFile(path) // it may not exist yet
		all = append(all, content...)
	}
	return string(all)
}
