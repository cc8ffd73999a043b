package claims_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// interleavings is how many the model test tries: LEDGERPORT_INTERLEAVINGS, or few.
func interleavings(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("LEDGERPORT_INTERLEAVINGS"))
	if err != nil {
		return 60
	}
	return n
}

// TestWatermark compares what two exports of one book take with what a plain query says, while claims are approved now and in the
// past, commit late, are taken back, held, adopted, released and reversed, in random order. LEDGERPORT_SEED begins elsewhere.
func TestWatermark(t *testing.T) {
	t.Parallel()
	seed, err := strconv.ParseUint(os.Getenv("LEDGERPORT_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	t.Run("loses and doubles no claim in any interleaving", func(t *testing.T) {
		t.Parallel()
		m := newModel(t)
		for n := range uint64(interleavings(t)) {
			if wrong := m.interleave(seed+n, true); wrong != "" {
				t.Fatalf("seed %d: %s\n%s", seed+n, wrong, strings.Join(m.steps, "\n"))
			}
		}
		used := m.count(`SELECT count(*) FROM ledgerport.runs WHERE compared_at < rendered_at`)
		all := m.count(`SELECT count(*) FROM ledgerport.runs WHERE rendered_at IS NOT NULL AND type = 'export'`)
		t.Logf("%d of %d runs used a watermark", used, all)
		if used*5 < all {
			t.Errorf("%d of %d runs used a watermark: the test says little", used, all)
		}
	})
	t.Run("loses claims that are approved into the past where those are never looked for", func(t *testing.T) {
		t.Parallel()
		m := newModel(t)
		for n := range uint64(200) {
			if wrong := m.interleave(seed+n, false); wrong != "" {
				if !strings.Contains(wrong, "was lost") {
					t.Fatal(wrong)
				}
				return
			}
		}
		t.Error("the test notices nothing when the check of the past is taken out")
	})
}

// model is an organisation with two exports of one book, one for claims with odd ids and one for those with even ones.
type model struct {
	*fixture
	random     *rand.Rand
	late       *pgx.Conn        // the application's, for what commits late
	beside     *claims.Database // for what is done while reservations are under way
	exports    [2]*modelExport
	steps      []string
	made       int // organisations
	claims     int
	runs       int
	hour       int             // by which all instants are said
	horizon    int             // below which a watermark may be
	unmapped   int             // claims with this remainder are held
	past       map[string]bool // claims that were approved below the horizon
	pending    []string        // claims of the application's open transaction
	hasPending bool
}

type modelExport struct {
	database    *claims.Database
	series      string
	remainder   int
	from        int // hour of approvedFrom; 0 for none
	run         claims.Run
	reservation *claims.Reservation
	expected    []string // what the plain query said when the reservation began
	strict      bool     // the next run must find what was approved into the past
	whole       bool     // and so must this one
	committed   []claims.Run
	rendered    bool
}

// lookbackHours is how far below the newest claims a watermark is.
const lookbackHours = 48

func newModel(t *testing.T) *model {
	m := &model{fixture: newFixture(t, applicationTables)}
	var err error
	m.late, err = pgx.Connect(m.ctx, m.url)
	m.must(err)
	t.Cleanup(func() { _ = m.late.Close(context.Background()) })
	m.beside = m.open(v1alpha1.PostgresSource{})
	for i := range m.exports {
		database, err := claims.Open(m.ctx, claims.Options{URL: m.url, Allowed: insecure, FullCheck: time.Hour})
		m.must(err)
		t.Cleanup(database.Close)
		m.exports[i] = &modelExport{database: database, series: string(rune('A' + i)), remainder: i}
	}
	return m
}

func (m *model) org() string { return fmt.Sprintf("3f2c9a1e-0000-4000-9000-%012d", m.made) }

func (m *model) instant(hour int) time.Time {
	return before.AddDate(-1, 0, 0).Add(time.Duration(hour) * time.Hour)
}

func (m *model) step(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf("hour %d: "+format, append([]any{m.hour}, args...)...))
}

