package conformance

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// TestHarmless calls everything of a destination whose server may answer anything, and insists that it ends, and takes little. It is
// for fuzz targets.
func TestHarmless(t *testing.T, d destinations.Destination) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := d.Check(ctx, "acme/monthly"); return err },
		func(ctx context.Context) error { return d.Put(ctx, Key, Describe("x"), strings.NewReader("x")) },
		func(ctx context.Context) error { _, err := d.Stat(ctx, Key); return err },
		func(ctx context.Context) error { return d.Remove(ctx, Key, Describe("x")) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = call(ctx)
		cancel()
	}
	runtime.ReadMemStats(&after)
	if took, made := time.Since(began), (after.TotalAlloc-before.TotalAlloc)>>20; took > 30*time.Second || made > 500 {
		t.Errorf("it took %s and made %d MiB", took, made)
	}
}
