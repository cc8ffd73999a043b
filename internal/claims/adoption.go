package claims

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// errNothingAdopted rolls an adoption back.
var errNothingAdopted = errors.New("nothing was adopted")

// Adopt records claims that were booked elsewhere as exported to a book: by one run and in one transaction, or none of them. A claim
// that a run has exported or reserved is refused; for one that is being reserved the adoption waits until that is decided.
func (d *Database) Adopt(ctx context.Context, adoption Adoption) (Adopted, error) {
	const doing = "adopting claims"
	tables, err := d.layout(ctx)
	if err != nil {
		return Adopted{}, err
	}
	if err := tables.checkOrganization(adoption.OrganizationID); err != nil {
		return Adopted{}, err
	}
	id := string(uuid.NewUUID())
	a := &adopting{Adoption: adoption, database: d, tables: tables, run: Run{Book: adoption.Book, RunIdentity: RunIdentity{
		ID: id, Namespace: adoption.Namespace, Export: adoption.Export, Name: "adoption-" + id[:8], OrganizationID: adoption.OrganizationID,
	}}}
	if adoption.DryRun {
		a.known, err = d.identity(ctx, tables, adoption.Book)
	} else {
		a.known, err = d.claimTable(ctx, tables, a.run)
	}
	if err != nil {
		return Adopted{}, err
	}
	err = d.transact(ctx, "", adoption.OrganizationID, id, func(tx pgx.Tx) error {
		a.tx = tx
		return a.all(ctx)
	})
	switch {
	case a.unread != nil:
		return Adopted{}, a.unread
	case err == nil:
		a.result.Run = a.run.Name
	case !errors.Is(err, errNothingAdopted):
		return Adopted{}, classify(ctx, doing, err)
	}
	slices.SortFunc(a.result.Problems, func(a, b *LineError) int { return cmp.Compare(a.Line, b.Line) })
	return a.result, nil
}

// adopting is an adoption under way.
type adopting struct {
	Adoption
	database *Database
	tables   *layout
	known    identity
	run      Run
	tx       pgx.Tx
	position int64
	unread   error // of the file
	result   Adopted
}

// keyed is a claim with its key.
type keyed struct {
	Adoptable
	key string
}

// all reads the claims in batches, adopts each batch, and records the run in the end.
func (a *adopting) all(ctx context.Context) error {
	batch := make([]keyed, 0, batchSize)
	for {
		claim, err := a.Claims.Next()
		var wrong *LineError
		switch {
		case errors.As(err, &wrong):
			a.refuse(wrong.Line, wrong.Problem)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			a.unread = err
			return err
		case err == nil:
			batch = append(batch, keyed{claim, claimKey(claim.ID)})
		}
		if last := err != nil; last || len(batch) == batchSize {
			if err := a.adopt(ctx, a.readable(batch)); err != nil {
				return err
			}
			if last {
				return a.record(ctx)
			}
			batch = batch[:0]
		}
	}
}

func (a *adopting) refuse(line int, problem string) {
	a.result.Wrong++
	if len(a.result.Problems) < mostProblems {
		a.result.Problems = append(a.result.Problems, &LineError{Line: line, Problem: problem})
	}
}

// readable returns the claims of a batch with which nothing is wrong by themselves.
func (a *adopting) readable(batch []keyed) []keyed {
	lines := make(map[string]int, len(batch))
	return slices.DeleteFunc(batch, func(claim keyed) bool {
		problem := claim.problem()
		if problem == "" && !a.tables.possibleKey(claim.key) {
			id := a.tables.claims.columns["id"]
			problem = fmt.Sprintf("%q is not the id of a claim: column %s.%s is %s", claim.ID, a.tables.claims.declared, id.name, id.declared)
		}
		if other, twice := lines[claim.key]; problem == "" && twice {
			problem = fmt.Sprintf("claim %q is in line %d, too", claim.ID, other)
		}
		if problem != "" {
			a.refuse(claim.Line, problem)
			return true
		}
		lines[claim.key] = claim.Line
		return false
	})
}