// interleave makes a random history of a new organisation, and returns what went wrong. Without the check nobody ever compares all.
func (m *model) interleave(seed uint64, check bool) string {
	m.random, m.steps, m.hour, m.horizon, m.unmapped, m.past = rand.New(rand.NewPCG(seed, 0)), nil, 1000, 0, 0, map[string]bool{}
	m.made++
	for _, e := range m.exports {
		e.committed, e.strict, e.from = nil, true, 0
		if m.random.IntN(3) == 0 {
			e.from = 900 + m.random.IntN(150)
		}
	}
	actions := []func() string{m.approve, m.approve, m.approve, m.backdate, m.beginLate, m.endLate, m.takeBack, m.chart, m.pass, m.adopt, m.begin, m.begin, m.finish, m.finish, m.release, m.reverse}
	if check {
		actions = append(actions, m.compare)
	}
	for range 10 + m.random.IntN(25) {
		if wrong := actions[m.random.IntN(len(actions))](); wrong != "" {
			return wrong
		}
	}
	return m.close(check)
}

// close ends what is under way. Then the time of a check comes, and the last runs must leave nothing.
func (m *model) close(check bool) string {
	m.endLate()
	for _, e := range slices.Concat(m.exports[:], m.exports[:]) {
		if wrong := m.finishOf(e); wrong != "" {
			return wrong
		}
	}
	m.hour += lookbackHours
	if check {
		m.compare()
	}
	for _, e := range m.exports {
		m.beginOf(e, m.hour)
		e.whole = true
		wrong := m.finishOf(e)
		m.finishOf(e)
		if wrong != "" {
			return wrong
		}
	}
	return ""
}

func (m *model) insert(conn *pgx.Conn, hour int) string {
	m.claims++
	claim := id(m.claims)
	_, err := conn.Exec(m.ctx, `INSERT INTO claims VALUES ($1, $2, 'E1', 'Kari Nordmann', NULL, 'approved', $3, NULL, 'NOK', NULL)`, claim, m.org(), m.instant(hour))
	m.must(err)
	return claim
}

// approved notes a claim that was approved at an hour, and is seen from now on.
func (m *model) approved(claim string, hour int) {
	if hour < m.horizon {
		m.past[claim] = true
	}
}

func (m *model) approve() string {
	hour := m.hour - m.random.IntN(40)
	m.approved(m.insert(m.conn, hour), hour)
	m.step("approve %d at %d", m.claims, hour)
	return ""
}

func (m *model) backdate() string {
	hour := m.hour - m.random.IntN(200)
	m.approved(m.insert(m.conn, hour), hour)
	m.step("backdate %d to %d", m.claims, hour)
	return ""
}

func (m *model) beginLate() string {
	if !m.hasPending {
		_, err := m.late.Exec(m.ctx, `BEGIN`)
		m.must(err)
		m.hasPending = true
	}
	m.pending = append(m.pending, fmt.Sprint(m.insert(m.late, m.hour), " ", m.hour))
	m.step("approve %d, to be committed later", m.claims)
	return ""
}

func (m *model) endLate() string {
	if !m.hasPending {
		return ""
	}
	_, err := m.late.Exec(m.ctx, `COMMIT`)
	m.must(err)
	for _, pending := range m.pending {
		claim, hour, _ := strings.Cut(pending, " ")
		at, _ := strconv.Atoi(hour)
		m.approved(claim, at)
	}
	m.step("commit")
	m.pending, m.hasPending = nil, false
	return ""
}

// takeBack lets the application take an approval back, or give it again as it was.
func (m *model) takeBack() string {
	rows, _ := m.conn.Query(m.ctx, `UPDATE claims SET status = CASE status WHEN 'approved' THEN 'draft' ELSE 'approved' END
		WHERE id = (SELECT id FROM claims WHERE organization_id = $1 ORDER BY md5(id::text || $2) LIMIT 1)
		RETURNING id::text, status = 'approved', approved_at`, m.org(), fmt.Sprint(m.random.Uint64()))
	var claim string
	var approved bool
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&claim, &approved, &at}, func() error {
		if approved {
			m.approved(claim, int(at.Sub(m.instant(0)).Hours()))
		}
		m.step("claim %s is approved: %t", claim[30:], approved)
		return nil
	})
	m.must(err)
	return ""
}

