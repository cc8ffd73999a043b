package claims

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/ledger"
)

// readReceipt keeps the receipt of a row, unless its claim is too large already.
func (s *stream) readReceipt() {
	row := s.row
	if s.large || len(s.claim.Receipts) > ledger.MaxReceipts {
		return
	}
	s.weigh(row[lineNo:])
	number, _ := strconv.Atoi(string(row[lineNo])) // an integer column; NULL is 0: of the whole claim
	size, err := strconv.ParseInt(string(row[quantity]), 10, 64)
	if err != nil { // NULL
		size = -1
	}
	s.claim.Receipts = append(s.claim.Receipts, ledger.Receipt{
		Key: string(row[lineDescription]), LineNumber: number, Name: string(row[merchant]), MediaType: s.words.text(row[category]),
		Size: size, SHA256: string(row[documentNumber]),
	})
}

// namedReceipts are those that the lines of a claim name, each once.
func namedReceipts(lines []ledger.Line) (receipts []ledger.Receipt) {
	for i := range lines {
		if uri := lines[i].ReceiptURI; uri != "" && !slices.ContainsFunc(receipts, func(r ledger.Receipt) bool { return r.Key == uri }) {
			receipts = append(receipts, ledger.Receipt{Key: uri, LineNumber: lines[i].Number, Size: -1})
			if len(receipts) > ledger.MaxReceipts {
				break
			}
		}
	}
	return receipts
}

// countReceipts puts the receipts of the claim in order and their texts within bounds, and lets a claim with too many be held.
func (s *stream) countReceipts() {
	if len(s.claim.Receipts) > ledger.MaxReceipts {
		s.tooLarge("it has more than %d receipts", ledger.MaxReceipts)
		s.claim.Receipts = nil
	}
	slices.SortFunc(s.claim.Receipts, func(a, b ledger.Receipt) int {
		return cmp.Or(cmp.Compare(a.LineNumber, b.LineNumber), cmp.Compare(a.Key, b.Key))
	})
	for i := range s.claim.Receipts {
		s.claim.Receipts[i].Bound()
	}
}

// ReceiptBlock is what is recorded of some receipts of a run, one after another in the order of their vouchers: what became of each.
type ReceiptBlock struct {
	// Vouchers of the run that the blocks so far are of.
	Vouchers int64
	// Delivered and Missing count the receipts of the block, and Bytes what was delivered of them.
	Delivered, Missing, Bytes int64
	// Rows of the list of receipts, to the letter.
	Rows []byte
}

// RecordReceipts records the next block of the receipts of a run that is rendered, if the attempt is its newest.
func (d *Database) RecordReceipts(ctx context.Context, fence Fence, place int, block ReceiptBlock) error {
	if err := block.validate(mostReceiptRows); err != nil { // nobody could read it
		return fmt.Errorf("recording block %d of the receipts: %w", place, err)
	}
	return d.ofRun(ctx, fence, "recording receipts", func(tx pgx.Tx) error {
		return one(tx.Exec(ctx, `INSERT INTO ledgerport.run_receipts (run_id, block, vouchers, delivered, missing, bytes, rows)
			SELECT id, $3, $4, $5, $6, $7, $8 FROM ledgerport.runs WHERE id = $1 AND attempt = $2 AND state = 'rendered'`,
			fence.RunID, fence.Attempt, place, block.Vouchers, block.Delivered, block.Missing, block.Bytes, block.Rows))
	})
}

// Receipts returns a recorded block of the receipts of a run, by its place, and whether there is one.
func (d *Database) Receipts(ctx context.Context, runID string, place int) (block ReceiptBlock, found bool, err error) {
	conn, err := d.connection(ctx)
	if err != nil {
		return block, false, err
	}
	err = lookUp(ctx, conn, "", runID, func(row pgx.Row) error {
		return row.Scan(&block.Vouchers, &block.Delivered, &block.Missing, &block.Bytes, &block.Rows)
	}, `SELECT vouchers, delivered, missing, bytes, rows FROM ledgerport.run_receipts WHERE run_id = $1 AND block = $2`, runID, place)
	if errors.Is(err, pgx.ErrNoRows) {
		return block, false, nil
	}
	if err == nil {
		if invalid := block.validate(mostRecordedRows); invalid != nil {
			err = RecordInvalid("run_receipts", fmt.Sprintf("%s, %d", runID, place), invalid)
		}
	}
	return block, err == nil, classify(ctx, "reading the recorded receipts", err)
}

// Bounds of the rows of a block, in bytes: of one that is recorded, which a block of receipts comes nowhere near, and of one that was.
// Earlier versions recorded texts of receipts whatever their length.
const (
	mostReceiptRows  = 4 << 20
	mostRecordedRows = 16 << 20
)

func (b *ReceiptBlock) validate(mostRows int) error {
	var i invalid
	i.unless(min(b.Vouchers, b.Delivered, b.Missing, b.Bytes) >= 0, "a number is negative")
	i.unless(len(b.Rows) <= mostRows, "rows has more than %d bytes", mostRows)
	return i.error
}

// CompleteReceipts records the artifact of a run whose receipts are at their destination: their list is a file of it.
func (d *Database) CompleteReceipts(ctx context.Context, fence Fence, files []File, manifest []byte) error {
	return d.ofRun(ctx, fence, "recording receipts", func(tx pgx.Tx) error {
		return one(tx.Exec(ctx, `UPDATE ledgerport.runs SET files = $3, manifest = $4 WHERE id = $1 AND attempt = $2 AND state = 'rendered'`,
			fence.RunID, fence.Attempt, files, manifest))
	})
}

// ValidSHA256 reports whether a text is a SHA-256 as Ledgerport writes it.
func ValidSHA256(text string) bool { return sha256Text.MatchString(text) }
