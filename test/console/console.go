// Package console is what the console is tested on: a control plane that passes requests on to an operator, an organisation with claims that were
// exported and some that are held, and people with different roles.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/oauth2-proxy/mockoidc"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

const (
	// Namespace of the organisation, with the export Export.
	Namespace, Export = "acme", "monthly"
	// Elsewhere is a namespace of another organisation.
	Elsewhere = "nordwind"
	// Claims of the organisation that were approved before the first run.
	Claims = 30
	// Held is how many of them no rule of the chart matches.
	Held = 3
	// PersonHeader says to a server of a test who asks, and so does PersonCookie: browsers send no headers of ours for downloads.
	PersonHeader, PersonCookie = "X-Test-Person", "test-person"
	organization               = "3f2c9a1e-0000-4000-8000-000000000001"
	patience                   = time.Minute
)

// Roles of the people, in Namespace. A stranger has none, and the auditor has one in the whole cluster.
var Roles = map[string]string{"clerk": "ledgerport-finance", "controller": "ledgerport-editor", "viewer": "ledgerport-viewer", "approver": "ledgerport-approver"}

// Stage is what a test works with.
type Stage struct {
	testing.TB
	ControlPlane *environment.ControlPlane
	// Cluster is that of an administrator.
	Cluster client.Client
	// Database is the URL of the application's, as its owner.
	Database string
	// Exports is the root of the destinations.
	Exports string
	// Program is the one that was built for the stage.
	Program string
}

// Start starts all of it, and exports what was approved with the run "october".
func Start(tb testing.TB) *Stage {
	tb.Helper()
	ctrl.SetLogger(logr.Discard())
	s := &Stage{TB: tb, Database: testdb.New(tb)}
	assets, err := environment.ControlPlaneAssets(tb.Context(), os.Stderr)
	s.must(err)
	s.ControlPlane, err = environment.StartControlPlane(tb.Context(), assets, os.Stderr)
	s.must(err)
	tb.Cleanup(s.ControlPlane.Stop)
	scheme := runtime.NewScheme()
	s.must(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	s.Cluster, err = client.New(s.ControlPlane.Config, client.Options{Scheme: scheme})
	s.must(err)
	s.startOperator()
	s.apply()
	s.admit()
	s.Run("october", v1alpha1.ExportRunSpec{})
	s.ready()
	return s
}

// ready waits for the operator to have seen the export as it is, and found it ready.
func (s *Stage) ready() {
	s.Helper()
	s.Until(func(ctx context.Context) string {
		var export v1alpha1.AccountingExport
		if err := s.Cluster.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: Export}, &export); err != nil {
			return err.Error()
		}
		ready := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || ready.ObservedGeneration != export.Generation {
			return fmt.Sprintf("the export is not ready at generation %d: %+v", export.Generation, export.Status.Conditions)
		}
		return ""
	})
}

func (s *Stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *Stage) startOperator() {
	s.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	address, certificates := listener.Addr().String(), s.TempDir()
	s.must(listener.Close())
	s.must(environment.PassBooks(s.Context(), s.ControlPlane.Config, address, certificates))
	directory := s.TempDir()
	s.Program, err = environment.BuildOperator(s.Context(), directory, "")
	s.must(err)
	operator, err := environment.RunOperator(s.ControlPlane, s.Program, directory, "operator", nil, "--recheck-interval=1s", "--books-bind-address="+address, "--books-certificates="+certificates)
	s.must(err)
	s.Exports = operator.Exports
	s.Cleanup(func() {
		if err := operator.Stop(); err != nil {
			said, _ := os.ReadFile(operator.LogPath)
			s.Errorf("the operator ended with: %s\n%s", err, said)
		}
	})
}

