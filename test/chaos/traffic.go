package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/test/application"
)

// traffic approves claims and asks for runs, all the while, until its context ends. Whatever fails is done again: servers
// are away at times.
func (w *world) traffic(ctx context.Context, seed uint64) (wait func()) {
	var under sync.WaitGroup
	for i, t := range w.tenants {
		random := rand.New(rand.NewPCG(seed, uint64(i)+1))
		under.Go(func() { w.approve(ctx, t, random) })
		under.Go(func() { w.ask(ctx, t, rand.New(rand.NewPCG(seed, uint64(i)+100))) })
	}
	return under.Wait
}

// approve approves a claim every few hundred milliseconds.
func (w *world) approve(ctx context.Context, t tenant, random *rand.Rand) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = pgx.Connect(ctx, w.postgres.URL)
		}
		if conn != nil {
			_ = insertClaim(ctx, conn, t, random) // whole or not at all
		}
		pause(ctx, time.Duration(20+random.IntN(200))*time.Millisecond)
	}
	if conn != nil {
		_ = conn.Close(context.Background())
	}
}

// insertClaim approves one claim with its lines in one transaction that outlives the server. Its description is its id, so
// that a format without claim ids has it.
func insertClaim(ctx context.Context, conn *pgx.Conn, t tenant, random *rand.Rand) error {
	id, employee := uuid.New(), 1000+random.IntN(50)
	batch := &pgx.Batch{}
	batch.Queue(`SET LOCAL synchronous_commit = on`)
	batch.Queue(`INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, claimant_iban, status, approved_at, currency, description)
		VALUES ($1, $2, $3::text, 'Employee ' || $3::text, $4, 'approved', clock_timestamp(), 'EUR', $5)`,
		id, t.organization, fmt.Sprint(employee), application.IBAN(employee), id.String())
	for number := range 1 + random.IntN(3) {
		gross := 100 + random.Int64N(500_000)
		tax := gross * 19 / 119
		batch.Queue(`INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount, tax_code)
			VALUES ($1, $2, current_date, 'travel', $3::bigint / 100.0, $4::bigint / 100.0, '19')`, id, number+1, gross, tax)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// ask asks for a run every second or so, and meddles with one now and then.
func (w *world) ask(ctx context.Context, t tenant, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		pause(ctx, time.Duration(500+random.IntN(1500))*time.Millisecond)
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		if random.IntN(8) == 0 {
			_ = w.meddle(limited, t, random.IntN(4), random.IntN(1000)) // the API server may be away
		} else {
			_ = w.request(limited, t, fmt.Sprintf("request-%d", n))
		}
		cancel()
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func timeout(long time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), long)
}
