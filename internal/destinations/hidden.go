package destinations

import (
	"context"
	"path"
	"time"
)

const (
	// ProbePrefix is what the name of a check's object begins with, or of its directory.
	ProbePrefix = ".ledgerport-probe-"
	// ProbeAge is when no check can be writing its object any more: what is older is left over, and the next check removes it.
	ProbeAge = time.Hour
	// Patience is how long a writer waits for another one that has written a part of the same object: one that was stopped never
	// ends.
	Patience = 3 * time.Second
	// AbortGrace is how long undoing what was begun may take when a context has ended.
	AbortGrace = 3 * time.Second
)

// PartPrefix begins the names of all parts of an object, which are hidden until they are whole. No key has one, because elements of
// keys do not begin with a dot.
func PartPrefix(of string) string { return path.Join(path.Dir(of), "."+path.Base(of)) + "." }

// AfterGrace returns a context that outlives another by the time that undoing may take.
func AfterGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(AbortGrace, cancel) })
	return longer, func() { stop(); cancel() }
}
