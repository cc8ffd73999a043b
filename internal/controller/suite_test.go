package controller_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	externalsecrets "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/controller"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// api is the control plane that all tests of this package share; each has namespaces and an operator of its own.
var api struct {
	config   *rest.Config
	client   client.Client
	operator *rest.Config // of the operator's own account
	plane    *environment.ControlPlane
}

func TestMain(m *testing.M) {
	code, err := runWithControlPlane(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runWithControlPlane(m *testing.M) (int, error) {
	ctrl.SetLogger(operatorLog.logger())
	klog.SetLogger(operatorLog.logger()) // what the Kubernetes client says
	ctx := context.Background()
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return 0, err
	}
	controlPlane, err := environment.StartControlPlane(ctx, assets, io.Discard)
	if err != nil {
		return 0, err
	}
	defer controlPlane.Stop()
	api.config, api.plane = controlPlane.Config, controlPlane
	api.client, err = client.New(api.config, client.Options{Scheme: everyScheme()})
	if err != nil {
		return 0, err
	}
	if api.operator, err = operatorAccount(ctx); err != nil {
		return 0, err
	}
	code := m.Run()
	return code, scanEverything(ctx)
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	_ = credentials.AddToScheme(scheme) // they only fail where a type is registered twice
	_ = v1alpha1.AddToScheme(scheme)
	_ = apiextensionsv1.AddToScheme(scheme)
	return scheme
}

// everyScheme has all of the ExternalSecrets that tests make.
func everyScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	_ = clientgoscheme.AddToScheme(scheme)
	_ = externalsecrets.AddToScheme(scheme)
	_ = v1alpha1.AddToScheme(scheme)
	_ = apiextensionsv1.AddToScheme(scheme)
	return scheme
}

// world is one test's organisation: a namespace, a database with claims, and an operator that sees only this namespace.
type world struct {
	*testing.T
	namespace    string
	organization string
	database     string
	exports      string
	writes       *writeLog
	cluster      string // that the operator says it is in
	clock        *shiftedClock
	recheck      time.Duration
	allowedHosts []string
	environment  func(string) (string, bool) // that the operator may fall back to
	metrics      *prometheus.Registry        // of the newest operator
	failpoints   failpoint.Hook              // of the reconcilers
	limits       controller.Limits           // of the administrator
	restrictions references.Restrictions     // of the administrator
	perNamespace int                         // attempts at the same time
	plainHTTP    bool                        // is allowed to buckets
	told         controller.Notifications    // how targets are told of runs
	door         *testDoor                   // nil if nothing is served through the API server
	jobs         *testJobs                   // nil if attempts are made by the operator itself
	stopOperator func()
}

