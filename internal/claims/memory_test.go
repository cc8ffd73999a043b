package claims_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
)

// attemptMemory is what one attempt may hold: docs/operations.md adds up what the pod needs of it.
const attemptMemory = 128 * megabyte

// largestBlock is a recorded block of vouchers as large as a row may be, with as many texts, dimensions and postings as may be in one,
// and how many vouchers it has.
func largestBlock() (block []byte, vouchers int) {
	count := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	repeat := func(n int, each ...byte) []byte { return bytes.Repeat(each, n) }
	end := []byte{1, 0, 0, 1, 1, 1, 1}
	texts := slices.Concat(repeat(6, 0), repeat(2, 0), repeat(4, 0), repeat(2, 0), repeat(2, 0), count(0), end) // six empty ones, each as a new one
	wide := slices.Concat([]byte{1, 1, 1, 0, 0, 1, 1, 0, 0, 1}, count(1000), repeat(2000, 1), end)
	voucher := func(claimID, postings int, each []byte) []byte {
		return slices.Concat([]byte{1, 0, 0, 0, 1}, count(claimID), repeat(claimID, 'x'), []byte{1, 1, 1, 0, 1, 1, 1, 1}, count(postings), bytes.Repeat(each, postings))
	}
	first := append([]byte("\x01\x00\x03EUR"), voucher(0, 30_000, texts)[1:]...)
	block = slices.Concat(first, voucher(0, 30_000, texts), voucher(0, 25_000, texts), voucher(0, 262, wide))
	for vouchers = 4; len(block) < 16*megabyte-ledger.MaxTextLength-100; vouchers++ {
		block = append(block, voucher(ledger.MaxTextLength, 0, nil)...)
	}
	return block, vouchers
}

// TestRun_OfAHostileDatabaseTakesWhatAnAttemptMay runs alone, because it measures the whole process. The owner of the database has
// made all that is recorded of a run as large as it may be.
func TestRun_OfAHostileDatabaseTakesWhatAnAttemptMay(t *testing.T) {
	f := newFixture(t, applicationTables)
	f.claimRange(1)
	database := f.open(v1alpha1.PostgresSource{})
	run, _ := f.reserveAll(database, attemptOf("1"), year2026)
	block, recorded := largestBlock()
	var packer journal.Packer
	packed, err := packer.Pack(block)
	f.must(err)
	f.sql(`UPDATE ledgerport.run_vouchers SET body = $1`, packed)
	f.sql(`INSERT INTO ledgerport.run_vouchers (run_id, block, body) SELECT run_id, 1, $1 FROM ledgerport.run_vouchers`, block)
	f.sql(`UPDATE ledgerport.runs SET inputs = $1::json, manifest = $2::json`,
		`{"chart": {"rules": [{}`+strings.Repeat(", {}", 45_000)+`], "currency": "`+strings.Repeat("x", 3*megabyte)+`"}}`,
		`{"base": {"currency": "NOK", "debit": "0.00", "credit": "0.00", "payable": "0.00"}, "held": [{"reason": "Unmapped"}`+strings.Repeat(`, {"reason": "Unmapped"}`, 9_999)+`], "export": "`+strings.Repeat("x", 3*megabyte)+`"}`)
	var read int
	used := peak(t, func() {
		run, _, err := database.Run(f.ctx, run.ID)
		f.must(err)
		var inputs struct{ Chart v1alpha1.ChartOfAccountsSpec }
		f.must(run.ReadInputs(&inputs))
		var manifest artifact.Manifest
		manifest, err = run.ReadManifest()
		f.must(err)
		vouchers, err := database.Vouchers(f.ctx, run.Fence())
		f.must(err)
		var voucher ledger.Voucher
		for ; err == nil; read++ {
			err = vouchers.Next(f.ctx, &voucher)
		}
		if !errors.Is(err, io.EOF) {
			f.Error(err)
		}
		runtime.KeepAlive(fmt.Sprint(len(inputs.Chart.Rules), len(manifest.Held), len(run.Inputs)))
	})
	t.Logf("%d MiB", used/megabyte)
	if read-1 != 2*recorded || used > attemptMemory {
		t.Errorf("%d vouchers took %d MiB, want %d in at most %d MiB", read-1, used/megabyte, 2*recorded, attemptMemory/megabyte)
	}
}

