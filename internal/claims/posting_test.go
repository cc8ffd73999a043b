package claims_test

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// posting is a run that has rendered n claims and is about to send their vouchers. It logs in as the least-privileged role,
// whose rows are those of its organisation.
type posting struct {
	*fixture
	*claims.Database
	url   string // of the role
	run   claims.Run
	taken []string
}

func newPosting(t *testing.T, n int) posting {
	t.Helper()
	f := newFixture(t, applicationTables)
	f.claimRange(n)
	url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
	p := posting{fixture: f, Database: f.openAs(url), url: url}
	p.run = f.start(p.Database, attemptOf("1"))
	reservation := f.reserve(p.Database, p.run)
	p.taken, _ = f.takeAll(reservation, year2026)
	f.must(reservation.RecordPosting(f.ctx, p.vouchers()))
	f.must(reservation.Commit(f.ctx, rendered(p.taken, 0)))
	reservation.Rollback()
	return p
}

// vouchers returns one voucher for each claim, of 125.00 kroner or, every third, 10 dollars.
func (p posting) vouchers() func() (claims.PostedVoucher, error) {
	position := 0
	return func() (voucher claims.PostedVoucher, err error) {
		if position == len(p.taken) {
			return voucher, io.EOF
		}
		position++
		voucher = claims.PostedVoucher{
			Position: int64(position), ClaimID: p.taken[position-1], FiscalYear: 2026, Number: int64(position), Lines: 1,
			Currency: "NOK", Debit: 12500, Payable: 12500, BaseDebit: 12500, BasePayable: 12500,
		}
		if position%3 == 0 {
			voucher.Currency, voucher.Debit, voucher.Payable = "USD", 1000, 1000
		}
		return voucher, nil
	}
}

func (p posting) all(states ...claims.VoucherState) []claims.PostedVoucher {
	p.Helper()
	vouchers, err := p.PostedVouchers(p.ctx, p.run.Fence(), 0, 1000, states...)
	p.must(err)
	return vouchers
}

// answer sends vouchers and records an answer for each.
func (p posting) answer(state claims.VoucherState, positions ...int64) {
	p.Helper()
	p.must(p.MarkSent(p.ctx, p.run.Fence(), positions))
	var answers []claims.PostedVoucher
	for _, voucher := range p.all(claims.VoucherSent) {
		if slices.Contains(positions, voucher.Position) {
			voucher.State, voucher.Reference, voucher.Message = state, "ref-"+voucher.ClaimID[32:], "closed period"
			answers = append(answers, voucher)
		}
	}
	p.must(p.RecordAnswers(p.ctx, p.run.Fence(), answers))
}

// recorded counts the vouchers that the run has on record to the letter.
func (p posting) recorded() (n int) {
	p.Helper()
	var body []byte
	p.must(p.conn.QueryRow(p.ctx, `SELECT body FROM ledgerport.run_vouchers WHERE run_id = $1`, p.run.ID).Scan(&body))
	var voucher ledger.Voucher
	for reader := journal.NewReader(body); ; n++ {
		if err := reader.Next(&voucher); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			p.Fatal(err)
		}
	}
}

func TestPosting_IsOnRecordVoucherByVoucher(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 4)
	before := time.Now().Add(-time.Minute)
	p.must(p.MarkSent(t.Context(), p.run.Fence(), []int64{1, 3}))
	p.answer(claims.VoucherAcknowledged, 3)

	sent := p.all(claims.VoucherSent)
	if len(sent) != 1 || sent[0].Position != 1 || sent[0].SentAt.Before(before) {
		t.Errorf("sent and not answered: %+v", sent)
	}
	want := claims.PostedVoucher{
		Position: 3, ClaimID: id(3), FiscalYear: 2026, Number: 3, Lines: 1, Currency: "USD", Debit: 1000, Payable: 1000, BaseDebit: 12500, BasePayable: 12500,
		State: claims.VoucherAcknowledged, Reference: "ref-0003", Message: "closed period",
	}
	acknowledged := p.all(claims.VoucherAcknowledged)
	acknowledged[0].SentAt, acknowledged[0].SentAgo = time.Time{}, 0
	if !reflect.DeepEqual(acknowledged, []claims.PostedVoucher{want}) {
		t.Errorf("acknowledged: %+v", acknowledged)
	}
	if waiting := p.all(claims.VoucherWaiting); len(waiting) != 2 || waiting[0].Position != 2 || !waiting[0].SentAt.IsZero() {
		t.Errorf("waiting: %+v", waiting)
	}
	if behind, err := p.PostedVouchers(t.Context(), p.run.Fence(), 1, 1, claims.VoucherWaiting, claims.VoucherSent); err != nil || len(behind) != 1 || behind[0].Position != 2 {
		t.Errorf("behind the first: %+v, %v", behind, err)
	}
}

