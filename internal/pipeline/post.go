package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	// postingWindow is the number of vouchers that are read from the record, and held in memory, at a time.
	postingWindow = 100
	// mostUnknown is how often in a row the system may leave an attempt without an answer.
	mostUnknown = 4
	// firstPause before vouchers are sent again whose outcome was unknown; it grows fourfold each time.
	firstPause = 200 * time.Millisecond
)

// post sends the vouchers of a rendered run to the accounting system, if the exporter does that: rendered → posted. What
// may have been sent is on record before it is, and every answer is recorded before the next voucher is sent.
func (a *attempt) post(ctx context.Context) error {
	poster, posts := a.exporter.(exporters.Poster)
	if !posts || a.run.Claims == 0 {
		return nil
	}
	if err := a.spoolRequests(ctx); err != nil {
		return err
	}
	p, err := a.open(ctx, poster)
	if err != nil {
		return err
	}
	if err := p.sendAll(ctx); err != nil {
		return err
	}
	if err := p.finish(ctx); err != nil {
		return err
	}
	unfinished := ""
	if p.stopped {
		if err := p.settled(ctx); err != nil {
			return err
		}
		unfinished = v1alpha1.ReasonVouchersRejected
	}
	return a.settle(ctx, p.session.Describe(), unfinished)
}

// spoolRequests has the requests in the spool, unless every voucher is answered.
func (a *attempt) spoolRequests(ctx context.Context) error {
	totals, err := a.database.PostingTotals(ctx, a.run.Fence())
	if err != nil {
		return err
	}
	if len(a.spool.files) > 0 || totals.Waiting+totals.Sent == 0 {
		return nil
	}
	return a.renderAgain(ctx)
}

// figures are what will be on record of vouchers that are to be sent. They take disk, not memory.
type figures struct {
	content *content
	encoder *json.Encoder
}

// noteFigures lets a rendering keep figures, if its vouchers will be sent.
func (a *attempt) noteFigures(r *rendering) error {
	if _, posts := a.exporter.(exporters.Poster); !posts {
		return nil
	}
	content, err := a.spool.newContent()
	r.figures = &figures{content: content, encoder: json.NewEncoder(content)}
	return err
}

// note keeps the figures of a voucher.
func (f *figures) note(position int64, voucher *ledger.Voucher, lines int64) error {
	noted := claims.PostedVoucher{
		Position: position, ClaimID: voucher.ClaimID, FiscalYear: voucher.FiscalYear, Number: voucher.Number,
		Lines: lines, Currency: voucher.Currency.Code(), BaseDebit: voucher.Debit(),
	}
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		noted.Debit += max(0, posting.Amount)
		if posting.Kind == ledger.OffsetPosting {
			noted.Payable -= posting.Amount
			noted.BasePayable -= posting.BaseAmount
		}
	}
	return f.encoder.Encode(noted)
}

// reader returns what was noted, in order, and then io.EOF.
func (f *figures) reader() (next func() (claims.PostedVoucher, error), err error) {
	decoder := json.NewDecoder(f.content.reader())
	return func() (voucher claims.PostedVoucher, err error) {
		err = decoder.Decode(&voucher)
		return voucher, err
	}, f.content.complete()
}

// posting is a session with the accounting system, and the record of what it says.
type posting struct {
	*attempt
	session exporters.Session
	terms   exporters.Terms
	lines   *lines
	stopped bool
}

func (a *attempt) open(ctx context.Context, poster exporters.Poster) (*posting, error) {
	batch := a.batch()
	batch.HTTPClient = a.fencedClient()
	session, err := poster.Open(ctx, batch)
	if err != nil {
		return nil, a.exporterFailure(ctx, err)
	}
	p := &posting{attempt: a, session: session, terms: session.Terms()}
	if len(a.spool.files) > 0 {
		p.lines = newLines(a.spool.files[0].reader())
	}
	return p, nil
}

// fencedClient makes sure before each request that the attempt still has the run: a process that was stopped just before it
// sent something must not send it after another has brought the run to its end.
func (a *attempt) fencedClient() *http.Client {
	client := *a.client
	client.Transport = &fencedTransport{next: client.Transport, guard: a.stillOurs}
	return &client
}

type fencedTransport struct {
	next  http.RoundTripper
	mu    sync.Mutex // the guard asks the attempt's only connection
	guard func(context.Context) error
}