// TestReserve_OfTheLargestClaimsTakesWhatAnAttemptMay runs alone, because it measures the whole process.
func TestReserve_OfTheLargestClaimsTakesWhatAnAttemptMay(t *testing.T) {
	f := newFixture(t, applicationTables)
	const n = 4
	for i := range n {
		f.claim(i+1, 1)
		f.sql(`INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount, description)
			SELECT $1, i, '2026-10-20', 'travel', 1, 0, i || repeat(md5(i::text), 14) FROM generate_series(10, 10008) i`, id(i+1))
	}
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	var taken []string
	var held map[string]string
	used := peak(t, func() {
		var err error
		taken, held, err = f.pass(reservation)
		f.must(err)
	})
	t.Logf("%d MiB", used/megabyte)
	if len(taken) != n || used > attemptMemory {
		t.Errorf("%d claims took %d MiB (%v), want %d in at most %d MiB", len(taken), used/megabyte, held, n, attemptMemory/megabyte)
	}
}

// TestSettle_OfAHostileDatabaseTakesWhatAnAttemptMay runs alone, because it measures the whole process.
func TestSettle_OfAHostileDatabaseTakesWhatAnAttemptMay(t *testing.T) {
	s := newSubmission(t, 1)
	s.sql(`UPDATE ledgerport.submitted_vouchers SET state = 'rejected'`)
	large, recorded := largestBlock()
	differing, vouchers := differingBlock()
	var packer, another journal.Packer
	packed, err := packer.Pack(large)
	s.must(err)
	hard, err := another.Pack(differing)
	s.must(err)
	for what, test := range map[string]struct {
		block    []byte
		vouchers int
	}{
		"a large block":                            {large, recorded},
		"a large block, packed":                    {packed, recorded},
		"a block of texts that differ":             {differing, vouchers},
		"a block of texts that differ, and packed": {hard, vouchers},
	} {
		s.sql(`DELETE FROM ledgerport.voided_vouchers`)
		s.sql(`UPDATE ledgerport.runs SET state = 'rendered'`)
		s.sql(`UPDATE ledgerport.run_vouchers SET body = $1`, test.block)
		used := peak(t, func() { s.must(s.Settle(s.ctx, s.run.Fence(), claims.Rendered{})) })
		t.Logf("%s: %d MiB", what, used/megabyte)
		if n := s.recorded(); n != test.vouchers-1 || used > attemptMemory {
			t.Errorf("%s: %d vouchers were kept, with %d MiB, want %d with at most %d MiB", what, n, used/megabyte, test.vouchers-1, attemptMemory/megabyte)
		}
	}
}

// differingBlock is one with as many texts that differ as may be in one, beside as many postings and dimensions, and how many vouchers it has. The
// ids of claims cannot be packed.
func differingBlock() (block []byte, vouchers int) {
	random := rand.New(rand.NewPCG(1, 2))
	count := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	next := uint32(1 << 24)
	text := func() []byte {
		next++
		return []byte{0, 4, byte(next), byte(next >> 8), byte(next >> 16), byte(next >> 24)}
	}
	posting := func(each func() []byte, dimensions int) (p []byte) {
		for range 3 {
			p = append(p, each()...)
		}
		p = append(p, 0, 0)
		p = append(append(p, each()...), each()...)
		p = append(append(p, 0, 0), each()...)
		p = append(p, count(dimensions)...)
		for range 2 * dimensions {
			p = append(p, 1)
		}
		p = append(append(p, each()...), 0, 0)
		for range 9 {
			p = append(p, each()...)
		}
		return p
	}
	voucher := func(claim []byte, postings int, each func() []byte, dimensions int) (v []byte) {
		v = slices.Concat([]byte{1, 0, 0, 0, 1}, count(len(claim)), claim, []byte{1, 1, 1, 0, 1, 1, 2, 2, 0, 1, 1, 1, 1, 1, 1}, count(postings))
		for range postings {
			v = append(v, posting(each, dimensions)...)
		}
		return append(v, 0) // receipts
	}
	known := func() []byte { return []byte{1} }
	first := voucher(nil, 30_000, text, 0)
	block = slices.Concat([]byte{4, 0, 0}, first[1:5], []byte{0, 1, 1, 1, 0, 1, 1, 0, 3}, []byte("EUR"), []byte{2, 0, 1, 1, 1, 1, 1, 1}, first[21:], voucher(nil, 30_000, known, 0), voucher(nil, 262, known, 1000))
	for vouchers = 3; len(block) < 16*megabyte-ledger.MaxTextLength-100; vouchers++ {
		claim := make([]byte, ledger.MaxTextLength)
		for i := range claim {
			claim[i] = byte(random.Uint32())
		}
		block = append(block, voucher(claim, 0, nil, 0)...)
	}
	return block, vouchers
}
