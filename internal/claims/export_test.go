package claims

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/texts"
)

// ForgetOrganizations removes the organisation from the queries for claims, as a mistake in them would.
func (d *Database) ForgetOrganizations() { d.unfiltered = true }

// ClaimKey is a claim's id by its value.
func ClaimKey(id string) string { return claimKey(id) }

// KeySQL is ClaimKey of an expression in SQL.
func KeySQL(id string) string { return key(id) }

// PrintableID is a claim's id as a hold has it.
func PrintableID(id string) string { return texts.ID(id, longestID) }

// Parameters of connection URLs.
var Parameters = libpqParameters

// ReadMigration returns the script that leads to a version.
var ReadMigration = migration

// RowsRead counts the rows that both sessions of a reservation have read, of all tables.
func (r *Reservation) RowsRead(ctx context.Context) (rows int64, err error) {
	if err := r.recorder.finish(); err != nil {
		return 0, err
	}
	for _, conn := range []*pgx.Conn{r.reader, r.tx.Conn()} {
		var read int64
		if err := conn.QueryRow(ctx, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint FROM pg_stat_xact_user_tables`).Scan(&read); err != nil {
			return 0, err
		}
		rows += read
	}
	return rows, nil
}

// Settings returns what a session has set, and what it holds, between two transactions.
func Settings(ctx context.Context, d *Database) (set string) {
	err := d.conn.QueryRow(ctx, `SELECT string_agg(name || '=' || setting, E'\n' ORDER BY name) || E'\nprepared=' || (SELECT count(*) FROM pg_prepared_statements)
			|| E'\nadvisory=' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
		FROM pg_settings WHERE source IN ('session', 'client')`).Scan(&set)
	if err != nil {
		return err.Error()
	}
	return set
}

// IdleOf is the number of kept sessions of a ClaimSource.
func IdleOf(s *Sessions, source string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return count(s.kept, func(k *keptSession) bool { return k.source == source })
}
