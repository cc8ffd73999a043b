package claims_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestReserve_GivesEveryFieldOfAClaimAsStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables+`ALTER TABLE claims ADD advance_amount numeric, ADD base_advance_amount numeric, ADD claimant_bic text, ADD claimant_address jsonb;
		ALTER TABLE claim_lines ADD payment_method text, ADD payment_reference text, ADD merchant text, ADD country char(3), ADD document_number text;`)
	f.sql(`INSERT INTO claims VALUES ($1, $2, '007', 'Kari Nordmann', 'NO9386011117947', 'approved', '2026-10-31 12:00:00.123456+02', 'boss', 'JPY', 'a trip', 50.0, 3.5, 'DNBANOKK',
		'{"street": "Storgata", "building": 7, "post_code": "0155", "town": "Oslo", "country": "NO", "floor": 3, "region": null}')`, id(1), acme)
	f.sql(`INSERT INTO claim_lines VALUES ($1, 2, '1999-12-31', 'hotel', 'night', -100.5000, 0, '1', 7.123456789, 1.1, '{"project": "P1"}', 2.50, 'nights', 's3://r/1',
		'company_card', '4571 1234', 'Grand Hotel', 'NO', '2026-17')`, id(1))
	f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category) VALUES ($1, 1, 'infinity', 'other')`, id(1))
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))

	claim, err := reservation.Next(t.Context())
	f.must(err)
	want := &ledger.Claim{
		ID: id(1), ClaimantID: "007", ClaimantName: "Kari Nordmann", ClaimantIBAN: "NO9386011117947", ClaimantBIC: "DNBANOKK",
		ClaimantAddress: ledger.Address{Street: "Storgata", Building: "7", PostCode: "0155", Town: "Oslo", Country: "NO"}, Currency: "JPY",
		ApprovedAt: time.Date(2026, time.October, 31, 10, 0, 0, 123456000, time.UTC), ApprovedBy: "boss", Description: "a trip",
		Advance: "50.0", BaseAdvance: "3.5",
		Lines: []ledger.Line{
			{Number: 1, Category: "other"},
			{
				Number: 2, ExpenseDate: time.Date(1999, time.December, 31, 0, 0, 0, 0, time.UTC), Category: "hotel", Description: "night",
				Gross: "-100.5000", Tax: "0.0000", TaxCode: "1", BaseGross: "7.123456789", BaseTax: "1.1",
				Dimensions: map[string]string{"project": "P1"}, Quantity: "2.50", Unit: "nights", ReceiptURI: "s3://r/1",
				PaymentMethod: "company_card", PaymentReference: "4571 1234", Merchant: "Grand Hotel", Country: "NO", DocumentNumber: "2026-17",
			},
		},
	}
	if !reflect.DeepEqual(claim, want) {
		t.Errorf("got  %+v\nwant %+v", claim, want)
	}
}

func TestReserve_LongTextsAndAClaimOfManyLines(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 1)
	f.claim(2, ledger.MaxLines)
	f.sql(`UPDATE claims SET description = repeat('x', 60000) WHERE id = $1`, id(1))
	f.sql(`UPDATE claim_lines SET description = repeat('y', 60000) WHERE claim_id = $1`, id(1))
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	claim, err := reservation.Next(t.Context())
	f.must(err)
	if len(claim.Description) != 60_000 || claim.Lines[0].Description != strings.Repeat("y", 60_000) {
		t.Error("the long text is not as stored")
	}
	claim, err = reservation.Next(t.Context())
	f.must(err)
	if len(claim.Lines) != ledger.MaxLines || claim.Lines[ledger.MaxLines-1].Gross != "1250000.0000" {
		t.Errorf("the claim has %d lines", len(claim.Lines))
	}
}

func TestReserve_DimensionsAreTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for n, dimensions := range []string{
		`{"project": "P1", "cost_center": 10, "share": 1.50, "billable": true, "nothing": null, "nested": {"a": 1}, "list": [1], "é\"": "ø\n"}`,
		`[1, 2]`, `"text"`, `{}`, `null`,
	} {
		f.claim(n+1, 1)
		f.sql(`UPDATE claim_lines SET dimensions = $2 WHERE claim_id = $1`, id(n+1), dimensions)
	}
	want := []map[string]string{
		{"project": "P1", "cost_center": "10", "share": "1.50", "billable": "true", "é\"": "ø\n"},
		nil, nil, {}, {},
	}
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	for n := range want {
		claim, err := reservation.Next(t.Context())
		f.must(err)
		if got := claim.Lines[0].Dimensions; len(got)+len(want[n]) > 0 && !reflect.DeepEqual(got, want[n]) {
			t.Errorf("dimensions %d are %v, want %v", n, got, want[n])
		}
	}
}

func TestReserve_RefusesAnOrganizationThatTheColumnCanNotHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	for n, organization := range []string{"acme", strings.ToUpper(acme)} {
		database := f.open(v1alpha1.PostgresSource{})
		attempt := attemptOf(id(n))
		attempt.OrganizationID = organization
		_, err := database.Reserve(t.Context(), f.start(database, attempt).Fence(), claims.Selection{})
		if failed := failureWith(t, err, v1alpha1.ReasonInvalidSpec); !failed.Stalled || !strings.Contains(failed.Message, "spec.organizationID") {
			t.Errorf("%q: %+v", organization, failed)
		}
	}
}

func TestReserve_OtherShapesOfTheApplicationsTables(t *testing.T) {
	t.Parallel()
	renamed := v1alpha1.PostgresSource{
		Claims: v1alpha1.ClaimsTable{
			Table:    "Expenses.the \"Claims\"",
			Columns:  map[string]v1alpha1.ColumnName{"id": "Claim No", "organizationID": "org", "approvedAt": "when"},
			Approved: v1alpha1.ApprovedFilter{Column: "State", Values: []string{"approved", "booked"}},
		},
		Lines: v1alpha1.LinesTable{Table: "Expenses.lines", Columns: map[string]v1alpha1.ColumnName{"claimID": "claim", "grossAmount": "cents"}},
	}
	for name, test := range map[string]struct {
		tables       string
		layout       v1alpha1.PostgresSource
		organization string
		want         []string
	}{
		"only required columns, text ids, an enum as status": {
			tables: `CREATE TYPE claim_status AS ENUM ('draft', 'approved');
				CREATE TABLE claims (id text PRIMARY KEY, organization_id varchar(40), claimant_id int, status claim_status, approved_at timestamptz, currency text);
				CREATE TABLE claim_lines (claim_id text, line_no bigint, expense_date date, category claim_status, gross_amount bigint, tax_amount int);
				INSERT INTO claims VALUES ('b\c d', 'acme', 7, 'approved', '2026-10-02', 'NOK'), ('é', 'acme', 7, 'approved', '2026-10-01', 'NOK'), ('x', 'acme', 7, 'draft', '2026-10-01', 'NOK');
				INSERT INTO claim_lines SELECT id, 1, '2026-10-01', 'draft', 10, 0 FROM claims`,
			organization: "acme", want: []string{"é", "b\\c d"},
		},
		"integer ids, domains and a char that is padded": {
			tables: `CREATE DOMAIN money_amount AS numeric(12,2);
				CREATE TABLE claims (id bigint PRIMARY KEY, organization_id int, claimant_id text, status varchar, approved_at timestamptz, currency char(9));
				CREATE TABLE claim_lines (claim_id bigint, line_no smallint, expense_date date, category text, gross_amount money_amount, tax_amount money_amount, dimensions json);
				INSERT INTO claims VALUES (10, 42, 'E', 'approved', '2026-10-02', 'NOK'), (9, 42, 'E', 'approved', '2026-10-02', 'NOK');
				INSERT INTO claim_lines SELECT id, 1, '2026-10-01', 'draft', 10, 0, '{"a":1}' FROM claims`,
			organization: "42", want: []string{"9", "10"},
		},
		"renamed tables and columns, two values that mean approved": {
			tables: `CREATE SCHEMA "Expenses";
				CREATE TABLE "Expenses"."the ""Claims""" ("Claim No" uuid PRIMARY KEY, org uuid, claimant_id text, "State" text, "when" timestamptz, currency text);
				CREATE TABLE "Expenses".lines (claim uuid, line_no int, expense_date date, category text, cents int, tax_amount int);
				INSERT INTO "Expenses"."the ""Claims""" VALUES ('` + id(1) + `', '` + acme + `', 'E', 'booked', '2026-10-02', 'NOK'), ('` + id(2) + `', '` + acme + `', 'E', 'approved', '2026-10-03', 'NOK');
				INSERT INTO "Expenses".lines SELECT "Claim No", 1, '2026-10-01', 'draft', 10, 0 FROM "Expenses"."the ""Claims"""`,
			layout: renamed, organization: acme, want: []string{id(1), id(2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, test.tables)
			database := f.open(test.layout)
			_, err := database.Inspect(t.Context())
			f.must(err)
			attempt := attemptOf("1")
			attempt.OrganizationID = test.organization
			run := f.start(database, attempt)
			reservation := f.reserve(database, run)
			taken, _ := f.takeAll(reservation, year2026)
			if !slices.Equal(taken, test.want) {
				t.Fatalf("took %q, want %q", taken, test.want)
			}
			totals, err := reservation.Totals(t.Context())
			f.must(err)
			want := ledger.Totals{Claims: 2, Lines: 2, Currencies: []ledger.CurrencyTotal{{Currency: "NOK", Claims: 2, Lines: 2, Gross: 2000}}}
			if !totals.Equal(want) {
				t.Errorf("totals are %+v, want %+v", totals, want)
			}
			f.must(reservation.Commit(t.Context(), rendered(taken, 0)))
			reservation.Rollback()
			f.mustHaveVouchers(database, run, taken, []number{{FiscalYear: 2026, Number: 1}, {FiscalYear: 2026, Number: 2}})
		})
	}
}
