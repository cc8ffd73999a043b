// Package observability_test looks at what an operator serves and sends, as those do who get it: with the engine of Prometheus, and with the
// receiver of an OpenTelemetry collector.
package observability_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestObservability has one operator for all that is looked at.
func TestObservability(t *testing.T) {
	collector := startCollector(t)
	i := start(t, collector.endpoint)
	first := i.fillAndRun(t, 5)
	scrapes := []scrape{i.scrape(t)}
	i.fillAndRun(t, 7)
	for range 2 {
		scrapes = append(scrapes, i.scrape(t))
	}
	t.Run("every query of dashboards and alerts is of what is served, and returns data", func(t *testing.T) { queriesReturnData(t, scrapes) })
	t.Run("a collector receives the traces of runs, and nothing of claims", func(t *testing.T) { collector.expectTraces(t, i, first) })
}

// installation is an operator with the two exports of the samples.
type installation struct {
	cluster  client.Client
	database string
	metrics  string
	log      string
	exports  []*v1alpha1.AccountingExport
	scan     *leaks.Scan
	filled   uint64
}

func start(t *testing.T, collector string) *installation {
	t.Helper()
	assets, err := environment.ControlPlaneAssets(t.Context(), os.Stderr)
	must(t, err)
	controlPlane, err := environment.StartControlPlane(t.Context(), assets, io.Discard)
	must(t, err)
	t.Cleanup(controlPlane.Stop)
	scheme := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(scheme))
	must(t, v1alpha1.AddToScheme(scheme))
	i := &installation{database: testdb.New(t), metrics: freeAddress(t), scan: leaks.New()}
	i.cluster, err = client.New(controlPlane.Config, client.Options{Scheme: scheme})
	must(t, err)
	must(t, i.scan.PlantPassword("the database", i.database))
	conn := i.connect(t)
	must(t, application.CreateTables(t.Context(), conn))
	must(t, conn.Close(t.Context()))
	operator, err := environment.StartOperator(t.Context(), controlPlane, t.TempDir(),
		"--metrics-bind-address="+i.metrics, "--metrics-authentication=false", "--recheck-interval=1s", "--otlp-endpoint="+collector)
	must(t, err)
	i.log = operator.LogPath
	t.Cleanup(func() { _ = operator.Stop() })
	for _, name := range []string{"10_claims.yaml", "20_acme_csv.yaml", "30_nordwind_sie.yaml"} {
		file, err := os.Open(filepath.Join("..", "..", "config", "samples", name))
		must(t, err)
		objects, err := environment.Decode(file)
		must(t, err)
		must(t, file.Close())
		for _, object := range objects {
			i.apply(t, object)
		}
	}
	return i
}

func (i *installation) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), i.database)
	must(t, err)
	return conn
}

func (i *installation) apply(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	switch object.GetKind() {
	case "Secret":
		must(t, unstructured.SetNestedField(object.Object, i.database, "stringData", "url"))
	case "AccountingExport":
		i.exports = append(i.exports, &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName()}})
	}
	must(t, i.cluster.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test")))
}

// fillAndRun adds claims to each organisation, asks for a run of each export, and returns the UIDs of the runs that have taken them.
func (i *installation) fillAndRun(t *testing.T, claims int64) (runs []string) {
	t.Helper()
	conn := i.connect(t)
	for _, export := range i.exports {
		until(t, func(ctx context.Context) string {
			if err := i.cluster.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil {
				return err.Error()
			}
			return ""
		})
		i.filled++
		_, err := application.Fill(t.Context(), conn, application.Content{
			OrganizationID: export.Spec.OrganizationID, Claims: int(claims), Seed: i.filled, Currency: map[string]string{"nordwind": "SEK"}[export.Namespace],
			ApprovedFrom: time.Now().Add(-48 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		})
		must(t, err)
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, time.Now().Format(time.RFC3339Nano))
		must(t, i.cluster.Patch(t.Context(), export.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch))))
	}
	must(t, conn.Close(t.Context()))
	for _, export := range i.exports {
		until(t, func(ctx context.Context) string {
			if err := i.cluster.Get(ctx, client.ObjectKeyFromObject(export), export); err != nil {
				return err.Error()
			}
			if last := export.Status.LastRun; last == nil || last.Phase != v1alpha1.RunSucceeded || last.Claims != claims {
				return fmt.Sprintf("the last run in %s is %+v, and the conditions are %+v", export.Namespace, last, export.Status.Conditions)
			}
			return ""
		})
		run := &v1alpha1.ExportRun{}
		must(t, i.cluster.Get(t.Context(), client.ObjectKey{Namespace: export.Namespace, Name: export.Status.LastRun.Name}, run))
		runs = append(runs, string(run.UID))
	}
	return runs
}

// scrape is what the operator has served once.
type scrape struct {
	content     []byte
	contentType string
}

func (i *installation) scrape(t *testing.T) (s scrape) {
	t.Helper()
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the certificate is the server's own
	defer insecure.CloseIdleConnections()
	until(t, func(ctx context.Context) string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+i.metrics+"/metrics", http.NoBody)
		must(t, err)
		answer, err := insecure.Do(request)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = answer.Body.Close() }()
		s.contentType = answer.Header.Get("Content-Type")
		if s.content, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			return fmt.Sprintf("%s (%v)", answer.Status, err)
		}
		return ""
	})
	return s
}

// until waits for a check to find nothing missing.
func until(t *testing.T, check func(context.Context) (missing string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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
