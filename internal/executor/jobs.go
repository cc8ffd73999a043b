package executor

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

const (
	// lookInterval is how often a Job is looked at though nothing tells of a change, and askInterval how often the API server itself is asked:
	// a cache may lack what no event will tell it of any more.
	lookInterval, askInterval = 5 * time.Second, 30 * time.Second
	// unseenFor is how long the cache may take to have a Job that was made.
	unseenFor = 30 * time.Second
	// callTimeout bounds one call of the API server, and learnTimeout reading the record of a run.
	callTimeout, learnTimeout = 20 * time.Second, 30 * time.Second
	// LearnAtOnce is how many records are read at once: each takes memory. Of one namespace it is one, which may be in a database that does
	// not answer.
	LearnAtOnce = 2
)

// JobSettings say what the Jobs of attempts are like.
type JobSettings struct {
	// Namespace that they are in, and Template, which is the name of a PodTemplate there.
	Namespace, Template string
	// Queue of Kueue that they wait in, in which {namespace} stands for the namespace of the run; empty if Kueue is not used.
	Queue string
	// StartTimeout is how long a pod may take to start.
	StartTimeout time.Duration
	// Arguments of the command in the pod.
	Arguments []string
	// Cluster that runs belong to.
	Cluster string
	// Limits of how many there are at the same time. Kueue has its own.
	Limits Limits
}

// Records are read to find out what an attempt in another process has come to, and what it has to know. A *pipeline.Pipeline is one.
type Records interface {
	Learn(context.Context, pipeline.Task) (pipeline.Outcome, error)
	Seen(context.Context, pipeline.Task) (references.Seen, error)
}

// Jobs executes each attempt in a pod of its own: a Kubernetes Job, whose name follows from run and attempt, so that any replica finds what
// another has made. What is in memory is only who waits for it. A Job goes on without this process.
type Jobs struct {
	*InProcess
	settings JobSettings
	api      client.Client
	cache    cache.Cache // of Jobs and pods
	records  Records
	learning *turns

	mu       sync.Mutex
	watching map[string]chan struct{} // what follows a Job, by its name
}

// NewJobs makes an executor that runs each attempt as a Job.
func NewJobs(api client.Client, cached cache.Cache, records Records, settings JobSettings) *Jobs {
	limits := settings.Limits
	if settings.Queue != "" { // which decides whose turn it is
		limits = Limits{Runs: 1 << 30, RunsPerNamespace: 1 << 30}
	}
	j := &Jobs{
		InProcess: newInProcess("jobs in "+settings.Namespace, limits), settings: settings, api: api, cache: cached, records: records,
		learning: newTurns(Limits{Runs: LearnAtOnce, RunsPerNamespace: 1}), watching: map[string]chan struct{}{},
	}
	j.run, j.elsewhere = j.make, true
	return j
}

// Start implements manager.Runnable: it listens to what becomes of Jobs, until the process is asked to stop. They go on.
func (j *Jobs) Start(ctx context.Context) error {
	for _, kind := range []client.Object{&batchv1.Job{}, &corev1.Pod{}} {
		informer, err := j.cache.GetInformer(ctx, kind)
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: j.wake, UpdateFunc: func(_, object any) { j.wake(object) }, DeleteFunc: j.wake,
		}); err != nil {
			return err
		}
	}
	return j.InProcess.Start(ctx)
}

// wake has a Job looked at that has changed, or whose pod has.
func (j *Jobs) wake(object any) {
	if last, gone := object.(toolscache.DeletedFinalStateUnknown); gone {
		object = last.Obj
	}
	changed, is := object.(client.Object)
	if !is {
		return
	}
	name := changed.GetName()
	if _, isPod := object.(*corev1.Pod); isPod {
		name = changed.GetLabels()[batchv1.JobNameLabel]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if following := j.watching[name]; following != nil {
		select {
		case following <- struct{}{}:
		default:
		}
	}
}

// make has an attempt made by a Job: it makes one, or finds the one that was made before, and follows it to its end.
func (j *Jobs) make(ctx context.Context, task pipeline.Task, progress *pipeline.Progress) (pipeline.Outcome, error) {
	if task.Release && task.Type == v1alpha1.RunPreview { // it holds nothing
		return pipeline.Outcome{Record: pipeline.RecordEmpty}, nil
	}
	name := jobName(task)
	changed := make(chan struct{}, 1)
	j.mu.Lock()
	j.watching[name] = changed
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.watching, name)
	}()
	progress.Wait("waits for its pod to start")
	if record, err := j.create(ctx, task); err != nil && ctx.Err() == nil {
		return pipeline.Outcome{Stage: v1alpha1.StagePreflight, Record: record}, err
	}
	end := j.follow(ctx, task, progress, changed)
	if errors.Is(context.Cause(ctx), errLeft) {
		return pipeline.Outcome{}, errLeft
	}
	if end.abandoned && end.failed == nil {
		end.failed = j.obstacle(ctx, task)
	}
	if end.abandoned || task.RemoveArtifact { // a removal that fails is tried again under the same name
		j.remove(ctx, name)
	}
	if errors.Is(context.Cause(ctx), errAbandoned) {
		return pipeline.Outcome{}, errAbandoned
	}
	return j.conclude(ctx, task, end)
}

