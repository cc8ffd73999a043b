package idle

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestMemoryIsGivenBackWhereNothingWasCollectedAndMuchIsFree(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		now  reading
		want int
	}{
		"much is free":                    {reading{7, worthwhile}, 1},
		"little is free":                  {reading{7, worthwhile - 1}, 0},
		"garbage was collected meanwhile": {reading{8, 2 * worthwhile}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given, now := 0, test.now
			last := look(reading{collections: 7}, func() reading { return now }, func() { given, now = given+1, reading{now.collections + 1, 0} })
			if given != test.want || last != now {
				t.Errorf("it was given back %d times, and compares with %+v next", given, last)
			}
			look(last, func() reading { return now }, func() { given++ })
			if given > 1 {
				t.Error("it is given back for ever")
			}
		})
	}
}

// TestWhatIsFreeGoesBack is alone, because memory is the whole process's.
func TestWhatIsFreeGoesBack(t *testing.T) {
	func() {
		burst := make([]byte, 8*worthwhile)
		for i := range burst {
			burst[i] = 1
		}
		runtime.KeepAlive(burst)
	}()
	runtime.GC()
	before := read()
	if before.free < worthwhile {
		t.Fatalf("a burst has left %d MiB free, which is too little to give back", before.free>>20)
	}
	if after := look(before, read, debug.FreeOSMemory); after.free >= worthwhile {
		t.Errorf("%d MiB are free and kept, of %d MiB", after.free>>20, before.free>>20)
	}
}

func TestMemoryEndsWithItsManager(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Memory{}).Start(ctx); err != nil {
		t.Error(err)
	}
	if (Memory{}).NeedLeaderElection() {
		t.Error("a replica that waits keeps what it has free")
	}
}
