package executor

import (
	"cmp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/texts"
)

// jobState is where the Job of an attempt is.
type jobState struct {
	jobEnd
	// ended: the pod will do nothing more.
	ended bool
	// missing: the cache does not have the Job.
	missing bool
	// suspended: the Job waits for its turn.
	suspended bool
	// started: the container runs, or has run.
	started bool
	// waits says what it waits for.
	waits string
	// obstacle is why the pod has not started.
	obstacle *failure.Error
}

// jobEnd is how the Job of an attempt has ended.
type jobEnd struct {
	// report is what the attempt has said of itself, as it stands in the pod; empty if it said nothing.
	report string
	// failed is what is known of the end of the pod otherwise; nil if it ended well.
	failed *failure.Error
	// abandoned: it was not waited for, and the Job has to be deleted.
	abandoned bool
}

// recordOf returns what is known of the record of a run, given what the database says. If it has no such record, or does not answer, only an attempt
// that has reported its end does nothing more: any other may live on in a pod that is out of reach, or its last statement may be on its way, and the
// run begins after the database was asked.
func (e *jobEnd) recordOf(said *Report, learned pipeline.Record) pipeline.Record {
	switch {
	case learned == pipeline.RecordOpen, said.Ended:
		return learned
	case e.failed != nil && slices.Contains(notStarted, e.failed.Reason):
		return pipeline.RecordUnknown
	default:
		return pipeline.RecordOpen
	}
}

// notStarted are reasons of pods that had not started when they were given up.
var notStarted = []v1alpha1.Reason{v1alpha1.ReasonAttemptNotStarted, v1alpha1.ReasonAttemptUnschedulable, v1alpha1.ReasonAttemptImageUnavailable}

// hasEnded reports whether a Job is finished, or going to be: its pods are being ended, and one on a node that does not answer may take long.
func hasEnded(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(condition batchv1.JobCondition) bool {
		switch condition.Type {
		case batchv1.JobComplete, batchv1.JobFailed, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
			return condition.Status == corev1.ConditionTrue
		default: // JobSuspended goes on
			return false
		}
	})
}

// stateOf returns where a Job is. The pod is nil if there is none.
func stateOf(job *batchv1.Job, pod *corev1.Pod) jobState {
	state := jobState{suspended: job.Spec.Suspend != nil && *job.Spec.Suspend}
	container := containerOf(pod)
	state.started = container != nil && (container.State.Running != nil || container.State.Terminated != nil)
	if container != nil && container.State.Terminated != nil {
		state.report = container.State.Terminated.Message
	}
	switch {
	case pod != nil && pod.Status.Phase == corev1.PodSucceeded:
		state.ended = true
	case hasEnded(job), pod != nil && pod.Status.Phase == corev1.PodFailed && pod.DeletionTimestamp == nil: // one is deleted when the Job is suspended, and goes on later
		state.ended, state.failed = true, failureOf(job, pod, container)
	case state.suspended:
		state.waits = "waits for quota in the queue " + job.Labels[queueLabel]
	case !state.started:
		state.obstacle = obstacleOf(pod, container)
		state.waits = "waits for its pod to start"
	}
	return state
}

func containerOf(pod *corev1.Pod) *corev1.ContainerStatus {
	if pod == nil {
		return nil
	}
	for i := range pod.Status.ContainerStatuses {
		if status := &pod.Status.ContainerStatuses[i]; status.Name == attemptContainer {
			return status
		}
	}
	return nil
}

// conditionOf returns a condition of a pod that has a status; nil if there is none.
func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if condition := &pod.Status.Conditions[i]; condition.Type == kind && condition.Status == status {
			return condition
		}
	}
	return nil
}

// endOf returns how a pod has failed. Reasons come from Kubernetes; messages of others are not shown: they name nodes and images.
func endOf(pod *corev1.Pod, container *corev1.ContainerStatus) *failure.Error {
	if container != nil && container.State.Terminated != nil && container.State.Terminated.Reason == "OOMKilled" {
		return failure.Transient(v1alpha1.ReasonAttemptOutOfMemory, nil,
			"the attempt's pod was ended because it needed more than its memory limit; see what is unusual about the claims or the database, or let an administrator raise the limit in the PodTemplate")
	}
	if disrupted := conditionOf(pod, corev1.DisruptionTarget, corev1.ConditionTrue); disrupted != nil {
		if disrupted.Reason == "DeletionByPodGC" {
			return gone("its node is gone")
		}
		return evicted(disrupted.Reason)
	}
	switch {
	case slices.Contains([]string{"Evicted", "Preempting", "Terminated", "NodeShutdown", "Shutdown"}, pod.Status.Reason):
		return evicted(pod.Status.Reason)
	case pod.Status.Reason == "NodeLost":
		return gone("its node is lost")
	case pod.DeletionTimestamp != nil:
		return gone("it was deleted")
	case container == nil || container.State.Terminated == nil:
		return failure.Transient(v1alpha1.ReasonAttemptNotStarted, nil, "the attempt's pod ended before its container began (%s)", word(pod.Status.Reason))
	}
	ended := container.State.Terminated
	return failure.Transient(v1alpha1.ReasonAttemptCrashed, nil,
		"the program in the attempt's pod ended with code %d (%s) and did not say why; an administrator finds its log in pod %s, and in the cluster's logs", ended.ExitCode, word(ended.Reason), pod.Name)
}

