package claims

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Inspection is what a look at a database found.
type Inspection struct {
	// SchemaVersion of the schema "ledgerport"; 0 if there is none.
	SchemaVersion int64
	// MissingIndex is the CREATE INDEX CONCURRENTLY statement of the index that would serve the query for approved
	// claims, or two of them where their lines cannot be looked up either; empty where nothing is missing. It is no
	// failure: exports work without, slowly.
	MissingIndex string
	// Unprotected are the tables in which no policy of row-level security binds the role: it is a superuser, has BYPASSRLS,
	// owns them, or they have none. It is no failure: Ledgerport asks for one organisation's claims only.
	Unprotected []string
	// ForeignRows says what rows of other organisations the role sees though policies bind it; empty where it sees none. It is no
	// failure either. Check looks for them, Inspect does not.
	ForeignRows string
	// Insecure says what the connection does without; empty where the server's certificate was verified.
	Insecure string
}

// Check is Inspect, and then all that a run needs besides: it rehearses one, and looks for rows that the role must not see. Failures
// also have ReasonReadOnlyDatabase and ReasonUnsuitableSessions.
func (d *Database) Check(ctx context.Context) (Inspection, error) {
	found, err := d.Inspect(ctx)
	if err != nil {
		return found, err
	}
	if err := d.Rehearse(ctx); err != nil {
		return found, err
	}
	if len(found.Unprotected) == 0 {
		found.ForeignRows, err = d.foreign(ctx, d.tables)
	}
	return found, err
}

// insecure says what the connection does without.
func (d *Database) insecure() string {
	connection, encrypted := d.conn.PgConn().Conn().(*tls.Conn)
	switch {
	case !encrypted:
		return "nothing is encrypted between the operator and the database, which an administrator allows"
	case len(connection.ConnectionState().VerifiedChains) == 0 && d.options.Layout.CABundle == "":
		return "the server's certificate is not verified, so that anybody in between can be the server, which an administrator allows"
	}
	return ""
}

// Inspect looks at tables, columns, their types and the right to read them, at the index, and at Ledgerport's schema.
// Failures have ReasonTableNotFound, ReasonColumnMismatch (which lists every column), ReasonPermissionDenied or one of the
// reasons of CheckSchema.
func (d *Database) Inspect(ctx context.Context) (Inspection, error) {
	if err := d.LookAtTables(ctx); err != nil {
		return Inspection{}, err
	}
	found := d.tables
	version, err := d.CheckSchema(ctx)
	if err != nil {
		return Inspection{}, err
	}
	if _, err := d.identity(ctx, found, MainBook); err != nil {
		return Inspection{}, err
	}
	missing, err := d.missingIndexes(ctx, found)
	if err != nil {
		return Inspection{}, err
	}
	unprotected, err := d.unprotected(ctx, found)
	return Inspection{SchemaVersion: version, MissingIndex: missing, Unprotected: unprotected, Insecure: d.insecure()}, err
}

// LookAtTables looks at tables, columns, their types and the right to read them, as Inspect does. It is what a run needs beside a schema
// that was checked.
func (d *Database) LookAtTables(ctx context.Context) error {
	d.tables = nil // a person may have altered them since
	return d.together(ctx, "looking at the tables", func() error {
		_, err := d.layout(ctx)
		return err
	})
}

// unprotected returns the tables of the application in which row-level security is not active for the role.
func (d *Database) unprotected(ctx context.Context, l *layout) (tables []string, err error) {
	err = d.reading(ctx, "looking up the policies", func(tx pgx.Tx) error {
		for _, t := range append([]table{l.claims}, l.ofClaims()...) {
			var active bool
			if err := tx.QueryRow(ctx, `SELECT row_security_active(to_regclass($1)::oid)`, t.name).Scan(&active); err != nil {
				return err
			}
			if !active {
				tables = append(tables, t.declared)
			}
		}
		return nil
	})
	return tables, err
}

// index is a valid btree index.
type index struct {
	keys      []string // columns; an expression is empty
	predicate string   // of a partial index, as SQL
}

// indexes of a table, and whether it is one that can have any: a view cannot.
func (d *Database) indexes(ctx context.Context, t table) (found []index, possible bool, err error) {
	const query = `
		SELECT coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
		       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
		        FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
		        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
		FROM pg_class c
		LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
		    AND EXISTS (SELECT FROM pg_class ic JOIN pg_am m ON m.oid = ic.relam WHERE ic.oid = i.indexrelid AND m.amname = 'btree')
		WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'm')`
	err = d.reading(ctx, "looking up the indexes of "+t.declared, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, query, t.name) // the error comes with the rows
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i index, err error) {
			return i, row.Scan(&i.predicate, &i.keys)
		})
		return err
	})
	return found, len(found) > 0, err
}

// missingIndexes are the statements that create what would serve the query for approved claims; nothing where it is there.
func (d *Database) missingIndexes(ctx context.Context, l *layout) (string, error) {
	found, possible, err := d.indexes(ctx, l.claims)
	if err != nil {
		return "", err
	}
	var missing []string
	if possible && !slices.ContainsFunc(found, l.servedBy) {
		missing = append(missing, fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s, %s, %s);", l.claims.name,
			l.claims.quoted("organizationID"), l.claims.quoted(statusKey), l.claims.quoted("approvedAt")))
	}
	if !l.linesIndexed {
		missing = append(missing, fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s);", l.lines.name, l.lines.quoted("claimID")))
	}
	return strings.Join(missing, " "), nil
}

// servedBy reports whether an index leads straight to the approved claims of an organisation in order of their approval.
func (l *layout) servedBy(i index) bool {
	organization, status, approvedAt := l.claims.columns["organizationID"].name, l.claims.columns[statusKey].name, l.claims.columns["approvedAt"].name
	partial := i.predicate != ""
	if partial && !l.selectsApproved(i.predicate) {
		return false
	}
	begins := func(columns ...string) bool {
		return len(i.keys) >= len(columns) && slices.Equal(i.keys[:len(columns)], columns)
	}
	return begins(organization, status, approvedAt) || begins(status, organization, approvedAt) || partial && begins(organization, approvedAt)
}

// selectsApproved reports whether a partial index has all approved claims: its predicate compares the status column, and
// nothing else, with every value that means approved.
func (l *layout) selectsApproved(predicate string) bool {
	names := func(value string) bool {
		return strings.Contains(predicate, "'"+strings.ReplaceAll(value, "'", "''")+"'")
	}
	return strings.Contains(predicate, l.claims.columns[statusKey].name) && !strings.Contains(predicate, " AND ") &&
		!slices.ContainsFunc(l.approved, func(value string) bool { return !names(value) })
}
