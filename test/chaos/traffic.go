package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

// traffic approves claims and asks for runs, all the while, until it is ended. Whatever fails is done again: servers are
// away at times.
func (w *world) traffic(ctx context.Context, seed uint64) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var under sync.WaitGroup
	for i, t := range w.tenants {
		random := rand.New(rand.NewPCG(seed, uint64(i)+1))
		under.Go(func() { w.approve(ctx, t, random) })
		under.Go(func() { w.ask(ctx, t, rand.New(rand.NewPCG(seed, uint64(i)+100))) })
		if t.approval != "" {
			under.Go(func() { w.review(ctx, t, rand.New(rand.NewPCG(seed, uint64(i)+200))) })
		}
	}
	under.Go(func() { w.analyze(ctx) })
	for i, a := range w.applications {
		under.Go(func() { a.work(ctx, rand.New(rand.NewPCG(seed, uint64(i)+300))) })
	}
	if w.console != nil {
		under.Go(func() { w.disturbConsole(ctx, rand.New(rand.NewPCG(seed, 400))) })
	}
	if w.hostile != nil {
		under.Go(func() { w.provoke(ctx, rand.New(rand.NewPCG(seed, 0))) })
	}
	return func() {
		stop()
		under.Wait()
	}
}

// approve approves a claim every few hundred milliseconds.
func (w *world) approve(ctx context.Context, t tenant, random *rand.Rand) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			conn, _ = pgx.Connect(ctx, w.postgres.URL)
		}
		if conn != nil {
			_ = insertClaim(ctx, conn, t, random, w.keepReceipt) // whole or not at all
		}
		pause(ctx, time.Duration(20+random.IntN(200))*time.Millisecond)
	}
	if conn != nil {
		_ = conn.Close(context.Background())
	}
}

// analyze counts the rows every few seconds, as autovacuum does of a database that lives for longer. Without statistics the joins
// of 5,000 claims take seconds.
func (w *world) analyze(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, 5*time.Second)
		if conn, err := pgx.Connect(ctx, w.postgres.URL); err == nil {
			_, _ = conn.Exec(ctx, `ANALYZE`) // PostgreSQL may be away
			_ = conn.Close(context.Background())
		}
	}
}

// duplicateEvery is how many claims there are for one that has a line number twice.
const duplicateEvery = 50

// leastGross amount of a line, in cents; an advance is less.
const leastGross = 100

// insertClaim approves one claim with its lines, whose receipts come first, in one transaction that outlives the server. Its description is its id, so
// that a format without claim ids has it.
func insertClaim(ctx context.Context, conn *pgx.Conn, t tenant, random *rand.Rand, keep receiptKeeper) error {
	id, employee := uuid.New(), 1000+random.IntN(50)
	batch := &pgx.Batch{}
	batch.Queue(`SET LOCAL synchronous_commit = on`)
	batch.Queue(`INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, claimant_iban, status, approved_at, currency, description, advance_amount)
		VALUES ($1, $2, $3::text, 'Employee ' || $3::text, $4, 'approved', clock_timestamp(), 'EUR', $5, $6::bigint / 100.0)`,
		id, t.organization, fmt.Sprint(employee), application.IBAN(employee), id.String(), random.Int64N(leastGross))
	lines := 1 + random.IntN(3)
	for number := range lines {
		gross := leastGross + random.Int64N(500_000)
		tax := gross * 19 / 119
		paid := "private" // the first line: so that an advance is never more than what is owed
		if number > 0 && random.IntN(2) == 0 {
			paid = "company_card"
		}
		receipt, err := keep(ctx, t, id.String(), number+1, random)
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount, tax_code, payment_method, payment_reference, receipt_uri)
			VALUES ($1, $2, current_date, 'travel', $3::bigint / 100.0, $4::bigint / 100.0, '19', $5, $6::text, $7)`, id, number+1, gross, tax, paid, fmt.Sprint(4571_0000+number), receipt)
	}
	if random.IntN(duplicateEvery) == 0 { // such a claim is held: it would be paid twice
		batch.Queue(`INSERT INTO public.claim_lines SELECT * FROM public.claim_lines WHERE claim_id = $1 AND line_no = $2`, id, lines)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// ask asks for a run every second or so, and meddles with one now and then.
func (w *world) ask(ctx context.Context, t tenant, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		pause(ctx, time.Duration(500+random.IntN(1500))*time.Millisecond)
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		switch dice := random.IntN(18); {
		case dice < 2:
			_ = w.meddle(limited, t, random.IntN(7), random.IntN(1000)) // the API server may be away
		case w.pods != nil && w.busy(limited, t): // more would only wait
		case dice < 3 && w.staging != nil && w.staging.has(t):
			_ = t.request(limited, w.staging.api, exportName, w.nextRequest())
		case dice < 4 && w.staging != nil && w.staging.has(t):
			_ = w.cloneRun(limited, t, random.IntN(1000))
		case dice < 6 && w.hostile != nil:
			if w.garble(limited, t, random) == nil {
				w.garbled.Add(1)
			}
		case dice < 8 && t.approval != "":
			_ = w.askAsChief(limited, t)
		default:
			_ = w.request(limited, t, t.exports[random.IntN(len(t.exports))])
		}
		cancel()
	}
}

// mostWithPods is how many unfinished runs a tenant asks for where each takes a pod, or two with an approval: of many more there would be no rest
// within restPatience.
const mostWithPods = 8

// busy reports whether a tenant has so many.
func (w *world) busy(ctx context.Context, t tenant) bool {
	var runs v1alpha1.ExportRunList
	if err := w.api.List(ctx, &runs, client.InNamespace(t.namespace)); err != nil {
		return true
	}
	unfinished := 0
	for i := range runs.Items {
		if !runs.Items[i].Status.Phase.Finished() {
			unfinished++
		}
	}
	return unfinished >= mostWithPods
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
