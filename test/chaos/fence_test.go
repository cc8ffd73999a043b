package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// brokenFence is what a database does that never raises an attempt, and lets a released run go on: what fences are for.
const brokenFence = `
	DROP INDEX ledgerport.runs_unfinished_series;
	CREATE FUNCTION never_fence() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		NEW.attempt := OLD.attempt;
		IF NEW.state = 'released' THEN NEW.state := OLD.state; NEW.released_at := NULL; END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER never_fence BEFORE UPDATE ON ledgerport.runs FOR EACH ROW EXECUTE FUNCTION never_fence()`

// TestTheJudgeFindsWhatABrokenFenceLetsThrough stops an attempt before it delivers, lets another process release the run
// and a next run export its claims, and wakes the first up: with the fence in order nothing happens, without it the claims
// are exported twice, and the judge reports it.
func TestTheJudgeFindsWhatABrokenFenceLetsThrough(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]bool{"in order": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database, exports := testdb.New(t), t.TempDir()
			conn, err := pgx.Connect(t.Context(), database)
			must(t, err)
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			must(t, application.CreateTables(t.Context(), conn))
			tenant, random := newTenants()[0], rand.New(rand.NewPCG(1, 1))
			for range 5 {
				must(t, insertClaim(t.Context(), conn, tenant, random, withoutReceipt))
			}
			stopped, wake, late := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			first := pipelineOf(t, tenant, database, exports, func(point failpoint.Point) {
				if point == failpoint.Put.Before() {
					select {
					case <-stopped: // it goes on now
					default:
						close(stopped)
						<-wake
					}
				}
			})
			go func() {
				_, err := first.Run(context.Background(), taskOf(tenant, "first"), &pipeline.Progress{})
				late <- err
			}()
			<-stopped
			ask := func(statements string) {
				if broken {
					_, err := conn.Exec(t.Context(), statements)
					must(t, err)
				}
			}
			release := taskOf(tenant, "first")
			release.Release = true
			_, err = pipelineOf(t, tenant, database, exports, func(point failpoint.Point) {
				if point == failpoint.Attempt.Before() {
					ask(brokenFence)
				}
			}).Run(t.Context(), release, &pipeline.Progress{})
			must(t, err)
			ask(`DROP TRIGGER never_fence ON ledgerport.runs`) // no run begins in a schema that others may change
			_, err = pipelineOf(t, tenant, database, exports, nil).Run(t.Context(), taskOf(tenant, "second"), &pipeline.Progress{})
			must(t, err)
			close(wake)
			if err := <-late; (err == nil) != broken {
				t.Errorf("the attempt that woke up ended with %v", err)
			}
			e := &evidence{files: map[string][]byte{}}
			must(t, errors.Join(e.readDatabase(t.Context(), conn), e.readDirectory(exports)))
			found, report := judge(e)
			if !broken && found != (damage{}) {
				t.Errorf("the fence is in order, and the judge found %+v: %q", found, report)
			}
			if broken && (found.Duplicated != 5 || found.Gaps == 0) {
				t.Errorf("5 claims were exported twice, and the judge found %+v: %q", found, report)
			}
		})
	}
}

func pipelineOf(t *testing.T, of tenant, database, exports string, hook failpoint.Hook) *pipeline.Pipeline {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	objects := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.ExportRun{}, references.LedgerIndex, references.LedgerKeys)
	for _, object := range (&world{}).resources(of, database) {
		if export, is := object.(*v1alpha1.AccountingExport); is { // what the API server adds
			export.Spec.TimeZone, export.Spec.VoucherSeries, export.Spec.Posting.Date = "UTC", "E", v1alpha1.PostOnExpenseDate
			export.Spec.Receipts = v1alpha1.IgnoreReceipts
		}
		objects = objects.WithObjects(object)
	}
	reader := objects.Build()
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	must(t, err)
	return &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: reader, Secrets: credentials.Secrets{API: reader},
			Databases:    claims.Allowances{Insecure: true}, // the server of a test speaks no TLS
			Destinations: destinationtypes.Registry(destinationtypes.Settings{Filesystem: filesystem.Settings{Root: exports}}), Exporters: builtin.Registry(), Outbound: policy,
		},
		Holder: t.Name(), SpoolDirectory: t.TempDir(), Program: "Ledgerport", ProgramVersion: "test", Failpoints: hook,
	}
}

func taskOf(of tenant, name string) pipeline.Task {
	now := time.Now()
	return pipeline.Task{
		RunID: "11111111-0000-4000-8000-" + name, Namespace: of.namespace, Name: name, Export: exportName,
		Cutoff: now.Add(time.Second), CreatedAt: now, Deadline: time.Minute,
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
