package claims

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// claimTable is a row of ledgerport.claim_tables: a table in a book.
type claimTable struct {
	ID     int32
	PartOf int32 // 0: of none
	Book   string
	sighting
	Source string
	// Live says that the relation is a table or view of this database, ColumnLive that the table looked at has the column.
	Live, ColumnLive bool
}

// known reports whether the row says which table it is.
func (t claimTable) known() bool { return t.Name != "" }

// sighting is a table of claims as the catalog has it: the table itself where the resource names a partition, or a view
// of that table alone.
type sighting struct {
	Schema, Name     string
	Relation         uint32
	Server           string // in which the relation means something
	IDColumn, IDType string
}

// identity says which claims are a table's in what was exported before to a book.
type identity struct {
	// id of the table and the book in claim_tables, and the table's oid.
	id       int32
	relation uint32
	// exported are the rows of claim_tables that have claims of the table: its own and those that are part of it.
	exported []int32
	// unknown are rows of which it is not known whose they are.
	unknown []claimTable
	// changes are rows that have to be written.
	changes []claimTable
	// retyped is the row of which the ids had another type.
	retyped *claimTable
}

// identify finds the table that a ClaimSource names among those recorded for a book: by its oid, which it keeps under another name,
// or by its name, which it keeps in another database. Where the two say different things nothing may be exported. next is the id of a
// row that is not there yet.
func identify(recorded []claimTable, seen sighting, view bool, source, book string, next int32) (identity, error) {
	byOID := slices.IndexFunc(recorded, func(t claimTable) bool {
		return t.known() && t.Relation == seen.Relation && t.Server == seen.Server
	})
	byName := slices.IndexFunc(recorded, func(t claimTable) bool {
		return t.known() && t.Schema == seen.Schema && t.Name == seen.Name
	})
	var found identity
	switch {
	case byOID < 0 && byName < 0:
		found = adopt(recorded, seen, source, book, next)
	case byOID >= 0 && byName >= 0 && byOID != byName:
		return found, ambiguous(recorded[byOID], recorded[byName], seen)
	case byOID < 0 && recorded[byName].Live && recorded[byName].Server == seen.Server:
		return found, replaced(recorded[byName], seen)
	default:
		own := recorded[max(byOID, byName)]
		if !view && own.IDColumn != seen.IDColumn && own.ColumnLive {
			return found, idsMoved(own, seen)
		}
		found = adoptInto(own.ID, recorded, source)
		found.refresh(own, seen, view)
	}
	found.relation = seen.Relation
	return found, nil
}

// refresh notes what has become of the table since it was recorded.
func (found *identity) refresh(own claimTable, seen sighting, view bool) {
	if view { // its columns may have other names than the table's
		seen.IDColumn = own.IDColumn
	}
	if own.sighting == seen {
		return
	}
	if typeFamily(own.IDType) != typeFamily(seen.IDType) {
		before := own
		found.retyped = &before
	}
	own.sighting = seen
	found.changes = append(found.changes, own)
}

// adopt makes a table of one that is not recorded. The claims that its ClaimSource exported before tables were told apart
// become its own.
func adopt(recorded []claimTable, seen sighting, source, book string, next int32) identity {
	var found identity
	for _, t := range adoptable(recorded, source) {
		if found.id == 0 {
			t.sighting, found.id = seen, t.ID
		} else {
			t.PartOf = found.id
		}
		found.exported = append(found.exported, t.ID)
		found.changes = append(found.changes, t)
	}
	if found.id == 0 {
		found.id = next
		found.exported = []int32{found.id}
		found.changes = []claimTable{{ID: found.id, Book: book, sighting: seen, Source: source}}
	}
	found.unknown = unknown(recorded, found.exported)
	return found
}

// adoptInto is adopt for a table that is recorded, under another ClaimSource.
func adoptInto(id int32, recorded []claimTable, source string) identity {
	found := identity{id: id, exported: []int32{id}}
	for _, t := range recorded {
		if t.PartOf == id {
			found.exported = append(found.exported, t.ID)
		}
	}
	for _, t := range adoptable(recorded, source) {
		t.PartOf = id
		found.exported = append(found.exported, t.ID)
		found.changes = append(found.changes, t)
	}
	found.unknown = unknown(recorded, found.exported)
	return found
}

// adoptable are the rows without a table that a ClaimSource exported; where only one has ever exported, those are the first's
// that looks, whatever its name is now.
func adoptable(recorded []claimTable, source string) (rows []claimTable) {
	names, anyKnown := map[string]bool{}, false
	for _, t := range recorded {
		anyKnown = anyKnown || t.known()
		if !t.known() && t.PartOf == 0 {
			names[t.Source] = true
		}
	}
	for _, t := range recorded {
		if !t.known() && t.PartOf == 0 && (t.Source == source || !anyKnown && len(names) == 1) {
			rows = append(rows, t)
		}
	}
	return rows
}

// unknown are the rows without a table that are not among those of a table. There may be as many as a tenant's database sends.
func unknown(recorded []claimTable, exported []int32) (rows []claimTable) {
	own := make(map[int32]bool, len(exported))
	for _, id := range exported {
		own[id] = true
	}
	for _, t := range recorded {
		if !t.known() && t.PartOf == 0 && !own[t.ID] {
			rows = append(rows, t)
		}
	}
	return rows
}

