package executor

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

func aJob(conditions ...batchv1.JobCondition) *batchv1.Job {
	return &batchv1.Job{Status: batchv1.JobStatus{Conditions: conditions}}
}

func jobIs(kind batchv1.JobConditionType, reason string) batchv1.JobCondition {
	return batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason}
}

func aPod(phase corev1.PodPhase, reason string, state corev1.ContainerState, conditions ...corev1.PodCondition) *corev1.Pod {
	pod := &corev1.Pod{Status: corev1.PodStatus{Phase: phase, Reason: reason, Conditions: conditions}}
	if state != (corev1.ContainerState{}) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "proxy"}, {Name: attemptContainer, State: state}}
	}
	return pod
}

func podIs(kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) corev1.PodCondition {
	return corev1.PodCondition{Type: kind, Status: status, Reason: reason}
}

func deletedPod(pod *corev1.Pod) *corev1.Pod {
	pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
	return pod
}

var (
	runs       = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	noState    = corev1.ContainerState{}
	waitingFor = func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	endedFor = func(reason string, code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}
	}
)

// TestHowAJobEnds has every end of a pod with its reason; an empty one is a good end.
func TestHowAJobEnds(t *testing.T) {
	t.Parallel()
	backoff := jobIs(batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	late := jobIs(batchv1.JobFailureTarget, batchv1.JobReasonDeadlineExceeded)
	disrupted := func(reason string) corev1.PodCondition {
		return podIs(corev1.DisruptionTarget, corev1.ConditionTrue, reason)
	}
	for name, test := range map[string]struct {
		job    *batchv1.Job
		pod    *corev1.Pod
		reason v1alpha1.Reason
	}{
		"a pod that succeeds":                         {aJob(), aPod(corev1.PodSucceeded, "", endedFor("Completed", 0)), ""},
		"a Job that is complete, and its pod removed": {aJob(jobIs(batchv1.JobComplete, "")), nil, ""},
		"memory":  {aJob(), aPod(corev1.PodFailed, "", endedFor("OOMKilled", 137)), v1alpha1.ReasonAttemptOutOfMemory},
		"a crash": {aJob(), aPod(corev1.PodFailed, "", endedFor("Error", 2)), v1alpha1.ReasonAttemptCrashed},
		"an image that does not have the program":          {aJob(), aPod(corev1.PodFailed, "", endedFor("StartError", 128)), v1alpha1.ReasonAttemptCrashed},
		"an eviction by the kubelet":                       {aJob(), aPod(corev1.PodFailed, "Evicted", noState, disrupted("TerminationByKubelet")), v1alpha1.ReasonAttemptEvicted},
		"an eviction of an older kubelet":                  {aJob(), aPod(corev1.PodFailed, "Evicted", noState), v1alpha1.ReasonAttemptEvicted},
		"an eviction through the API":                      {aJob(backoff), deletedPod(aPod(corev1.PodFailed, "", endedFor("Error", 1), disrupted("EvictionByEvictionAPI"))), v1alpha1.ReasonAttemptEvicted},
		"preemption":                                       {aJob(backoff), deletedPod(aPod(corev1.PodFailed, "", endedFor("Error", 1), disrupted("PreemptionByScheduler"))), v1alpha1.ReasonAttemptEvicted},
		"a node that is shut down":                         {aJob(), aPod(corev1.PodFailed, "Terminated", endedFor("Error", 1)), v1alpha1.ReasonAttemptEvicted},
		"a tainted node":                                   {aJob(backoff), deletedPod(aPod(corev1.PodFailed, "", noState, disrupted("DeletionByTaintManager"))), v1alpha1.ReasonAttemptEvicted},
		"a node that is gone":                              {aJob(backoff), aPod(corev1.PodFailed, "", noState, disrupted("DeletionByPodGC")), v1alpha1.ReasonAttemptGone},
		"a pod that a person deletes":                      {aJob(backoff), deletedPod(aPod(corev1.PodFailed, "", endedFor("Error", 1))), v1alpha1.ReasonAttemptGone},
		"a pod that is removed by force":                   {aJob(backoff), nil, v1alpha1.ReasonAttemptGone},
		"the deadline while it runs":                       {aJob(late), aPod(corev1.PodRunning, "", runs), v1alpha1.ReasonDeadlineExceeded},
		"the deadline without a node":                      {aJob(late), aPod(corev1.PodPending, "", noState, podIs(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable")), v1alpha1.ReasonAttemptUnschedulable},
		"the deadline without a pod":                       {aJob(late), nil, v1alpha1.ReasonAttemptNotStarted},
		"the deadline without an image":                    {aJob(late), aPod(corev1.PodPending, "", waitingFor("ErrImagePull")), v1alpha1.ReasonAttemptImageUnavailable},
		"the deadline without what the container mounts":   {aJob(late), aPod(corev1.PodPending, "", waitingFor("ContainerCreating")), v1alpha1.ReasonAttemptNotStarted},
		"a pod that ends before its container begins":      {aJob(), aPod(corev1.PodFailed, "UnexpectedAdmissionError", noState), v1alpha1.ReasonAttemptNotStarted},
		"a word of Kubernetes that no terminal is to obey": {aJob(), aPod(corev1.PodFailed, "\x1b[31m", noState), v1alpha1.ReasonAttemptNotStarted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := stateOf(test.job, test.pod)
			if !state.ended {
				t.Fatalf("it has not ended: %+v", state)
			}
			said := Report{Ended: test.reason == ""}
			err := said.failure(state.jobEnd)
			switch {
			case test.reason == "" && err != nil:
				t.Errorf("it failed: %s", err)
			case test.reason != "" && (err == nil || failure.From(err).Reason != test.reason || failure.From(err).Stalled):
				t.Errorf("it failed of %v, want %s", err, test.reason)
			case err != nil && strings.Contains(err.Error(), "\x1b"):
				t.Errorf("the message is %q", err)
			}
		})
	}
}

// TestAJobThatHasNotEnded goes on, and says what it waits for.
func TestAJobThatHasNotEnded(t *testing.T) {
	t.Parallel()
	suspended := &batchv1.Job{Spec: batchv1.JobSpec{Suspend: ptr.To(true)}}
	suspended.Labels = map[string]string{queueLabel: "finance"}
	for name, test := range map[string]struct {
		job   *batchv1.Job
		pod   *corev1.Pod
		waits string
		stage string
	}{
		"without a pod":             {aJob(), nil, "pod to start", "starting"},
		"while its image is pulled": {aJob(), aPod(corev1.PodPending, "", waitingFor("ContainerCreating")), "pod to start", "starting"},
		"running":                   {aJob(), aPod(corev1.PodRunning, "", runs), "", "started"},
		"in a queue":                {suspended, nil, "queue finance", "suspended"},
		"that was put back into its queue, while its pod ends":  {suspended, deletedPod(aPod(corev1.PodFailed, "", endedFor("Error", 1))), "queue finance", "suspended"},
		"that goes on, while the pod of before is still listed": {aJob(), deletedPod(aPod(corev1.PodFailed, "", endedFor("Error", 1))), "", "started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := stateOf(test.job, test.pod)
			if state.ended || !strings.Contains(state.waits, test.waits) || test.waits == "" && state.waits != "" {
				t.Errorf("it is %+v", state)
			}
			if stage, _ := state.stage(pipeline.Task{Deadline: time.Minute}, time.Minute); stage != test.stage {
				t.Errorf("it is %s, want %s", stage, test.stage)
			}
		})
	}
}

func TestAReportIsBelievedOfLittle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Report{
		"":                                       {},
		"no report":                              {},
		`{"ended":true,"reason":"not a reason"}`: {},
		`{"ended":true,"reason":"AttemptLost"}`:  {},
		`{"ended":true,"reason":"Interrupted"}`:  {},
		`{"ended":true,"reason":"LoginRefused","message":"a\u001bb","condition":"Made"}`: {Ended: true, Reason: "LoginRefused", Message: `a\x1bb`},
		`{"ended":true` + strings.Repeat(" ", largestReport) + `}`:                       {},
	} {
		got := readReport(text)
		if got.Ended != want.Ended || got.Reason != want.Reason || got.Message != want.Message || got.Condition != want.Condition {
			t.Errorf("%.60q is read as %+v, want %+v", text, got, want)
		}
	}
}

func TestAReportFitsIntoATerminationMessage(t *testing.T) {
	t.Parallel()
	held := make([]v1alpha1.HeldClaim, 20)
	for i := range held {
		held[i] = v1alpha1.HeldClaim{ID: strings.Repeat("\"ü", 150), Reason: "UnmappedClaim", Message: strings.Repeat("ß", 150)}
	}
	preview := pipeline.Task{Type: v1alpha1.RunPreview}
	state := State{Outcome: pipeline.Outcome{Stage: v1alpha1.StageDeliver, Held: held, Result: v1alpha1.RunResult{Claims: 7, Held: 20, Total: "1.00 EUR", Location: "file:///x"}}}
	text := ReportOf(preview, state)
	read := readReport(string(text))
	outcome, err := read.preview()
	if err != nil || len(text) > largestReport || outcome.Result != state.Outcome.Result || len(outcome.Held) == 0 || !outcome.Committed {
		t.Errorf("%d bytes are read as %+v (%v)", len(text), outcome, err)
	}
	long := failure.OnSource.Stalled(v1alpha1.ReasonDatabaseError, nil, "%s", strings.Repeat(`"`, 4000))
	text = ReportOf(pipeline.Task{}, State{Err: long})
	if read := readReport(string(text)); len(text) > largestReport || read.Reason != v1alpha1.ReasonDatabaseError || read.Condition != v1alpha1.ConditionSourceReady || !read.Stalled {
		t.Errorf("%d bytes are read as %+v", len(text), read)
	}
}

func FuzzReport(f *testing.F) {
	f.Add(`{"ended":true,"preview":{"result":{"claims":1},"held":[{"id":"x"}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		report := readReport(text)
		outcome, _ := report.preview()
		for _, shown := range []string{report.Message, outcome.Result.Location, outcome.FirstVoucher} {
			if strings.ContainsAny(shown, "\x1b\n\x00") {
				t.Errorf("%q is shown", shown)
			}
		}
		_ = report.failure(jobEnd{})
	})
}
