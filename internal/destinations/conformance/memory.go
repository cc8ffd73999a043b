package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// TestMemory puts a hundred megabytes, which need the memory of a few parts. It must not be parallel: the heap is the process's.
func TestMemory(t *testing.T, s Subject) {
	t.Helper()
	const size, most = 100 << 20, 32 << 20
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	before := heap()
	watched := &watchedReader{content: io.LimitReader(zeros{}, size)}
	must(t, s.Put(t.Context(), Key, destinations.Object{Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, watched))
	used := int64(watched.peak) - int64(before)
	t.Logf("%d KiB of heap at most", used>>10)
	if used > most {
		t.Errorf("%d MiB of heap were used, want at most %d", used>>20, most>>20)
	}
}

// watchedReader notes the heap at every 8 MiB.
type watchedReader struct {
	content     io.Reader
	since, peak uint64
}

// Read implements io.Reader.
func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.content.Read(p)
	if r.since += uint64(n); r.since >= 8<<20 {
		r.since, r.peak = 0, max(r.peak, heap())
	}
	return n, err
}

// heap is what is in use, without what is only not yet collected.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