func (s sighting) String() string { return pgx.Identifier{s.Schema, s.Name}.Sanitize() }

// literal writes a text as SQL does.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func ambiguous(byOID, byName claimTable, seen sighting) error {
	return failure.OnSource.Transient(v1alpha1.ReasonClaimTableAmbiguous, nil,
		"%s is table %d of ledgerport.claim_tables by its oid (%s then) and table %d by its name, so that what it has exported is not known. If it has the claims of table %[4]d, run "+
			"UPDATE ledgerport.claim_tables SET relation = 0 WHERE id = %[2]d; UPDATE ledgerport.claim_tables SET relation = %[5]d WHERE id = %[4]d; if it is table %[2]d under another name, run "+
			"UPDATE ledgerport.claim_tables SET table_name = %[6]s WHERE id = %[4]d",
		seen, byOID.ID, byOID.sighting, byName.ID, seen.Relation, literal(byName.Name+" (before)"))
}

func replaced(byName claimTable, seen sighting) error {
	return failure.OnSource.Transient(v1alpha1.ReasonClaimTableAmbiguous, nil,
		"%s is another table than the one of that name whose claims were exported before, which is still there under another name (oid %d). If this one has the same claims now, run "+
			"UPDATE ledgerport.claim_tables SET relation = %d WHERE id = %d; if it has others, run "+
			"UPDATE ledgerport.claim_tables SET table_name = (SELECT relname FROM pg_class WHERE oid = relation) WHERE id = %[4]d",
		seen, byName.Relation, seen.Relation, byName.ID)
}

func idsMoved(own claimTable, seen sighting) error {
	return failure.OnSource.Transient(v1alpha1.ReasonClaimTableAmbiguous, nil,
		"the ids of claims in %s are now read from the column %s, and what was exported is recorded by the column %s, which is still there. Name that column in spec.postgres.claims.columns; "+
			"if both have the same ids, run UPDATE ledgerport.claim_tables SET id_column = %s WHERE id = %d",
		seen, pgx.Identifier{seen.IDColumn}.Sanitize(), pgx.Identifier{own.IDColumn}.Sanitize(), literal(seen.IDColumn), own.ID)
}

// sight looks at the table of claims in the catalog, and reports whether it is seen through a view.
func (d *Database) sight(ctx context.Context, tx pgx.Tx, t table, system string) (seen sighting, view bool, err error) {
	const (
		first = `SELECT c.oid, c.relkind::text, c.relispartition, n.nspname::text, c.relname::text,
				(SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
			FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = `
		root = `SELECT pg_catalog.pg_partition_root($1)::oid`
		// reads are the tables and views that a view reads.
		reads = `SELECT DISTINCT d.refobjid FROM pg_catalog.pg_rewrite r
			JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
			JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
			WHERE r.ev_class = $1 AND d.refobjid <> r.ev_class`
	)
	var kind, database string
	var partition bool
	look := func(where string, of any) error {
		return tx.QueryRow(ctx, first+where, of).Scan(&seen.Relation, &kind, &partition, &seen.Schema, &seen.Name, &database)
	}
	for err = look(`pg_catalog.to_regclass($1)`, t.name); err == nil; err = look(`$1`, seen.Relation) {
		next := seen.Relation
		switch {
		case partition:
			err = tx.QueryRow(ctx, root, seen.Relation).Scan(&next)
		case kind == "v" || kind == "m":
			rows, _ := tx.Query(ctx, reads, seen.Relation) // the error comes with the rows
			var read []uint32
			if read, err = pgx.CollectRows(rows, pgx.RowTo[uint32]); err == nil && len(read) == 1 {
				next, view = read[0], true
			}
		}
		if err != nil || next == seen.Relation {
			break
		}
		seen.Relation = next
	}
	seen.Server = system + "/" + database // in which oids mean something
	seen.IDColumn, seen.IDType = t.columns["id"].name, t.columns["id"].typeName
	return seen, view, classify(ctx, "looking up the table "+t.declared, err)
}

// claimTable finds the identity of the table of claims, and records it unless it is recorded.
func (d *Database) claimTable(ctx context.Context, l *layout, run Run) (identity, error) {
	found, err := d.identity(ctx, l, run.Book)
	if err != nil || len(found.changes) == 0 {
		return found, err
	}
	system, err := d.server(ctx) // before the transaction, which would end with a server that does not tell
	if err != nil {
		return found, err
	}
	found, err = committed(ctx, d, run.OrganizationID, run.ID, func(tx pgx.Tx) (identity, error) {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrationLock); err != nil {
			return identity{}, err
		}
		found, err := d.identityIn(ctx, tx, l, run.Book, system) // somebody may have recorded it meanwhile
		if err != nil {
			return found, err
		}
		if err := l.sameIDs(ctx, tx, found, run); err != nil {
			return found, err
		}
		for _, t := range found.changes {
			if err := t.write(ctx, tx); err != nil {
				return found, err
			}
		}
		return found, nil
	})
	return found, classify(ctx, "recording the table of claims", err)
}

