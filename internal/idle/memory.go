// Package idle gives memory back to the operating system while a process does little.
package idle

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// interval is how often it is looked whether the process does little: without a collection of garbage meanwhile it has allocated less
	// than it holds.
	interval = 20 * time.Second
	// worthwhile is how much has to be free for a collection to be made, and pages to be asked for again later.
	worthwhile = 16 << 20
)

// Memory gives back what a burst, such as a start, has left free. The runtime itself keeps as much as it held at the last collection, for as long as
// nothing more happens. It is a part of a manager.
type Memory struct{}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica fills its caches.
func (Memory) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (Memory) Start(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := read()
	for {
		select {
		case <-tick.C:
			last = look(last, read, debug.FreeOSMemory)
		case <-ctx.Done():
			return nil
		}
	}
}

// reading is what the runtime says of itself.
type reading struct {
	collections, free uint64
}

func read() reading {
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	return reading{samples[0].Value.Uint64(), samples[1].Value.Uint64()}
}

// look gives back what is free if there was no collection since the last look, and returns what is to be compared with the next.
func look(last reading, read func() reading, giveBack func()) reading {
	now := read()
	if now.collections != last.collections || now.free < worthwhile {
		return now
	}
	giveBack()
	return read()
}
