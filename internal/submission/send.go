package submission

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	// windowSize is the number of vouchers that are read from the record, and held in memory, at a time.
	windowSize = 100
	// mostUnknown is how often in a row the system may leave an attempt without an answer.
	mostUnknown = 4
	// firstPause before vouchers are sent again whose outcome was unknown; it grows fourfold each time.
	firstPause = 200 * time.Millisecond
)

// sending is a session with the accounting system, and the record of what it says.
type sending struct {
	*Submission
	system  *System
	session exporters.Session
	terms   exporters.Terms
	lines   *lines
	// answered are the vouchers that have an answer, of all that are sent.
	answered, total int64
	stopped         bool // by a rejection
}

// sent is a voucher with its request.
type sent struct {
	claims.SubmittedVoucher
	exporters.Request
}

// sendAll sends every voucher that is not answered, in order.
func (s *sending) sendAll(ctx context.Context) error {
	totals, err := s.Database.SubmissionTotals(ctx, s.Run.Fence())
	if err != nil {
		return err
	}
	s.stopped = s.terms.StopAtRejection && totals.Rejected > 0
	s.answered, s.total = totals.Answered(), totals.Answered()+totals.Open()
	s.Progress(s.answered, s.total)
	for position := int64(0); ; {
		window, err := s.window(ctx, position, claims.VoucherWaiting, claims.VoucherSent)
		if err != nil || len(window) == 0 {
			return err
		}
		position = window[len(window)-1].Position
		if err := s.sendWindow(ctx, window); err != nil {
			return err
		}
	}
}

// window returns the next vouchers in one of the states, with their requests where those were rendered.
func (s *sending) window(ctx context.Context, after int64, states ...claims.VoucherState) ([]sent, error) {
	vouchers, err := s.Database.SubmittedVouchers(ctx, s.Run.Fence(), after, windowSize, states...)
	if err != nil {
		return nil, err
	}
	window := make([]sent, len(vouchers))
	for i, voucher := range vouchers {
		window[i].SubmittedVoucher = voucher
		window[i].Request = exporters.Request{Voucher: s.voucherID(&voucher), ClaimID: voucher.ClaimID}
		if s.lines == nil {
			continue
		}
		if window[i].Body, err = s.lines.at(voucher.Position); err != nil {
			return nil, failure.Transient(v1alpha1.ReasonExporterFailed, err, "the exporter %s rendered no line for voucher %s", s.Exporter.Type(), window[i].Voucher)
		}
	}
	return window, nil
}

func (s *Submission) voucherID(v *claims.SubmittedVoucher) string {
	return (&ledger.Voucher{Series: s.Run.Series, FiscalYear: v.FiscalYear, Number: v.Number}).ID()
}

// sendWindow looks up what an attempt before this one has sent, and sends what the system does not have.
func (s *sending) sendWindow(ctx context.Context, window []sent) error {
	unanswered := slices.DeleteFunc(slices.Clone(window), func(s sent) bool { return s.State != claims.VoucherSent })
	missing, err := s.lookUp(ctx, unanswered)
	if err != nil || s.stopped {
		return err
	}
	rest := slices.DeleteFunc(window, func(s sent) bool {
		return s.State == claims.VoucherSent && !slices.ContainsFunc(missing, func(m sent) bool { return m.Position == s.Position })
	})
	for len(rest) > 0 && !s.stopped {
		fit := s.session.Fit(requests(rest))
		if err := s.send(ctx, rest[:fit]); err != nil {
			return err
		}
		rest = rest[fit:]
	}
	return nil
}

// lookUp asks for vouchers whose outcome is unknown, records what the system has, and returns those that it does not have.
func (s *sending) lookUp(ctx context.Context, vouchers []sent) (missing []sent, err error) {
	if len(vouchers) == 0 {
		return nil, nil
	}
	answers, err := s.session.LookUp(ctx, requests(vouchers))
	if err != nil {
		return nil, s.system.Failure(ctx, err)
	}
	return s.record(ctx, vouchers, answers)
}

// send sends vouchers that fit together until each has an answer.
func (s *sending) send(ctx context.Context, group []sent) error {
	unknown, pause := 0, firstPause
	for len(group) > 0 && !s.stopped {
		if err := s.markSent(ctx, group); err != nil {
			return err
		}
		answers, err := s.request(ctx, group)
		var system *exporters.SystemError
		switch {
		case err == nil:
			before := len(group)
			if group, err = s.record(ctx, group, answers); err != nil {
				return err
			}
			if len(group) == before {
				return failure.Transient(v1alpha1.ReasonExporterFailed, nil, "the exporter %s had no answer for voucher %s", s.Exporter.Type(), group[0].Voucher)
			}
		case errors.As(err, &system) && system.Problem == exporters.OutcomeUnknown && unknown < mostUnknown:
			if err := s.wait(ctx, pause); err != nil {
				return err
			}
			unknown, pause = unknown+1, 4*pause
			now, err := s.Database.Now(ctx)
			if err != nil {
				return err
			}
			for i := range group {
				group[i].State, group[i].SentAt, group[i].SentAgo = claims.VoucherSent, now, 0
			}
			if group, err = s.lookUp(ctx, group); err != nil {
				return err
			}
		case errors.As(err, &system) && system.Problem != exporters.OutcomeUnknown:
			_, failed := s.record(ctx, group, make([]exporters.Answer, len(group)))
			return errors.Join(s.system.Failure(ctx, err), failed)
		default:
			return s.system.Failure(ctx, err)
		}
	}
	return nil
}

