package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	// mostMemory is what a writer may have live on the heap, in bytes: what exporters.MaxRendered and MaxKept allow, twice, because what
	// grows is copied; what is compiled of options at their bound; and what of a claim at its bound was not collected yet.
	mostMemory = 96 << 20
	// endsWithin is how long a Write may go on after the end of its context, on a machine that has other work, too.
	endsWithin = time.Second
)

// TestBounds checks that a writer takes bounded memory, and ends with its context, whatever claims within their bounds it is given: with as
// many postings, texts as long and as many different codes as there can be. The options are to be at their bounds, too: those with which
// the exporter writes as much as it can of a posting. The heap is the process's, so the test that calls it must not be parallel.
func TestBounds(t *testing.T, exporter exporters.Exporter, options string) {
	t.Setenv("LEDGERPORT_CONFORMANCE", "bounds") // panics in a parallel test
	if err := exporter.Validate([]byte(options)); err != nil {
		t.Fatal(err)
	}
	books := EveryKind("SEK")
	batch := Batch(books, []byte(options))
	for name, voucher := range largeVouchers(t, books) {
		t.Run(name, func(t *testing.T) { checkPeak(t, func() { writeWithin(t, exporter, batch, voucher) }) })
	}
	for _, codes := range []codes{{100_000, 30, 30}, {14_000, 30, ledger.MaxTextLength}, {14_000, ledger.MaxTextLength, ledger.MaxTextLength}} {
		t.Run(fmt.Sprintf("%d different codes of %d bytes, cut out of %d", codes.count, codes.length, codes.of), func(t *testing.T) {
			checkPeak(t, func() { codes.write(t, exporter, batch) })
		})
	}
}

// largeVouchers are at the bounds of a claim, each in its own way.
func largeVouchers(t *testing.T, books *v1alpha1.ChartOfAccountsSpec) map[string]*ledger.Voucher {
	t.Helper()
	many := claim("many", "SEK", strings.Repeat("d", ledger.MaxTextLength))
	for range ledger.MaxLines - 1 {
		many.Lines = append(many.Lines, onCard(line("dinner", "Dinner", 250, 50)))
	}
	many.Lines = append(many.Lines, line("parking", "", 1, 0)) // which is to be paid
	long := claim("long", "SEK", strings.Repeat("&", ledger.MaxTextLength))
	for range ledger.MaxClaimSize / ledger.MaxTextLength {
		long.Lines = append(long.Lines, line("travel", strings.Repeat("\"", ledger.MaxTextLength), 112, 12))
	}
	for _, c := range []*ledger.Claim{many, long} {
		for i := range c.Lines {
			c.Lines[i].Number = i + 1
		}
	}
	vouchers := Map(t, books, []*ledger.Claim{many, long, claim("dimensions", "SEK", "", line("travel", "", 112, 12))})
	for _, voucher := range vouchers {
		voucher.Number = 1
	}
	for range ledger.MaxClaimSize / ledger.DimensionSize {
		vouchers[2].Postings[0].Dimensions = append(vouchers[2].Postings[0].Dimensions, ledger.Dimension{Name: "costCenter", Value: strings.Repeat("1", 30)})
	}
	return map[string]*ledger.Voucher{"many postings": vouchers[0], "long texts": vouchers[1], "many dimensions": vouchers[2]}
}

// writeWithin writes a voucher as the only one of an artifact, under a context that soon ends.
func writeWithin(t *testing.T, exporter exporters.Exporter, batch exporters.Batch, voucher *ledger.Voucher) {
	t.Helper()
	writer, err := exporter.Begin(t.Context(), batch, discard{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), endsWithin/4)
	defer cancel()
	if err = writer.Write(ctx, voucher); err == nil {
		err = writer.Close(ctx)
	}
	ended, _ := ctx.Deadline()
	if late := time.Since(ended); late > endsWithin {
		t.Errorf("Write returned %s after the end of its context; look at it for each posting (exporters.CheckRendered)", late)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		checkOutcome(t, err)
	}
}

// codes are different ones in many claims of several years, each cut out of a text, as expressions do.
type codes struct{ count, length, of int }

// codesOfClaim are as many as fit into a claim with texts as long.
const codesOfClaim = ledger.MaxClaimSize / ledger.MaxTextLength

func (c codes) write(t *testing.T, exporter exporters.Exporter, batch exporters.Batch) {
	t.Helper()
	of := claim("codes", "SEK", "")
	for range codesOfClaim {
		of.Lines = append(of.Lines, line("travel", "", 112, 12))
		of.Lines[len(of.Lines)-1].Number = len(of.Lines)
	}
	voucher := Map(t, batch.Books, []*ledger.Claim{of})[0]
	writer, err := exporter.Begin(t.Context(), batch, discard{})
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte{'0'}, c.of)
	next := func(i int) string {
		digits := strconv.Itoa(i)
		copy(text[len(text)-len(digits):], digits)
		return string(text)[len(text)-c.length:]
	}
	for i := range c.count / codesOfClaim {
		voucher.Number, voucher.FiscalYear = int64(i+1), 2017+i%11
		voucher.PostingDate = time.Date(voucher.FiscalYear, 11, 3, 0, 0, 0, 0, time.UTC)
		for p := range voucher.Postings[:codesOfClaim] {
			voucher.Postings[p].Dimensions = []ledger.Dimension{{Name: "costCenter", Value: next(i*codesOfClaim + p)}}
		}
		checkOutcome(t, writer.Write(t.Context(), voucher))
	}
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// checkOutcome lets a voucher be written or held.
func checkOutcome(t *testing.T, err error) {
	t.Helper()
	if hold := (*ledger.Hold)(nil); err != nil && !errors.As(err, &hold) {
		t.Fatalf("%.300s", err)
	}
}

// checkPeak bounds the most that is live on the heap at the end of any cycle of the garbage collector while do runs, more than before.
// There are many of them.
func checkPeak(t *testing.T, do func()) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(40))
	runtime.GC()
	before := liveHeap()
	var watch heapWatch
	watch.arm()
	do()
	runtime.GC()
	watch.ended.Store(true)
	if peak := watch.peak.Load(); peak > before+mostMemory {
		t.Errorf("%s are live on the heap, more than %s: bound what is made of one voucher by exporters.CheckRendered, and what is kept of many by exporters.Kept",
			kib(peak-before), kib(mostMemory))
	} else {
		t.Log(kib(peak - min(peak, before)))
	}
}

// heapWatch is told of each cycle by the finalizer of an object that nobody has.
type heapWatch struct {
	peak  atomic.Uint64
	ended atomic.Bool
}

func (w *heapWatch) arm() {
	runtime.SetFinalizer(&struct{ watch *heapWatch }{w}, func(*struct{ watch *heapWatch }) {
		w.peak.Store(max(w.peak.Load(), liveHeap()))
		if !w.ended.Load() {
			w.arm()
		}
	})
}

func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}
