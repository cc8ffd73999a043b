package claims

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// manyClaims is a number of claims that are looked up one by one soon enough, whatever the plan.
const manyClaims = 5000

// readWhole reports whether reading tables of so many pages from one end to the other beats looking so many claims up in them: a
// claim and its lines take about as long to find as a page to read.
func readWhole(claims, pages int64) bool { return claims > manyClaims && claims >= pages }

// hintCandidates keeps the planner from looking lines up one by one where no index leads to those of a claim; and if all else is looked
// up by key, it has it take a page of an index for one that is in memory or on a disk without a head to move.
func (l *layout) hintCandidates(ctx context.Context, tx pgx.Tx, byKey bool) error {
	switch {
	case !l.linesIndexed:
		return readThrough.set(ctx, tx)
	case byKey:
		return nearby.set(ctx, tx)
	}
	return nil
}

// hintTotals has the planner look claims and lines up one by one, unless they are so many that reading the tables costs less. It cannot
// know: of rows written a moment ago it has no statistics.
func (l *layout) hintTotals(ctx context.Context, tx pgx.Tx, claims int64) error {
	switch {
	case !l.linesIndexed:
		return readThrough.set(ctx, tx)
	case !l.lookups && claims <= manyClaims:
		return nil
	case !l.lookups:
		return readThrough.set(ctx, tx)
	case claims <= manyClaims:
		return lookUpEach.set(ctx, tx)
	}
	pages, err := l.pages(ctx, tx)
	switch {
	case err != nil:
		return err
	case readWhole(claims, pages):
		return readThrough.set(ctx, tx)
	}
	return lookUpEach.set(ctx, tx)
}

// hint is what the planner is told for the rest of a transaction.
type hint string

const (
	readThrough hint = `SET LOCAL enable_nestloop = off; SET LOCAL enable_sort = off`
	lookUpEach  hint = `SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`
	nearby      hint = `SET LOCAL random_page_cost = 1.1`
)

func (h hint) set(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, string(h))
	return err
}

// pages returns how many pages the tables of claims and lines have, with their partitions.
func (l *layout) pages(ctx context.Context, tx pgx.Tx) (pages int64, err error) {
	err = tx.QueryRow(ctx, `WITH RECURSIVE parts AS (
			SELECT to_regclass(t)::oid AS oid FROM unnest($1::text[]) t
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON p.oid = i.inhparent)
		SELECT coalesce(sum(pg_relation_size(oid)), 0)::bigint / current_setting('block_size')::bigint FROM parts`,
		[]string{l.claims.name, l.lines.name}).Scan(&pages)
	return pages, err
}
