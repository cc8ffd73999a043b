package offline_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsRenderedIsWhatTheNextRunDelivers(t *testing.T) {
	t.Parallel()
	database, approved := testdb.New(t), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 50, Seed: 3, UnmappedEvery: 20,
		ApprovedFrom: approved.AddDate(0, -1, 0), ApprovedTo: approved,
	})
	must(t, err)
	must(t, conn.Close(t.Context()))
	opened, err := claims.Open(t.Context(), claims.Options{URL: database})
	must(t, err)
	must(t, opened.Migrate(t.Context()))
	opened.Close()

	samples := []string{filepath.Join("..", "..", "config", "samples", "10_claims.yaml"), filepath.Join("..", "..", "config", "samples", "20_acme_csv.yaml")}
	valid, err := offline.Validate(t.Context(), builtin.Registry(), samples, nil, false)
	must(t, err)
	preview, delivered := t.TempDir(), t.TempDir()
	rendering := offline.Rendering{
		Registry: builtin.Registry(), DatabaseURL: database, Output: preview, Export: "acme/monthly", ProgramVersion: "1.0",
		RunName: "monthly-29934120", RunUID: "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49", Cutoff: approved, CreatedAt: approved.Add(time.Second),
	}
	outcomes, err := valid.Render(t.Context(), rendering)
	must(t, err)
	if result := outcomes["acme/monthly"].Result; result.Claims == 0 || result.Held == 0 {
		t.Errorf("%d claims, %d held; want some of both", result.Claims, result.Held)
	}
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	must(t, err)
	operator := &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: valid.Objects, Secrets: credentials.Secrets{API: valid.Objects}, Outbound: policy,
			Destinations: destinations.Settings{FilesystemRoot: delivered}, Exporters: builtin.Registry(),
		},
		Holder: "test", SpoolDirectory: t.TempDir(), Program: "Ledgerport", ProgramVersion: "1.0",
	}
	_, err = operator.Run(t.Context(), pipeline.Task{
		Type: v1alpha1.RunExport, RunID: rendering.RunUID, Namespace: "acme", Name: rendering.RunName, Export: "monthly",
		Cutoff: rendering.Cutoff, CreatedAt: rendering.CreatedAt, Deadline: time.Minute,
	}, &pipeline.Progress{})
	must(t, err)
	for _, name := range []string{"monthly-29934120.csv"} {
		path := filepath.Join("acme", "monthly", rendering.RunName, name)
		want, err := os.ReadFile(filepath.Join(delivered, path))
		must(t, err)
		got, err := os.ReadFile(filepath.Join(preview, "preview", path))
		must(t, err)
		if len(want) == 0 || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes were rendered and %d delivered, or they differ", name, len(got), len(want))
		}
	}

	rendering.Export = "yearly"
	if _, err := valid.Render(t.Context(), rendering); err == nil {
		t.Error("an export that is not in the files is rendered")
	}
}

func TestALimitRendersTheBeginning(t *testing.T) {
	t.Parallel()
	database := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), database)
	must(t, err)
	must(t, application.CreateTables(t.Context(), conn))
	now := time.Now()
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 20, Seed: 3, ApprovedFrom: now.AddDate(0, -1, 0), ApprovedTo: now.Add(-time.Hour),
	})
	must(t, err)
	must(t, conn.Close(t.Context()))
	opened, err := claims.Open(t.Context(), claims.Options{URL: database})
	must(t, err)
	must(t, opened.Migrate(t.Context()))
	opened.Close()
	valid, err := offline.Validate(t.Context(), builtin.Registry(), []string{filepath.Join("..", "..", "config", "samples")}, nil, false)
	must(t, err)
	outcomes, err := valid.Render(t.Context(), offline.Rendering{
		Registry: builtin.Registry(), DatabaseURL: database, Output: t.TempDir(), Export: "acme/monthly",
		RunUID: "0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49", Cutoff: now, CreatedAt: now, Limit: 7,
	})
	must(t, err)
	if got := outcomes["acme/monthly"].Result.Claims; got != 7 {
		t.Errorf("%d claims, want 7", got)
	}
}
