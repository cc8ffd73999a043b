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

// submission is a run that has rendered n claims and is about to send their vouchers. It logs in as the least-privileged role,
// whose rows are those of its organisation.
type submission struct {
	*fixture
	*claims.Database
	url   string // of the role
	run   claims.Run
	taken []string
}

func newSubmission(t *testing.T, n int) submission {
	t.Helper()
	f := newFixture(t, applicationTables)
	f.claimRange(n)
	url := testdb.Operator(t, f.url, "role.sql", "migrated.sql")
	s := submission{fixture: f, Database: f.openAs(url), url: url}
	s.run = f.start(s.Database, attemptOf("1"))
	reservation := f.reserve(s.Database, s.run)
	s.taken, _ = f.takeAll(reservation, year2026)
	f.must(reservation.RecordSubmission(f.ctx, s.vouchers()))
	f.must(reservation.Commit(f.ctx, rendered(s.taken, 0)))
	reservation.Rollback()
	return s
}

// vouchers returns one voucher for each claim, of 125.00 kroner or, every third, 10 dollars.
func (s submission) vouchers() func() (claims.SubmittedVoucher, error) {
	position := 0
	return func() (voucher claims.SubmittedVoucher, err error) {
		if position == len(s.taken) {
			return voucher, io.EOF
		}
		position++
		voucher = claims.SubmittedVoucher{
			Position: int64(position), ClaimID: s.taken[position-1], FiscalYear: 2026, Number: int64(position), Lines: 1,
			Currency: "NOK", Debit: 12500, Payable: 12500, BaseDebit: 12500, BasePayable: 12500,
		}
		if position%3 == 0 {
			voucher.Currency, voucher.Debit, voucher.Payable = "USD", 1000, 1000
		}
		return voucher, nil
	}
}

func (s submission) all(states ...claims.VoucherState) []claims.SubmittedVoucher {
	s.Helper()
	vouchers, err := s.SubmittedVouchers(s.ctx, s.run.Fence(), 0, 1000, states...)
	s.must(err)
	return vouchers
}

// answer sends vouchers and records an answer for each.
func (s submission) answer(state claims.VoucherState, positions ...int64) {
	s.Helper()
	s.must(s.MarkSent(s.ctx, s.run.Fence(), positions))
	var answers []claims.SubmittedVoucher
	for _, voucher := range s.all(claims.VoucherSent) {
		if slices.Contains(positions, voucher.Position) {
			voucher.State, voucher.Reference, voucher.Message = state, "ref-"+voucher.ClaimID[32:], "closed period"
			answers = append(answers, voucher)
		}
	}
	s.must(s.RecordAnswers(s.ctx, s.run.Fence(), answers))
}

// recorded counts the vouchers of the run that are recorded to the letter.
func (s submission) recorded() (n int) {
	s.Helper()
	var body []byte
	s.must(s.conn.QueryRow(s.ctx, `SELECT body FROM ledgerport.run_vouchers WHERE run_id = $1`, s.run.ID).Scan(&body))
	var voucher ledger.Voucher
	for reader := journal.NewReader(body); ; n++ {
		if err := reader.Next(&voucher); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			s.Fatal(err)
		}
	}
}

