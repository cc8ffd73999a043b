package claims_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// withoutConstraints drops what the owner of the database can drop.
const withoutConstraints = `
	ALTER TABLE ledgerport.runs DROP CONSTRAINT runs_state_check, DROP CONSTRAINT runs_type_check, DROP CONSTRAINT runs_check,
		DROP CONSTRAINT runs_claims_check, DROP CONSTRAINT runs_attempt_check, ALTER files DROP NOT NULL, ALTER claims DROP NOT NULL;
	ALTER TABLE ledgerport.voucher_numbers DROP CONSTRAINT voucher_numbers_next_check;
	ALTER TABLE ledgerport.submitted_vouchers DROP CONSTRAINT submitted_vouchers_state_check;`

// TestARunThatSomebodyElseHasWrittenIsRefusedWhereItIsRead has the owner of the database change the record of a run.
func TestARunThatSomebodyElseHasWrittenIsRefusedWhereItIsRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	database := f.open(v1alpha1.PostgresSource{})
	run, _ := f.reserveAll(database, attemptOf("1"), year2026)
	f.sql(withoutConstraints)
	f.sql(`CREATE TABLE saved AS TABLE ledgerport.runs`)
	file := func(name, hash string, size int64, mediaType string) string {
		return fmt.Sprintf(`files = jsonb_build_array(jsonb_build_object('name', %s, 'sha256', '%s', 'size', %d, 'mediaType', '%s'))`, name, hash, size, mediaType)
	}
	hash := strings.Repeat("ab", 32)
	changes := map[string]string{
		"a file whose name leads up":         file(`'../../victim/monthly/monthly-1/monthly-1.csv'`, hash, 1, "text/csv"),
		"a file whose name is two dots":      file(`'..'`, hash, 1, "text/csv"),
		"a file whose name is one dot":       file(`'.'`, hash, 1, "text/csv"),
		"a file whose name is hidden":        file(`'.ledgerport-destination'`, hash, 1, "text/csv"),
		"a file whose name is absolute":      file(`'/etc/passwd'`, hash, 1, "text/csv"),
		"a file whose name has a directory":  file(`'a/b.csv'`, hash, 1, "text/csv"),
		"a file whose name has a backslash":  file(`'a\b.csv'`, hash, 1, "text/csv"),
		"a file whose name has a line break": file(`E'a\nb.csv'`, hash, 1, "text/csv"),
		"a file whose name a terminal obeys": file(`U&'a\009b31m.csv'`, hash, 1, "text/csv"),
		"a file whose name is empty":         file(`''`, hash, 1, "text/csv"),
		"a file whose name is too long":      file(`repeat('x', 256)`, hash, 1, "text/csv"),
		"a file whose name is a number":      file(`7`, hash, 1, "text/csv"),
		"a file whose hash is a path":        file(`'a.csv'`, "../../x", 1, "text/csv"),
		"a file whose hash is in capitals":   file(`'a.csv'`, strings.ToUpper(hash), 1, "text/csv"),
		"a file whose size is negative":      file(`'a.csv'`, hash, -1, "text/csv"),
		"a media type with a header":         file(`'a.csv'`, hash, 1, "text/csv\r\nX-Amz-Acl: public-read"),
		"two files of one name":              `files = files || files`,
		"files without a bound":              `files = (SELECT jsonb_agg(jsonb_build_object('name', i::text, 'sha256', '` + hash + `', 'size', 1, 'mediaType', 'text/csv')) FROM generate_series(1, 1001) i)`,
		"files that are a text":              `files = '"x"'`,
		"a namespace that leads up":          `namespace = '..'`,
		"an export that is a path":           `export = 'a/../../victim'`,
		"a state that does not exist":        `state = 'done'`,
		"a type that does not exist":         `type = 'refund'`,
		"an attempt below zero":              `attempt = -1`,
		"claims below zero":                  `claims = -1`,
		"claims that are missing":            `claims = NULL`,
		"a location that a terminal obeys":   `location = U&'file:///\001b]0;x'`,
		"a location that is a script":        `location = 'javascript:alert(1)'`,
		"a location without a bound":         `location = 'file:///' || repeat('x', 5000)`,
		"a voucher without a bound":          `first_voucher = repeat('x', 5000)`,
		"a voucher that a terminal obeys":    `last_voucher = U&'\009b31m'`,
		"a series with a line break":         `series = E'E\n'`,
		"a reason without a bound":           `release_reason = repeat('x', 5000)`,
		"inputs without a bound":             `inputs = to_json(repeat('x', 9000000))`,
		"a manifest without a bound":         `manifest = to_json(repeat('x', 5000000))`,
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			f.sql(`UPDATE ledgerport.runs SET ` + change)
			defer f.sql(`DELETE FROM ledgerport.runs; INSERT INTO ledgerport.runs SELECT * FROM saved`)
			_, _, err := database.Run(t.Context(), run.ID)
			failed := failureWith(t, err, v1alpha1.ReasonRecordInvalid)
			if !failed.Stalled || len(failed.Message) > 600 || strings.Contains(failed.Message, "victim") || strings.ContainsAny(failed.Message, "\u009b\n\r\x1b") {
				t.Errorf("%+v", failed)
			}
		})
	}
}

