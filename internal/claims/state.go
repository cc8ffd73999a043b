package claims

import (
	"slices"
	"strings"
)

// RunState is how far a run is recorded. Which state may follow which is in moves, which every statement that changes a state
// asks for, but for supersede: it releases no more than what is started and late. docs/states.md shows it.
type RunState string

const (
	// StateStarted holds nothing yet.
	StateStarted RunState = "started"
	// StateRendered holds claims and voucher numbers, and has the hashes of its artifact recorded.
	StateRendered RunState = "rendered"
	// StateSubmitted also has an answer of the accounting system for each of its vouchers, where they are sent to one; its
	// artifact is the receipt.
	StateSubmitted RunState = "submitted"
	// StateDelivered also has the artifact at its destination.
	StateDelivered RunState = "delivered"
	// StateCommitted is the good end: the claims are exported.
	StateCommitted RunState = "committed"
	// StateReleased is the other end: the claims go to another run.
	StateReleased RunState = "released"
)

// RunStates are all states, in the order in which a run comes to them, and the other end.
var RunStates = []RunState{StateStarted, StateRendered, StateSubmitted, StateDelivered, StateCommitted, StateReleased}

// moves are the states that each state may follow. A run that is submitted or delivered is never released: an accounting system
// has it, or somebody may have imported it.
var moves = map[RunState][]RunState{
	StateRendered:  {StateStarted},
	StateSubmitted: {StateRendered},
	StateDelivered: {StateRendered, StateSubmitted},
	StateCommitted: {StateDelivered},
	StateReleased:  {StateStarted, StateRendered},
}

// Follows reports whether a run may come from another state to this one.
func (s RunState) Follows(other RunState) bool { return slices.Contains(moves[s], other) }

// Finished reports whether the run has ended.
func (s RunState) Finished() bool { return s == StateCommitted || s == StateReleased }

// unfinished is the condition, in SQL, that a run has not ended.
var unfinished = "state NOT IN " + inSQL(StateCommitted, StateReleased)

// mayBecome is the condition, in SQL, that a run may come to a state.
func mayBecome(state RunState) string { return "state IN " + inSQL(moves[state]...) }

// inSQL is a list of states in SQL.
func inSQL(states ...RunState) string {
	texts := make([]string, len(states))
	for i, state := range states {
		texts[i] = "'" + string(state) + "'"
	}
	return "(" + strings.Join(texts, ", ") + ")"
}
