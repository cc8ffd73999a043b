package offline_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// approved is when the last claim of a test's database was approved, and the cutoff of its runs.
var approved = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// databaseOf returns the URL of a database with claims of organisations, by the currencies of their books, and the schema of Ledgerport.
func databaseOf(t *testing.T, currencies map[string]string) string {
	t.Helper()
	url := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	for organization, currency := range currencies {
		_, err = application.Fill(t.Context(), conn, application.Content{
			OrganizationID: organization, Claims: 50, Seed: 3, UnmappedEvery: 20, ForeignEvery: 10, Currency: currency,
			ApprovedFrom: approved.AddDate(0, -1, 0), ApprovedTo: approved,
		})
		must(t, err)
	}
	must(t, conn.Close(t.Context()))
	opened, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: claims.Allowances{Insecure: true}})
	must(t, err)
	must(t, opened.Migrate(t.Context()))
	opened.Close()
	return url
}

// sample returns the exports of an exporter's sample, and the currencies of their organisations.
func sample(t *testing.T, exporter string) (valid *offline.Validation, exports []*v1alpha1.AccountingExport, currencies map[string]string) {
	t.Helper()
	directory := filepath.Join("..", "..", "config", "samples")
	files, err := filepath.Glob(filepath.Join(directory, "*_"+exporter+".yaml"))
	must(t, err)
	valid, err = offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), append(files, filepath.Join(directory, "10_claims.yaml")), nil, false)
	must(t, err)
	currencies = map[string]string{}
	for _, export := range valid.Exports {
		if export.Spec.Exporter.Type != exporter {
			continue
		}
		exports = append(exports, export)
		var chart v1alpha1.ChartOfAccounts
		must(t, valid.Objects.Get(t.Context(), types.NamespacedName{Namespace: export.Namespace, Name: export.Spec.ChartOfAccountsRef.Name}, &chart))
		currencies[export.Spec.OrganizationID] = chart.Spec.Currency
	}
	if len(exports) == 0 {
		t.Fatalf("there is no sample of the exporter %s", exporter)
	}
	return valid, exports, currencies
}

// TestWhatIsRenderedIsWhatTheNextRunDelivers renders the samples of every exporter that writes files, and runs them.
func TestWhatIsRenderedIsWhatTheNextRunDelivers(t *testing.T) {
	t.Parallel()
	registry := builtin.Registry()
	for _, exporter := range registry.Types() {
		if of, _ := registry.Get(exporter); sends(of) {
			continue // it delivers what the system answers
		}
		t.Run(exporter, func(t *testing.T) {
			t.Parallel()
			valid, exports, currencies := sample(t, exporter)
			database, rendered, delivered := databaseOf(t, currencies), t.TempDir(), t.TempDir()
			leaks.AtEnd(t, func(_ context.Context, scan *leaks.Scan) error {
				return errors.Join(scan.Files(rendered), scan.Files(delivered))
			})
			operator := &pipeline.Pipeline{
				Resolver: &references.Resolver{
					Objects: valid.Objects, Secrets: credentials.Secrets{API: valid.Objects}, Outbound: loopback(t),
					Databases:    claims.Allowances{Insecure: true}, // the server of a test speaks no TLS
					Destinations: destinationtypes.Directory(delivered), Exporters: registry,
				},
				Holder: "test", SpoolDirectory: t.TempDir(), Program: "Ledgerport", ProgramVersion: "1.0",
			}
			for i, export := range exports {
				rendering := offline.Rendering{
					Registry: registry, DatabaseURL: database, Databases: claims.Allowances{Insecure: true}, Destinations: destinationtypes.Directory(rendered), Export: export.Namespace + "/" + export.Name, ProgramVersion: "1.0",
					RunName: export.Name + "-29934120", RunUID: fmt.Sprintf("0b8f7d5e-6f3a-4f0e-9a53-%012d", i), Cutoff: approved, CreatedAt: approved.Add(time.Second),
				}
				outcomes, err := valid.Render(t.Context(), rendering)
				must(t, err)
				if result := outcomes[rendering.Export].Result; result.Claims == 0 || result.Held == 0 {
					t.Errorf("%d claims, %d held; want some of both", result.Claims, result.Held)
				}
				_, err = operator.Run(t.Context(), pipeline.Task{
					Type: v1alpha1.RunExport, RunID: rendering.RunUID, Namespace: export.Namespace, Name: rendering.RunName, Export: export.Name,
					Cutoff: rendering.Cutoff, CreatedAt: rendering.CreatedAt, Deadline: time.Minute,
				}, &pipeline.Progress{})
				must(t, err)
			}
			want, got := filesBelow(t, delivered), filesBelow(t, filepath.Join(rendered, "_preview"))
			if len(want) < len(exports) || !maps.Equal(got, want) {
				t.Errorf("what was rendered\n%v\nis not what was delivered\n%v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
}

func sends(exporter exporters.Exporter) bool {
	_, submits := exporter.(exporters.Submitter)
	return submits
}

func loopback(t *testing.T) *outbound.Policy {
	t.Helper()
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	must(t, err)
	return policy
}

// filesBelow returns what files hold, by their path. Manifests are left out: they say of which type the run is.
func filesBelow(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "manifest.json" {
			return err
		}
		content, err := os.ReadFile(path)
		relative, _ := filepath.Rel(root, path)
		files[relative] = string(content)
		return err
	}))
	return files
}

func TestALimitRendersTheBeginning(t *testing.T) {
	t.Parallel()
	valid, _, currencies := sample(t, "csv")
	rendering := offline.Rendering{
		Registry: builtin.Registry(), DatabaseURL: databaseOf(t, currencies), Databases: claims.Allowances{Insecure: true}, Export: "acme/monthly",
		RunUID: "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49", Cutoff: approved, CreatedAt: approved,
	}
	var contents []string
	for _, limit := range []int64{0, 7} {
		output := t.TempDir()
		rendering.Limit, rendering.Destinations = limit, destinationtypes.Directory(output)
		outcomes, err := valid.Render(t.Context(), rendering)
		must(t, err)
		if got := outcomes["acme/monthly"].Result; limit > 0 && got.Claims+got.Held != limit {
			t.Errorf("%d claims and %d held ones, want %d together", got.Claims, got.Held, limit)
		}
		contents = append(contents, slices.Collect(maps.Values(filesBelow(t, output)))...)
	}
	if len(contents) != 2 || contents[1] == "" || !strings.HasPrefix(contents[0], contents[1]) || len(contents[0]) == len(contents[1]) {
		t.Errorf("%d files; want two, of which the limited one is the beginning of the other", len(contents))
	}

	rendering.Export = "yearly"
	if _, err := valid.Render(t.Context(), rendering); err == nil {
		t.Error("an export that is not in the files is rendered")
	}
}

// TestWhoRendersIsToldWhatIsWrong has a source and a destination in namespaces that are not the export's.
func TestWhoRendersIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	valid, _, _ := sample(t, "csv")
	_, err := valid.Render(t.Context(), offline.Rendering{
		Registry: builtin.Registry(), DatabaseURL: "postgres://ledgerport:x@127.0.0.1:1/claims?sslmode=disable", Destinations: destinationtypes.Directory(t.TempDir()), Export: "acme/monthly",
		RunUID: "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49", Cutoff: approved, CreatedAt: approved,
	})
	if err == nil || !strings.Contains(err.Error(), "sslmode=disable") || !strings.Contains(err.Error(), "--allow-insecure-databases") {
		t.Errorf("%v; want what the URL says, and the flag that allows it", err)
	}
}