// TestPlacesInASeriesThatNoneHasAreRefused has the next number of a series changed.
func TestPlacesInASeriesThatNoneHasAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	run := f.start(database, attemptOf("1"))
	f.sql(withoutConstraints)
	for _, row := range []string{`2026, 0`, `2026, -5`, `2026, 9223372036854775807`, `-1, 1`, `0, 1`, `1000000, 1`} {
		f.sql(`DELETE FROM ledgerport.voucher_numbers`)
		f.sql(`INSERT INTO ledgerport.voucher_numbers VALUES ($1, 'E', `+row+`)`, acme)
		_, err := database.Reserve(t.Context(), run.Fence(), claims.Selection{})
		mustFail(t, err, v1alpha1.ReasonRecordInvalid)
	}
}

// TestVouchersThatSomebodyElseHasWrittenAreRefusedWhereTheyAreRead has what was sent to an accounting system changed.
func TestVouchersThatSomebodyElseHasWrittenAreRefusedWhereTheyAreRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	database := f.open(v1alpha1.PostgresSource{})
	run := f.start(database, attemptOf("1"))
	f.sql(withoutConstraints)
	f.sql(`INSERT INTO ledgerport.submitted_vouchers (run_id, position, organization_id, claim_table, claim_id, fiscal_year, voucher_number, lines, currency, debit, payable, base_debit, base_payable)
		VALUES ('1', 1, $1, 1, 'c', 2026, 1, 1, 'NOK', 1, 1, 1, 1)`, acme)
	f.sql(`CREATE TABLE saved AS TABLE ledgerport.submitted_vouchers`)
	all := []claims.VoucherState{claims.VoucherWaiting, claims.VoucherSent, claims.VoucherAcknowledged, claims.VoucherRejected, "paid"}
	if vouchers, err := database.SubmittedVouchers(t.Context(), run.Fence(), -10, 10, all...); err != nil || len(vouchers) != 1 {
		t.Fatalf("%+v (%v)", vouchers, err)
	}
	for name, change := range map[string]string{
		"a position that is none":     `position = -1`,
		"a number that is none":       `voucher_number = 0`,
		"a year that is none":         `fiscal_year = 123456`,
		"lines below zero":            `lines = -1`,
		"a state that does not exist": `state = 'paid'`,
		"a currency that is none":     `currency = 'XX; DROP'`,
		"a reference without a bound": `reference = repeat('x', 100000)`,
		"a message without a bound":   `message = repeat('x', 100000)`,
		"a claim without a bound":     `claim_id = repeat('x', 100000)`,
	} {
		t.Run(name, func(t *testing.T) {
			f.sql(`UPDATE ledgerport.submitted_vouchers SET ` + change)
			defer f.sql(`DELETE FROM ledgerport.submitted_vouchers; INSERT INTO ledgerport.submitted_vouchers SELECT * FROM saved`)
			_, err := database.SubmittedVouchers(t.Context(), run.Fence(), -10, 10, all...)
			mustFail(t, err, v1alpha1.ReasonRecordInvalid)
		})
	}
	t.Run("positions that never end", func(t *testing.T) { // a view in place of the table has them
		f.sql(`ALTER TABLE ledgerport.submitted_vouchers RENAME TO hidden;
			CREATE VIEW ledgerport.submitted_vouchers AS SELECT run_id, organization_id, claim_id, fiscal_year, voucher_number, lines, currency, debit, payable,
				base_debit, base_payable, state, sent_at, reference, message, p AS position FROM ledgerport.hidden, (VALUES (9::bigint), (5)) v (p)`)
		vouchers, err := database.SubmittedVouchers(t.Context(), run.Fence(), 0, 10, all...)
		if err != nil || len(vouchers) != 2 || vouchers[1].Position != 9 { // a server that keeps to ORDER BY
			t.Errorf("%+v (%v)", vouchers, err)
		}
		f.sql(`CREATE OR REPLACE VIEW ledgerport.submitted_vouchers AS SELECT run_id, organization_id, claim_id, fiscal_year, voucher_number, lines, currency, debit, payable,
				base_debit, base_payable, state, sent_at, reference, message, p AS position FROM ledgerport.hidden, (VALUES (5::bigint), (5)) v (p)`)
		_, err = database.SubmittedVouchers(t.Context(), run.Fence(), 0, 10, all...)
		mustFail(t, err, v1alpha1.ReasonRecordInvalid)
	})
}

func TestEveryNameThatAnExporterMayUseIsValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"monthly-1.csv", "Größe 2026.xml", "SAF-T_Financial_974760673_20261201000005.xml", "…", strings.Repeat("x", 255)} {
		if !claims.ValidFileName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}