func TestSubmission_IsOnRecordVoucherByVoucher(t *testing.T) {
	t.Parallel()
	s := newSubmission(t, 4)
	before := time.Now().Add(-time.Minute)
	s.must(s.MarkSent(t.Context(), s.run.Fence(), []int64{1, 3}))
	s.answer(claims.VoucherAcknowledged, 3)

	sent := s.all(claims.VoucherSent)
	if len(sent) != 1 || sent[0].Position != 1 || sent[0].SentAt.Before(before) {
		t.Errorf("sent and not answered: %+v", sent)
	}
	want := claims.SubmittedVoucher{
		Position: 3, ClaimID: id(3), FiscalYear: 2026, Number: 3, Lines: 1, Currency: "USD", Debit: 1000, Payable: 1000, BaseDebit: 12500, BasePayable: 12500,
		State: claims.VoucherAcknowledged, Reference: "ref-0003", Message: "closed period",
	}
	acknowledged := s.all(claims.VoucherAcknowledged)
	acknowledged[0].SentAt, acknowledged[0].SentAgo = time.Time{}, 0
	if !reflect.DeepEqual(acknowledged, []claims.SubmittedVoucher{want}) {
		t.Errorf("acknowledged: %+v", acknowledged)
	}
	if waiting := s.all(claims.VoucherWaiting); len(waiting) != 2 || waiting[0].Position != 2 || !waiting[0].SentAt.IsZero() {
		t.Errorf("waiting: %+v", waiting)
	}
	if behind, err := s.SubmittedVouchers(t.Context(), s.run.Fence(), 1, 1, claims.VoucherWaiting, claims.VoucherSent); err != nil || len(behind) != 1 || behind[0].Position != 2 {
		t.Errorf("behind the first: %+v, %v", behind, err)
	}
}

func TestSubmission_AnAnswerIsFinal(t *testing.T) {
	t.Parallel()
	s := newSubmission(t, 2)
	s.answer(claims.VoucherAcknowledged, 1)
	mustFail(t, s.MarkSent(t.Context(), s.run.Fence(), []int64{1, 2}), v1alpha1.ReasonInternal)
	mustFail(t, s.RecordAnswers(t.Context(), s.run.Fence(), s.all(claims.VoucherAcknowledged)), v1alpha1.ReasonInternal)
	if waiting := s.all(claims.VoucherWaiting); len(waiting) != 1 {
		t.Errorf("half of a refused step was recorded: %+v", waiting)
	}
}

func TestSubmission_NothingChangesForAnOlderAttempt(t *testing.T) {
	t.Parallel()
	s := newSubmission(t, 2)
	s.must(s.MarkSent(t.Context(), s.run.Fence(), []int64{1}))
	_, err := s.TakeOver(t.Context(), s.run.ID, "pod-2", "here", time.Minute)
	s.must(err)
	old := s.run.Fence()
	mustFail(t, s.MarkSent(t.Context(), old, []int64{2}), v1alpha1.ReasonFenced)
	mustFail(t, s.MarkSent(t.Context(), fence(t, s), []int64{2, 3}), v1alpha1.ReasonInternal) // there is no third
	if waiting := s.all(claims.VoucherWaiting); len(waiting) != 1 || waiting[0].Position != 2 {
		t.Errorf("waiting are %+v, want the second voucher", waiting)
	}
	mustFail(t, s.RecordAnswers(t.Context(), old, s.all(claims.VoucherSent)), v1alpha1.ReasonFenced)
	mustFail(t, s.Settle(t.Context(), old, claims.Rendered{}), v1alpha1.ReasonFenced)
}

// fence is that of the newest attempt.
func fence(t *testing.T, s submission) claims.Fence {
	t.Helper()
	run, _, err := s.Run(t.Context(), s.run.ID)
	s.must(err)
	return run.Fence()
}