// shiftedClock is the machine's clock, set ahead by a test.
type shiftedClock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Now implements clock.PassiveClock.
func (c *shiftedClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// organizationLabel says which organisation a namespace is.
const organizationLabel = "accounting.ledgerport.dev/organization-id"

// approvedUntil bounds the approvals of the tests' claims, whose expenses are up to 51 days older: all are of one fiscal year,
// whenever the tests run.
var approvedUntil = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

const testOrganization = "3f2c9a1e-0000-4000-8000-000000000001"

// newWorld makes a namespace, a database with the application's tables, and starts an operator for them that looks at
// databases and destinations every second.
func newWorld(t *testing.T, namespaces ...string) *world {
	t.Helper()
	return newWorldLookingEvery(t, time.Second, namespaces...)
}

func newWorldLookingEvery(t *testing.T, recheck time.Duration, namespaces ...string) *world {
	t.Helper()
	return newWorldWith(t, func(w *world) { w.recheck = recheck }, namespaces...)
}

// newWorldWith lets a test change how the operator is started.
func newWorldWith(t *testing.T, change func(*world), namespaces ...string) *world {
	t.Helper()
	w := &world{T: t, organization: testOrganization, database: testdb.New(t), exports: t.TempDir(), cluster: "this-cluster", clock: &shiftedClock{}, writes: &writeLog{}, recheck: time.Second, perNamespace: 4, plainHTTP: true, allowedHosts: []string{outbound.AnyHost, "127.0.0.0/8"}}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	w.must(api.client.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	w.sql(application.CreateTables)
	w.plant()
	change(w)
	w.startOperator(append(namespaces, w.namespace)...)
	return w
}

// startOperator starts the reconcilers with a real executor; they end with the test.
func (w *world) startOperator(namespaces ...string) {
	w.Helper()
	watched := map[string]cache.Config{}
	for _, namespace := range namespaces {
		watched[namespace] = cache.Config{}
	}
	counting := rest.CopyConfig(api.operator)
	counting.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.writes.next = next
		return w.writes
	})
	mgr, err := controller.NewManager(counting, ctrl.Options{
		Scheme:                  newScheme(),
		Cache:                   cache.Options{DefaultNamespaces: watched, ByObject: w.jobs.cached()},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: ptr.To(true)},
		GracefulShutdownTimeout: ptr.To(10 * time.Second),
	})
	w.must(err)
	resolver, attempts := w.pipeline(mgr.GetClient(), mgr.GetAPIReader())
	runs := w.addExecutor(mgr, attempts)
	w.addDoor(mgr, attempts)
	w.metrics = prometheus.NewRegistry()
	w.must(controller.Setup(mgr, controller.Parts{Metrics: w.metrics, Resolver: resolver, Executor: runs, Clock: w.clock, RecheckInterval: w.recheck, WatchNamespaces: true, Failpoints: w.failpoints, Notifications: w.told, Limits: w.limits, GracePeriod: 10 * time.Second}))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.stopOperator = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.Errorf("the operator ended with: %s", err)
			}
		case <-time.After(patience): // a manager whose caches never filled does not end
			w.Errorf("the operator does not end")
		}
	})
	w.Cleanup(func() {
		w.stopOperator()
		w.writes.reportRefusals(w)
	})
}

// pipeline makes attempts with what is read from elsewhere.
func (w *world) pipeline(objects, secrets client.Reader) (*references.Resolver, *pipeline.Pipeline) {
	w.Helper()
	policy, err := outbound.New(w.allowedHosts)
	w.must(err)
	resolver := &references.Resolver{
		Objects: objects, Secrets: credentials.Secrets{API: secrets, Turns: semaphore.NewWeighted(credentials.AtOnce), Environment: w.environment},
		Databases: claims.Allowances{Insecure: true}, // the server of a test speaks no TLS
		Destinations: destinationtypes.Registry(destinationtypes.Settings{
			Filesystem: filesystem.Settings{Root: w.exports}, S3: s3.Settings{AllowPlainHTTP: w.plainHTTP},
		}),
		Exporters: registry(), Outbound: policy, Restrictions: w.restrictions,
	}
	return resolver, &pipeline.Pipeline{
		Resolver: resolver, Holder: rand.Text(), Cluster: w.cluster, SpoolDirectory: w.TempDir(), Program: "Ledgerport", ProgramVersion: "test",
	}
}

// writeLog keeps what the operator writes to the API server, events and leases not counted.
type writeLog struct {
	next http.RoundTripper
	mu   sync.Mutex
	all  []string
	// refused are requests that the operator's role does not allow.
	refused []string
	// mayBeRefused is set by a test that refuses the operator something.
	mayBeRefused bool
	// hold returns when a write may go on.
	hold func(*http.Request)
}

// RoundTrip implements http.RoundTripper.
func (l *writeLog) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet && !strings.Contains(request.URL.Path, "/events") && !strings.Contains(request.URL.Path, "/leases") {
		l.mu.Lock()
		l.all = append(l.all, request.Method+" "+request.URL.Path)
		l.mu.Unlock()
		if l.hold != nil {
			l.hold(request)
		}
	}
	answer, err := l.next.RoundTrip(request)
	if err == nil && answer.StatusCode == http.StatusForbidden && !beingDeleted(answer) {
		l.mu.Lock()
		l.refused = append(l.refused, request.Method+" "+request.URL.Path)
		l.mu.Unlock()
	}
	return answer, err
}

