package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/application"
)

// historyResult is one line of output.
type historyResult struct {
	Bench    string  `json:"bench"`
	Exported int     `json:"exported"`
	New      int     `json:"new"`
	Seconds  float64 `json:"seconds"`      // of a run with new claims, the median of some
	Empty    float64 `json:"emptySeconds"` // of the same in an empty ledger
	Ratio    float64 `json:"ratio"`
	// FullCheck is how long the run takes that compares all claims, without new ones.
	FullCheck float64 `json:"fullCheckSeconds"`
	Load      string  `json:"load"` // of the machine at the start
}

// historyRounds is how often each run is measured. They take turns, so that what else the machine does meets both.
const historyRounds = 5

// measureHistory compares a run with new claims of an organisation that has exported many before with the same run in an empty ledger.
func measureHistory(ctx context.Context, database string, exported, fresh int, maxRatio float64) error {
	h := &history{server: database, result: historyResult{Bench: "history", Exported: exported, New: fresh, Load: machineLoad()}}
	if err := h.measure(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(h.result); err != nil {
		return err
	}
	if maxRatio > 0 && h.result.Ratio > maxRatio {
		return fmt.Errorf("a run took %.2f times as long as in an empty ledger, more than %.2f", h.result.Ratio, maxRatio)
	}
	return nil
}

type history struct {
	server string
	runs   int
	result historyResult
}

func (h *history) measure(ctx context.Context) error {
	long, err := h.database(ctx, "history")
	if err != nil {
		return err
	}
	if err := h.live(ctx, long); err != nil {
		return err
	}
	if h.result.FullCheck, err = h.run(ctx, long, 0); err != nil { // nothing is known of what is there
		return err
	}
	var with, without []float64
	for round := range historyRounds {
		empty, err := h.database(ctx, fmt.Sprint("empty", round))
		if err != nil {
			return err
		}
		for _, of := range []struct {
			database string
			took     *[]float64
		}{{empty, &without}, {long, &with}} {
			if err := h.approve(ctx, of.database, h.result.New, uint64(round)+1); err != nil { // #nosec G115 -- a small number
				return err
			}
			took, err := h.run(ctx, of.database, h.result.New)
			if err != nil {
				return err
			}
			*of.took = append(*of.took, took)
		}
	}
	slices.Sort(with)
	slices.Sort(without)
	h.result.Seconds, h.result.Empty, h.result.FullCheck = round(with[historyRounds/2]), round(without[historyRounds/2]), round(h.result.FullCheck)
	h.result.Ratio = round(h.result.Seconds / h.result.Empty)
	return nil
}

// database makes one with the application's tables and an empty ledger.
func (h *history) database(ctx context.Context, name string) (string, error) {
	at, err := url.Parse(h.server)
	if err != nil {
		return "", err
	}
	if err := h.statement(ctx, h.server, `CREATE DATABASE `+name); err != nil {
		return "", err
	}
	at.Path = "/" + name
	conn, err := pgx.Connect(ctx, at.String())
	if err != nil {
		return "", err
	}
	if err := errors.Join(application.CreateTables(ctx, conn), conn.Close(ctx)); err != nil {
		return "", err
	}
	opened, err := claims.Open(ctx, claims.Options{URL: at.String(), Allowed: claims.Allowances{Insecure: true}})
	if err != nil {
		return "", err
	}
	defer opened.Close()
	return at.String(), opened.Migrate(ctx)
}

// approve makes new claims, of one seed the same in every database.
func (h *history) approve(ctx context.Context, database string, count int, seed uint64) (err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = application.Fill(ctx, conn, application.Content{
		OrganizationID: organization, Claims: count, LinesPerClaim: 3, Seed: seed,
		ApprovedFrom: time.Now().Add(-time.Hour), ApprovedTo: time.Now().Add(-time.Minute),
	})
	return err
}

// run exports what is approved, and returns how many seconds that took.
func (h *history) run(ctx context.Context, database string, want int) (float64, error) {
	h.runs++
	outcome, seconds, err := runPipeline(ctx, withoutOptions().Type(), database, chart(false), h.runs, 24*time.Hour)
	const fewHeld = 50 // as in the other measurements
	if err == nil && outcome.Result.Claims < int64(want-want/fewHeld) {
		err = fmt.Errorf("%d of %d claims were exported", outcome.Result.Claims, want)
	}
	return seconds, err
}

// live makes a history of five years, in runs of a thousand claims, as those leave it.
func (h *history) live(ctx context.Context, database string) error {
	if err := h.approve(ctx, database, h.result.New, historyRounds+1); err != nil {
		return err
	}
	if _, err := h.run(ctx, database, h.result.New); err != nil { // which records the table, and warms what is compiled once
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, status, approved_at, currency)
			SELECT gen_random_uuid(), '%s', 'E' || i %% 400, 'Employee ' || i %% 400, 'approved', now() - interval '3 days' - (%d - i) * (interval '5 years' / %d), 'EUR'
			FROM generate_series(1, %[2]d) i`, organization, h.result.Exported, max(h.result.Exported, 1)),
		`INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, description, gross_amount, tax_amount)
			SELECT c.id, n, c.approved_at::date, 'travel', 'Train ticket', 119, 19 FROM public.claims c, generate_series(1, 3) n WHERE c.approved_at < now() - interval '2 days'`,
		`CREATE TABLE public.exported AS SELECT id, row_number() OVER (ORDER BY approved_at) - 1 AS n FROM public.claims WHERE approved_at < now() - interval '2 days'`,
		`INSERT INTO ledgerport.runs (id, namespace, export, name, organization_id, book, series, state, attempt, holder, deadline, cutoff, inputs, cluster, committed_at)
			SELECT md5(n::text)::uuid::text, namespace, export, 'history-' || n, organization_id, book, series, state, attempt, holder, deadline, cutoff, inputs, cluster, committed_at
			FROM ledgerport.runs, (SELECT DISTINCT n / 1000 AS n FROM public.exported) e`,
		`INSERT INTO ledgerport.exported_claims (claim_table, organization_id, claim_id, run_id, position, fiscal_year, voucher_number)
			SELECT 1, '` + organization + `', id::text, md5((n / 1000)::text)::uuid::text, n % 1000 + 1, 2025, n + 1 FROM public.exported ORDER BY n`,
		`DROP TABLE public.exported`,
		`UPDATE ledgerport.runs SET compared_at = compared_at - interval '2 days'`,
	} {
		if err := h.statement(ctx, database, statement); err != nil {
			return err
		}
	}
	return h.statement(ctx, database, `VACUUM ANALYZE`) // as the server does by itself, sooner or later
}

func (h *history) statement(ctx context.Context, database, statement string) (err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}