func TestSubmissionTotals_AreOfWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSubmission(t, 9)
	s.answer(claims.VoucherAcknowledged, 1, 2, 3, 6, 7)
	s.answer(claims.VoucherRejected, 4, 5)
	s.must(s.MarkSent(t.Context(), s.run.Fence(), []int64{8}))
	got, err := s.SubmissionTotals(t.Context(), s.run.Fence())
	s.must(err)
	currency := func(code string) ledger.Currency {
		c, err := ledger.ParseCurrency(code)
		s.must(err)
		return c
	}
	want := claims.SubmissionTotals{
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
	s := newSubmission(t, 7)
	s.answer(claims.VoucherAcknowledged, 1, 4)
	s.answer(claims.VoucherRejected, 2, 3)
	s.must(s.MarkSent(t.Context(), s.run.Fence(), []int64{5}))
	receipt := claims.Rendered{
		Files: []claims.File{{Name: "receipt.jsonl", MediaType: "application/jsonl", Size: 3, SHA256: strings.Repeat("ab", 32)}}, Manifest: []byte(`{"submission": {}}`),
		Claims: 2, Lines: 2, Held: 2, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/4",
	}
	mustFail(t, s.Settle(t.Context(), s.run.Fence(), claims.Rendered{Claims: 3}), v1alpha1.ReasonTotalsMismatch)
	if n := s.recorded(); n != 7 {
		t.Errorf("%d vouchers are recorded before, want 7", n)
	}
	s.must(s.Settle(t.Context(), s.run.Fence(), receipt))

	run, _, err := s.Run(t.Context(), "1")
	if err != nil || run.State != claims.StateSubmitted || run.State.Finished() || !reflect.DeepEqual(run.Rendered, receipt) {
		t.Errorf("recorded is %+v, %v", run, err)
	}
	if n := s.recorded(); n != 2 {
		t.Errorf("%d vouchers are recorded, want those that were acknowledged", n)
	}
	if n := s.count(`SELECT count(*) FROM ledgerport.exported_claims WHERE claim_id IN ($1, $2)`, id(1), id(4)); n != 2 || s.count(`SELECT count(*) FROM ledgerport.exported_claims`) != 2 {
		t.Error("the run does not have exactly the acknowledged claims")
	}
	if n := s.count(`SELECT count(*) FROM ledgerport.voided_vouchers WHERE series = 'E' AND run_id = '1' AND
		(first, last, reason) IN ((2, 3, 'rejected by the accounting system'), (5, 7, 'not sent to the accounting system'))`); n != 2 || s.count(`SELECT count(*) FROM ledgerport.voided_vouchers`) != 2 {
		t.Error("the numbers of the others are not voided")
	}
	if n := s.count(`SELECT count(*) FROM ledgerport.held_claims WHERE claim_id IN ($1, $2) AND reason = $3 AND message = 'closed period'`, id(2), id(3), ledger.HoldRejected); n != 2 {
		t.Errorf("%d of two rejected claims are held", n)
	}
	mustFail(t, s.Release(t.Context(), s.run.Fence(), "cancelled"), v1alpha1.ReasonFenced)
	mustFail(t, s.Settle(t.Context(), s.run.Fence(), receipt), v1alpha1.ReasonFenced)

	_, err = s.StartAttempt(t.Context(), attemptOf("2"))
	if failed := failureWith(t, err, v1alpha1.ReasonSeriesBusy); !strings.Contains(failed.Message, "(submitted)") {
		t.Errorf("%+v", failed)
	}
	s.must(s.MarkDelivered(t.Context(), s.run.Fence(), "s3://books/receipt.jsonl"))
	s.must(s.Commit(t.Context(), s.run.Fence()))
	next, taken := s.reserveAll(s.Database, attemptOf("2"), year2026)
	if want := []string{id(2), id(3), id(5), id(6), id(7)}; !slices.Equal(taken, want) {
		t.Errorf("the next run took %v, want %v", taken, want)
	}
	if first := s.count(`SELECT min(voucher_number) FROM ledgerport.exported_claims WHERE run_id = $1`, next.ID); first != 8 {
		t.Errorf("its first number is %d, want 8", first)
	}
}

// TestSubmission_IsSeenByItsOrganisationAlone asks as the role, for every recorded voucher.
func TestSubmission_IsSeenByItsOrganisationAlone(t *testing.T) {
	t.Parallel()
	s := newSubmission(t, 3)
	conn, err := pgx.Connect(t.Context(), s.url)
	s.must(err)
	defer func() { _ = conn.Close(t.Context()) }()
	for organization, want := range map[string]int{"": 0, globex: 0, acme: 3} {
		if got := visible(s.fixture, conn, organization, "ledgerport.submitted_vouchers"); got != want {
			t.Errorf("%q sees %d vouchers, want %d", organization, got, want)
		}
	}
}
