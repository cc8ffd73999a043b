package claims_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// product is a world that is a database, and two exports of each organisation in it.
type product struct {
	*fixture
	late    *pgx.Conn        // the application's, for what commits late
	beside  *claims.Database // for what is done while reservations are under way
	exports [2]productExport
	made    int // organisations
	runs    int
	pending bool
}

type productExport struct {
	database    *claims.Database
	run         claims.Run
	reservation *claims.Reservation // nil if the run has rendered
	committed   []claims.Run
}

func newProduct(t *testing.T) *product {
	p := &product{fixture: newFixture(t, applicationTables)}
	var err error
	p.late, err = pgx.Connect(p.ctx, p.url)
	p.must(err)
	t.Cleanup(func() { _ = p.late.Close(context.Background()) })
	p.beside = p.open(v1alpha1.PostgresSource{})
	for i := range p.exports {
		p.exports[i].database = p.openWatermarked(v1alpha1.PostgresSource{})
	}
	return p
}

func (p *product) organisation() {
	p.made++
	for i := range p.exports {
		p.exports[i].committed = nil
	}
}

func (p *product) org() string { return fmt.Sprintf("3f2c9a1e-0000-4000-9000-%012d", p.made) }

// claimsOfOne is more than an organisation has, and keeps the remainders of ids.
const claimsOfOne = 1000

func (p *product) id(claim int) string { return id(p.made*claimsOfOne + claim) }

func (p *product) ordinal(id string) int {
	n, err := strconv.Atoi(id[24:])
	p.must(err)
	return n - p.made*claimsOfOne
}

func instant(hour int) time.Time {
	return before.AddDate(-1, 0, 0).Add(time.Duration(hour) * time.Hour)
}

func (p *product) insert(claim, hour int, late bool) {
	conn := p.conn
	if late {
		conn = p.late
		if !p.pending {
			_, err := conn.Exec(p.ctx, `BEGIN`)
			p.must(err)
			p.pending = true
		}
	}
	_, err := conn.Exec(p.ctx, `INSERT INTO claims VALUES ($1, $2, 'E1', 'Kari Nordmann', NULL, 'approved', $3, NULL, 'NOK', NULL)`, p.id(claim), p.org(), instant(hour))
	p.must(err)
}

func (p *product) commitLate() {
	_, err := p.late.Exec(p.ctx, `COMMIT`)
	p.must(err)
	p.pending = false
}

func (p *product) setApproved(claim int, approved bool) {
	p.sql(`UPDATE claims SET status = CASE WHEN $2 THEN 'approved' ELSE 'draft' END WHERE id = $1`, p.id(claim), approved)
}

func (p *product) fullCheckIsDue() {
	p.sql(`UPDATE ledgerport.runs SET compared_at = compared_at - interval '1 hour' WHERE organization_id = $1`, p.org())
}

func (p *product) adopt(claim int, giveBack bool) {
	adoption := elsewhere(p.id(claim))
	adoption.OrganizationID = p.org()
	adopted := p.mustAdopt(p.beside, adoption, 1, 0)
	if giveBack {
		by := attemptOf("").RunIdentity
		by.OrganizationID = p.org()
		_, err := p.beside.ReverseAdoption(p.ctx, by, adopted.Run, "test")
		p.must(err)
	}
}

func (p *product) attempt(s scope) claims.Attempt {
	p.runs++
	attempt := attemptOf(fmt.Sprint("model-", p.runs))
	attempt.OrganizationID, attempt.Export, attempt.Series = p.org(), fmt.Sprint("monthly-", s.remainder), string(rune('A'+s.remainder))
	attempt.Inputs = fmt.Appendf(nil, `{"claims": {"expression": %q}}`, fmt.Sprint(s.remainder, s.from))
	return attempt
}

func (p *product) begin(s scope, _ []int) (plain []int) {
	e := &p.exports[s.remainder]
	attempt := p.attempt(s)
	attempt.Cutoff = instant(s.cutoff)
	e.run = p.start(e.database, attempt)
	selection := claims.Selection{Expression: fmt.Sprint("remainder ", s.remainder)}
	if s.from > 0 {
		selection.ApprovedFrom = instant(s.from)
	}
	var err error
	e.reservation, err = e.database.Reserve(p.ctx, e.run.Fence(), selection)
	p.must(err)
	return p.plainQuery(s)
}

// plainQuery returns what an export has to decide of, in the words of the contract.
func (p *product) plainQuery(s scope) []int {
	rows, _ := p.conn.Query(p.ctx, `SELECT c.id::text FROM claims c WHERE c.organization_id = $1 AND c.status = 'approved' AND c.approved_at < $2 AND c.approved_at >= $3
		AND NOT EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = 1 AND e.claim_id = c.id::text) ORDER BY c.approved_at, c.id`, p.org(), instant(s.cutoff), instant(s.from))
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	p.must(err)
	var plain []int
	for _, id := range ids {
		if claim := p.ordinal(id); s.selects(claim) {
			plain = append(plain, claim)
		}
	}
	return plain
}

// decide takes and holds claims, and commits the reservation; or gives the run up where the database refuses that.
func (p *product) decide(s scope, unmapped int, _ decision, _, _ bool) (d decision, refused bool) {
	e := &p.exports[s.remainder]
	var err error
	d.claims, err = p.decideAll(e, s, unmapped)
	e.reservation.Rollback()
	e.reservation = nil
	if failed := (*failure.Error)(nil); errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonReservationConflict {
		p.must(e.database.Release(p.ctx, e.run.Fence(), "conflict"))
		return decision{}, true
	}
	p.must(err)
	d.watermark = !p.comparedAll(e.run.ID)
	return d, false
}

func (p *product) decideAll(e *productExport, s scope, unmapped int) (decided []int, err error) {
	var taken []string
	var held int64
	for {
		claim, err := e.reservation.Next(p.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		n := p.ordinal(claim.ID)
		if !s.selects(n) {
			continue
		}
		decided = append(decided, n)
		if n%4 == unmapped {
			held++
			err = e.reservation.Hold(p.ctx, &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldUnmapped, Message: "map it"})
		} else {
			taken = append(taken, claim.ID)
			err = e.reservation.Take(p.ctx, one(voucher(claim, 2026, e.reservation.NextNumber(2026))))
		}
		if err != nil {
			return nil, err
		}
	}
	return decided, e.reservation.Commit(p.ctx, rendered(taken, held))
}

func (p *product) release(s scope) {
	e := &p.exports[s.remainder]
	if e.reservation != nil {
		e.reservation.Rollback()
		e.reservation = nil
	}
	p.must(e.database.Release(p.ctx, e.run.Fence(), "cancelled"))
}

func (p *product) commit(s scope) {
	e := &p.exports[s.remainder]
	p.end(e.database, e.run)
	e.committed = append(e.committed, e.run)
}

func (p *product) reverse(s scope) {
	e := &p.exports[s.remainder]
	last := len(e.committed) - 1
	attempt := p.attempt(s)
	attempt.Reverses = e.committed[last].ID
	run, _ := p.fixture.reverse(e.database, attempt)
	p.end(e.database, run)
	e.committed = slices.Delete(e.committed, last, last+1)
}
