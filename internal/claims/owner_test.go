package claims_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestATransactionBelongsToWhomItIsOpenedFor has ids that say something else where they are taken for SQL, in sessions that take a
// backslash for more than it is and texts for another encoding, and bound by policies.
func TestATransactionBelongsToWhomItIsOpenedFor(t *testing.T) {
	t.Parallel()
	const trap = `ALTER ROLE %r SET client_encoding = LATIN1; ALTER ROLE %r SET standard_conforming_strings = off; ALTER ROLE %r SET backslash_quote = on`
	for name, test := range map[string]struct{ encoding, setting string }{
		"by default":                        {encoding: "UTF8"},
		"with the settings of a trap":       {encoding: "UTF8", setting: trap},
		"in a database without an encoding": {encoding: "SQL_ASCII", setting: trap},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := encoded(t, test.encoding)
			url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
			for statement := range strings.SplitSeq(strings.ReplaceAll(test.setting, "%r", testdb.RoleOf(url)), ";") {
				f.sql(statement)
			}
			database := f.openAs(url)
			for i, hostile := range []string{
				"plain-1", "'", `\`, `\'`, `'; DROP SCHEMA ledgerport CASCADE; --`, `\'; DROP SCHEMA ledgerport CASCADE; --`, "$1", "$$", "a\nb\tc\x01", "ø–😀", `\u0027`, "E'x'",
			} {
				attempt := attemptOf(strconv.Itoa(i))
				attempt.OrganizationID, attempt.Series = hostile, strings.Repeat("S", i+1)
				run, err := database.StartAttempt(t.Context(), attempt)
				f.must(err)
				f.must(database.Release(t.Context(), run.Fence(), "test"))
				if n := f.count(`SELECT count(*) FROM ledgerport.runs WHERE id = $1 AND organization_id = $2 AND state = 'released'`, attempt.ID, hostile); n != 1 {
					t.Errorf("of the organisation %q there are %d runs", hostile, n)
				}
			}
		})
	}
}
