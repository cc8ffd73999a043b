package executor

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// largestReport is what Kubernetes keeps of the last words of a container, in bytes.
	largestReport = 4096
	// longestSaid bounds the message of a report, so that the rest of it has room.
	longestSaid = 1500
)

// Report is what an attempt in a pod says at its end of what no record has. It is the pod's termination message, and a hint: what it says is
// believed of the run's own failure and of a preview, and of nothing else.
type Report struct {
	// Reason, Message, Condition and Stalled are those of a failure; without a reason there was none.
	Reason    v1alpha1.Reason `json:"reason,omitempty"`
	Message   string          `json:"message,omitempty"`
	Condition string          `json:"condition,omitempty"`
	Stalled   bool            `json:"stalled,omitempty"`
	// Stage that was reached, and how long each took.
	Stage        v1alpha1.RunStage             `json:"stage,omitempty"`
	StageSeconds map[v1alpha1.RunStage]float64 `json:"stageSeconds,omitempty"`
	// Ended: the attempt came to its end.
	Ended bool `json:"ended"`
	// Preview is what a preview came to.
	Preview *Preview `json:"preview,omitempty"`
}

// Preview is what a preview came to: no database has it.
type Preview struct {
	Result       v1alpha1.RunResult   `json:"result"`
	FirstVoucher string               `json:"firstVoucher,omitempty"`
	LastVoucher  string               `json:"lastVoucher,omitempty"`
	Held         []v1alpha1.HeldClaim `json:"held,omitempty"`
}

// ReportOf is what an attempt of a task says of its end, as a termination message.
func ReportOf(task pipeline.Task, state State) []byte {
	report := Report{Ended: true, Stage: state.Outcome.Stage, StageSeconds: state.Outcome.StageSeconds}
	if state.Err != nil {
		failed := failure.From(state.Err)
		report.Reason, report.Message, report.Condition, report.Stalled = failed.Reason, texts.Printable(failed.Message, longestSaid), failed.Condition, failed.Stalled
	} else if task.Type == v1alpha1.RunPreview && !task.Release {
		report.Preview = &Preview{
			Result: state.Outcome.Result, FirstVoucher: state.Outcome.FirstVoucher, LastVoucher: state.Outcome.LastVoucher, Held: state.Outcome.Held,
		}
	}
	for {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(report); err != nil {
			return nil
		}
		switch {
		case text.Len() <= largestReport:
			return text.Bytes()
		case report.Preview != nil && len(report.Preview.Held) > 0:
			report.Preview.Held = report.Preview.Held[:len(report.Preview.Held)-1]
		default:
			report.Message = texts.Printable(report.Message, len(report.Message)/2)
			if report.Message == "" {
				return nil
			}
		}
	}
}

// readReport reads what a pod has said, which may be anything. Of what is not a report nothing is left.
func readReport(text string) (report Report) {
	if len(text) > largestReport {
		return Report{}
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return Report{}
	}
	if !ownReason.MatchString(report.Reason) || slices.Contains(notThePods, report.Reason) {
		return Report{}
	}
	report.Message = texts.Printable(report.Message, texts.Message)
	if !slices.Contains([]string{
		v1alpha1.ConditionSourceReady, v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady, v1alpha1.ConditionCredentialsReady,
	}, report.Condition) {
		report.Condition = ""
	}
	for stage, seconds := range report.StageSeconds {
		if !slices.Contains(stages, stage) || seconds < 0 || seconds > 1e6 {
			delete(report.StageSeconds, stage)
		}
	}
	return report
}

var (
	// ownReason is what a reason looks like, or no reason.
	ownReason = regexp.MustCompile(`^([A-Z][A-Za-z]{1,62})?$`)
	// notThePods are reasons that only the operator gives: that another process than the pod's has ended, or that a person ended the run.
	notThePods = []v1alpha1.Reason{
		v1alpha1.ReasonInterrupted, v1alpha1.ReasonAttemptLost, v1alpha1.ReasonAttemptStuck, v1alpha1.ReasonCancelled, v1alpha1.ReasonQueued, v1alpha1.ReasonPlacePassedOn,
		v1alpha1.ReasonRunning, v1alpha1.ReasonSucceeded,
	}
	stages = []v1alpha1.RunStage{
		v1alpha1.StagePreflight, v1alpha1.StageReserve, v1alpha1.StageRender, v1alpha1.StageDeliver, v1alpha1.StageCommit,
	}
)

// stage that the attempt reached, if it says one.
func (r *Report) stage() v1alpha1.RunStage {
	if slices.Contains(stages, r.Stage) {
		return r.Stage
	}
	return v1alpha1.StagePreflight
}

// failure is what the attempt failed of: what it says itself, or else what is known of the end of its pod. It is nil if it ended well.
func (r *Report) failure(end jobEnd) error {
	switch {
	case r.Ended && r.Reason != "":
		return &failure.Error{Condition: r.Condition, Reason: r.Reason, Message: r.Message, Stalled: r.Stalled}
	case end.failed != nil:
		return end.failed
	case !r.Ended:
		return failure.Transient(v1alpha1.ReasonAttemptCrashed, nil, "the attempt's pod has ended, and did not say how")
	}
	return nil
}

// outcome of an attempt of which nothing is recorded.
func (r *Report) outcome() pipeline.Outcome {
	return pipeline.Outcome{Stage: r.stage(), StageSeconds: r.StageSeconds}
}

// preview is the outcome of a preview.
func (r *Report) preview() (pipeline.Outcome, error) {
	outcome := r.outcome()
	outcome.Record = pipeline.RecordEmpty
	if r.Preview == nil || r.Preview.Result.Claims < 0 || r.Preview.Result.Lines < 0 || r.Preview.Result.Held < 0 {
		return outcome, failure.Transient(v1alpha1.ReasonAttemptCrashed, nil, "the attempt's pod has ended, and did not say what the preview came to")
	}
	outcome.Committed = true
	outcome.Result = r.Preview.Result
	for _, text := range []*string{
		&outcome.Result.Debit, &outcome.Result.Currency, &outcome.Result.Total, &outcome.Result.Location, &outcome.Result.SHA256,
	} {
		*text = texts.Printable(*text, texts.Message/2)
	}
	outcome.FirstVoucher, outcome.LastVoucher = texts.Printable(r.Preview.FirstVoucher, texts.Quote), texts.Printable(r.Preview.LastVoucher, texts.Quote)
	for _, held := range r.Preview.Held {
		outcome.Held = append(outcome.Held, v1alpha1.HeldClaim{
			ID: texts.Printable(held.ID, texts.Quote), Reason: texts.Printable(held.Reason, texts.Quote), Message: texts.Printable(held.Message, texts.Quote),
		})
	}
	return outcome, nil
}
