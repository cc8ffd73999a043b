package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// The application's database, the backup that is made of it, and what it is called while the backup stands in its place.
const (
	applicationDatabase = "application"
	backupDatabase      = "application_backup"
	newestDatabase      = "application_newest"
)

// noticePatience is how long the operators may take to notice that the database has forgotten exports, and forgetful is how long
// they have that database at least.
const (
	noticePatience = time.Minute
	forgetful      = 2 * time.Second
)

// restore puts a backup of the database in its place that is older than the newest exports, lets every export be asked for,
// and puts the newest database back. It returns what the backup had exported again meanwhile, which must be nothing.
//
// Nothing is under way when the backup is made and when it is restored: what is under way ends in the database that it began in.
func (w *world) restore(ctx context.Context) (forgotten []string, err error) {
	say("a backup of the database is made, claims are exported, and the backup is restored")
	if err := w.rest(ctx); err != nil {
		return nil, err
	}
	if err := w.approveUnasked(ctx); err != nil { // exported in the newest database, and not in the backup
		return nil, err
	}
	if err := w.inMaintenance(ctx, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s`, backupDatabase, applicationDatabase)); err != nil {
		return nil, err
	}
	if err := w.rest(ctx); err != nil {
		return nil, err
	}
	if err := w.inMaintenance(ctx,
		fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, applicationDatabase, newestDatabase),
		fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, backupDatabase, applicationDatabase)); err != nil {
		return nil, err
	}
	before, err := w.exported(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range w.tenants {
		for _, export := range t.exports {
			if err := w.request(ctx, t, export); err != nil {
				return nil, err
			}
		}
	}
	if err := w.untilNoticed(ctx); err != nil {
		return nil, err
	}
	after, err := w.exported(ctx)
	if err != nil {
		return nil, err
	}
	for claim := range after {
		if !before[claim] {
			forgotten = append(forgotten, claim)
		}
	}
	say("the newest database is put back; %d claims were exported again", len(forgotten))
	return forgotten, w.inMaintenance(ctx,
		fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, applicationDatabase, backupDatabase),
		fmt.Sprintf(`ALTER DATABASE %s RENAME TO %s`, newestDatabase, applicationDatabase),
		fmt.Sprintf(`DROP DATABASE %s`, backupDatabase))
}

// untilNoticed waits until the operators say of every export that its database has forgotten something: none is safe by chance.
func (w *world) untilNoticed(ctx context.Context) error {
	pause(ctx, forgetful)
	ctx, cancel := context.WithTimeout(ctx, noticePatience)
	defer cancel()
	for _, t := range w.tenants {
		for _, name := range t.exports {
			for export := t.export(name); ; pause(ctx, 200*time.Millisecond) {
				err := w.api.Get(ctx, client.ObjectKeyFromObject(export), export)
				if source := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionSourceReady); err == nil && source != nil && source.Reason == v1alpha1.ReasonLedgerIncomplete {
					break
				}
				if ctx.Err() != nil {
					return fmt.Errorf("nobody has noticed for %s/%s that the database has forgotten exports: %+v (%w)", t.namespace, name, export.Status.Conditions, err)
				}
			}
		}
	}
	return nil
}

// approveUnasked approves claims of every tenant without a request for them.
func (w *world) approveUnasked(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err
	}
	for _, t := range w.tenants {
		for range 3 {
			err = errors.Join(err, insertClaim(ctx, conn, t, w.random, w.keepReceipt))
		}
	}
	return errors.Join(err, conn.Close(ctx))
}

// exported are the claims, each with its book, that the database has bound to a run.
func (w *world) exported(ctx context.Context) (map[string]bool, error) {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return nil, err
	}
	found, err := rows(ctx, conn, `SELECT t.book || '/' || e.claim_id FROM ledgerport.exported_claims e JOIN ledgerport.claim_tables t ON t.id = e.claim_table`, pgx.RowTo[string])
	claims := map[string]bool{}
	for _, claim := range found {
		claims[claim] = true
	}
	return claims, errors.Join(err, conn.Close(ctx))
}

// inMaintenance runs statements that need a database without sessions.
func (w *world) inMaintenance(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, w.maintenanceURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	for _, statement := range statements {
		for attempt := 0; ; attempt++ { // operators connect again at once
			_, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'application%'`)
			if err == nil {
				_, err = conn.Exec(ctx, statement)
			}
			if err == nil {
				break
			}
			if attempt == 200 {
				return fmt.Errorf("%s: %w", statement, err)
			}
			pause(ctx, 20*time.Millisecond)
		}
	}
	return nil
}
