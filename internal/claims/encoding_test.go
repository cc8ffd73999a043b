package claims_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// encoded makes a database with an encoding, beside the one of the test.
func encoded(t *testing.T, encoding string) *fixture {
	t.Helper()
	beside := newFixture(t, `SELECT 1`)
	name := "encoded_" + strings.ToLower(rand.Text())
	beside.sql(`CREATE DATABASE ` + name + ` ENCODING '` + encoding + `' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
	own, err := url.Parse(beside.url)
	beside.must(err)
	own.Path = "/" + name
	f := &fixture{TB: t, ctx: t.Context(), url: own.String()}
	f.conn, err = pgx.Connect(f.ctx, f.url)
	f.must(err)
	t.Cleanup(func() {
		_ = f.conn.Close(context.Background())
		_, err := beside.conn.Exec(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`)
		f.must(err)
	})
	f.sql(applicationTables)
	f.must(f.open(v1alpha1.PostgresSource{}).Migrate(f.ctx))
	return f
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	t.Run("of a database that is Latin-1, and of a role, change no text", func(t *testing.T) {
		t.Parallel()
		for _, encoding := range []string{"LATIN1", "UTF8", "WIN1252", "EUC_JP"} {
			f := encoded(t, encoding)
			role := f.role()
			f.sql(`ALTER ROLE ` + role + ` SUPERUSER; ALTER ROLE ` + role + ` SET client_encoding = 'SQL_ASCII'`)
			f.claim(1, 1)
			text := map[string]string{"EUC_JP": "出張"}[encoding]
			if text == "" {
				text = "Zürich – Ærø"
			}
			if encoding == "LATIN1" {
				text = "Zürich Ærø"
			}
			f.sql(`SET client_encoding = 'UTF8'`)
			f.sql(`UPDATE claims SET description = $1`, text)
			database := f.openAs(f.as(role, "right"))
			if _, err := database.Check(t.Context()); err != nil {
				t.Errorf("%s: %s", encoding, err)
			}
			reservation := f.reserve(database, f.start(database, attemptOf("1")))
			claim, err := reservation.Next(t.Context())
			f.must(err)
			if claim.Description != text {
				t.Errorf("%s: %q is read as %q", encoding, text, claim.Description)
			}
			f.must(reservation.Hold(t.Context(), &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldUnmapped, Message: "map „" + text + "“ → an account…"}))
			f.must(reservation.Commit(t.Context(), rendered(nil, 1)))
			reservation.Rollback()
			if n := f.count(`SELECT count(*) FROM ledgerport.held_claims WHERE message LIKE '%an account%'`); n != 1 {
				t.Errorf("%s: the hold is not recorded", encoding)
			}
		}
	})
	t.Run("that are none leave the claim that is not UTF-8 to be held, and the others", func(t *testing.T) {
		t.Parallel()
		f := encoded(t, "SQL_ASCII")
		f.claim(1, 1)
		f.claim(2, 1)
		f.sql(`UPDATE claims SET description = E'caf\xe9' WHERE id = $1`, id(1))
		database := f.open(v1alpha1.PostgresSource{})
		_, err := database.Check(t.Context())
		f.must(err)
		reservation := f.reserve(database, f.start(database, attemptOf("1")))
		taken, held := f.takeAll(reservation, func(claim *ledger.Claim) int {
			if utf8.ValidString(claim.Description) {
				return 2026
			}
			return 0
		})
		f.must(reservation.Commit(t.Context(), rendered(taken, held)))
		if held != 1 || len(taken) != 1 {
			t.Errorf("took %v and held %d", taken, held)
		}
	})
	t.Run("that have a byte which means nothing name the claim before it", func(t *testing.T) {
		t.Parallel()
		f := encoded(t, "WIN1252")
		f.claim(1, 1)
		f.claim(2, 1)
		f.sql(`SET client_encoding = 'SQL_ASCII'`)
		f.sql(`UPDATE claims SET description = E'caf\x81' WHERE claims.id = '` + id(2) + `'`)
		database := f.open(v1alpha1.PostgresSource{})
		reservation := f.reserve(database, f.start(database, attemptOf("1")))
		_, err := reservation.Next(t.Context())
		f.must(err)
		_, err = reservation.Next(t.Context())
		if failed := failureWith(t, err, v1alpha1.ReasonUnsuitableEncoding); !strings.Contains(failed.Message, id(1)) {
			t.Errorf("%q does not name the claim before", failed.Message)
		}
	})
	t.Run("that lack a character of an artifact report it", func(t *testing.T) {
		t.Parallel()
		f := encoded(t, "LATIN1")
		f.claim(1, 1)
		database := f.open(v1alpha1.PostgresSource{})
		reservation := f.reserve(database, f.start(database, attemptOf("1")))
		taken, held := f.takeAll(reservation, year2026)
		artifact := rendered(taken, held)
		artifact.Manifest = []byte(`{"account": "出張"}`)
		mustFail(t, reservation.Commit(t.Context(), artifact), v1alpha1.ReasonUnsuitableEncoding)
	})
}
