package submission

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

// Notes are what will be recorded of the vouchers that are to be sent, kept while they are rendered. They take disk, not memory.
type Notes struct {
	content *artifact.Content
	encoder *json.Encoder
}

// NewNotes keeps notes in a spool.
func NewNotes(spool *artifact.Spool) (*Notes, error) {
	content, err := spool.NewContent()
	return &Notes{content: content, encoder: json.NewEncoder(content)}, err
}

// Add notes the voucher of a claim with so many lines, which has a position in its run.
func (n *Notes) Add(position int64, voucher *ledger.Voucher, lines int64) error {
	noted := claims.SubmittedVoucher{
		Position: position, ClaimID: voucher.ClaimID, FiscalYear: voucher.FiscalYear, Number: voucher.Number,
		Lines: lines, Currency: voucher.Currency.Code(), BaseDebit: voucher.Debit(),
	}
	noted.Payable, noted.BasePayable = voucher.Payable()
	for i := range voucher.Postings {
		noted.Debit += max(0, voucher.Postings[i].Amount)
	}
	return n.encoder.Encode(noted)
}

// Reader returns what was noted, in order, and then io.EOF. Nothing can be noted any more.
func (n *Notes) Reader() (next func() (claims.SubmittedVoucher, error), err error) {
	decoder := json.NewDecoder(n.content.Reader())
	return func() (voucher claims.SubmittedVoucher, err error) {
		err = decoder.Decode(&voucher)
		return voucher, err
	}, n.content.Complete()
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

// fenced returns a client that asks a guard before each request whether the attempt still has the run: a process that was stopped
// just before it sent something must not send it after another has brought the run to its end.
func fenced(client *http.Client, guard func(context.Context) error) *http.Client {
	guarded := *client
	guarded.Transport = &fencedTransport{next: client.Transport, guard: guard}
	return &guarded
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