// create makes the Job of an attempt, unless it was made before. Of the attempt before it a pod may live on, which cannot do anything any
// more once this one has taken the run over; it is ended all the same. With an error it returns what may have become of the run.
func (j *Jobs) create(ctx context.Context, task pipeline.Task) (pipeline.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	job, err := j.job(ctx, task)
	if err != nil {
		return pipeline.RecordUnknown, j.unmade(ctx, task, err)
	}
	err = j.api.Create(ctx, job)
	switch {
	case apierrors.IsAlreadyExists(err):
		return pipeline.RecordUnknown, nil
	case err != nil && refuses(err):
		return pipeline.RecordUnknown, j.unmade(ctx, task, err)
	case err != nil: // it may have been made
		return pipeline.RecordOpen, j.unmade(ctx, task, err)
	}
	logr.FromContextOrDiscard(ctx).Info("the attempt has a Job", "job", job.Name, "jobNamespace", job.Namespace, "queue", job.Labels[queueLabel])
	if task.Number > 1 && !task.RemoveArtifact {
		before := task
		before.Number--
		j.endFormer(ctx, jobName(before))
	}
	return pipeline.RecordUnknown, nil
}

// unmade is why an attempt has no Job.
func (j *Jobs) unmade(ctx context.Context, task pipeline.Task, err error) error {
	if failed := (*failure.Error)(nil); errors.As(err, &failed) {
		return err
	}
	logr.FromContextOrDiscard(ctx).Error(err, "the Job of the attempt cannot be made", "job", jobName(task), "jobNamespace", j.settings.Namespace)
	return failure.Transient(v1alpha1.ReasonAttemptRefused, err,
		"the API server refused the Job of the attempt (%s); the operator's log has its answer, and docs/executors.md what Jobs need", apierrors.ReasonForError(err))
}

// refuses reports whether an error is the API server's word that it has not done what it was asked for.
func refuses(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusRequestTimeout
}

// endFormer deletes a Job that has not ended.
func (j *Jobs) endFormer(ctx context.Context, name string) {
	var job batchv1.Job
	if err := j.cache.Get(ctx, types.NamespacedName{Namespace: j.settings.Namespace, Name: name}, &job); err == nil && !hasEnded(&job) {
		j.remove(ctx, name)
	}
}

// remove deletes a Job with its pods, whatever ended the context. If that does not work the Job ends by its own deadline.
func (j *Jobs) remove(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: j.settings.Namespace, Name: name}}
	policy := &client.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	if err := client.IgnoreNotFound(j.api.Delete(ctx, job, policy)); err != nil {
		logr.FromContextOrDiscard(ctx).Error(err, "the Job of an attempt is not deleted; it ends at its deadline", "job", name)
	}
}

// follow waits for the end of a Job. It ends one that does not start, or does not end, in time, and one that is cancelled.
func (j *Jobs) follow(ctx context.Context, task pipeline.Task, progress *pipeline.Progress, changed <-chan struct{}) jobEnd {
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	var clock jobClock
	var pod *corev1.Pod // as it was seen last: it may go before its Job says that it has failed, and why is known of the pod alone
	asked, seen := time.Now(), false
	for {
		var state jobState
		state, pod = j.look(ctx, j.cache, task, pod)
		if !state.ended && (time.Since(asked) >= askInterval || state.missing && seen) {
			asked = time.Now()
			state, pod = j.look(ctx, j.api, task, pod)
		}
		if state.waits != progress.Waits() {
			progress.Wait(state.waits)
		}
		if late := clock.late(&state, task, j.settings.StartTimeout); late != nil && !state.ended {
			return jobEnd{failed: late, abandoned: true}
		}
		switch {
		case state.ended:
			return state.jobEnd
		case state.missing && seen:
			return jobEnd{failed: gone("its Job was deleted")}
		case !state.missing:
			seen = true
		}
		select {
		case <-ctx.Done():
			return jobEnd{abandoned: true}
		case <-changed:
		case <-look.C:
		}
	}
}