// take returns what was written since it was last called.
func (l *writeLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.all
	l.all = nil
	return taken
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// sql runs statements on the test's database as its owner.
func (w *world) sql(do func(context.Context, *pgx.Conn) error) {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), w.database)
	w.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	w.must(do(w.Context(), conn))
}

func (w *world) exec(statement string, args ...any) {
	w.Helper()
	w.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement, args...)
		return err
	})
}

// count returns the number that a query returns.
func (w *world) count(query string, args ...any) (n int64) {
	w.Helper()
	w.sql(func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, query, args...).Scan(&n) })
	return n
}

// fill puts approved claims of the test's organisation into its database.
func (w *world) fill(count int) {
	w.Helper()
	w.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: w.organization, Claims: count, Seed: 1,
			ApprovedFrom: approvedUntil.AddDate(0, -1, 0), ApprovedTo: approvedUntil,
		})
		return err
	})
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(w.namespace)
		}
		w.must(api.client.Create(w.Context(), object))
	}
}

// patience is how long a test waits for what must come. On an idle machine everything comes within a second.
const patience = time.Minute

// until waits for a check to find nothing missing any more, and else says what it still missed.
func (w *world) until(check func(context.Context) (missing string)) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check(ctx)
		if missing == "" {
			return
		}
		if w.writes != nil && w.writes.wasRefused() { // it will not come
			w.Fatalf("while %s: the operator was refused something", missing)
		}
		select {
		case <-ctx.Done():
			w.Fatalf("after %s: %s", patience, missing)
		case <-tick.C:
		}
	}
}

// eventually waits until a check of an object finds nothing missing, and returns the object.
func eventually[O client.Object](w *world, object O, check func(O) (missing string)) O {
	w.Helper()
	w.until(func(ctx context.Context) string {
		err := api.client.Get(ctx, client.ObjectKeyFromObject(object), object)
		switch {
		case ctx.Err() != nil:
			return check(object)
		case err != nil:
			return err.Error()
		}
		return check(object)
	})
	return object
}

// gone waits until an object is deleted.
func (w *world) gone(object client.Object) {
	w.Helper()
	w.until(func(ctx context.Context) string {
		err := api.client.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return ""
		}
		return fmt.Sprintf("%T %s is not deleted (%v)", object, object.GetName(), err)
	})
}

// condition returns a check that a condition has a status and a reason, and that its message holds some words.
func condition(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string, words ...string) string {
	have := meta.FindStatusCondition(conditions, kind)
	if have == nil {
		return "there is no condition " + kind
	}
	if have.Status != status || have.Reason != reason {
		return fmt.Sprintf("%s is %s (%s: %s), want %s (%s)", kind, have.Status, have.Reason, have.Message, status, reason)
	}
	for _, word := range words {
		if !strings.Contains(have.Message, word) {
			return fmt.Sprintf("the message of %s is %q and lacks %q", kind, have.Message, word)
		}
	}
	return ""
}

// expectEvent waits for an event about an object, or about any if none is named.
func (w *world) expectEvent(about, reason string) (found eventsv1.Event) {
	w.Helper()
	w.until(func(ctx context.Context) string {
		var list eventsv1.EventList
		if err := api.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
			return err.Error()
		}
		for _, found = range list.Items {
			if (about == "" || found.Regarding.Name == about) && found.Reason == reason {
				return ""
			}
		}
		return fmt.Sprintf("there is no event about %s with reason %s", about, reason)
	})
	return found
}

// delivered returns the path of a delivered file.
func (w *world) delivered(export, run, file string) string {
	return filepath.Join(w.exports, w.namespace, w.namespace, export, run, file)
}

// files returns every file below the destination's root.
func (w *world) files() (files []string) {
	w.Helper()
	w.must(filepath.WalkDir(w.exports, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".ledgerport-destination") && !strings.Contains(path, ".ledgerport-probe-") { // of a check that is under way
			files = append(files, path)
		}
		return err
	}))
	return files
}
