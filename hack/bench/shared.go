package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// sharedResult is one line of output.
type sharedResult struct {
	Bench  string `json:"bench"`
	Others int    `json:"others"` // claims of other organisations in the same tables
	// Fewer and More are runs on either side of where a run may read tables as a whole, medians of some.
	Fewer sharedRun `json:"fewer"`
	More  sharedRun `json:"more"`
	Ratio float64   `json:"ratio"` // of More to Fewer, in seconds
	Load  string    `json:"load"`  // of the machine at the start
}

type sharedRun struct {
	Claims  int     `json:"claims"`
	Seconds float64 `json:"seconds"`
}

// measureShared compares a run with somewhat more than 5,000 claims with one that has somewhat fewer, in tables that an organisation shares
// with others who have many.
func measureShared(ctx context.Context, server string, others int) error {
	r := sharedResult{Bench: "shared", Others: others, Fewer: sharedRun{Claims: 4900}, More: sharedRun{Claims: 5100}, Load: machineLoad()}
	h := &history{server: server}
	database, err := h.database(ctx, "shared")
	if err != nil {
		return err
	}
	if err := h.share(ctx, database, others); err != nil {
		return err
	}
	var fewer, more []float64
	for range historyRounds {
		for _, of := range []struct {
			claims int
			took   *[]float64
		}{{r.Fewer.Claims, &fewer}, {r.More.Claims, &more}} {
			if err := h.approve(ctx, database, of.claims, uint64(h.runs)+1); err != nil { // #nosec G115 -- a small number
				return err
			}
			took, err := h.run(ctx, database, of.claims)
			if err != nil {
				return err
			}
			*of.took = append(*of.took, took)
		}
	}
	slices.Sort(fewer)
	slices.Sort(more)
	r.Fewer.Seconds, r.More.Seconds = round(fewer[historyRounds/2]), round(more[historyRounds/2])
	r.Ratio = round(r.More.Seconds / r.Fewer.Seconds)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// share makes claims of a thousand other organisations.
func (h *history) share(ctx context.Context, database string, others int) error {
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, status, approved_at, currency)
			SELECT gen_random_uuid(), md5((i %% 1000)::text)::uuid, 'E' || i %% 400, 'Employee ' || i %% 400, 'approved', now() - (i %% 1000) * interval '1 hour', 'EUR'
			FROM generate_series(1, %d) i`, others),
		`INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, description, gross_amount, tax_amount)
			SELECT c.id, n, c.approved_at::date, 'travel', 'Train ticket', 119, 19 FROM public.claims c, generate_series(1, 3) n`,
		`VACUUM ANALYZE`, // as the server does by itself, sooner or later
	} {
		if err := h.statement(ctx, database, statement); err != nil {
			return err
		}
	}
	return nil
}