// adopt takes the claims of a batch that are free, and refuses the others.
func (a *adopting) adopt(ctx context.Context, batch []keyed) error {
	if len(batch) == 0 {
		return nil
	}
	rows, err := a.rows(ctx, batch)
	if err != nil {
		return err
	}
	batch, err = a.free(ctx, batch)
	if err != nil {
		return err
	}
	batch = slices.DeleteFunc(batch, func(claim keyed) bool {
		switch n := rows[claim.key]; n {
		case 0:
			a.refuse(claim.Line, fmt.Sprintf("organisation %s has no claim %q in %s", a.OrganizationID, claim.ID, a.tables.claims.declared))
		case 1:
			return false
		default:
			a.refuse(claim.Line, fmt.Sprintf("%s has %d claims %q; give every claim an id of its own", a.tables.claims.declared, n, claim.ID))
		}
		return true
	})
	taken, err := a.take(ctx, batch)
	if err != nil || len(taken) == len(batch) {
		return err
	}
	// A run has reserved the rest since they were looked up.
	batch, err = a.free(ctx, slices.DeleteFunc(batch, func(claim keyed) bool { return taken[claim.key] }))
	for _, claim := range batch {
		a.refuse(claim.Line, fmt.Sprintf("claim %q was being reserved by a run, which has given it back; adopt again", claim.ID))
	}
	return err
}

// rows counts the claims that the organisation has of each key.
func (a *adopting) rows(ctx context.Context, batch []keyed) (map[string]int, error) {
	const doing = "looking up the claims"
	var q query
	q.sql = fmt.Sprintf(`SELECT e.claim_id, count(*) FROM unnest(%s::text[]) AS e(claim_id) JOIN %s WHERE %s GROUP BY e.claim_id`,
		q.parameter(arrayOf(keysOf(batch))), a.tables.claimsOf("e"), a.tables.ofOrganization(&q, a.run))
	result := a.tx.Conn().PgConn().ExecParams(ctx, q.sql, q.parameters, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, classify(ctx, doing, result.Err)
	}
	rows := make(map[string]int, len(result.Rows))
	for _, row := range result.Rows {
		if len(row) != 2 {
			return nil, strangeRow(doing)
		}
		n, err := strconv.Atoi(string(row[1]))
		if err != nil {
			return nil, strangeRow(doing)
		}
		rows[string(row[0])] = n
	}
	return rows, nil
}

func keysOf(batch []keyed) []string {
	keys := make([]string, len(batch))
	for i := range batch {
		keys[i] = batch[i].key
	}
	return keys
}

// free returns the claims that are bound to no run. Of the others those are counted that were adopted before as they are now, and the
// rest is refused.
func (a *adopting) free(ctx context.Context, batch []keyed) ([]keyed, error) {
	bound, err := a.bound(ctx, batch)
	return slices.DeleteFunc(batch, func(claim keyed) bool {
		by, is := bound[claim.key]
		switch {
		case is && by.again(claim.Adoptable):
			a.result.Already++
		case is:
			a.refuse(claim.Line, by.refusal(claim.Adoptable))
		}
		return is
	}), err
}

// bound returns the claims that are bound to a run, by their keys.
func (a *adopting) bound(ctx context.Context, batch []keyed) (map[string]boundClaim, error) {
	unknown := idsOf(a.known.unknown)
	rows, _ := a.tx.Query(ctx, `SELECT x.claim_id, coalesce(r.namespace || '/' || r.name, ''), coalesce(r.type, ''), coalesce(r.state, ''), x.run_id = $3,
			x.claim_table = ANY($4::integer[]), coalesce(a.voucher, ''), coalesce(to_char(a.booked_on, 'YYYY-MM-DD'), '')
		FROM ledgerport.exported_claims x
		LEFT JOIN ledgerport.runs r ON r.id = x.run_id
		LEFT JOIN ledgerport.adopted_vouchers a ON a.run_id = x.run_id AND a.position = x.position
		WHERE x.claim_table = ANY($1::integer[]) AND x.claim_id = ANY($2::text[])`,
		slices.Concat(a.known.exported, unknown), keysOf(batch), a.run.ID, unknown) // the error comes with the rows
	bound := make(map[string]boundClaim, len(batch))
	var key string
	var b boundClaim
	_, err := pgx.ForEachRow(rows, []any{&key, &b.run, &b.kind, &b.state, &b.own, &b.unknown, &b.voucher, &b.bookedOn}, func() error {
		if known, is := bound[key]; !is || known.unknown { // what is known of the table counts
			bound[key] = b
		}
		return nil
	})
	return bound, classify(ctx, "looking up what is exported", err)
}

