// Package testdb gives each test a PostgreSQL database of its own.
package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// URLVariable names a server to use, by the URL of a role that may create databases.
const URLVariable = "LEDGERPORT_TEST_DATABASE_URL"

// server is the URL of the server: the one that the environment names, or one started once and ended with the process.
var server = sync.OnceValues(func() (string, error) {
	if named := os.Getenv(URLVariable); named != "" {
		return named, nil
	}
	directory, err := os.MkdirTemp("", "ledgerport-testdb-")
	if err != nil {
		return "", err
	}
	postgres, err := environment.StartPostgres(context.Background(), directory, os.Stderr)
	if err != nil {
		return "", err
	}
	return postgres.URL, nil
})

// New returns the URL of a fresh, empty database that is dropped when the test ends. What Ledgerport has written there is
// looked through for secrets first.
func New(t testing.TB) string {
	t.Helper()
	admin, err := server()
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	execute(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	own, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	own.Path = "/" + name
	leaks.AtEnd(t, func(ctx context.Context, scan *leaks.Scan) error {
		conn, err := pgx.Connect(ctx, own.String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }() // only read
		return errors.Join(scan.PlantPassword("the database", admin), scan.Records(ctx, conn))
	})
	return own.String()
}

// Copy makes another database with all that one has, as a backup of it would be restored on the same server, and returns its URL.
func Copy(t testing.TB, database string) string {
	t.Helper()
	copied := New(t)
	admin, err := server()
	if err != nil {
		t.Fatal(err)
	}
	execute(t, admin, "DROP DATABASE "+nameOf(copied))
	execute(t, admin, "CREATE DATABASE "+nameOf(copied)+" TEMPLATE "+nameOf(database))
	return copied
}

func nameOf(database string) string {
	name, _, _ := strings.Cut(database[strings.LastIndex(database, "/")+1:], "?")
	return name
}

func execute(t testing.TB, admin, statement string) {
	t.Helper()
	ctx := context.Background() // the test's own ends before its cleanup
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

// Operator makes the least-privilege role that config/postgres ships, under a name of its own, by running scripts of that
// folder in the order in which they are named, and returns the URL of the database for it. The role ends with the test.
func Operator(t testing.TB, database string, scripts ...string) string {
	t.Helper()
	role := "operator_" + strings.ToLower(rand.Text())
	for _, script := range scripts {
		RunScript(t, database, script, role)
	}
	t.Cleanup(func() { execute(t, database, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role) })
	execute(t, database, "ALTER ROLE "+role+" PASSWORD 'little-by-little'")
	own, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	own.User = url.UserPassword(role, "little-by-little")
	return own.String()
}

// RunScript runs a script of config/postgres with another name for the role.
func RunScript(t testing.TB, database, script, role string) {
	t.Helper()
	root, err := environment.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "config", "postgres", script))
	if err != nil {
		t.Fatal(err)
	}
	execute(t, database, strings.ReplaceAll(string(content), "ledgerport_operator", role))
}

// RoleOf is the user of a URL.
func RoleOf(database string) string {
	parsed, err := url.Parse(database)
	if err != nil {
		return ""
	}
	return parsed.User.Username()
}