func TestPosting_AnAnswerIsFinal(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 2)
	p.answer(claims.VoucherAcknowledged, 1)
	mustFail(t, p.MarkSent(t.Context(), p.run.Fence(), []int64{1, 2}), v1alpha1.ReasonInternal)
	mustFail(t, p.RecordAnswers(t.Context(), p.run.Fence(), p.all(claims.VoucherAcknowledged)), v1alpha1.ReasonInternal)
	if waiting := p.all(claims.VoucherWaiting); len(waiting) != 1 {
		t.Errorf("half of a refused step was recorded: %+v", waiting)
	}
}

func TestPosting_NothingChangesForAnOlderAttempt(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 2)
	p.must(p.MarkSent(t.Context(), p.run.Fence(), []int64{1}))
	_, err := p.TakeOver(t.Context(), p.run.ID, "pod-2", "here", time.Minute)
	p.must(err)
	old := p.run.Fence()
	mustFail(t, p.MarkSent(t.Context(), old, []int64{2}), v1alpha1.ReasonFenced)
	mustFail(t, p.MarkSent(t.Context(), fence(t, p), []int64{2, 3}), v1alpha1.ReasonInternal) // there is no third
	if waiting := p.all(claims.VoucherWaiting); len(waiting) != 1 || waiting[0].Position != 2 {
		t.Errorf("waiting are %+v, want the second voucher", waiting)
	}
	mustFail(t, p.RecordAnswers(t.Context(), old, p.all(claims.VoucherSent)), v1alpha1.ReasonFenced)
	mustFail(t, p.Settle(t.Context(), old, claims.Rendered{}), v1alpha1.ReasonFenced)
}

// fence is that of the newest attempt.
func fence(t *testing.T, p posting) claims.Fence {
	t.Helper()
	run, _, err := p.Run(t.Context(), p.run.ID)
	p.must(err)
	return run.Fence()
}