// take binds claims to the run, and returns the keys of those that it has: of a claim that another run is reserving the server waits
// for the end of that.
func (a *adopting) take(ctx context.Context, batch []keyed) (map[string]bool, error) {
	positions, vouchers, notes := make([]int64, len(batch)), make([]string, len(batch)), make([]string, len(batch))
	dates := make([]string, len(batch))
	for i, claim := range batch {
		a.position++
		positions[i], vouchers[i], notes[i] = a.position, claim.Voucher, claim.Note
		dates[i] = claim.BookedOn.Format(time.DateOnly)
	}
	rows, _ := a.tx.Query(ctx, `WITH taking AS (
			SELECT * FROM unnest($4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[]) AS t(claim_id, position, voucher, booked_on, note)),
		taken AS (
			INSERT INTO ledgerport.exported_claims (claim_table, organization_id, claim_id, run_id, position)
			SELECT $1, $2, claim_id, $3, position FROM taking ORDER BY position
			ON CONFLICT DO NOTHING RETURNING claim_id),
		recorded AS (
			INSERT INTO ledgerport.adopted_vouchers (run_id, position, organization_id, voucher, booked_on, note)
			SELECT $3, position, $2, voucher, booked_on::date, note FROM taken JOIN taking USING (claim_id))
		SELECT claim_id FROM taken`,
		a.known.id, a.OrganizationID, a.run.ID, keysOf(batch), positions, vouchers, dates, notes) // the error comes with the rows
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, classify(ctx, "adopting claims", err)
	}
	taken := make(map[string]bool, len(keys))
	for _, key := range keys {
		taken[key] = true
	}
	a.result.Claims += int64(len(taken))
	return taken, nil
}

// record records the run, if there is one to record. It comes last: until then nobody sees anything of it.
func (a *adopting) record(ctx context.Context) error {
	if a.result.Wrong > 0 || a.result.Claims == 0 || a.DryRun {
		return errNothingAdopted
	}
	seen, _, err := a.database.sight(ctx, a.tx, a.tables.claims, "")
	if err == nil && seen.Relation != a.known.relation {
		err = conflict(nil)
	}
	if err != nil {
		return err
	}
	name, digest := a.Claims.Origin()
	inputs, err := json.Marshal(map[string]string{"source": a.database.options.Source, "file": name, "sha256": digest})
	if err != nil {
		return err
	}
	// What was held does not wait any more.
	if _, err := a.tx.Exec(ctx, `DELETE FROM ledgerport.held_claims h WHERE h.organization_id = $1 AND h.claim_table = ANY($2::integer[])
		AND EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = $3 AND e.claim_id = `+key("h.claim_id")+` AND e.run_id = $4)`,
		a.OrganizationID, a.known.exported, a.known.id, a.run.ID); err != nil {
		return err
	}
	if _, err := a.tx.Exec(ctx, `INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, book, series, type, state, attempt, holder, deadline, inputs, cutoff, claims, committed_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, 'committed', 1, $8, now(), $9, now(), $10, now())`,
		a.run.ID, a.run.Namespace, a.run.Export, a.run.Name, a.OrganizationID, a.Book, TypeAdoption, a.Holder, inputs, a.result.Claims); err != nil {
		return err
	}
	_, err = raise(ctx, a.tx, a.run.ID, false)
	return err
}
