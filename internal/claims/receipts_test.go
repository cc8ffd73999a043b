package claims_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

const receiptTable = `CREATE TABLE receipts (claim_id uuid NOT NULL, line_no int, key text NOT NULL, name text, media_type varchar(100), size bigint, sha256 char(64))`

// openWithReceipts opens the database of a source that says where receipts are.
func (f *fixture) openWithReceipts(spec *v1alpha1.ReceiptsSource) *claims.Database {
	f.Helper()
	database, err := claims.Open(f.ctx, claims.Options{URL: f.url, Receipts: spec, Allowed: claims.Allowances{Insecure: true}})
	f.must(err)
	f.Cleanup(database.Close)
	return database
}

// read returns the claims that a run would take, with copies of what is lent.
func (f *fixture) read(database *claims.Database, selection claims.Selection) (read []ledger.Claim) {
	f.Helper()
	attempt := attemptOf("1")
	preview, err := database.Preview(f.ctx, claims.Run{RunIdentity: attempt.RunIdentity, Book: claims.MainBook, Series: "E", Cutoff: attempt.Cutoff, Selection: selection})
	f.must(err)
	defer preview.Close()
	for {
		claim, err := preview.Next(f.ctx)
		if errors.Is(err, io.EOF) {
			return read
		}
		f.must(err)
		copied := *claim
		copied.Lines, copied.Receipts = slices.Clone(claim.Lines), slices.Clone(claim.Receipts)
		read = append(read, copied)
	}
}

func TestReceiptsComeWithTheirClaims(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(5)
	f.sql(receiptTable)
	f.sql(`UPDATE claim_lines SET receipt_uri = 'scan-' || line_no, quantity = 1.50, unit = 'km', dimensions = '{"project": "P1"}'`)
	f.sql(`INSERT INTO claims SELECT '00000000-0000-4000-8000-000000000099', organization_id, claimant_id, claimant_name, claimant_iban, status, approved_at, approved_by, currency, description FROM claims LIMIT 1`)
	table := &v1alpha1.ReceiptsSource{Table: &v1alpha1.ReceiptsTable{}}
	if problem := failureWith(t, func() error { _, err := f.openWithReceipts(table).Inspect(f.ctx); return err }(), v1alpha1.ReasonColumnMismatch); !strings.Contains(problem.Message, "CREATE INDEX") {
		t.Errorf("without an index: %s", problem.Message)
	}
	f.sql(`CREATE INDEX ON receipts (claim_id)`)
	f.sql(`INSERT INTO receipts SELECT claim_id, line_no, 'of/' || line_no, 'Taxi.JPG', 'image/jpeg', 17, repeat('a', 64) FROM claim_lines`)
	f.sql(`INSERT INTO receipts SELECT id, NULL, 'whole' FROM claims`)
	without := f.read(f.openWithReceipts(table), claims.Selection{})
	for mode, spec := range map[string]*v1alpha1.ReceiptsSource{"a table": table, "lines": {}} {
		for i, claim := range f.read(f.openWithReceipts(spec), claims.Selection{Receipts: true}) {
			var want []ledger.Receipt
			if mode == "a table" {
				want = append(want, ledger.Receipt{Key: "whole", Size: -1})
			}
			for _, line := range claim.Lines {
				if mode == "a table" {
					want = append(want, ledger.Receipt{Key: fmt.Sprintf("of/%d", line.Number), LineNumber: line.Number, Name: "Taxi.JPG", MediaType: "image/jpeg", Size: 17, SHA256: strings.Repeat("a", 64)})
				} else {
					want = append(want, ledger.Receipt{Key: line.ReceiptURI, LineNumber: line.Number, Size: -1})
				}
			}
			if !slices.Equal(claim.Receipts, want) {
				t.Errorf("receipts of claim %s in %s are %+v, want %+v", claim.ID, mode, claim.Receipts, want)
			}
			claim.Receipts = nil
			if !reflect.DeepEqual(claim, without[i]) {
				t.Errorf("with receipts in %s the claim is\n%+v, want\n%+v", mode, claim, without[i])
			}
		}
	}
	if len(without) != 6 || without[1].Receipts != nil {
		t.Errorf("without them there are %d claims, the second with receipts %+v", len(without), without[1].Receipts)
	}
}

func TestAClaimWithTooManyReceiptsIsHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(2)
	f.sql(receiptTable)
	f.sql(`CREATE INDEX ON receipts (claim_id)`)
	f.sql(`INSERT INTO receipts (claim_id, key) SELECT '00000000-0000-4000-8000-000000000001', n FROM generate_series(1, $1) n`, ledger.MaxReceipts+1)
	f.sql(`INSERT INTO receipts (claim_id, key) SELECT '00000000-0000-4000-8000-000000000002', n FROM generate_series(1, $1) n`, ledger.MaxReceipts)
	read := f.read(f.openWithReceipts(&v1alpha1.ReceiptsSource{Table: &v1alpha1.ReceiptsTable{}}), claims.Selection{Receipts: true})
	if len(read) != 2 || read[0].Held == nil || read[0].Held.Reason != ledger.HoldTooLarge || read[1].Held != nil || len(read[1].Receipts) != ledger.MaxReceipts {
		t.Errorf("the claims are held for %+v and %+v, the second with %d receipts", read[0].Held, read[1].Held, len(read[1].Receipts))
	}
}

func TestTheTextsOfReceiptsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	f.sql(`CREATE TABLE receipts (claim_id uuid NOT NULL, line_no int, key text, name text, media_type text, size bigint, sha256 text)`)
	f.sql(`CREATE INDEX ON receipts (claim_id)`)
	f.sql(`INSERT INTO receipts SELECT id, 0, repeat('k', 60000), repeat('n', 60000) || '.pdf', 'image/png; a=' || repeat('m', 60000), 7, repeat('0', 60000) FROM claims`)
	f.sql(`UPDATE claim_lines SET receipt_uri = repeat('u', 9000)`)
	for mode, test := range map[string]struct {
		spec *v1alpha1.ReceiptsSource
		want ledger.Receipt
	}{
		"a table": {&v1alpha1.ReceiptsSource{Table: &v1alpha1.ReceiptsTable{}}, ledger.Receipt{Name: ".pdf", MediaType: "image/png", Size: 7, SHA256: ledger.NoSHA256}},
		"lines":   {&v1alpha1.ReceiptsSource{}, ledger.Receipt{LineNumber: 1, Size: -1}},
	} {
		claim := f.read(f.openWithReceipts(test.spec), claims.Selection{Receipts: true})[0]
		if claim.Held != nil || len(claim.Receipts) != 1 || claim.Receipts[0] != test.want || len(claim.Lines[0].ReceiptURI) != 9000 {
			t.Errorf("receipts in %s are %+.300v (held for %+v), want %+v", mode, claim.Receipts, claim.Held, test.want)
		}
	}
}

func TestABlockOfReceiptsThatCouldNotBeReadIsNotRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claimRange(3)
	database := f.open(v1alpha1.PostgresSource{})
	run, ids := f.reserveAll(database, attemptOf("1"), year2026)
	if len(ids) != 3 {
		t.Fatalf("the run has %q", ids)
	}
	for name, block := range map[string]claims.ReceiptBlock{
		"of more than 4 MiB":        {Rows: make([]byte, 4<<20+1)},
		"of less than no voucher":   {Vouchers: -1},
		"of a negative sum of them": {Bytes: -1},
	} {
		if err := database.RecordReceipts(t.Context(), run.Fence(), 0, block); err == nil || f.count(`SELECT count(*) FROM ledgerport.run_receipts`) != 0 {
			t.Errorf("a block %s is recorded (%v)", name, err)
		}
	}
	f.must(database.RecordReceipts(t.Context(), run.Fence(), 0, claims.ReceiptBlock{Rows: make([]byte, 4<<20)}))
	for length, reason := range map[int]string{4 << 20: "", 15 << 20: "", 16<<20 + 1: v1alpha1.ReasonAnswerTooLarge} { // earlier versions recorded longer ones
		f.sql(`UPDATE ledgerport.run_receipts SET rows = convert_to(repeat('x', $1), 'UTF8')`, length)
		block, found, err := database.Receipts(t.Context(), run.ID, 0)
		if reason == "" && (err != nil || !found || len(block.Rows) != length) {
			t.Errorf("of a block of %d bytes %d were read (%v)", length, len(block.Rows), err)
		}
		if reason != "" {
			mustFail(t, err, reason)
		}
	}
}
