package claims

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// ReservedClaims are the claims that a run has taken, in the order of their positions, as they are now.
type ReservedClaims struct {
	stream *stream
	tx     pgx.Tx
	cancel context.CancelFunc
	year   int
	number int64
}

// ReservedClaim is a claim with the number of its voucher.
type ReservedClaim struct {
	*ledger.Claim
	FiscalYear int
	Number     int64
}

// Reserved streams the claims of a run that is reserved or rendered, in the order in which they were taken. Close must be
// called in the end; the Database serves nothing else meanwhile.
func (d *Database) Reserved(ctx context.Context, fence Fence) (*ReservedClaims, error) {
	run, err := d.guarded(ctx, fence, StateReserved, StateRendered)
	if err != nil {
		return nil, err
	}
	tables, err := d.layout(ctx)
	if err != nil {
		return nil, err
	}
	whole, cancel := context.WithCancel(ctx)
	r := &ReservedClaims{cancel: cancel}
	if err := r.begin(whole, d.conn, run, tables); err != nil {
		r.Close() //nolint:contextcheck // it must work after the context's end
		return nil, classify(ctx, "beginning to read the reserved claims", err)
	}
	return r, nil
}

func (r *ReservedClaims) begin(ctx context.Context, conn *pgx.Conn, run Run, tables *layout) (err error) {
	if r.tx, err = conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return err
	}
	if err := bind(ctx, r.tx, run.OrganizationID); err != nil {
		return err
	}
	if err := tables.hint(ctx, r.tx, run.Claims); err != nil {
		return err
	}
	r.stream = openStream(ctx, conn, tables.reserved(run), append(resultFormats(), pgx.TextFormatCode, pgx.TextFormatCode))
	return nil
}

// Next gives the next claim, or io.EOF after the last. The claim is valid until the next call, and the maps in it are not
// to be changed.
func (r *ReservedClaims) Next(ctx context.Context) (ReservedClaim, error) {
	if err := ctx.Err(); err != nil {
		return ReservedClaim{}, err
	}
	claim, err := r.stream.next(r.decodeNumber)
	switch {
	case errors.Is(err, io.EOF):
		return ReservedClaim{}, err
	case err != nil:
		return ReservedClaim{}, classify(ctx, "reading the reserved claims", err)
	}
	return ReservedClaim{Claim: claim, FiscalYear: r.year, Number: r.number}, nil
}

func (r *ReservedClaims) decodeNumber(row [][]byte) {
	r.year, _ = strconv.Atoi(string(row[fiscalYear])) // integer columns without NULL
	r.number, _ = strconv.ParseInt(string(row[voucherNumber]), 10, 64)
}

// Close ends the reading.
func (r *ReservedClaims) Close() {
	r.cancel()
	if r.stream != nil {
		_, _ = r.stream.rows.Close() // whatever it says, nothing more is read
	}
	if r.tx != nil {
		rollback(context.Background(), r.tx)
	}
}
