package executor

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

// lacking is a cache that has what a client has, which may be less than the API server, for good.
type lacking struct {
	cache.Cache
	has client.Client
}

func (l lacking) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return l.has.Get(ctx, key, object, options...)
}

func (l lacking) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return l.has.List(ctx, list, options...)
}

// TestWhatACacheLacksIsAskedFor follows a Job whose pod has ended while the cache does not have the pod, has it as it was, or lacks the Job.
// Kubernetes 1.30 has been seen not to tell a new watcher of a pod.
func TestWhatACacheLacksIsAskedFor(t *testing.T) {
	t.Parallel()
	task := pipeline.Task{RunID: "5484e39f-97a4-4b1a-9a69-1cd3c8f6b6f0", Number: 1}
	job := aJob()
	job.ObjectMeta = metav1.ObjectMeta{Namespace: "attempts", Name: jobName(task), UID: "the-job"}
	pod := func(phase corev1.PodPhase, state corev1.ContainerState) *corev1.Pod {
		return podOf(job, aPod(phase, "", state))
	}
	ended := []client.Object{job, pod(corev1.PodSucceeded, endedFor("Completed", 0))}
	for name, test := range map[string]struct {
		cached, stored []client.Object
		want           v1alpha1.Reason // of a failure; empty for a good end
		within         time.Duration
	}{
		"the pod":                       {[]client.Object{job}, ended, "", 35 * time.Second},
		"the end of the pod":            {[]client.Object{job, pod(corev1.PodRunning, runs)}, ended, "", 35 * time.Second},
		"the Job":                       {nil, ended, "", 35 * time.Second},
		"nothing":                       {ended, ended, "", 0},
		"that the Job was deleted":      {[]client.Object{job}, nil, v1alpha1.ReasonAttemptGone, 35 * time.Second},
		"nothing of one never to start": {[]client.Object{job}, []client.Object{job}, v1alpha1.ReasonAttemptNotStarted, 125 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				holding := func(objects []client.Object) client.Client {
					return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build()
				}
				j := NewJobs(holding(test.stored), lacking{has: holding(test.cached)}, nil, JobSettings{Namespace: "attempts", StartTimeout: 2 * time.Minute})
				began := time.Now()
				end := j.follow(t.Context(), task, &pipeline.Progress{}, nil)
				if took := time.Since(began); took > test.within {
					t.Errorf("it was followed for %s", took)
				}
				var reason v1alpha1.Reason
				if end.failed != nil {
					reason = end.failed.Reason
				}
				if reason != test.want {
					t.Errorf("it ended with the reason %q, want %q", reason, test.want)
				}
			})
		})
	}
}

// TestWhatWasSeenOfAPodIsRemembered has the pod of a Job gone before the Job says that it has failed: the reason is that of the pod, as far as it was seen to end.
func TestWhatWasSeenOfAPodIsRemembered(t *testing.T) {
	t.Parallel()
	evicted := deletedPod(aPod(corev1.PodRunning, "", runs, podIs(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI")))
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		want v1alpha1.Reason
	}{
		"evicted":                     {evicted, v1alpha1.ReasonAttemptEvicted},
		"failed":                      {aPod(corev1.PodFailed, "", endedFor("Error", 2)), v1alpha1.ReasonAttemptCrashed},
		"running, and gone by itself": {aPod(corev1.PodRunning, "", runs), v1alpha1.ReasonAttemptGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task := pipeline.Task{RunID: "5484e39f-97a4-4b1a-9a69-1cd3c8f6b6f0", Number: 1}
			job := aJob(jobIs(batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded))
			job.ObjectMeta = metav1.ObjectMeta{Namespace: "attempts", Name: jobName(task), UID: "the-job"}
			j := &Jobs{settings: JobSettings{Namespace: "attempts"}}
			state, _ := j.look(t.Context(), fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(job).Build(), task, test.pod)
			if !state.ended || state.failed == nil || state.failed.Reason != test.want {
				t.Errorf("the state is %+v, want %s", state, test.want)
			}
		})
	}
}

// records are those of a database that has none, or does not answer.
type records struct{ away error }

func (r records) Learn(context.Context, pipeline.Task) (pipeline.Outcome, error) {
	if r.away != nil {
		return pipeline.Outcome{}, r.away
	}
	return pipeline.Outcome{Record: pipeline.RecordEmpty}, nil
}

func (records) Seen(context.Context, pipeline.Task) (references.Seen, error) {
	return references.Seen{}, nil
}

// TestARunWithoutARecordIsKnownToHoldNothingOnceItsAttemptHasToldOfItsEnd has a database that does not know a run, or does not answer. Its attempt may begin
// it yet, in a pod that nobody can reach, unless it has told of its end itself.
func TestARunWithoutARecordIsKnownToHoldNothingOnceItsAttemptHasToldOfItsEnd(t *testing.T) {
	t.Parallel()
	told := string(ReportOf(pipeline.Task{}, State{Err: failure.Transient(v1alpha1.ReasonDatabaseError, nil, "no answer")}))
	failed := func(reason v1alpha1.Reason) *failure.Error { return failure.Transient(reason, nil, "it failed") }
	away := failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer")
	for name, test := range map[string]struct {
		end  jobEnd
		want pipeline.Record
		away error // of the database
	}{
		"it has told of its end":                                    {end: jobEnd{report: told, failed: failed(v1alpha1.ReasonAttemptCrashed)}, want: pipeline.RecordEmpty},
		"its Job is gone":                                           {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptGone)}, want: pipeline.RecordOpen},
		"it was evicted":                                            {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptEvicted)}, want: pipeline.RecordOpen},
		"it needed too much memory":                                 {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptOutOfMemory)}, want: pipeline.RecordOpen},
		"it went on after its deadline":                             {end: jobEnd{failed: overran(), abandoned: true}, want: pipeline.RecordOpen},
		"its pod ended well without a word":                         {end: jobEnd{}, want: pipeline.RecordOpen},
		"its pod had not started":                                   {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptNotStarted), abandoned: true}, want: pipeline.RecordUnknown},
		"no node had room for it":                                   {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptUnschedulable), abandoned: true}, want: pipeline.RecordUnknown},
		"it had no image":                                           {end: jobEnd{failed: failed(v1alpha1.ReasonAttemptImageUnavailable), abandoned: true}, want: pipeline.RecordUnknown},
		"it has told of its end, and the database does not answer":  {jobEnd{report: told}, pipeline.RecordUnknown, away},
		"it was evicted, and the database does not answer":          {jobEnd{failed: failed(v1alpha1.ReasonAttemptEvicted)}, pipeline.RecordOpen, away},
		"no node had room for it, and the database does not answer": {jobEnd{failed: failed(v1alpha1.ReasonAttemptUnschedulable), abandoned: true}, pipeline.RecordUnknown, away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := NewJobs(nil, nil, records{test.away}, JobSettings{})
			if outcome, err := j.conclude(t.Context(), pipeline.Task{}, test.end); err == nil || outcome.Record != test.want {
				t.Errorf("the record is %d (%v), want %d", outcome.Record, err, test.want)
			}
		})
	}
}