// identity finds the table of claims among those recorded for a book.
func (d *Database) identity(ctx context.Context, l *layout, book string) (found identity, err error) {
	system, err := d.server(ctx)
	if err != nil {
		return identity{}, err
	}
	err = d.reading(ctx, "looking up the tables that claims were exported from", func(tx pgx.Tx) (err error) {
		found, err = d.identityIn(ctx, tx, l, book, system)
		return err
	})
	return found, err
}

// identityIn reads the rows of one book: there are as many books as all tenants of the database have thought of.
func (d *Database) identityIn(ctx context.Context, tx pgx.Tx, l *layout, book, system string) (identity, error) {
	seen, view, err := d.sight(ctx, tx, l.claims, system)
	if err != nil {
		return identity{}, err
	}
	const query = `SELECT id, coalesce(part_of, 0), book, coalesce(schema_name, ''), coalesce(table_name, ''), coalesce(relation, 0), coalesce(server, ''),
			coalesce(id_column, ''), coalesce(id_type, ''), coalesce(source, ''),
			EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.relation AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
			EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = t.id_column AND a.attnum > 0 AND NOT a.attisdropped)
		FROM ledgerport.claim_tables t WHERE book = $2 ORDER BY id`
	rows, _ := tx.Query(ctx, query, seen.Relation, book) // the error comes with the rows
	recorded, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t claimTable, err error) {
		return t, row.Scan(&t.ID, &t.PartOf, &t.Book, &t.Schema, &t.Name, &t.Relation, &t.Server, &t.IDColumn, &t.IDType, &t.Source, &t.Live, &t.ColumnLive)
	})
	if err != nil {
		return identity{}, classify(ctx, "looking up the tables that claims were exported from", err)
	}
	var next int32 // of a table that is not recorded
	if !slices.ContainsFunc(recorded, func(t claimTable) bool { return t.known() && t.Relation == seen.Relation && t.Server == seen.Server }) {
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) + 1 FROM ledgerport.claim_tables`).Scan(&next); err != nil {
			return identity{}, classify(ctx, "looking up the tables that claims were exported from", err)
		}
	}
	return identify(recorded, seen, view, d.options.Source, book, next)
}

// write records a table.
func (t claimTable) write(ctx context.Context, tx pgx.Tx) error {
	if !t.known() {
		_, err := tx.Exec(ctx, `UPDATE ledgerport.claim_tables SET part_of = $2 WHERE id = $1`, t.ID, t.PartOf)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO ledgerport.claim_tables (id, book, schema_name, table_name, relation, server, id_column, id_type, source)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET schema_name = excluded.schema_name, table_name = excluded.table_name,
			relation = excluded.relation, server = excluded.server, id_column = excluded.id_column, id_type = excluded.id_type`,
		t.ID, t.Book, t.Schema, t.Name, t.Relation, t.Server, t.IDColumn, t.IDType, t.Source)
	return err
}

// sameIDs insists, where the ids of a table have another type than before, that what is recorded can be ids of that type,
// and that the organisation's claims are still found by it: otherwise everything would be exported again.
func (l *layout) sameIDs(ctx context.Context, tx pgx.Tx, found identity, run Run) error {
	if found.retyped == nil {
		return nil
	}
	column := l.claims.columns["id"]
	var q query
	spaces := q.parameter(oneOf(found.exported))
	form := map[string]string{uuidFamily: uuidForm, integerFamily: integerForm, textFamily: "''"}[typeFamily(column.typeName)]
	q.sql = fmt.Sprintf(`SELECT
			(SELECT count(*) FROM ledgerport.exported_claims e WHERE e.claim_table = ANY(%[1]s::integer[]) AND e.claim_id !~ %[2]s),
			EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = ANY(%[1]s::integer[]) AND e.organization_id = %[3]s)
			AND NOT EXISTS (SELECT FROM %[4]s c JOIN ledgerport.exported_claims e ON e.claim_id = %[5]s
				WHERE e.claim_table = ANY(%[1]s::integer[]) AND e.organization_id = %[3]s)`,
		spaces, form, q.parameter(run.OrganizationID), l.claims.name, l.keyOf())
	result := tx.Conn().PgConn().ExecParams(ctx, q.sql, q.parameters, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	foreign, none := string(result.Rows[0][0]), string(result.Rows[0][1]) == "t"
	if foreign == "0" && !none {
		return nil
	}
	return failure.OnSource.Transient(v1alpha1.ReasonClaimIDsChanged, nil,
		"the ids of claims in %s are %s now and were %s, and %s claims are recorded as exported whose ids can be none of these, or none of the organisation's is found by its id: all could be exported again. "+
			"Put the ids back; if the claims are sure to be the same by their ids, run UPDATE ledgerport.claim_tables SET id_type = %s WHERE id = %d",
		l.claims.declared, column.declared, found.retyped.IDType, foreign, literal(column.typeName), found.id)
}

// oneOf writes numbers as an array of PostgreSQL.
func oneOf(ids []int32) string {
	return "{" + strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", ",") + "}"
}
