package controllers

import (
	"time"

	"github.com/ledgerport/ledgerport/internal/fairqueue"
)

// workers reconcile objects of one kind at the same time, while one of them waits for the API server.
const workers = 4

// workerLimits are what a namespace has of them. What some thirty runs take is within the burst.
var workerLimits = fairqueue.Limits{Workers: workers, PerNamespace: 2, Share: 0.25, Burst: 3 * time.Second}

// Limits of the administrator bound what tenants may ask for. A limit of zero is none.
type Limits struct {
	// LongestDeadline of an attempt, whatever spec.deadline of an export says.
	LongestDeadline time.Duration
	// ShortestScheduleInterval between two slots of a schedule.
	ShortestScheduleInterval time.Duration
	// UnfinishedRunsPerExport that wait or are under way; others end at once.
	UnfinishedRunsPerExport int
}
