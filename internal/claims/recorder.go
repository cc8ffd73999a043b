package claims

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/ledger"
)

// batchSize is the number of claims that travel to the database together.
const batchSize = 4096

// blockSize is about how many bytes of vouchers travel together at most.
const blockSize = 4 << 20

// recorder writes which claims a run took and held, and the vouchers, on a connection of its own, in a goroutine of its
// own: while one batch travels, the next one fills.
type recorder struct {
	run     Run
	target  string // table that binds claims to the run
	claims  int32  // the table that the claims are of; 0 of a reversal, which takes none
	blocks  int    // of vouchers, written so far
	packer  journal.Packer
	filling *batch
	full    chan *batch // to the goroutine
	empty   chan *batch // and back
	stopped chan struct{}
	err     error       // valid once stopped is closed
	bound   atomic.Bool // a claim is bound already, by a run that the query for claims did not see
	finish  func() error
}

// batch of claims in the order in which they were decided.
type batch struct {
	size     int
	taken    []byte // rows of the target in the binary format of COPY
	further  []byte // rows of reversal_vouchers: vouchers behind the first one of their claim
	vouchers journal.Writer
	held     struct{ claims, reasons, messages []string }
	heldSize int // bytes of those
}

// newRecorder starts the goroutine, which uses the connection until finish returns.
func newRecorder(ctx context.Context, conn *pgx.Conn, run Run, target string, claims int32) *recorder {
	r := &recorder{
		run: run, target: target, claims: claims, filling: &batch{},
		full: make(chan *batch), empty: make(chan *batch, 2), stopped: make(chan struct{}),
	}
	r.empty <- &batch{}
	r.finish = sync.OnceValue(r.flush)
	go func() {
		defer close(r.stopped)
		r.err = r.writeAll(ctx, conn)
	}()
	return r
}

// writeAll writes batches until there are no more. A panic here, in a goroutine of its own, is the run's as any other.
func (r *recorder) writeAll(ctx context.Context, conn *pgx.Conn) (err error) {
	defer panics.Catch(&err)
	for b := range r.full {
		if err := r.write(ctx, conn, b); err != nil {
			return err
		}
		b.reset()
		r.empty <- b
	}
	return nil
}

// take records a voucher, of which the place says more.
func (r *recorder) take(ctx context.Context, at voucherPlace, voucher *ledger.Voucher) error {
	if err := r.room(ctx); err != nil {
		return err
	}
	r.filling.size++
	into := &r.filling.taken
	if at.further {
		into = &r.filling.further
	}
	*into = r.appendCopyRow(*into, at, voucher)
	r.filling.vouchers.Append(voucher)
	return nil
}

// voucherPlace is where a voucher is in its run.
type voucherPlace struct {
	position int64
	further  bool  // it is not the first of its claim, which binds the claim to the run
	reverses int64 // the position of the voucher that it reverses, in its run
}

func (r *recorder) hold(ctx context.Context, claimID string, hold *ledger.Hold) error {
	if err := r.room(ctx); err != nil {
		return err
	}
	b := r.filling
	b.size++
	b.held.claims = append(b.held.claims, claimID)
	b.held.reasons = append(b.held.reasons, string(hold.Reason))
	b.held.messages = append(b.held.messages, hold.Message)
	b.heldSize += len(claimID) + len(hold.Message)
	return nil
}

// room sends the batch off if it is full.
func (r *recorder) room(ctx context.Context) error {
	if r.filling.size < batchSize && len(r.filling.vouchers.Block())+r.filling.heldSize < blockSize {
		return nil
	}
	select {
	case r.full <- r.filling:
	case <-r.stopped:
		return classify(ctx, "reserving claims", r.err)
	}
	select {
	case r.filling = <-r.empty:
		return nil
	case <-r.stopped:
		return classify(ctx, "reserving claims", r.err)
	}
}

// flush sends the last batch and waits until all is written.
func (r *recorder) flush() error {
	if r.filling.size > 0 {
		select {
		case r.full <- r.filling:
		case <-r.stopped:
		}
	}
	close(r.full)
	<-r.stopped
	return r.err
}

func (b *batch) reset() {
	b.size, b.heldSize, b.taken, b.further = 0, 0, b.taken[:0], b.further[:0]
	b.vouchers.Reset()
	b.held.claims, b.held.reasons, b.held.messages = b.held.claims[:0], b.held.reasons[:0], b.held.messages[:0]
}

