package application_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestTheSameContentIsMadeFromTheSameValues(t *testing.T) {
	t.Parallel()
	content := application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: 200, Seed: 7, ForeignEvery: 10, UnmappedEvery: 50,
		ApprovedFrom: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), ApprovedTo: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	want := application.Summary{Claims: 200, Lines: 600, Foreign: 20, Unmapped: 4}
	digests := map[string]bool{}
	for range 2 {
		conn, err := pgx.Connect(t.Context(), testdb.New(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := application.CreateTables(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		made, err := application.Fill(t.Context(), conn, content)
		if err != nil || made != want {
			t.Fatalf("made %+v (%v), want %+v", made, err, want)
		}
		var digest string
		const all = `SELECT md5(string_agg(c::text || l::text, '|' ORDER BY l.claim_id, l.line_no)) FROM claims c JOIN claim_lines l ON l.claim_id = c.id`
		if err := conn.QueryRow(t.Context(), all).Scan(&digest); err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(digests) != 1 {
		t.Error("two fillings with the same values differ")
	}
}
