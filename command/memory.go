package command

import (
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/internal/door"
)

// memoryLimitRatio is the part of the pod's memory limit that is for the Go runtime. The rest is for the kernel's buffers and
// for what is allocated faster than garbage is collected.
const memoryLimitRatio = 0.9

// What the process holds, in bytes: for itself, with what is checked, and for each attempt at most, whatever claims and servers it
// meets. Tests measure the largest of these (memory_test.go of internal/claims and internal/destinations).
const (
	ownMemory     = 64 << 20
	attemptMemory = 128 << 20
)

// What is read through the API server takes besides, where that is served: each page, or record of a run whose file is asked for, at most,
// the buffers of all files that are sent, and handshakes.
const (
	pageMemory      = 64 << 20
	transferMemory  = 256 << 10
	handshakeMemory = 32 << 20
)

// memoryFor is what the Go runtime needs for so many attempts at the same time, and for what is read through the API server if that is served.
func memoryFor(runs int, books bool) int64 {
	needed := ownMemory + int64(runs)*attemptMemory
	if books {
		needed += door.DefaultLimits.Pages*pageMemory + door.DefaultLimits.Transfers*transferMemory + handshakeMemory
	}
	return needed
}

// limitMemory has the Go runtime collect garbage in time for the memory limit of the pod, as its control group has it: else
// the kernel ends the process as soon as garbage and what is in use reach the limit together. GOMEMLIMIT, if it is set, goes
// before. Without a limit, or where it cannot be read, all goes on as it would.
func limitMemory(log logr.Logger, pod memlimit.Provider, runs int, books bool) {
	switch limit, err := memlimit.Set(memlimit.WithRatio(memoryLimitRatio), memlimit.WithProvider(pod)); {
	case err != nil:
		log.Info("the memory limit of the control group is not known", "problem", err.Error())
	case limit == math.MaxInt64:
		log.Info("no control group limits the memory of this process")
	case limit < memoryFor(runs, books):
		log.Info("the Go runtime keeps to a memory limit, and as many runs at the same time may need more; raise the pod's limit, or lower --max-concurrent-runs",
			"bytes", limit, "needed", memoryFor(runs, books))
	default:
		log.Info("the Go runtime keeps to a memory limit", "bytes", limit)
	}
}