func (r *recorder) write(ctx context.Context, conn *pgx.Conn, b *batch) error {
	columns := ", claim_table"
	if r.run.Reverses != "" {
		columns = ", reverses, reverses_position"
	}
	err := copyRows(ctx, conn, r.target, columns, b.taken)
	if sqlState(err) == stateUniqueViolation {
		r.bound.Store(true)
		return conflict(err)
	}
	if err == nil {
		err = copyRows(ctx, conn, "reversal_vouchers", "", b.further)
	}
	if err != nil {
		return err
	}
	if len(b.vouchers.Block()) > 0 {
		body, err := r.packer.Pack(b.vouchers.Block())
		if err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `INSERT INTO ledgerport.run_vouchers (run_id, block, body) VALUES ($1, $2, $3)`, r.run.ID, r.blocks, body); err != nil {
			return err
		}
		r.blocks++
	}
	if len(b.held.claims) == 0 {
		return nil
	}
	writable(conn, b.held.messages)
	_, err = conn.Exec(ctx, `INSERT INTO ledgerport.held_claims AS h (organization_id, claim_table, claim_id, run_id, reason, message)
		SELECT DISTINCT ON (held.claim_id) $1, $6::integer, held.* FROM (SELECT unnest($3::text[]) AS claim_id, $2, unnest($4::text[]), unnest($5::text[])) AS held
		ON CONFLICT (organization_id, claim_table, claim_id) DO UPDATE SET run_id = excluded.run_id, reason = excluded.reason, message = excluded.message`,
		r.run.OrganizationID, r.run.ID, b.held.claims, b.held.reasons, b.held.messages, r.claims)
	return err
}

// copyRows writes rows, if there are any, that have some columns beside those of every voucher.
func copyRows(ctx context.Context, conn *pgx.Conn, into, columns string, rows []byte) error {
	if len(rows) == 0 {
		return nil
	}
	_, span := tracing.Start(ctx, "sql COPY "+into)
	_, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(append(rows, copyTrailer...)),
		`COPY ledgerport.`+into+` (organization_id, claim_id, run_id, position, fiscal_year, voucher_number`+columns+`) FROM STDIN (FORMAT binary)`)
	endStatement(span, err)
	return err
}

// writable replaces in messages what a database with another encoding than UTF-8 may not have: a message is for people, and must not
// be what a run fails for.
func writable(conn *pgx.Conn, messages []string) {
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding == "UTF8" || encoding == asciiEncoding {
		return
	}
	for i, message := range messages {
		messages[i] = strings.Map(func(r rune) rune {
			if r > unicode.MaxASCII {
				return '?'
			}
			return r
		}, message)
	}
}

// The binary format of COPY: a header, per row the number of columns and each with its length, and a trailer.
var (
	copyHeader  = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	copyTrailer = []byte{0xff, 0xff}
)

func (r *recorder) appendCopyRow(to []byte, at voucherPlace, voucher *ledger.Voucher) []byte {
	if len(to) == 0 {
		to = append(to, copyHeader...)
	}
	columns := uint16(7)
	switch {
	case r.run.Reverses != "":
		columns = 8
	case at.further:
		columns = 6
	}
	to = binary.BigEndian.AppendUint16(to, columns)
	to = appendText(to, r.run.OrganizationID)
	to = appendText(to, claimKey(voucher.ClaimID))
	to = appendText(to, r.run.ID)
	to = appendInt64(to, at.position)
	to = appendInt32(to, int32(voucher.FiscalYear)) // a year
	to = appendInt64(to, voucher.Number)
	switch {
	case r.run.Reverses != "":
		return appendInt64(appendText(to, r.run.Reverses), at.reverses)
	case at.further:
		return to
	}
	return appendInt32(to, r.claims)
}

func appendText(to []byte, text string) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(text))) // PostgreSQL has no text of 4 GiB
	return append(to, text...)
}

func appendInt32(to []byte, number int32) []byte {
	to = binary.BigEndian.AppendUint32(to, 4)
	return binary.BigEndian.AppendUint32(to, uint32(number)) // two's complement on the wire
}

func appendInt64(to []byte, number int64) []byte {
	to = binary.BigEndian.AppendUint32(to, 8)
	return binary.BigEndian.AppendUint64(to, uint64(number)) // two's complement on the wire
}
