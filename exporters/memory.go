package exporters

import (
	"context"
	"maps"
	"slices"

	"github.com/ledgerport/ledgerport/ledger"
)

// Bounds of what a writer has in memory, in bytes. Bounds of claims and of options are not enough: a table has columns × width ×
// postings.
const (
	// MaxRendered is for one voucher, all of which is made before any of it is written.
	MaxRendered = 16 << 20
	// MaxKept is for what a writer keeps of the vouchers before, in all files and years together.
	MaxKept = 8 << 20
	// keptSize is what an entry of Kept takes beside its texts, about.
	keptSize = 64
)

// CheckRendered returns nil if a writer may go on with a voucher of which it has made so many bytes. Writers ask for each posting, and
// for each of what a posting may have any number of, such as dimensions. The error is the context's, or a hold.
func CheckRendered(ctx context.Context, voucher *ledger.Voucher, size int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if size > MaxRendered {
		return Unsupported(voucher, "the file would have more than %d MiB of it, which is the most of one voucher; divide the claim in the application, or let the options of the exporter write less of each posting",
			MaxRendered>>20)
	}
	return nil
}

// Kept is what a writer keeps of vouchers that are written, such as the objects that a file declares: at most MaxKept. The zero value is
// empty.
type Kept[K comparable, V any] struct {
	entries map[K]V
	added   []K // by the voucher at hand
	size    int
	before  int // size without what was added
}

// Empty reports whether there are no entries.
func (k *Kept[K, V]) Empty() bool { return len(k.entries) == 0 }

// Has reports whether there is an entry.
func (k *Kept[K, V]) Has(key K) bool {
	_, has := k.entries[key]
	return has
}

// Add adds an entry of the voucher at hand, whose texts have so many bytes, and reports whether there was room. A text in it must be a
// copy: one that is cut out of another keeps all of that in memory.
func (k *Kept[K, V]) Add(key K, value V, texts int) bool {
	if k.size+keptSize+texts > MaxKept {
		return false
	}
	if k.entries == nil {
		k.entries = map[K]V{}
	}
	k.entries[key] = value
	k.added = append(k.added, key)
	k.size += keptSize + texts
	return true
}

// Settle ends a voucher: its entries stay if it is written, and are forgotten if it is held.
func (k *Kept[K, V]) Settle(written bool) {
	if !written {
		for _, key := range k.added {
			delete(k.entries, key)
		}
		k.size = k.before
	}
	k.added, k.before = k.added[:0], k.size
}

// Sorted returns the entries in the order of their keys.
func (k *Kept[K, V]) Sorted(compare func(a, b K) int) func(yield func(K, V) bool) {
	return func(yield func(K, V) bool) {
		for _, key := range slices.SortedFunc(maps.Keys(k.entries), compare) {
			if !yield(key, k.entries[key]) {
				return
			}
		}
	}
}