func (m *model) chart() string {
	m.unmapped = m.random.IntN(4)
	m.step("hold remainder %d", m.unmapped)
	return ""
}

func (m *model) pass() string {
	m.hour += 1 + m.random.IntN(60)
	m.step("time has passed")
	return ""
}

// compare makes it time to compare all.
func (m *model) compare() string {
	if m.exports[0].reservation != nil || m.exports[1].reservation != nil {
		return "" // which may leave a watermark that is younger
	}
	m.sql(`UPDATE ledgerport.runs SET compared_at = compared_at - interval '1 hour' WHERE organization_id = $1`, m.org())
	m.exports[0].strict, m.exports[1].strict = true, true
	m.step("it is time to compare all")
	return ""
}

func (m *model) adopt() string {
	var claim string
	err := m.conn.QueryRow(m.ctx, `SELECT c.id::text FROM claims c WHERE c.organization_id = $1
		AND NOT EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = 1 AND e.claim_id = c.id::text) ORDER BY md5(id::text || $2) LIMIT 1`, m.org(), fmt.Sprint(m.random.Uint64())).Scan(&claim)
	if errors.Is(err, pgx.ErrNoRows) {
		return ""
	}
	m.must(err)
	adoption := elsewhere(claim)
	adoption.OrganizationID = m.org()
	adopted := m.mustAdopt(m.beside, adoption, 1, 0)
	m.step("adopt %s", claim[30:])
	if m.random.IntN(2) == 0 {
		by := attemptOf("").RunIdentity
		by.OrganizationID = m.org()
		_, err := m.beside.ReverseAdoption(m.ctx, by, adopted.Run, "test")
		m.must(err)
		m.step("and give it back")
	}
	return ""
}

func (m *model) any() *modelExport { return m.exports[m.random.IntN(len(m.exports))] }

func (m *model) begin() string {
	m.beginOf(m.any(), m.hour-m.random.IntN(2)*m.random.IntN(100))
	return ""
}

// beginOf begins a run, unless one is under way.
func (m *model) beginOf(e *modelExport, cutoff int) {
	if e.reservation != nil || e.rendered {
		return
	}
	attempt := m.attempt(e)
	attempt.Cutoff = m.instant(cutoff)
	e.run = m.start(e.database, attempt)
	selection := claims.Selection{Expression: fmt.Sprint("remainder ", e.remainder)}
	if e.from > 0 {
		selection.ApprovedFrom = m.instant(e.from)
	}
	var err error
	e.reservation, err = e.database.Reserve(m.ctx, e.run.Fence(), selection)
	m.must(err)
	e.expected = m.plainQuery(e, cutoff)
	e.whole, e.strict = e.strict, false
	m.horizon = max(m.horizon, cutoff-lookbackHours)
	m.step("begin run %d of %s to %d", m.runs, e.series, cutoff)
}

func (m *model) attempt(e *modelExport) claims.Attempt {
	m.runs++
	attempt := attemptOf(fmt.Sprint("model-", m.runs))
	attempt.OrganizationID, attempt.Export, attempt.Series = m.org(), "monthly-"+e.series, e.series
	attempt.Inputs = fmt.Appendf(nil, `{"claims": {"expression": %q}}`, fmt.Sprint(e.remainder, e.from))
	return attempt
}

// plainQuery returns what an export has to decide of, in the words of the contract.
func (m *model) plainQuery(e *modelExport, cutoff int) []string {
	rows, _ := m.conn.Query(m.ctx, `SELECT c.id::text FROM claims c WHERE c.organization_id = $1 AND c.status = 'approved' AND c.approved_at < $2 AND c.approved_at >= $3
		AND NOT EXISTS (SELECT FROM ledgerport.exported_claims e WHERE e.claim_table = 1 AND e.claim_id = c.id::text) ORDER BY c.approved_at, c.id`, m.org(), m.instant(cutoff), m.instant(e.from))
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	m.must(err)
	return slices.DeleteFunc(ids, func(id string) bool { return !e.selects(id) })
}

func (e *modelExport) selects(id string) bool { return ordinal(id)%2 == e.remainder }