func TestPostingTotals_AreOfWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 9)
	p.answer(claims.VoucherAcknowledged, 1, 2, 3, 6, 7)
	p.answer(claims.VoucherRejected, 4, 5)
	p.must(p.MarkSent(t.Context(), p.run.Fence(), []int64{8}))
	got, err := p.PostingTotals(t.Context(), p.run.Fence())
	p.must(err)
	currency := func(code string) ledger.Currency {
		c, err := ledger.ParseCurrency(code)
		p.must(err)
		return c
	}
	want := claims.PostingTotals{
		Waiting: 1, Sent: 1, Acknowledged: 5, Rejected: 2,
		Accepted: artifact.Figures{
			Claims: 5, Lines: 5,
			Vouchers: []artifact.Range{{Series: "E", FiscalYear: 2026, First: 1, Last: 3}, {Series: "E", FiscalYear: 2026, First: 6, Last: 7}},
			Base:     artifact.Sum{Claims: 5, Lines: 5, Debit: 62500, Credit: 62500, Payable: 62500},
			Currencies: []artifact.Sum{
				{Currency: currency("NOK"), Claims: 3, Lines: 3, Debit: 37500, Credit: 37500, Payable: 37500},
				{Currency: currency("USD"), Claims: 2, Lines: 2, Debit: 2000, Credit: 2000, Payable: 2000},
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestSettle_KeepsWhatWasAcknowledgedAndGivesTheRestBack(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 7)
	p.answer(claims.VoucherAcknowledged, 1, 4)
	p.answer(claims.VoucherRejected, 2, 3)
	p.must(p.MarkSent(t.Context(), p.run.Fence(), []int64{5}))
	receipt := claims.Rendered{
		Files: []claims.File{{Name: "receipt.jsonl", MediaType: "application/jsonl", Size: 3, SHA256: strings.Repeat("ab", 32)}}, Manifest: []byte(`{"posting": {}}`),
		Claims: 2, Lines: 2, Held: 2, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/4",
	}
	mustFail(t, p.Settle(t.Context(), p.run.Fence(), claims.Rendered{Claims: 3}), v1alpha1.ReasonTotalsMismatch)
	if n := p.recorded(); n != 7 {
		t.Errorf("%d vouchers are on record before, want 7", n)
	}
	p.must(p.Settle(t.Context(), p.run.Fence(), receipt))

	run, _, err := p.Run(t.Context(), "1")
	if err != nil || run.State != claims.StatePosted || run.State.Finished() || !reflect.DeepEqual(run.Rendered, receipt) {
		t.Errorf("on record is %+v, %v", run, err)
	}
	if n := p.recorded(); n != 2 {
		t.Errorf("%d vouchers are on record, want those that were acknowledged", n)
	}
	if n := p.count(`SELECT count(*) FROM ledgerport.exported_claims WHERE claim_id IN ($1, $2)`, id(1), id(4)); n != 2 || p.count(`SELECT count(*) FROM ledgerport.exported_claims`) != 2 {
		t.Error("the run does not have exactly the acknowledged claims")
	}
	if n := p.count(`SELECT count(*) FROM ledgerport.voided_vouchers WHERE series = 'E' AND run_id = '1' AND
		(first, last, reason) IN ((2, 3, 'rejected by the accounting system'), (5, 7, 'not sent to the accounting system'))`); n != 2 || p.count(`SELECT count(*) FROM ledgerport.voided_vouchers`) != 2 {
		t.Error("the numbers of the others are not voided")
	}
	if n := p.count(`SELECT count(*) FROM ledgerport.held_claims WHERE claim_id IN ($1, $2) AND reason = $3 AND message = 'closed period'`, id(2), id(3), ledger.HoldRejected); n != 2 {
		t.Errorf("%d of two rejected claims are held", n)
	}
	mustFail(t, p.Release(t.Context(), p.run.Fence(), "cancelled"), v1alpha1.ReasonFenced)
	mustFail(t, p.Settle(t.Context(), p.run.Fence(), receipt), v1alpha1.ReasonFenced)

	_, err = p.StartAttempt(t.Context(), attemptOf("2"))
	if failed := failureWith(t, err, v1alpha1.ReasonSeriesBusy); !strings.Contains(failed.Message, "(posted)") {
		t.Errorf("%+v", failed)
	}
	p.must(p.MarkDelivered(t.Context(), p.run.Fence(), "s3://books/receipt.jsonl"))
	p.must(p.Commit(t.Context(), p.run.Fence()))
	next, taken := p.reserveAll(p.Database, attemptOf("2"), year2026)
	if want := []string{id(2), id(3), id(5), id(6), id(7)}; !slices.Equal(taken, want) {
		t.Errorf("the next run took %v, want %v", taken, want)
	}
	if first := p.count(`SELECT min(voucher_number) FROM ledgerport.exported_claims WHERE run_id = $1`, next.ID); first != 8 {
		t.Errorf("its first number is %d, want 8", first)
	}
}

// TestPosting_IsSeenByItsOrganisationAlone asks as the role, for every voucher on record.
func TestPosting_IsSeenByItsOrganisationAlone(t *testing.T) {
	t.Parallel()
	p := newPosting(t, 3)
	conn, err := pgx.Connect(t.Context(), p.url)
	p.must(err)
	defer func() { _ = conn.Close(t.Context()) }()
	for organization, want := range map[string]int{"": 0, globex: 0, acme: 3} {
		if got := visible(p.fixture, conn, organization, "ledgerport.posted_vouchers"); got != want {
			t.Errorf("%q sees %d vouchers, want %d", organization, got, want)
		}
	}
}