// request sends vouchers once.
func (s *sending) request(ctx context.Context, group []sent) (answers []exporters.Answer, err error) {
	err = s.Failpoints.Around(failpoint.Send, func() (err error) {
		answers, err = s.session.Send(ctx, requests(group))
		return err
	})
	return answers, err
}

func (s *sending) markSent(ctx context.Context, group []sent) error {
	positions := make([]int64, len(group))
	for i := range group {
		positions[i] = group[i].Position
	}
	return s.Failpoints.Around(failpoint.MarkSent, func() error {
		return s.Database.MarkSent(ctx, s.Run.Fence(), positions)
	})
}

// record records answers, and returns the vouchers of which the system has nothing: they wait again, or are as they were
// before they were sent this time, where the system may be processing that. A rejection is no answer while the system may be processing an earlier
// request with the voucher: it may accept that one.
func (s *sending) record(ctx context.Context, vouchers []sent, answers []exporters.Answer) (rest []sent, err error) {
	if len(answers) != len(vouchers) {
		return nil, failure.Transient(v1alpha1.ReasonExporterFailed, nil, "the exporter %s has %d answers for %d vouchers", s.Exporter.Type(), len(answers), len(vouchers))
	}
	recorded := make([]claims.SubmittedVoucher, len(vouchers))
	var unsettled error
	for i, answer := range answers {
		recorded[i] = vouchers[i].SubmittedVoucher
		pending := s.pending(&vouchers[i])
		switch {
		case answer.Verdict == exporters.Accepted:
			recorded[i].State, recorded[i].Reference = claims.VoucherAcknowledged, s.system.quoted(answer.Reference)
		case answer.Verdict == exporters.Rejected && pending != nil:
			unsettled, rest = pending, append(rest, vouchers[i])
		case answer.Verdict == exporters.Rejected:
			recorded[i].State, recorded[i].Message = claims.VoucherRejected, s.system.quoted(answer.Message)
			s.stopped = s.stopped || s.terms.StopAtRejection
		default:
			if pending == nil {
				recorded[i].State = claims.VoucherWaiting
			}
			rest = append(rest, vouchers[i])
		}
	}
	err = s.Failpoints.Around(failpoint.Answer, func() error { return s.Database.RecordAnswers(ctx, s.Run.Fence(), recorded) })
	if err == nil {
		s.answered += int64(len(vouchers) - len(rest))
		s.Progress(s.answered, s.total)
		err = unsettled
	}
	return rest, err
}

// attach has the receipts of accepted vouchers attached, before the system completes those.
func (s *sending) attach(ctx context.Context) error {
	if s.Attach == nil {
		return nil
	}
	attacher, can := s.session.(exporters.Attacher)
	if !can {
		return failure.Stalled(v1alpha1.ReasonInternal, nil, "the exporter %s is to attach receipts, and cannot", s.Exporter.Type())
	}
	return s.Attach(ctx, func(ctx context.Context, receipts []exporters.Attachment) error {
		return s.system.Failure(ctx, attacher.Attach(ctx, receipts))
	})
}

// finish completes what was accepted, unless a rejection has stopped the sending.
func (s *sending) finish(ctx context.Context) error {
	if s.stopped {
		return nil
	}
	totals, err := s.Database.SubmissionTotals(ctx, s.Run.Fence())
	voucher := totals.Accepted.LastVoucher()
	if err != nil || voucher == "" {
		return err
	}
	return s.system.Failure(ctx, s.Failpoints.Around(failpoint.Finish, func() error {
		return s.session.Finish(ctx, exporters.Request{Voucher: voucher})
	}))
}

// wait pauses, if the context does not end before.
func (s *sending) wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func requests(vouchers []sent) []exporters.Request {
	requests := make([]exporters.Request, len(vouchers))
	for i := range vouchers {
		requests[i] = vouchers[i].Request
	}
	return requests
}

// settled looks every voucher up whose outcome is unknown, and fails as long as the system may be processing one.
func (s *sending) settled(ctx context.Context) error {
	for position := int64(0); ; {
		window, err := s.window(ctx, position, claims.VoucherSent)
		if err != nil || len(window) == 0 {
			return err
		}
		position = window[len(window)-1].Position
		missing, err := s.lookUp(ctx, window)
		if err != nil {
			return err
		}
		for i := range missing {
			if err := s.pending(&missing[i]); err != nil {
				return err
			}
		}
	}
}

// pending says until when the system may be processing a voucher of unknown outcome; nil if it cannot any more.
func (s *sending) pending(voucher *sent) error {
	if voucher.State != claims.VoucherSent || voucher.SentAgo >= s.terms.Settling {
		return nil
	}
	until := voucher.SentAt.Add(s.terms.Settling)
	return failure.Transient(v1alpha1.ReasonOutcomeUnknown, nil, "voucher %s was sent to the accounting system, which may be processing it until %s; its claim is given back after that, if it is not there",
		voucher.Voucher, until.UTC().Format(time.RFC3339))
}