// TestACancelledRunHoldsNothingUnlessItsPodMayHaveStarted has runs cancelled whose pods cannot start, and neither can those that would give back.
func TestACancelledRunHoldsNothingUnlessItsPodMayHaveStarted(t *testing.T) {
	t.Parallel()
	task := pipeline.Task{RunID: "5484e39f-97a4-4b1a-9a69-1cd3c8f6b6f0", Number: 1}
	job := aJob()
	job.ObjectMeta = metav1.ObjectMeta{Namespace: "attempts", Name: jobName(task), UID: "the-job"}
	for name, test := range map[string]struct {
		stored []client.Object
		want   pipeline.Record
	}{
		"no pod was made":        {[]client.Object{job}, pipeline.RecordUnknown},
		"no node has room":       {[]client.Object{job, podOf(job, aPod(corev1.PodPending, "", noState, podIs(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable")))}, pipeline.RecordUnknown},
		"the image is not there": {[]client.Object{job, podOf(job, aPod(corev1.PodPending, "", waitingFor("ImagePullBackOff")))}, pipeline.RecordUnknown},
		"it runs":                {[]client.Object{job, podOf(job, aPod(corev1.PodRunning, "", runs))}, pipeline.RecordOpen},
		"the Job is gone":        {nil, pipeline.RecordOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(test.stored...).WithInterceptorFuncs(interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
					return apierrors.NewAlreadyExists(schema.GroupResource{Group: "batch", Resource: "jobs"}, job.Name)
				},
			}).Build()
			template := &corev1.PodTemplate{
				ObjectMeta: metav1.ObjectMeta{Namespace: "attempts", Name: "attempt"},
				Template:   corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: attemptContainer}}}},
			}
			cached := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(job, template).Build() // without the pod
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(ErrCancelled)
			outcome, err := NewJobs(api, lacking{has: cached}, records{}, JobSettings{Namespace: "attempts", Template: "attempt"}).make(ctx, task, &pipeline.Progress{})
			if err == nil || outcome.Record != test.want {
				t.Errorf("the record is %d (%v), want %d", outcome.Record, err, test.want)
			}
		})
	}
}

// podOf makes a pod that of a Job.
func podOf(job *batchv1.Job, pod *corev1.Pod) *corev1.Pod {
	pod.ObjectMeta = metav1.ObjectMeta{
		Namespace: job.Namespace, Name: job.Name + "-x", Labels: map[string]string{batchv1.JobNameLabel: job.Name},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}
	return pod
}

// TestAJobThatMayHaveBeenMadeMayHoldClaims has an API server refuse a Job, or not answer.
func TestAJobThatMayHaveBeenMadeMayHoldClaims(t *testing.T) {
	t.Parallel()
	kind := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for name, test := range map[string]struct {
		err  error
		want pipeline.Record
	}{
		"it is forbidden":                  {apierrors.NewForbidden(kind, "run", nil), pipeline.RecordUnknown},
		"the quota is spent":               {apierrors.NewTooManyRequests("quota", 1), pipeline.RecordUnknown},
		"the answer comes too late":        {apierrors.NewTimeoutError("late", 1), pipeline.RecordOpen},
		"the API server has another fault": {apierrors.NewInternalError(errors.New("etcd")), pipeline.RecordOpen},
		"the connection is reset":          {io.ErrUnexpectedEOF, pipeline.RecordOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := &corev1.PodTemplate{
				ObjectMeta: metav1.ObjectMeta{Namespace: "attempts", Name: "attempt"},
				Template:   corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: attemptContainer}}}},
			}
			api := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(template).WithInterceptorFuncs(interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return test.err },
			}).Build()
			j := NewJobs(api, lacking{has: api}, records{}, JobSettings{Namespace: "attempts", Template: "attempt"})
			outcome, err := j.make(t.Context(), pipeline.Task{RunID: "5484e39f-97a4-4b1a-9a69-1cd3c8f6b6f0", Number: 1}, &pipeline.Progress{})
			if failure.From(err).Reason != v1alpha1.ReasonAttemptRefused || outcome.Record != test.want {
				t.Errorf("the record is %d (%v), want %d", outcome.Record, err, test.want)
			}
		})
	}
}