// apply applies the samples of two organisations, and fills the database of one.
func (s *Stage) apply() {
	s.Helper()
	root, err := environment.ModuleRoot()
	s.must(err)
	for _, name := range []string{"10_claims.yaml", "20_acme_csv.yaml", "30_nordwind_sie.yaml"} {
		file, err := os.Open(filepath.Join(root, "config/samples", name))
		s.must(err)
		objects, err := environment.Decode(file)
		s.must(errors.Join(err, file.Close()))
		for _, object := range objects {
			switch object.GetKind() {
			case "Secret":
				s.must(unstructured.SetNestedField(object.Object, s.Database, "stringData", "url"))
			case "AccountingExport":
				object.SetAnnotations(map[string]string{v1alpha1.ClaimURLAnnotation: "https://expenses.example.com/claims/{id}"})
			}
			s.must(s.Cluster.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")))
		}
	}
	s.SQL(application.CreateTables)
	s.Approve(Claims, 1)
}

// Approve puts approved claims into the database. Every tenth has a line that no rule matches.
func (s *Stage) Approve(claims int, seed uint64) {
	s.Helper()
	s.SQL(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: claims, Seed: seed, ForeignEvery: 7, UnmappedEvery: Claims / Held,
			ApprovedFrom: time.Now().Add(-48 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		})
		return err
	})
}

// SQL works on the database of the application, as its owner.
func (s *Stage) SQL(do func(context.Context, *pgx.Conn) error) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), s.Database)
	s.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	s.must(do(s.Context(), conn))
}

// admit binds the roles of config to people, who have no other right.
func (s *Stage) admit() {
	s.Helper()
	manifests, err := environment.Render(s.Context(), "config/rbac")
	s.must(err)
	for _, object := range manifests {
		if object.GetKind() == "ClusterRole" {
			s.must(s.Cluster.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership))
		}
	}
	subject := func(name string) rbacv1.Subject {
		return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
	}
	for name, role := range Roles {
		s.Admit(name, role, subject(name))
	}
	s.must(s.Cluster.Create(s.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "auditor"}, Subjects: []rbacv1.Subject{subject("auditor")}, RoleRef: clusterRole("ledgerport-viewer"),
	}))
}