// RoundTrip implements http.RoundTripper.
func (t *fencedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.mu.Lock()
	err := t.guard(request.Context())
	t.mu.Unlock()
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // unsent
		}
		return nil, err
	}
	return t.next.RoundTrip(request)
}

// sent is a voucher with its request.
type sent struct {
	claims.PostedVoucher
	exporters.Request
}

// sendAll sends every voucher that is not answered, in order.
func (p *posting) sendAll(ctx context.Context) error {
	totals, err := p.database.PostingTotals(ctx, p.run.Fence())
	if err != nil {
		return err
	}
	answered := totals.Acknowledged + totals.Rejected
	p.stopped = p.terms.StopAtRejection && totals.Rejected > 0
	p.progress.claims.Store(answered)
	p.progress.total.Store(answered + totals.Waiting + totals.Sent)
	for position := int64(0); ; {
		window, err := p.window(ctx, position, claims.VoucherWaiting, claims.VoucherSent)
		if err != nil || len(window) == 0 {
			return err
		}
		position = window[len(window)-1].Position
		if err := p.sendWindow(ctx, window); err != nil {
			return err
		}
	}
}

// window returns the next vouchers in one of the states, with their requests where those were rendered.
func (p *posting) window(ctx context.Context, after int64, states ...claims.VoucherState) ([]sent, error) {
	vouchers, err := p.database.PostedVouchers(ctx, p.run.Fence(), after, postingWindow, states...)
	if err != nil {
		return nil, err
	}
	window := make([]sent, len(vouchers))
	for i, voucher := range vouchers {
		window[i].PostedVoucher = voucher
		window[i].Request = exporters.Request{Voucher: p.voucherID(&voucher), ClaimID: voucher.ClaimID}
		if p.lines == nil {
			continue
		}
		if window[i].Body, err = p.lines.at(voucher.Position); err != nil {
			return nil, failure.Transient(v1alpha1.ReasonExporterFailed, err, "the exporter %s rendered no line for voucher %s", p.exporter.Type(), window[i].Voucher)
		}
	}
	return window, nil
}

func (a *attempt) voucherID(v *claims.PostedVoucher) string {
	return (&ledger.Voucher{Series: a.run.Series, FiscalYear: v.FiscalYear, Number: v.Number}).ID()
}

// sendWindow looks up what an attempt before this one has sent, and sends what the system does not have.
func (p *posting) sendWindow(ctx context.Context, window []sent) error {
	unanswered := slices.DeleteFunc(slices.Clone(window), func(s sent) bool { return s.State != claims.VoucherSent })
	missing, err := p.lookUp(ctx, unanswered)
	if err != nil || p.stopped {
		return err
	}
	rest := slices.DeleteFunc(window, func(s sent) bool {
		return s.State == claims.VoucherSent && !slices.ContainsFunc(missing, func(m sent) bool { return m.Position == s.Position })
	})
	for len(rest) > 0 && !p.stopped {
		fit := p.session.Fit(requests(rest))
		if err := p.send(ctx, rest[:fit]); err != nil {
			return err
		}
		rest = rest[fit:]
	}
	return nil
}

// lookUp asks for vouchers whose outcome is unknown, records what the system has, and returns those that it does not have.
func (p *posting) lookUp(ctx context.Context, vouchers []sent) (missing []sent, err error) {
	if len(vouchers) == 0 {
		return nil, nil
	}
	answers, err := p.session.LookUp(ctx, requests(vouchers))
	if err != nil {
		return nil, p.exporterFailure(ctx, err)
	}
	return p.record(ctx, vouchers, answers)
}

// send sends vouchers that fit together until each has an answer.
func (p *posting) send(ctx context.Context, group []sent) error {
	unknown, pause := 0, firstPause
	for len(group) > 0 && !p.stopped {
		if err := p.markSent(ctx, group); err != nil {
			return err
		}
		answers, err := p.request(ctx, group)
		var system *exporters.SystemError
		switch {
		case err == nil:
			before := len(group)
			if group, err = p.record(ctx, group, answers); err != nil {
				return err
			}
			if len(group) == before {
				return failure.Transient(v1alpha1.ReasonExporterFailed, nil, "the exporter %s had no answer for voucher %s", p.exporter.Type(), group[0].Voucher)
			}
		case errors.As(err, &system) && system.Problem == exporters.OutcomeUnknown && unknown < mostUnknown:
			if err := p.wait(ctx, pause); err != nil {
				return err
			}
			unknown, pause = unknown+1, 4*pause
			now, err := p.database.Now(ctx)
			if err != nil {
				return err
			}
			for i := range group {
				group[i].State, group[i].SentAt, group[i].SentAgo = claims.VoucherSent, now, 0
			}
			if group, err = p.lookUp(ctx, group); err != nil {
				return err
			}
		case errors.As(err, &system) && system.Problem != exporters.OutcomeUnknown:
			_, failed := p.record(ctx, group, make([]exporters.Answer, len(group)))
			return errors.Join(p.exporterFailure(ctx, err), failed)
		default:
			return p.exporterFailure(ctx, err)
		}
	}
	return nil
}

