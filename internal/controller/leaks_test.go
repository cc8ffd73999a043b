package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/ledgerport/ledgerport/test/leaks"
)

// scan is of everything that the operators of this package write: their log, resources with their status, events, metrics
// and artifacts. It is judged when all tests have ended.
var scan = leaks.New()

// operatorLog is what all operators of this package log.
var operatorLog logBuffer

type logBuffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(line)
}

func (b *logBuffer) all() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.content.Bytes())
}

func (b *logBuffer) logger() logr.Logger { return logr.FromSlogHandler(slog.NewJSONHandler(b, nil)) }

// scanEverything looks at what is left when all tests have ended. Artifacts were looked at when their tests ended.
func scanEverything(ctx context.Context) error {
	scan.Lines("log line", "", operatorLog.all())
	if err := scan.Objects(ctx, api.client); err != nil {
		return err
	}
	if err := scan.Metrics(metrics.Registry); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "looked for secrets in %d log lines, %d objects, %d metrics and %d files\n",
		scan.Looked("log line"), scan.Looked("object"), scan.Looked("metric"), scan.Looked("file"))
	if found := scan.Found(); len(found) > 0 {
		return fmt.Errorf("what nobody is to see was written:\n%s", strings.Join(found, "\n"))
	}
	return nil
}

// plant lets the scan look for the secrets of a test, and at its artifacts before they go.
func (w *world) plant() {
	w.Helper()
	w.must(scan.PlantPassword("the database", w.database))
	w.Cleanup(func() {
		if err := scan.Files(w.exports); err != nil {
			w.Error(err)
		}
	})
}

// TestTheScanFindsWhatIsPlanted puts one secret, or a bank account, into each place that is looked at.
func TestTheScanFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	const iban, secret = "DE89" + "99999999" + "0000001042", "correct-horse"
	namespace := home(t)
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "leak", Namespace: namespace}, InvolvedObject: corev1.ObjectReference{Namespace: namespace},
		Reason: "Leak", Message: "paid to " + iban,
	}
	if err := api.client.Create(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	export := (&world{T: t, namespace: namespace, organization: testOrganization}).export()
	if err := api.client.Create(t.Context(), export); err != nil {
		t.Fatal(err)
	}
	export.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Leak", Message: "Employee 1042 has " + secret, LastTransitionTime: metav1.Now()}}
	if err := api.client.Status().Update(t.Context(), export); err != nil {
		t.Fatal(err)
	}
	var planted leaks.Scan
	planted.Plant("a password", secret)
	if err := planted.Objects(t.Context(), api.client, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, object := range []client.Object{event, export} { // before the suite's own scan finds them
		if err := api.client.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}

	var log logBuffer
	log.logger().Info("connected", "url", "postgres://app:"+secret+"@db/app")
	planted.Lines("log line", "", log.all())
	registry := prometheus.NewRegistry()
	leaking := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leaking"}, []string{"account"})
	registry.MustRegister(leaking)
	leaking.WithLabelValues(iban).Set(1)
	if err := planted.Metrics(registry); err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "artifact.csv"), []byte("claimant;"+iban), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := planted.Files(directory); err != nil {
		t.Fatal(err)
	}
	found := strings.Join(planted.Found(), "\n")
	for _, want := range []string{"EventList", "a password in object *v1alpha1.AccountingExportList", "Employee", "a password in log line", "metric leaking", "file artifact.csv"} {
		if !strings.Contains(found, want) {
			t.Errorf("the scan found\n%s\nand not %q", found, want)
		}
	}
}
