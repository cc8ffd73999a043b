package claims_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// traps are functions and operators that a role makes which may create something in public. Each is found before PostgreSQL's own, by its
// place or because it fits better, and would run with the rights of its caller.
var traps = []string{
	`CREATE FUNCTION public.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.trap(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.trap(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.trap)`,
	`CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.trap)`,
	`CREATE OPERATOR public.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = public.trap)`,
	`CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.pg_export_snapshot() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE FUNCTION public.pg_terminate_backend(int, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$`,
	`CREATE VIEW public.pg_attribute AS SELECT 1 AS trapped`,
	`CREATE VIEW public.pg_class AS SELECT 1 AS trapped`,
	`CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.trap(VALUE, VALUE))`,
}

// TestASessionRunsNothingThatOthersHaveMade is attacked by a role that may create something in public, whatever search path the session begins
// with: everything from the schema to the end of a run, by an operator that is the schema's owner.
func TestASessionRunsNothingThatOthersHaveMade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ setting, options string }{
		"the default path":      {},
		"the path of the role":  {setting: `ALTER ROLE %r SET search_path = public, pg_catalog`},
		"the path of the URL":   {options: "&options=-c%20search_path%3Dpublic,pg_catalog"},
		"the encoding as well":  {setting: `ALTER ROLE %r SET search_path = public, pg_catalog; ALTER ROLE %r SET client_encoding = LATIN1; ALTER ROLE %r SET standard_conforming_strings = off`},
		"a path that is a trap": {setting: `ALTER ROLE %r SET search_path = public, ledgerport`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, strings.Replace(applicationTables, "status text", "status varchar(20)", 1))
			f.claimRange(3)
			f.sql(`UPDATE claims SET description = 'Reisekosten für Zürich – Ærø'; DROP SCHEMA ledgerport CASCADE`)
			url := testdb.Operator(t, f.url, "role.sql", "managed.sql")
			attacker := f.role()
			f.sql(`GRANT CREATE, USAGE ON SCHEMA public TO ` + attacker)
			asAttacker, err := pgx.Connect(t.Context(), f.as(attacker, "right"))
			f.must(err)
			defer func() { _ = asAttacker.Close(t.Context()) }()
			for _, trap := range traps {
				_, err := asAttacker.Exec(t.Context(), trap)
				f.must(err)
			}
			for statement := range strings.SplitSeq(strings.ReplaceAll(test.setting, "%r", testdb.RoleOf(url)), ";") {
				f.sql(statement)
			}
			database := f.openAs(url + test.options)
			f.must(database.Migrate(t.Context()))
			_, err = database.Inspect(t.Context())
			f.must(err)
			run := f.start(database, attemptOf("1"))
			reservation := f.reserve(database, run)
			claim, err := reservation.Next(t.Context())
			f.must(err)
			if claim.Description != "Reisekosten für Zürich – Ærø" {
				t.Errorf("the description is %q", claim.Description)
			}
			f.must(reservation.Take(t.Context(), one(voucher(claim, 2026, reservation.NextNumber(2026)))))
			taken, held := f.takeAll(reservation, year2026)
			_, err = reservation.Totals(t.Context())
			f.must(err)
			f.must(reservation.Commit(t.Context(), rendered(taken, held)))
			reservation.Rollback()
			f.must(database.MarkDelivered(t.Context(), run.Fence(), "file:///x"))
			f.must(database.Commit(t.Context(), run.Fence()))
			if len(taken) != 2 {
				t.Errorf("took %v besides the first, want two claims", taken)
			}
		})
	}
}

// TestSessionsLeaveNothingBehind looks at what a pooler would give to another client.
func TestSessionsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	before := claims.Settings(t.Context(), database)
	f.reserveAll(database, attemptOf("1"), year2026)
	_, err := database.Inspect(t.Context())
	f.must(err)
	f.must(database.Migrate(t.Context()))
	if after := claims.Settings(t.Context(), database); after != before {
		t.Errorf("the session was left with\n%s\nand began with\n%s", after, before)
	}
}