// request sends vouchers once.
func (p *posting) request(ctx context.Context, group []sent) (answers []exporters.Answer, err error) {
	err = p.Failpoints.Around(failpoint.Send, func() (err error) {
		answers, err = p.session.Send(ctx, requests(group))
		return err
	})
	return answers, err
}

func (p *posting) markSent(ctx context.Context, group []sent) error {
	positions := make([]int64, len(group))
	for i := range group {
		positions[i] = group[i].Position
	}
	return p.Failpoints.Around(failpoint.MarkSent, func() error {
		return p.database.MarkSent(ctx, p.run.Fence(), positions)
	})
}

// record puts answers on record, and returns the vouchers of which the system has nothing: they wait again, or are as they were
// before they were sent this time, where the system may be at work on that. A rejection is no answer while the system may be at work on an earlier
// request with the voucher: it may accept that one.
func (p *posting) record(ctx context.Context, vouchers []sent, answers []exporters.Answer) (rest []sent, err error) {
	if len(answers) != len(vouchers) {
		return nil, failure.Transient(v1alpha1.ReasonExporterFailed, nil, "the exporter %s has %d answers for %d vouchers", p.exporter.Type(), len(answers), len(vouchers))
	}
	recorded := make([]claims.PostedVoucher, len(vouchers))
	var unsettled error
	for i, answer := range answers {
		recorded[i] = vouchers[i].PostedVoucher
		pending := p.pending(&vouchers[i])
		switch {
		case answer.Verdict == exporters.Accepted:
			recorded[i].State, recorded[i].Reference = claims.VoucherAcknowledged, p.quoted(answer.Reference)
		case answer.Verdict == exporters.Rejected && pending != nil:
			unsettled, rest = pending, append(rest, vouchers[i])
		case answer.Verdict == exporters.Rejected:
			recorded[i].State, recorded[i].Message = claims.VoucherRejected, p.quoted(answer.Message)
			p.stopped = p.stopped || p.terms.StopAtRejection
		default:
			if pending == nil {
				recorded[i].State = claims.VoucherWaiting
			}
			rest = append(rest, vouchers[i])
		}
	}
	err = p.Failpoints.Around(failpoint.Answer, func() error { return p.database.RecordAnswers(ctx, p.run.Fence(), recorded) })
	if err == nil {
		p.progress.claims.Add(int64(len(vouchers) - len(rest)))
		err = unsettled
	}
	return rest, err
}

// finish completes what was accepted, unless a rejection has stopped the sending.
func (p *posting) finish(ctx context.Context) error {
	if p.stopped {
		return nil
	}
	totals, err := p.database.PostingTotals(ctx, p.run.Fence())
	if err != nil || len(totals.Ranges) == 0 {
		return err
	}
	last := totals.Ranges[len(totals.Ranges)-1]
	voucher := p.voucherID(&claims.PostedVoucher{FiscalYear: last.FiscalYear, Number: last.Last})
	return p.exporterFailure(ctx, p.Failpoints.Around(failpoint.Finish, func() error {
		return p.session.Finish(ctx, exporters.Request{Voucher: voucher})
	}))
}

// wait pauses, if the context does not end before.
func (p *posting) wait(ctx context.Context, pause time.Duration) error {
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

// lines reads the lines of a file in order.
type lines struct {
	content *bufio.Reader
	read    int64
}

func newLines(content io.Reader) *lines { return &lines{content: bufio.NewReader(content)} }

// at returns a line by its number, from 1. Numbers must rise.
func (l *lines) at(number int64) (line []byte, err error) {
	for l.read < number {
		if line, err = l.content.ReadBytes('\n'); err != nil {
			return nil, err
		}
		l.read++
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