func ordinal(id string) int {
	n, _ := strconv.Atoi(strings.TrimLeft(id[24:], "0"))
	return n
}

func (m *model) finish() string { return m.finishOf(m.any()) }

// finishOf takes what an export has reserved, or gives it up, or ends its run.
func (m *model) finishOf(e *modelExport) string {
	switch {
	case e.rendered:
		m.end(e.database, e.run)
		e.committed = append(e.committed, e.run)
		e.rendered = false
		m.step("commit the run of %s", e.series)
	case e.reservation != nil:
		defer func() {
			e.reservation.Rollback()
			e.reservation = nil
		}()
		decided, err := m.decideAll(e)
		if failed := (*failure.Error)(nil); errors.As(err, &failed) && failed.Reason == v1alpha1.ReasonReservationConflict {
			e.reservation.Rollback()
			m.must(e.database.Release(m.ctx, e.run.Fence(), "conflict"))
			e.strict = e.whole
			m.step("the run of %s has met another", e.series)
			return ""
		}
		m.must(err)
		e.rendered = true
		m.step("the run of %s decides of %d claims", e.series, len(decided))
		return m.compareSets(e, decided)
	}
	return ""
}

// decideAll takes and holds claims, and commits the reservation.
func (m *model) decideAll(e *modelExport) (decided []string, err error) {
	var taken []string
	var held int64
	for {
		claim, err := e.reservation.Next(m.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if !e.selects(claim.ID) {
			continue
		}
		decided = append(decided, claim.ID)
		if ordinal(claim.ID)%4 == m.unmapped {
			held++
			err = e.reservation.Hold(m.ctx, &ledger.Hold{ClaimID: claim.ID, Reason: ledger.HoldUnmapped, Message: "map it"})
		} else {
			taken = append(taken, claim.ID)
			err = e.reservation.Take(m.ctx, one(voucher(claim, 2026, e.reservation.NextNumber(2026))))
		}
		if err != nil {
			return nil, err
		}
	}
	return decided, e.reservation.Commit(m.ctx, rendered(taken, held))
}

// compareSets compares what a run decided of with what the plain query said: only what was approved into the past may be missing, and
// only until all is compared.
func (m *model) compareSets(e *modelExport, decided []string) string {
	missing := maps.Collect(func(yield func(string, bool) bool) {
		for _, id := range e.expected {
			if !yield(id, true) {
				return
			}
		}
	})
	for i, id := range decided {
		if !missing[id] {
			return fmt.Sprintf("%s takes claim %s, which it must not, or twice, or in another order", e.series, id)
		}
		if at := slices.Index(e.expected, id); i > 0 && at < slices.Index(e.expected, decided[i-1]) {
			return fmt.Sprintf("%s takes claim %s out of order", e.series, id)
		}
		delete(missing, id)
	}
	for id := range missing {
		if e.whole {
			return fmt.Sprintf("claim %s was lost by %s (approved into the past: %t)", id, e.series, m.past[id])
		}
		if !m.past[id] {
			return fmt.Sprintf("claim %s waits, though it was not approved into the past", id)
		}
	}
	return ""
}

// release gives back what a run has.
func (m *model) release() string {
	e := m.any()
	switch {
	case e.rendered:
		m.must(e.database.Release(m.ctx, e.run.Fence(), "cancelled"))
		e.rendered = false
	case e.reservation != nil:
		e.reservation.Rollback()
		e.reservation = nil
		m.must(e.database.Release(m.ctx, e.run.Fence(), "cancelled"))
		e.strict = e.strict || e.whole
	default:
		return ""
	}
	m.step("release the run of %s", e.series)
	return ""
}

// reverse reverses the last run of an export.
func (m *model) reverse() string {
	e := m.any()
	if e.reservation != nil || e.rendered || len(e.committed) == 0 {
		return ""
	}
	attempt := m.attempt(e)
	attempt.Reverses = e.committed[len(e.committed)-1].ID
	run, _ := m.fixture.reverse(e.database, attempt)
	m.end(e.database, run)
	e.committed = e.committed[:len(e.committed)-1]
	m.step("reverse the last run of %s", e.series)
	return ""
}