func evicted(why string) *failure.Error {
	return failure.Transient(v1alpha1.ReasonAttemptEvicted, nil, "the attempt's pod had to leave its node (%s); the next attempt goes on with the run", word(why))
}

func gone(why string) *failure.Error {
	return failure.Transient(v1alpha1.ReasonAttemptGone, nil, "the attempt's pod does not exist any more: %s; the next attempt goes on with the run", why)
}

// word is a word of Kubernetes, or of what stands in for it, as it may be shown.
func word(text string) string { return cmp.Or(texts.Printable(text, 64), "no reason given") }

// failureOf returns how a Job or its pod has failed; nil if the Job is complete.
func failureOf(job *batchv1.Job, pod *corev1.Pod, container *corev1.ContainerStatus) *failure.Error {
	for _, condition := range job.Status.Conditions {
		switch {
		case condition.Status != corev1.ConditionTrue:
		case condition.Type == batchv1.JobComplete, condition.Type == batchv1.JobSuccessCriteriaMet:
			return nil
		case condition.Reason == batchv1.JobReasonDeadlineExceeded && (container == nil || container.State.Waiting != nil):
			return obstacleOf(pod, container)
		case condition.Reason == batchv1.JobReasonDeadlineExceeded:
			return overran()
		}
	}
	if pod == nil {
		return gone("it was deleted, or its node is gone")
	}
	return endOf(pod, container)
}

func overran() *failure.Error {
	return failure.Transient(v1alpha1.ReasonDeadlineExceeded, nil, "the attempt's pod did not end within the deadline of the attempt (spec.deadline of the export, or less where the operator allows no more), and was ended")
}

// obstacleOf returns why a pod has not started.
func obstacleOf(pod *corev1.Pod, container *corev1.ContainerStatus) *failure.Error {
	if pod == nil {
		return failure.Transient(v1alpha1.ReasonAttemptNotStarted, nil,
			"no pod was made for the attempt's Job in time: an administrator finds why in the Job's events; a quota, a limit or an admission policy of its namespace, most of the time")
	}
	if unscheduled := conditionOf(pod, corev1.PodScheduled, corev1.ConditionFalse); unscheduled != nil {
		return failure.Transient(v1alpha1.ReasonAttemptUnschedulable, nil,
			"no node had room for the attempt's pod in time (%s); let an administrator add nodes, or lower what the PodTemplate requests", word(unscheduled.Reason))
	}
	if container == nil || container.State.Waiting == nil {
		return failure.Transient(v1alpha1.ReasonAttemptNotStarted, nil, "the attempt's pod did not start in time: its node does not answer, or is busy")
	}
	switch reason := container.State.Waiting.Reason; reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
		return failure.Transient(v1alpha1.ReasonAttemptImageUnavailable, nil,
			"the image of the attempt's pod is not available on its node (%s); let an administrator correct the image, or the login of its registry, in the PodTemplate", word(reason))
	default:
		return failure.Transient(v1alpha1.ReasonAttemptNotStarted, nil, "the attempt's pod did not start in time (%s); an administrator finds why in its events", word(reason))
	}
}

// stage returns in which a Job may stay for so long, as this process sees it; zero for as long as it likes.
func (s *jobState) stage(task pipeline.Task, startTimeout time.Duration) (name string, most time.Duration) {
	switch {
	case s.missing:
		return "missing", unseenFor
	case s.suspended:
		return "suspended", 0
	case !s.started:
		return "starting", startTimeout
	}
	return "started", task.Longest() + grace
}

// overdue returns what ends a Job that has stayed for too long as it is.
func (s *jobState) overdue() *failure.Error {
	switch {
	case s.missing:
		return gone("its Job was deleted")
	case s.obstacle != nil:
		return s.obstacle
	}
	return overran()
}
