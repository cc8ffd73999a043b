package exporters

import (
	"context"
	"io"
	"time"
)

// Submitter is an Exporter whose vouchers are sent to the accounting system instead of being written to a file for it.
//
// Its Writer renders all the same, and always the same bytes: one file, with one line for each voucher in the order of
// Write, and the run records its hash. Only when that is recorded does the run open a session and send those lines. What
// was sent and what the system answered is recorded voucher by voucher, so that a run which was cut off goes on where it
// stopped. What is delivered is the receipt: which voucher the system accepted, under which reference.
type Submitter interface {
	Exporter
	// Open begins a session for the vouchers of one run. It may be called many times for a run, by one process after
	// another, and sends nothing.
	Open(ctx context.Context, batch Batch) (Session, error)
}

// Session sends the vouchers of one run. It is used by one goroutine. Its errors are *SystemError wherever a person can do
// something. Being told to wait, and a token that expired, are not errors: it waits within the context, and goes on.
type Session interface {
	// Terms of the session.
	Terms() Terms
	// Fit says how many of the requests, from the first, one call of Send takes: at least one.
	Fit(requests []Request) int
	// Send sends vouchers that Fit together, and returns an answer for each. The system must never have a voucher twice
	// because an earlier request is still on its way: the session sends what the system can tell apart, and says
	// OutcomeUnknown where the system says that it has something of them already.
	Send(ctx context.Context, requests []Request) ([]Answer, error)
	// LookUp asks what the system has of vouchers that were sent and not answered: Accepted, or Nothing. The requests may
	// lack their body.
	LookUp(ctx context.Context, requests []Request) ([]Answer, error)
	// Finish completes what was accepted, where the system wants that; last is the last voucher that it accepted. It may
	// be called again.
	Finish(ctx context.Context, last Request) error
	// Describe says where the vouchers are and what became of them, for the manifest.
	Describe() map[string]string
}

// AttachesReceipts is implemented by a Submitter that can attach the receipts of a voucher to it in the accounting system.
type AttachesReceipts interface {
	// AttachesReceipts reports whether sessions with these valid options attach receipts: they are Attachers then.
	AttachesReceipts(options []byte) bool
}

// Attacher is a Session that attaches receipts to vouchers that the system has accepted.
type Attacher interface {
	Session
	// Attach returns when the system has each of some receipts, once, with its voucher. It looks at what is there already under
	// their names: an earlier call may have ended anywhere. Vouchers may be final by now, or not.
	Attach(ctx context.Context, receipts []Attachment) error
}

// Attachment is a receipt to be attached to a voucher.
type Attachment struct {
	// Voucher that it is of, without its body.
	Voucher Request
	// Name of the file: of letters, digits and hyphens, with an extension. No other receipt of the organisation and book has it.
	Name string
	// Size in bytes.
	Size int64
	// Content returns all of it, from the beginning, as often as it is called.
	Content func() io.Reader
}

// Terms of a session.
type Terms struct {
	// StopAtRejection ends the sending at the first voucher that the system rejects: those behind it go to the next run,
	// and Finish is not called.
	StopAtRejection bool
	// Settling is for how long the system may still be processing a request that it has not answered.
	Settling time.Duration
}

// Request is one voucher to be sent.
type Request struct {
	// Voucher is its ID, such as E/2026/17.
	Voucher string
	ClaimID string
	// Body is the voucher's line of the rendered file, without the line feed.
	Body []byte
}

// Answer says what became of a voucher.
type Answer struct {
	Verdict Verdict
	// Reference by which the system knows an accepted voucher.
	Reference string
	// Message of the system for a rejected voucher: what is wrong with it, in its own words.
	Message string
}

// Verdict on a voucher.
type Verdict int

const (
	// Nothing of the voucher is in the system; it may be sent again.
	Nothing Verdict = iota
	// Accepted: the system has all of it.
	Accepted
	// Rejected: the system refused this voucher, and has nothing of it.
	Rejected
)

// SystemError is what went wrong with the system as a whole, not with one voucher.
type SystemError struct {
	Problem SystemProblem
	// Message says what is wrong and what to do. It is shown to people: no secret, no claimant's name.
	Message string
	// Cause is for errors.Is and errors.As; its text is never shown.
	Cause error
}

// SystemProblem says what kind of thing went wrong.
type SystemProblem int

const (
	// Unreachable: there was no answer, and nothing was changed.
	Unreachable SystemProblem = iota
	// OutcomeUnknown: there was no answer to a request that may have changed something.
	OutcomeUnknown
	// CredentialsRefused: the system does not let these credentials in.
	CredentialsRefused
	// Refused: the system refused the request as a whole, and changed nothing.
	Refused
)

// Error returns the message.
func (e *SystemError) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *SystemError) Unwrap() error { return e.Cause }