// obstacle returns why the pod of a Job that is not waited for has not started, or nil if it may have. The API server is asked: a cache may lack the pod.
func (j *Jobs) obstacle(ctx context.Context, task pipeline.Task) *failure.Error {
	state, _ := j.look(context.WithoutCancel(ctx), j.api, task, nil)
	return state.obstacle
}

// look reads a Job and its pod, and returns the pod that was seen last, which may be the one from before. A Job that has ended is judged by that
// if it has none any more.
func (j *Jobs) look(ctx context.Context, from client.Reader, task pipeline.Task, last *corev1.Pod) (jobState, *corev1.Pod) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := jobName(task)
	var job batchv1.Job
	err := from.Get(ctx, types.NamespacedName{Namespace: j.settings.Namespace, Name: name}, &job)
	if err != nil {
		return jobState{missing: apierrors.IsNotFound(err), waits: "waits for its pod to start"}, last
	}
	var pods corev1.PodList
	if err := from.List(ctx, &pods, client.InNamespace(j.settings.Namespace), client.MatchingLabels{batchv1.JobNameLabel: name}); err != nil {
		return jobState{}, last
	}
	switch pod := newestPod(pods.Items, job.UID); {
	case pod != nil:
		return stateOf(&job, pod), pod
	case hasEnded(&job) && isEnding(last):
		return stateOf(&job, last), last
	}
	return stateOf(&job, nil), last
}

// isEnding reports whether what is seen of a pod says why it ends.
func isEnding(pod *corev1.Pod) bool {
	return pod != nil && (pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed)
}

// newestPod of a Job: one that was suspended, and goes on, has another.
func newestPod(pods []corev1.Pod, job types.UID) (newest *corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner == nil || owner.UID != job {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest
}

// jobClock knows since when this process sees a Job stay as it is.
type jobClock struct {
	phase string
	since time.Time
}

// late returns what ends a Job that stays for too long as it is: without being seen, without a pod that has started, or running.
func (c *jobClock) late(state *jobState, task pipeline.Task, startTimeout time.Duration) *failure.Error {
	phase, most := state.stage(task, startTimeout)
	if phase != c.phase {
		c.phase, c.since = phase, time.Now()
	}
	if most == 0 || time.Since(c.since) < most {
		return nil
	}
	return state.overdue()
}

// conclude makes of the end of a Job, and of the record of its run, how the attempt has ended. What the record says counts, and of what the
// pod says only what is not recorded: why the attempt failed, and what a preview came to.
func (j *Jobs) conclude(ctx context.Context, task pipeline.Task, end jobEnd) (pipeline.Outcome, error) {
	said := readReport(end.report)
	if task.RemoveArtifact {
		return said.outcome(), said.failure(end)
	}
	if task.Type == v1alpha1.RunPreview {
		if err := said.failure(end); err != nil {
			return pipeline.Outcome{Stage: said.stage(), Record: pipeline.RecordEmpty}, err
		}
		return said.preview()
	}
	learned, err := j.learn(ctx, task)
	learned.StageSeconds = said.StageSeconds
	if learned.Committed || learned.ReleaseReason != "" {
		return learned, err
	}
	learned.Record = end.recordOf(&said, learned.Record)
	learned.Stage = said.stage()
	if failed := said.failure(end); failed != nil {
		return learned, failed
	}
	if err == nil && learned.Awaits == "" {
		err = failure.Transient(v1alpha1.ReasonAttemptUnconfirmed, nil, "the attempt's pod says that all has ended well, and the database has no record that the run has ended; the next attempt looks again")
	}
	return learned, err
}

// learn reads the record of a run, whatever ended the attempt.
func (j *Jobs) learn(ctx context.Context, task pipeline.Task) (pipeline.Outcome, error) {
	defer j.learning.wait(task.Namespace)()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), learnTimeout)
	defer cancel()
	return j.records.Learn(ctx, task)
}
