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
	// StartingDeadline is how long a slot may be missed; 0 is any time.
	StartingDeadline time.Duration
	// Suspended exports have no due slot.
	Suspended bool
}

// Decision says what to do about the schedule now. At most one of Due and Skipped is set: of several missed slots only
// the newest counts.
type Decision struct {
	// Due is the slot to run now; zero where there is none.
	Due time.Time
	// Skipped is the newest slot, missed for longer than the starting deadline; zero where there is none.
	Skipped time.Time
	// Next is the next slot to come; zero where there is none.
	Next time.Time
}

// Decide says what to do about the schedule now.
func Decide(in Inputs) Decision {
	if in.Schedule == nil || in.Suspended {
		return Decision{}
	}
	decision := Decision{Next: in.Schedule.Next(in.Now)}
	switch newest := in.Schedule.Latest(in.Handled, in.Now); {
	case newest.IsZero():
	case in.StartingDeadline > 0 && in.Now.Sub(newest) > in.StartingDeadline:
		decision.Skipped = newest
	default:
		decision.Due = newest
	}
	return decision
}
