package claims

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// probeTimeout bounds one question of a look at the isolation, in milliseconds. Where policies let no row through, and no index
// serves them, the answer is known only when all rows were looked at: what is not found in this time is taken for absent.
const probeTimeout = "2000"

const stateQueryCancelled = "57014"

// foreign looks whether the role sees what is not of the organisation that its transaction is bound to, and says what; nothing where
// the policies hold. What the catalog has of them is not believed: one that compares a column with itself looks sound there.
func (d *Database) foreign(ctx context.Context, l *layout) (string, error) {
	sample, err := d.anOrganization(ctx)
	if err != nil {
		return "", err
	}
	claims := `SELECT EXISTS (SELECT FROM ` + l.claims.name + `)`
	others := fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s c WHERE c.%s::text COLLATE "C" <> current_setting('ledgerport.organization_id'))`, l.claims.name, l.claims.quoted("organizationID"))
	type probe struct{ organization, query, sees string }
	probes := []probe{
		{"", claims, "a transaction that is bound to no organisation sees claims in " + l.claims.declared},
		{l.nobody(), claims, "a transaction that is bound to an organisation that does not exist sees claims in " + l.claims.declared},
	}
	if sample != "" { // something has been exported
		probes = append(probes, probe{sample, others, "a transaction that is bound to one organisation sees claims of another in " + l.claims.declared})
	}
	for i, t := range l.ofClaims() {
		rows := []string{"lines", "receipts"}[i]
		rowsOf := `SELECT EXISTS (SELECT FROM ` + t.name + `)`
		probes = append(probes,
			probe{"", rowsOf, "a transaction that is bound to no organisation sees " + rows + " in " + t.declared},
			probe{l.nobody(), rowsOf, "a transaction that is bound to an organisation that does not exist sees " + rows + " in " + t.declared})
		if sample != "" {
			stray := fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s l WHERE NOT EXISTS (SELECT FROM %s c WHERE c.%s = l.%s))`,
				t.name, l.claims.name, l.claims.quoted("id"), t.quoted("claimID"))
			probes = append(probes, probe{sample, stray, "a transaction that is bound to one organisation sees " + rows + " of claims that it does not see in " + t.declared})
		}
	}
	var seen []string
	for _, probe := range probes {
		found, err := d.sees(ctx, probe.organization, probe.query)
		if err != nil {
			return "", err
		}
		if found {
			seen = append(seen, probe.sees)
		}
	}
	return strings.Join(seen, "; "), nil
}

// sees asks a question in a transaction of an organisation.
func (d *Database) sees(ctx context.Context, organizationID, question string) (found bool, err error) {
	err = d.reading(ctx, "looking at what the policies let the role see", func(tx pgx.Tx) error {
		if organizationID != "" {
			if err := (owner{organizationID: organizationID}).bind(ctx, tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('jit', 'off', true)`, probeTimeout); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, question).Scan(&found)
		refused := sqlState(err)
		insists := organizationID == "" && refused == stateUndefinedObject || strings.HasPrefix(refused, "22") // a policy that compares with an error
		if ctx.Err() == nil && (refused == stateQueryCancelled || insists) {
			return nil // nothing was seen
		}
		return err
	})
	return found, err
}

// anOrganization returns one that something was exported of; empty if there is none.
func (d *Database) anOrganization(ctx context.Context) (organizationID string, err error) {
	err = d.reading(ctx, "looking up an organisation", func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT organization_id FROM ledgerport.exported_claims LIMIT 1`).Scan(&organizationID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return organizationID, err
}

// nobody is an organisation that does not exist.
func (l *layout) nobody() string { return l.none("organizationID") }

// none is a value of a column of claims that no claim has, as the type of the column can have it.
func (l *layout) none(column string) string {
	switch l.claims.columns[column].typeName {
	case "uuid":
		return string(uuid.NewUUID())
	case "int2":
		return "-32768"
	case "int4":
		return "-2147483648"
	case "int8":
		return "-9223372036854775808"
	}
	return "ledgerport-" + rand.Text()
}
