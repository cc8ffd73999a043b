package schedule

import "time"

// Inputs are what the decision whether a slot is due depends on.
type Inputs struct {
	// Schedule of the export; nil where it runs on request only.
	Schedule *Schedule
	// Now is the present.
	Now time.Time
	// Handled is the newest slot that was run or skipped, or else when the export was created: no slot up to it is due.
	Handled time.Time
	// Delay is how much later than its slot a run begins.
	Delay time.Duration
	// StartingDeadline is how long a slot may be missed, counted from when its run should have begun; 0 is any time.
	StartingDeadline time.Duration
	// Suspended exports have no due slot.
	Suspended bool
}

// Decision says what to do about the schedule now. At most one of Due and Skipped is set: of several missed slots only
// the newest counts.
type Decision struct {
	// Due is the slot to run now; zero if there is none.
	Due time.Time
	// Skipped is the newest slot, missed for longer than the starting deadline; zero if there is none.
	Skipped time.Time
	// Next is the next slot whose run is still to begin, at Start; both are zero if there is none.
	Next, Start time.Time
}

// Decide says what to do about the schedule now.
func Decide(in Inputs) Decision {
	if in.Schedule == nil || in.Suspended {
		return Decision{}
	}
	var decision Decision
	begun := in.Now.Add(-in.Delay) // slots up to here have come to their delayed starts
	switch newest := in.Schedule.Latest(in.Handled, begun); {
	case newest.IsZero():
	case in.StartingDeadline > 0 && begun.Sub(newest) > in.StartingDeadline:
		decision.Skipped = newest
	default:
		decision.Due = newest
	}
	if in.Handled.After(begun) { // no slot runs twice, though the clock has stepped back or the delay has grown
		begun = in.Handled
	}
	if decision.Next = in.Schedule.Next(begun); !decision.Next.IsZero() {
		decision.Start = decision.Next.Add(in.Delay)
	}
	return decision
}
