// Package failpoint names the places where a test lets an operator die or stop: before, in the middle of, and after
// everything that it makes durable. A hook is passed to the code that reaches such a place; in production there is none, and
// a place costs a comparison with nil. Only a binary built with the tag failpoints has a hook that can be switched on.
package failpoint

// Step is something that an operator makes durable.
type Step string

const (
	// Attempt: holder, deadline and the raised attempt are recorded.
	Attempt Step = "attempt"
	// Reserve: the transactions that read and bind claims begin.
	Reserve Step = "reserve"
	// Render: claims become vouchers in the spool.
	Render Step = "render"
	// Record: claims, voucher numbers and the hashes of the artifact are committed.
	Record Step = "record"
	// RecordApproval: who has approved what is delivered is recorded.
	RecordApproval Step = "record-approval"
	// MarkSent: vouchers are recorded as sent to an accounting system, just before they are.
	MarkSent Step = "mark-sent"
	// Send: the accounting system takes vouchers.
	Send Step = "send"
	// Answer: what the accounting system said of vouchers is recorded.
	Answer Step = "answer"
	// Finish: the accounting system completes what it has accepted.
	Finish Step = "finish"
	// Settle: what the accounting system has accepted is recorded as what the run exports.
	Settle Step = "settle"
	// Put: one file becomes visible at the destination.
	Put Step = "put"
	// CopyReceipts: a block of receipts becomes visible at the destination.
	CopyReceipts Step = "copy-receipts"
	// RecordReceipts: what became of a block of receipts is recorded.
	RecordReceipts Step = "record-receipts"
	// CompleteReceipts: the artifact is recorded with the list of its receipts.
	CompleteReceipts Step = "complete-receipts"
	// MarkDelivered: the delivery is recorded.
	MarkDelivered Step = "mark-delivered"
	// Commit: the claims are recorded as exported.
	Commit Step = "commit"
	// Withdraw: one file is removed, of an artifact that is not whole or that goes with its ExportRun.
	Withdraw Step = "withdraw"
	// Release: the claims are given back.
	Release Step = "release"
	// MarkRemoved: that the artifact of a committed run is gone is recorded.
	MarkRemoved Step = "mark-removed"
	// CreateRun: an ExportRun is created.
	CreateRun Step = "create-run"
	// RunStatus: the status of an ExportRun is written.
	RunStatus Step = "run-status"
	// ExportStatus: the status of an AccountingExport is written.
	ExportStatus Step = "export-status"
	// SendNotification: a target takes an event.
	SendNotification Step = "send-notification"
	// RecordNotification: that it was taken is recorded.
	RecordNotification Step = "record-notification"
)

// Point is a place around a step, such as commit-before.
type Point string

// Before is the last moment at which nothing of the step has happened.
func (s Step) Before() Point { return Point(s) + "-before" }

// During is in the middle of the step: after the first claim was rendered, or before the first byte of a file is read. Steps in
// the database have no middle: they are one transaction, which ends with the session of an attempt that lost its run.
func (s Step) During() Point { return Point(s) + "-during" }

// After is the first moment at which the step is durable and nobody knows yet.
func (s Step) After() Point { return Point(s) + "-after" }

// The lists of points are what crash tests go through, so that a point in one of them has its test.

// ExportPoints returns the places of an attempt that exports or reverses, in the order in which it comes to them.
func ExportPoints() []Point {
	return points(Attempt, Reserve, Render, Record, Put, MarkDelivered, Commit)
}

// ApprovalPoints returns those that an attempt has besides where what it delivers was approved.
func ApprovalPoints() []Point { return points(RecordApproval) }

// PostingPoints returns those that an attempt has besides where vouchers are sent to an accounting system.
func PostingPoints() []Point { return points(MarkSent, Send, Answer, Finish, Settle) }

// ReceiptPoints returns those that an attempt has besides where receipts are delivered.
func ReceiptPoints() []Point { return points(CopyReceipts, RecordReceipts, CompleteReceipts) }

// ReleasePoints returns the places of an attempt that gives claims back.
func ReleasePoints() []Point { return points(Attempt, Withdraw, Release) }

// RemovalPoints returns the places of an attempt that removes the artifact of a committed run.
func RemovalPoints() []Point { return points(Withdraw, MarkRemoved) }

// PreviewPoints returns the places of an attempt that makes a preview.
func PreviewPoints() []Point { return points(Render, Put) }

// RedeliveryPoints returns the places of an attempt that delivers an artifact again, but for the middle of rendering it.
func RedeliveryPoints() []Point {
	return append(points(Attempt, Record, Put, MarkDelivered, Commit), Render.Before(), Render.After())
}

// ControllerPoints returns the places of the reconcilers.
func ControllerPoints() []Point { return points(CreateRun, RunStatus, ExportStatus) }

// NotificationPoints returns the places of who sends notifications.
func NotificationPoints() []Point { return points(SendNotification, RecordNotification) }

func points(steps ...Step) (all []Point) {
	for _, step := range steps {
		all = append(all, step.Before())
		if step == Render || step == Put {
			all = append(all, step.During())
		}
		all = append(all, step.After())
	}
	return all
}

// Hook is called at every point, by the goroutine that reached it. A nil Hook does nothing.
type Hook func(Point)

// Reach tells the hook that a point is reached.
func (h Hook) Reach(point Point) {
	if h != nil {
		h(point)
	}
}

// Around does a step between its points. A step that failed has no point after it.
func (h Hook) Around(step Step, do func() error) error {
	h.Reach(step.Before())
	err := do()
	if err == nil {
		h.Reach(step.After())
	}
	return err
}
