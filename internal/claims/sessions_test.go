package claims_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// keeping is a fixture with sessions that are kept for a role.
type keeping struct {
	*fixture
	sessions *claims.Sessions
	role     string
	password string
	runs     int
}

func newKeeping(t *testing.T) *keeping {
	t.Helper()
	f := newFixture(t, applicationTables)
	k := &keeping{fixture: f, sessions: claims.NewSessions(8), role: f.fixtureRole(), password: "right"}
	ended, end := context.WithCancel(context.Background())
	end()
	t.Cleanup(func() { _ = k.sessions.Start(ended) }) // it returns nil
	return k
}

// fixtureRole is a role that may do what a run does.
func (f *fixture) fixtureRole() string {
	f.Helper()
	name := f.role()
	f.sql(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ` + name + `; GRANT USAGE ON SCHEMA ledgerport TO ` + name +
		`; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ledgerport TO ` + name)
	return name
}

func (k *keeping) options(source string) claims.Options {
	return claims.Options{URL: k.as(k.role, k.password), Source: source, Allowed: insecure, Sessions: k.sessions}
}

// openKept opens the database of a ClaimSource with sessions that were kept.
func (k *keeping) openKept(source string) *claims.Database {
	k.Helper()
	database, err := claims.Open(k.ctx, k.options(source))
	k.must(err)
	k.Cleanup(database.Close)
	return database
}

// run makes a run of one claim from its beginning to its end.
func (k *keeping) run(source string) {
	k.Helper()
	k.runs++
	k.claim(k.runs, 1)
	database := k.openKept(source)
	attempt := attemptOf(id(k.runs))
	run, taken := k.reserveAll(database, attempt, year2026)
	k.must(database.MarkDelivered(k.ctx, run.Fence(), "file:///x"))
	k.must(database.Commit(k.ctx, run.Fence()))
	if len(taken) != 1 {
		k.Errorf("run %d took %v, want the one new claim", k.runs, taken)
	}
	database.Keep()
	database.Close()
}

// pids are the sessions of the role that the server has.
func (k *keeping) pids() (pids []int32) {
	k.Helper()
	k.must(k.conn.QueryRow(k.ctx, `SELECT coalesce(array_agg(pid ORDER BY pid), '{}') FROM pg_stat_activity WHERE usename = $1`, k.role).Scan(&pids))
	return pids
}

func TestSessions(t *testing.T) {
	t.Parallel()
	t.Run("serve one run after another, two of them", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		first := k.pids()
		for range 5 {
			k.run("acme/books")
		}
		if last := k.pids(); len(first) != 2 || !slices.Equal(first, last) {
			t.Errorf("the first run had the sessions %v, and after the last there are %v; want the same two", first, last)
		}
	})
	t.Run("have set nothing, and hold nothing, that the next run would find", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		fresh := k.openKept("acme/books")
		want := claims.Settings(t.Context(), fresh)
		fresh.Close()
		k.run("acme/books")
		if got := claims.Settings(t.Context(), k.openKept("acme/books")); got != want {
			t.Errorf("a kept session has\n%s\nand a new one\n%s", got, want)
		}
	})
	t.Run("serve nobody but the ClaimSource that they were opened for", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		_ = k.openKept("globex/books")
		if idle := k.sessions.Idle(); idle != 2 {
			t.Errorf("%d sessions are idle while another's ClaimSource has opened the same database, want both of them", idle)
		}
	})
	t.Run("are not used once the password was changed", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		before := k.pids()
		k.sql(`ALTER ROLE ` + k.role + ` PASSWORD 'rotated'`)
		k.password = "rotated"
		k.run("acme/books")
		if after := k.pids(); len(before) != 2 || len(after) != 4 {
			t.Errorf("there were the sessions %v, and after a run with another password %v; want two more", before, after)
		}
		k.password = "wrong"
		_, err := claims.Open(t.Context(), k.options("acme/books"))
		mustFail(t, err, v1alpha1.ReasonLoginRefused)
	})
	t.Run("that the server has ended fail no run", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		if ended := k.count(`SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = $1`, k.role); ended != 2 {
			t.Fatalf("%d sessions were ended, want 2", ended)
		}
		k.run("acme/books")
	})
	t.Run("have the rights that the role has now", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		k.sql(`REVOKE SELECT ON public.claims FROM ` + k.role)
		database := k.openKept("acme/books")
		_, err := database.Inspect(t.Context())
		mustFail(t, err, v1alpha1.ReasonPermissionDenied)
		database.Close()
		k.sql(`GRANT SELECT ON public.claims TO ` + k.role)
		k.run("acme/books")
	})
	t.Run("are closed where an attempt has not come to its end", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.claim(1, 1)
		database := k.openKept("acme/books")
		reservation := k.reserve(database, k.start(database, attemptOf("1")))
		_, err := reservation.Next(t.Context())
		k.must(err)
		reservation.Rollback()
		database.Close()
		if idle := k.sessions.Idle(); idle != 0 {
			t.Errorf("%d sessions are kept", idle)
		}
	})
	t.Run("are closed once a query of theirs was cancelled", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		database := k.openKept("acme/books")
		k.sql(`BEGIN; LOCK TABLE ledgerport.runs`)
		limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, _, err := database.Run(limited, "1"); err == nil {
			t.Error("a locked table was read")
		}
		k.sql(`ROLLBACK`)
		database.Keep()
		database.Close()
		if idle := k.sessions.Idle(); idle != 0 {
			t.Errorf("%d sessions are kept", idle)
		}
	})
	t.Run("are closed when the process is to end, and none is kept from then on", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		ended, end := context.WithCancel(t.Context())
		end()
		k.must(k.sessions.Start(ended))
		k.run("acme/books")
		if idle := k.sessions.Idle(); idle != 0 {
			t.Errorf("%d sessions are kept", idle)
		}
	})
	t.Run("of a ClaimSource can be dropped", func(t *testing.T) {
		t.Parallel()
		k := newKeeping(t)
		k.run("acme/books")
		k.run("globex/books")
		k.sessions.Drop("acme/books")
		if idle := k.sessions.Idle(); idle != 2 {
			t.Errorf("%d sessions are idle, want the two of the other ClaimSource", idle)
		}
	})
}

func TestSessionsAreKeptUpToABound(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	sessions := claims.NewSessions(claims.SessionsPerDatabase + 4)
	ended, end := context.WithCancel(context.Background())
	end()
	t.Cleanup(func() { _ = sessions.Start(ended) }) // it returns nil
	other := testdb.New(t)
	keep := func(url, source string, many int) {
		databases := make([]*claims.Database, many)
		for i := range databases {
			database, err := claims.Open(t.Context(), claims.Options{URL: url, Source: source, Allowed: insecure, Sessions: sessions})
			f.must(err)
			database.Keep()
			databases[i] = database
		}
		for _, database := range databases {
			database.Close()
		}
	}
	keep(f.url, "greedy/books", claims.SessionsPerDatabase+3)
	if idle := sessions.Idle(); idle != claims.SessionsPerDatabase {
		t.Errorf("%d sessions with one database are kept, want %d", idle, claims.SessionsPerDatabase)
	}
	keep(f.url, "modest/books", 2)
	keep(other, "modest/books", 6)
	if idle := sessions.Idle(); idle != claims.SessionsPerDatabase+4 {
		t.Errorf("%d sessions are kept in all, want %d", idle, claims.SessionsPerDatabase+4)
	}
	if kept := claims.IdleOf(sessions, "modest/books"); kept != 8 {
		t.Errorf("%d sessions of the tenant that has few are kept, want all 8", kept)
	}
}

// TestSessionsBehindAPooler has runs one after another in sessions that a pooler leads to its own.
func TestSessionsBehindAPooler(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run("serve one run after another in mode "+mode, func(t *testing.T) {
			t.Parallel()
			k := newKeeping(t)
			pooled := k.pooled(k.as(k.role, k.password), "pool_mode = "+mode)
			for n := range 4 {
				k.claim(n+1, 1)
				database, err := claims.Open(t.Context(), claims.Options{URL: pooled, Source: "acme/books", Allowed: insecure, Sessions: k.sessions})
				k.must(err)
				run, taken := k.reserveAll(database, attemptOf(id(n)), year2026)
				k.must(database.MarkDelivered(t.Context(), run.Fence(), "file:///x"))
				k.must(database.Commit(t.Context(), run.Fence()))
				if len(taken) != 1 {
					t.Errorf("run %d took %v", n, taken)
				}
				database.Keep()
				database.Close()
			}
			if idle := k.sessions.Idle(); idle != 2 {
				t.Errorf("%d sessions are kept, want 2", idle)
			}
		})
	}
}
