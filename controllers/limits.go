package controllers

import "time"

const (
	// workers reconcile objects of one kind at the same time, while one of them waits for the API server.
	workers = 4
	// workersPerNamespace of them are with one namespace at most.
	workersPerNamespace = 2
)

// Limits of the administrator bound what tenants may ask for. A limit of zero is none.
type Limits struct {
	// LongestDeadline of an attempt, whatever spec.deadline of an export says.
	LongestDeadline time.Duration
	// ShortestScheduleInterval between two slots of a schedule.
	ShortestScheduleInterval time.Duration
	// UnfinishedRunsPerExport that wait or are under way; others end at once.
	UnfinishedRunsPerExport int
}
