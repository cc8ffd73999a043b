package claims_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/closedport"
)

// role adds a role with the password "right" that may do nothing, for as long as the test runs.
func (f *fixture) role() string {
	f.Helper()
	name := "role_" + strings.ToLower(rand.Text())
	f.sql(`CREATE ROLE ` + name + ` LOGIN PASSWORD 'right'`)
	f.Cleanup(func() {
		_, err := f.conn.Exec(context.Background(), `DROP OWNED BY `+name+`; DROP ROLE `+name)
		if err != nil {
			f.Error(err)
		}
	})
	return name
}

// as is the database's URL with another user and password.
func (f *fixture) as(user, password string) string {
	f.Helper()
	address, err := url.Parse(f.url)
	f.must(err)
	address.User = url.UserPassword(user, password)
	return address.String()
}

func TestOpen_RefusesWhatIsNoURLOfADatabaseWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"nothing":             "",
		"a key-value string":  "host=db user=app password=s3cret dbname=app",
		"another scheme":      "mysql://app:s3cret@db/app",
		"no host":             "postgres:///app",
		"no database":         "postgres://app:s3cret@db:5432/",
		"a port that is text": "postgres://app:s3cret@db:port/app",
		"an unknown sslmode":  "postgres://app:s3cret@db/app?sslmode=s3cret",
		"a broken escape":     "postgres://app:s3cret%zz@db/app",
		"no authority":        "postgres:app:s3cret@db/app",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := claims.Open(t.Context(), claims.Options{URL: address})
			failed := failureWith(t, err, v1alpha1.ReasonMalformedURL)
			if !failed.Stalled || strings.Contains(failed.Message, "s3cret") {
				t.Errorf("%+v", failed)
			}
		})
	}
}

func TestOpen_SaysWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	role := f.role()
	stranger := f.role()
	connected, err := url.Parse(f.url)
	f.must(err)
	f.sql(fmt.Sprintf(`REVOKE CONNECT ON DATABASE %[1]q FROM PUBLIC; GRANT CONNECT ON DATABASE %[1]q TO %[2]q`, strings.TrimPrefix(connected.Path, "/"), role))
	missing := *connected
	missing.Path = "/no_such_database"
	for name, test := range map[string]struct {
		url    string
		reason v1alpha1.Reason
		says   string
	}{
		"a wrong password":           {f.as(role, "s3cret"), v1alpha1.ReasonLoginRefused, `refused user and password; correct the connection URL, the key "url" of Secret acme/database`},
		"an unknown user":            {f.as("nobody_"+role, "s3cret"), v1alpha1.ReasonLoginRefused, "refused user and password"},
		"a database that is missing": {missing.String(), v1alpha1.ReasonDatabaseNotFound, `no database "no_such_database"; create it, or correct the connection URL, the key "url" of Secret acme/database`},
		"no right to connect":        {f.as(stranger, "right"), v1alpha1.ReasonPermissionDenied, `; run GRANT CONNECT ON DATABASE "` + strings.TrimPrefix(connected.Path, "/") + `" TO "` + stranger + `";`},
		"a port without a server":    {"postgres://app:s3cret@" + closedport.New(t).String() + "/app", v1alpha1.ReasonDatabaseUnreachable, `nothing listens there; correct the connection URL, the key "url" of Secret acme/database, or start the server`},
		"a host without an address":  {"postgres://app:s3cret@no-such-host.invalid/app", v1alpha1.ReasonDatabaseUnreachable, `cannot be resolved; correct the connection URL, the key "url" of Secret acme/database`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := claims.Open(t.Context(), claims.Options{URL: test.url, Login: `the key "url" of Secret acme/database`, Allowed: insecure})
			failed := failureWith(t, err, test.reason)
			if failed.Stalled || !strings.Contains(failed.Message, test.says) || strings.Contains(failed.Message, "s3cret") {
				t.Errorf("%+v", failed)
			}
		})
	}
}

func TestOpen_GivesUpOnAServerThatAcceptsAndNeverAnswers(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }() // connections wait in its backlog
	address := "postgres://app:s3cret@" + silent.Addr().String() + "/app"

	start := time.Now()
	_, err = claims.Open(t.Context(), claims.Options{URL: address, ConnectTimeout: 200 * time.Millisecond})
	if failed := failureWith(t, err, v1alpha1.ReasonDatabaseUnreachable); !strings.Contains(failed.Message, "no answer within 200ms; look at firewalls, network policies and the server's load, or correct the connection URL") {
		t.Errorf("%+v", failed)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection's timeout looks like the context's")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err = claims.Open(ctx, claims.Options{URL: address}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's deadline", err)
	}
}

func TestDatabase_GoesOnAfterItsConnectionWasLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	f.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'ledgerport%'`)
	_, _, err := database.Run(t.Context(), "1")
	mustFail(t, err, v1alpha1.ReasonDatabaseUnreachable)
	if _, found, err := database.Run(t.Context(), "1"); err != nil || found {
		t.Errorf("found %t, %v", found, err)
	}
}

// TestALaterSessionThatIsRefusedIsTheSourcesFault: who refers to a source of another namespace is told all that is wrong with
// credentials, which are otherwise the export's own.
func TestALaterSessionThatIsRefusedIsTheSourcesFault(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	role := f.role()
	f.sql(`ALTER ROLE ` + role + ` SUPERUSER`)
	database, err := claims.Open(f.ctx, claims.Options{URL: f.as(role, "right"), Allowed: insecure})
	f.must(err)
	f.Cleanup(database.Close)
	run := f.start(database, attemptOf("1"))
	f.sql(`ALTER ROLE ` + role + ` PASSWORD 'another'`)
	_, err = database.Reserve(f.ctx, run.Fence(), claims.Selection{})
	if failed := failureWith(t, err, v1alpha1.ReasonLoginRefused); failed.Condition != v1alpha1.ConditionSourceReady {
		t.Errorf("the second session is refused on %s", failed.Condition)
	}
	f.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, role)
	_, _, err = database.Run(f.ctx, "1")
	if failed := failureWith(t, err, v1alpha1.ReasonDatabaseUnreachable); failed.Condition != v1alpha1.ConditionSourceReady {
		t.Errorf("the session that was lost is told on %s", failed.Condition)
	}
	_, _, err = database.Run(f.ctx, "1")
	if failed := failureWith(t, err, v1alpha1.ReasonLoginRefused); failed.Condition != v1alpha1.ConditionSourceReady {
		t.Errorf("the session after one that was lost is refused on %s", failed.Condition)
	}
}
