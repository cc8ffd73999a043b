// Package testdb gives each test a PostgreSQL database of its own.
package testdb

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/hack/environment"
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

// New gives the URL of a fresh, empty database that is dropped when the test ends.
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
	return own.String()
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
