package claims_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// pooled starts PgBouncer before the fixture's database, for a user, and returns the URL through it.
func (f *fixture) pooled(database string, settings ...string) string {
	f.Helper()
	directory, err := os.MkdirTemp("", "ledgerport-pooler-")
	f.must(err)
	pooler, err := environment.StartPgBouncer(context.Background(), filepath.Join(directory, "pgbouncer"), database, os.Stderr, settings...)
	f.must(err)
	f.Cleanup(func() {
		pooler.Stop()
		_ = os.RemoveAll(directory)
	})
	return pooler.URL
}

// TestPgBouncer has a whole life of the schema and of runs through a pooler, as its defaults are but for the mode.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run("works by itself in mode "+mode, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(10)
			f.sql(`DROP SCHEMA ledgerport CASCADE`)
			url := f.pooled(testdb.Operator(t, f.url, "role.sql", "managed.sql"), "pool_mode = "+mode)
			before := searchPath(f, url)
			database := f.openAs(url)
			f.must(database.Migrate(t.Context()))
			found, err := database.Check(t.Context())
			f.must(err)
			if len(found.Unprotected) != 0 || found.ForeignRows != "" {
				t.Errorf("unprotected are %v, and it saw %q", found.Unprotected, found.ForeignRows)
			}
			run, taken := f.reserveAll(database, attemptOf("1"), year2026)
			f.must(database.MarkDelivered(t.Context(), run.Fence(), "file:///x"))
			f.must(database.Commit(t.Context(), run.Fence()))
			if len(taken) != 10 {
				t.Errorf("took %d claims, want 10", len(taken))
			}
			if after := searchPath(f, url); after != before {
				t.Errorf("another client of the pooler has the search path %q, and had %q", after, before)
			}
		})
		t.Run("lets a newer attempt end the sessions of an older one in mode "+mode, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			f.claimRange(3)
			url := f.pooled(f.url, "pool_mode = "+mode)
			stopped, next := f.openAs(url), f.openAs(url)
			reservation := f.reserve(stopped, f.start(stopped, attemptOf("1")))
			_, _ = f.takeAll(reservation, year2026)
			run, err := next.TakeOver(t.Context(), "1", "pod-2", "here", time.Minute)
			f.must(err)
			if err := reservation.Commit(t.Context(), rendered(nil, 0)); err == nil {
				t.Error("the older attempt went on")
			}
			again := f.reserve(next, run)
			if taken, _ := f.takeAll(again, year2026); len(taken) != 3 {
				t.Errorf("took %v", taken)
			}
		})
	}
	t.Run("cancels the query of a context that ends", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.openAs(f.pooled(f.url, "pool_mode = transaction"))
		f.sql(`BEGIN; LOCK TABLE ledgerport.runs`)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, _, err := database.Run(ctx, "1"); err == nil {
			t.Error("the table is locked")
		}
		f.sql(`ROLLBACK`)
		if _, _, err := database.Run(t.Context(), "1"); err != nil {
			t.Error(err) // PgBouncer 1.18 ends if the client of a cancellation leaves before it
		}
	})
	t.Run("with a pool of one is not ready", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		database := f.openAs(f.pooled(f.url, "pool_mode = transaction", "default_pool_size = 1"))
		_, err := database.Check(t.Context())
		if failed := failureWith(t, err, v1alpha1.ReasonUnsuitableSessions); !strings.Contains(failed.Message, "default_pool_size") {
			t.Errorf("%+v", failed)
		}
	})
	t.Run("refuses options of the URL", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, applicationTables)
		_, err := claims.Open(t.Context(), claims.Options{URL: f.pooled(f.url) + "&options=-c%20geqo%3Doff", Allowed: insecure})
		if failed := failureWith(t, err, v1alpha1.ReasonUnsuitableSessions); !strings.Contains(failed.Message, "ignore_startup_parameters") {
			t.Errorf("%+v", failed)
		}
	})
}

// searchPath is what another client has.
func searchPath(f *fixture, url string) (path string) {
	f.Helper()
	conn, err := pgx.Connect(f.ctx, url)
	f.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	f.must(conn.QueryRow(f.ctx, `SHOW search_path`, pgx.QueryExecModeSimpleProtocol).Scan(&path))
	return path
}