// RequireApproval has the export need four eyes from now on, and the API server see to that.
func (s *Stage) RequireApproval() {
	s.Helper()
	root, err := environment.ModuleRoot()
	s.must(err)
	for _, name := range []string{"who.yaml", "approval.yaml"} {
		file, err := os.Open(filepath.Join(root, "config/admission", name))
		s.must(err)
		policies, err := environment.Decode(file)
		s.must(errors.Join(err, file.Close()))
		for _, policy := range policies {
			s.must(s.Cluster.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(policy), client.FieldOwner("test")))
		}
	}
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Export}}
	s.must(s.Cluster.Patch(s.Context(), export, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"approval":"`+v1alpha1.ApprovalRequired+`"}}`))))
	s.ready()
}

// Admit gives somebody a role in Namespace, by a binding of the name.
func (s *Stage) Admit(name, role string, subject rbacv1.Subject) {
	s.Helper()
	s.must(s.Cluster.Create(s.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name}, Subjects: []rbacv1.Subject{subject}, RoleRef: clusterRole(role),
	}))
}

func clusterRole(name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
}

// Run creates a run of the export as an administrator, and waits for its end.
func (s *Stage) Run(name string, spec v1alpha1.ExportRunSpec) *v1alpha1.ExportRun {
	s.Helper()
	spec.ExportRef.Name = Export
	s.must(s.Cluster.Create(s.Context(), &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name}, Spec: spec}))
	return s.Ended(name)
}

// Ended waits for a run to have succeeded.
func (s *Stage) Ended(name string) *v1alpha1.ExportRun {
	s.Helper()
	return s.In(v1alpha1.RunSucceeded, name)
}

// In waits for a run to be in a phase.
func (s *Stage) In(phase v1alpha1.RunPhase, name string) *v1alpha1.ExportRun {
	s.Helper()
	run := &v1alpha1.ExportRun{}
	s.Until(func(ctx context.Context) string {
		if err := s.Cluster.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, run); err != nil {
			return err.Error()
		}
		if run.Status.Phase != phase {
			return fmt.Sprintf("run %s is %s: %+v", name, run.Status.Phase, run.Status.Conditions)
		}
		return ""
	})
	return run
}

// Until waits for a check to miss nothing.
func (s *Stage) Until(check func(context.Context) (missing string)) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
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
			s.Fatalf("after %s: %s", patience, missing)
		case <-tick.C:
		}
	}
}

// As implements identity.Clusters: the API server of the stage, as the caller.
func (s *Stage) As(ctx context.Context) (*rest.Config, error) {
	caller, known := identity.From(ctx)
	if !known {
		return nil, errors.New("nobody asks")
	}
	config := rest.CopyConfig(s.ControlPlane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: caller.Name, Groups: caller.Groups}
	return config, nil
}

// Serve serves pages as the console's server does: to whom a header names, with a policy, and refusing forms of other sites.
func (s *Stage) Serve(pages http.Handler, policy string) (url string) {
	s.Helper()
	guarded := http.NewCrossOriginProtection().Handler(pages)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		name := r.Header.Get(PersonHeader)
		if cookie, err := r.Cookie(PersonCookie); err == nil && name == "" {
			name = cookie.Value
		}
		if name != "" {
			r = r.WithContext(identity.With(r.Context(), identity.Caller{Name: name, Groups: []string{"system:authenticated"}, Session: true}))
		}
		guarded.ServeHTTP(w, r)
	}))
	s.Cleanup(server.Close)
	return server.URL
}

// Token is one of a ServiceAccount of the namespace with a role there, which the API server accepts.
func (s *Stage) Token(name, role string) string {
	s.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name}}
	s.must(s.Cluster.Create(s.Context(), account))
	s.Admit("account-"+name, role, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: name})
	request := &authenticationv1.TokenRequest{}
	s.must(s.Cluster.SubResource("token").Create(s.Context(), account, request))
	return request.Status.Token
}

// StartConsole starts the console as a process that has no login of its own, and returns where it is.
func (s *Stage) StartConsole() (url string) {
	s.Helper()
	authority := filepath.Join(s.TempDir(), "ca.crt")
	s.must(os.WriteFile(authority, s.ControlPlane.Config.CAData, 0o600))
	return s.startConsole("--api-server="+s.ControlPlane.Config.Host, "--api-server-ca="+authority)
}

// StartConsoleWithProvider starts the console as a process that vouches for whom an OIDC provider knows, each with the prefix "oidc:", and
// returns where it is. The provider's certificate is of the authority.
func (s *Stage) StartConsoleWithProvider(provider *mockoidc.Config, authority []byte) (url string) {
	s.Helper()
	trusted, secret := filepath.Join(s.TempDir(), "provider.crt"), filepath.Join(s.TempDir(), "client-secret")
	s.must(os.WriteFile(trusted, authority, 0o600))
	s.must(os.WriteFile(secret, []byte(provider.ClientSecret), 0o600))
	return s.startConsole("--oidc-issuer-url="+provider.Issuer, "--oidc-ca="+trusted, "--oidc-client-id="+provider.ClientID, "--oidc-client-secret="+secret,
		"--oidc-impersonate", "--oidc-scopes=email,groups", "--oidc-username-prefix=oidc:", "--oidc-groups-prefix=oidc:")
}

func (s *Stage) startConsole(flags ...string) (url string) {
	s.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	address := listener.Addr().String()
	s.must(listener.Close())
	url = "http://" + address
	var said bytes.Buffer
	console := exec.Command(s.Program, append([]string{"console", "--bind-address=" + address, "--public-url=" + url, // #nosec G204 -- the binary just built
		"--namespaces=" + Namespace + "," + Elsewhere}, flags...)...)
	console.Env = append(os.Environ(), "KUBECONFIG="+s.ControlPlane.KubeconfigPath)
	console.Stdout, console.Stderr = &said, &said
	console.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.must(console.Start())
	s.Cleanup(func() {
		_ = console.Process.Signal(syscall.SIGTERM) // Wait tells if it has ended before
		if err := console.Wait(); err != nil || s.Failed() {
			s.Logf("the console has ended with %v\n%s", err, said.String())
		}
	})
	s.Until(func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
		s.must(err)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return answer.Status
		}
		return ""
	})
	return url
}
