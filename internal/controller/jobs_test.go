package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
)

// What config/jobs names.
const (
	jobNamespace   = "ledgerport-attempts"
	attemptAccount = "ledgerport-attempt"
)

// testJobs has attempts made by Jobs, and plays what is not there: the controller of Jobs, and a node.
type testJobs struct {
	settings executor.JobSettings
	// node does something with a pod that was scheduled; nil makes the attempt.
	node func(w *world, pod *corev1.Pod)
	// account is what the pods read with.
	account *rest.Config
}

func (j *testJobs) cached() map[client.Object]cache.ByObject {
	if j == nil {
		return nil
	}
	return executor.JobCache(jobNamespace)
}

// newWorldOfJobs has an operator whose attempts are Jobs, on a cluster with one node.
func newWorldOfJobs(t *testing.T, node func(w *world, pod *corev1.Pod)) *world {
	t.Helper()
	return newWorldOfJobsThatStart(t, time.Minute, node)
}

// newWorldOfJobsThatStart has one whose pods have so much time to start.
func newWorldOfJobsThatStart(t *testing.T, within time.Duration, node func(w *world, pod *corev1.Pod)) *world {
	t.Helper()
	jobs := &testJobs{node: node, settings: executor.JobSettings{
		Namespace: jobNamespace, Template: "ledgerport-attempt", StartTimeout: within, Arguments: []string{"--log-level=info"},
		Cluster: "this-cluster", Limits: executor.Limits{Runs: 4},
	}}
	return newWorldWith(t, func(w *world) {
		jobs.account = w.attemptAccount()
		w.applyPodTemplate()
		w.jobs = jobs
		go w.playNode(w.Context())
	})
}

var podTemplate sync.Once

// applyPodTemplate makes the PodTemplate that config/jobs has.
func (w *world) applyPodTemplate() {
	w.Helper()
	podTemplate.Do(func() {
		manifests, err := environment.Render(w.Context(), "config/jobs")
		w.must(err)
		for _, object := range manifests {
			if object.GetNamespace() == jobNamespace && object.GetKind() == "PodTemplate" || object.GetName() == jobNamespace {
				w.must(api.client.Apply(w.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership))
			}
		}
	})
}

// attemptAccount is the account of the pods, which has the rights that config/jobs gives it.
func (w *world) attemptAccount() *rest.Config {
	w.Helper()
	accounts := kubernetes.NewForConfigOrDie(api.config).CoreV1().ServiceAccounts(jobNamespace)
	token, err := accounts.CreateToken(w.Context(), attemptAccount, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	w.must(err)
	config := rest.AnonymousClientConfig(api.config)
	config.BearerToken, config.QPS, config.Burst = token.Status.Token, -1, -1
	return config
}

// addExecutor adds what makes attempts.
func (w *world) addExecutor(mgr ctrl.Manager, attempts *pipeline.Pipeline) executor.Executor {
	w.Helper()
	if w.jobs == nil {
		here := executor.NewInProcess(attempts, executor.Limits{Runs: 4, RunsPerNamespace: w.perNamespace})
		w.must(mgr.Add(here))
		return here
	}
	own, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme()})
	w.must(err)
	jobs := executor.NewJobs(own, mgr.GetCache(), attempts, w.jobs.settings)
	w.must(mgr.Add(jobs))
	return jobs
}

// playNode makes a pod for each Job of the test's namespace, and has it do what the test says.
func (w *world) playNode(ctx context.Context) {
	begun := map[string]bool{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var jobs batchv1.JobList
		if err := api.client.List(ctx, &jobs, client.InNamespace(jobNamespace), client.MatchingLabels{"accounting.ledgerport.dev/run-namespace": w.namespace}); err != nil {
			continue
		}
		for i := range jobs.Items {
			job := &jobs.Items[i]
			if begun[string(job.UID)] || ptr.Deref(job.Spec.Suspend, false) {
				continue
			}
			begun[string(job.UID)] = true
			if pod := w.podOf(ctx, job); pod != nil && w.jobs.node != nil {
				go w.jobs.node(w, pod)
			} else if pod != nil {
				go w.execute(ctx, pod)
			}
		}
	}
}

// podOf makes the pod of a Job as its controller does.
func (w *world) podOf(ctx context.Context, job *batchv1.Job) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: job.Spec.Template.ObjectMeta, Spec: job.Spec.Template.Spec}
	pod.Namespace, pod.Name = job.Namespace, job.Name+"-x"
	pod.Labels[batchv1.JobNameLabel] = job.Name
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	if err := api.client.Create(ctx, pod); err != nil {
		if ctx.Err() == nil {
			w.Errorf("the pod of an attempt is refused: %s", err)
		}
		return nil
	}
	return pod
}

// execute makes the attempt of a pod, as the command attempt does.
func (w *world) execute(ctx context.Context, pod *corev1.Pod) {
	w.podIs(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	report, code := w.attempt(ctx, pod)
	phase := corev1.PodSucceeded
	if code != 0 {
		phase = corev1.PodFailed
	}
	w.podIs(ctx, pod, phase, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Completed", Message: string(report)}})
}

// attempt makes the attempt of a pod.
func (w *world) attempt(ctx context.Context, pod *corev1.Pod) (report []byte, code int32) {
	var order executor.Order
	for _, variable := range pod.Spec.Containers[0].Env {
		if variable.Name == executor.OrderVariable {
			w.must(json.Unmarshal([]byte(strings.ReplaceAll(variable.Value, "$$", "$")), &order))
		}
	}
	own, err := client.New(w.jobs.account, client.Options{Scheme: newScheme()})
	w.must(err)
	if order.NamesClaims {
		var run v1alpha1.ExportRun
		w.must(own.Get(ctx, client.ObjectKey{Namespace: order.Task.Namespace, Name: order.Task.Name}, &run))
		order.Task.Claims = run.Spec.Claims.IDs
	}
	_, attempts := w.pipeline(order.Seen.Over(own), own)
	state := executor.RunOne(ctx, attempts, order.Task, time.Second)
	if state.Err != nil {
		code = 1
	}
	return executor.ReportOf(order.Task, state), code
}

// podIs writes the status of a pod as its node does.
func (w *world) podIs(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) {
	w.patchPod(ctx, pod, func() {
		pod.Status.Phase = phase
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "attempt", State: state, Image: "ledgerport", ImageID: "x"}}
	})
}

func (w *world) patchPod(ctx context.Context, pod *corev1.Pod, change func()) {
	before := pod.DeepCopy()
	change()
	if err := api.client.Status().Patch(ctx, pod, client.MergeFrom(before)); err != nil && ctx.Err() == nil {
		w.Errorf("the status of a pod: %s", err)
	}
}

// jobsOf are the Jobs of the test's namespace.
func (w *world) jobsOf() []batchv1.Job {
	w.Helper()
	var jobs batchv1.JobList
	w.must(api.client.List(w.Context(), &jobs, client.InNamespace(jobNamespace), client.MatchingLabels{"accounting.ledgerport.dev/run-namespace": w.namespace}))
	return jobs.Items
}

// theRun waits for the only run of the test's namespace.
func (w *world) theRun() *v1alpha1.ExportRun {
	w.Helper()
	var runs v1alpha1.ExportRunList
	w.until(func(ctx context.Context) string {
		if err := api.client.List(ctx, &runs, client.InNamespace(w.namespace)); err != nil || len(runs.Items) != 1 {
			return fmt.Sprintf("there are %d runs (%v)", len(runs.Items), err)
		}
		return ""
	})
	return &runs.Items[0]
}

// requestedRun asks for a run, and waits until it has ended so.
func (w *world) requestedRun(phase v1alpha1.RunPhase) *v1alpha1.ExportRun {
	w.Helper()
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	export := eventually(w, w.export(), lastRunIs(phase))
	return eventually(w, w.run(export.Status.LastRun.Name), func(*v1alpha1.ExportRun) string { return "" })
}

func TestAnAttemptIsAJobThatDeliversWhatTheDatabaseHas(t *testing.T) {
	t.Parallel()
	w := newWorldOfJobs(t, nil)
	w.fill(500)
	run := w.requestedRun(v1alpha1.RunSucceeded)
	if run.Status.Claims != 500 || run.Status.Attempts != 1 || run.Status.Stage != v1alpha1.StageCommit || run.Status.Ledger == nil {
		t.Errorf("status %+v", run.Status)
	}
	w.checkFileAgainstManifestAndSQL(run)
	jobs := w.jobsOf()
	if len(jobs) != 1 || jobs[0].Name != fmt.Sprintf("run-%s-1", run.UID) {
		t.Fatalf("there are %d Jobs, want one of the first attempt", len(jobs))
	}
	if pod := jobs[0].Spec.Template.Spec; pod.Containers[0].Args[0] != "attempt" || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("the pod is started with %q and restarts %s", pod.Containers[0].Args, pod.RestartPolicy)
	}
	w.create(w.run("second"))
	if second := eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded)); readyReason(second) != v1alpha1.ReasonNoClaims {
		t.Errorf("the next run tells %s, want that there are no claims", readyReason(second))
	}
	w.insertClaim(application.Claim{})
	w.create(w.preview("look"))
	look := eventually(w, w.run("look"), runIs(v1alpha1.RunSucceeded))
	if readyReason(look) != v1alpha1.ReasonPreviewed || look.Status.Claims != 1 || look.Status.FirstVoucher != "E/2026/501" || !strings.Contains(look.Status.Location, "/_preview/") {
		t.Errorf("the preview's status is %+v", look.Status)
	}
}

// readyReason is the reason of the condition Ready of a run.
func readyReason(run *v1alpha1.ExportRun) v1alpha1.Reason { return exportrun.ReadyReason(run) }

func TestAJobThatAnOperatorLeavesIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]struct {
		// before the operator is stopped, and after it: how far the pod goes.
		before, after int
	}{
		"before the pod starts":        {0, 0},
		"while the attempt goes on":    {1, 1},
		"and ends while there is none": {1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reached, may := make(chan int, 4), make(chan int, 4)
			w := newWorldOfJobs(t, func(w *world, pod *corev1.Pod) {
				step := func(n int) {
					reached <- n
					for <-may < n+1 {
					}
				}
				step(0)
				w.podIs(w.Context(), pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
				step(1)
				report, _ := w.attempt(w.Context(), pod)
				w.podIs(w.Context(), pod, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(report)}})
				reached <- 3
			})
			w.fill(20)
			w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
			for <-reached < stopped.before {
				may <- stopped.before
			}
			w.stopOperator()
			if stopped.after == 3 {
				may <- 9
				for <-reached < 3 {
				}
			}
			w.startOperator(w.namespace)
			for range 3 {
				may <- 9
			}
			export := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
			run := eventually(w, w.run(export.Status.LastRun.Name), func(*v1alpha1.ExportRun) string { return "" })
			if run.Status.Attempts != 1 || run.Status.LostAttempts != 0 || run.Status.Claims != 20 || len(w.jobsOf()) != 1 {
				t.Errorf("%d Jobs, status %+v", len(w.jobsOf()), run.Status)
			}
		})
	}
}

func TestAnAttemptThatIsAnnouncedAndHasNoJobGetsOne(t *testing.T) {
	t.Parallel()
	w := newWorldOfJobs(t, nil)
	w.fill(5)
	w.writes.mu.Lock()
	var refuse atomic.Bool
	refuse.Store(true)
	asked := make(chan struct{}, 100)
	w.writes.hold = func(request *http.Request) {
		if refuse.Load() && strings.HasSuffix(request.URL.Path, "/jobs") { // the operator is cut off here
			asked <- struct{}{}
			<-request.Context().Done()
		}
	}
	w.writes.mu.Unlock()
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	run := eventually(w, w.theRun(), runIs(v1alpha1.RunRunning))
	<-asked
	w.stopOperator()
	refuse.Store(false)
	w.startOperator(w.namespace)
	run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
	if run.Status.Attempts != 1 || run.Status.Claims != 5 {
		t.Errorf("status %+v", run.Status)
	}
}

func TestARunThatIsCancelledEndsItsJob(t *testing.T) {
	t.Parallel()
	w := newWorldOfJobs(t, func(w *world, pod *corev1.Pod) {
		if strings.HasSuffix(pod.Name, "-1-x") { // the first attempt goes on for ever
			w.podIs(w.Context(), pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
			return
		}
		w.execute(w.Context(), pod)
	})
	w.fill(5)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	run := eventually(w, w.theRun(), func(run *v1alpha1.ExportRun) string {
		if condition(run.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRunning) != "" || len(w.jobsOf()) == 0 {
			return "it is not under way"
		}
		return ""
	})
	first := w.jobsOf()[0]
	cancelled := run.DeepCopy()
	cancelled.Spec.Cancel = true
	w.must(api.client.Patch(w.Context(), cancelled, client.MergeFrom(run)))
	run = eventually(w, run, runIs(v1alpha1.RunCancelled))
	w.gone(&first)
	if run.Status.Attempts != 2 {
		t.Errorf("there were %d attempts, want one more, which makes sure that nothing is held", run.Status.Attempts)
	}
}

func TestTheEndOfAPodIsTheEndOfAnAttempt(t *testing.T) {
	t.Parallel()
	ended := func(reason string, message string) func(*world, *corev1.Pod) {
		return func(w *world, pod *corev1.Pod) {
			w.podIs(w.Context(), pod, corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: reason, Message: message}})
		}
	}
	const soon = 4 * time.Second // of a pod that does not start; the next one does, on a busy machine as well
	for name, test := range map[string]struct {
		reason v1alpha1.Reason
		within time.Duration
		node   func(*world, *corev1.Pod)
	}{
		"for memory":                    {v1alpha1.ReasonAttemptOutOfMemory, time.Minute, ended("OOMKilled", "")},
		"by a crash":                    {v1alpha1.ReasonAttemptCrashed, time.Minute, ended("Error", "")},
		"with its own words":            {v1alpha1.ReasonDatabaseUnreachable, time.Minute, ended("Error", `{"ended":true,"reason":"DatabaseUnreachable","message":"nobody answers","condition":"SourceReady"}`)},
		"with a lie about the operator": {v1alpha1.ReasonAttemptCrashed, time.Minute, ended("Error", `{"ended":true,"reason":"AttemptLost","message":"the operator died"}`)},
		"with a lie about its success": {v1alpha1.ReasonAttemptUnconfirmed, time.Minute, func(w *world, pod *corev1.Pod) {
			w.podIs(w.Context(), pod, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: `{"ended":true}`}})
		}},
		"that leaves its node": {v1alpha1.ReasonAttemptEvicted, time.Minute, func(w *world, pod *corev1.Pod) {
			w.patchPod(w.Context(), pod, func() {
				pod.Status.Phase, pod.Status.Reason = corev1.PodFailed, "Evicted"
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "TerminationByKubelet"}}
			})
		}},
		"whose Job is deleted": {v1alpha1.ReasonAttemptGone, time.Minute, func(w *world, pod *corev1.Pod) {
			w.podIs(w.Context(), pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
			job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Labels[batchv1.JobNameLabel]}}
			time.AfterFunc(200*time.Millisecond, func() {
				_ = api.client.Delete(context.Background(), job, client.PropagationPolicy(metav1.DeletePropagationBackground))
			})
		}},
		"that has no node": {v1alpha1.ReasonAttemptUnschedulable, soon, func(w *world, pod *corev1.Pod) {
			w.patchPod(w.Context(), pod, func() {
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available"}}
			})
		}},
		"that has no image": {v1alpha1.ReasonAttemptImageUnavailable, soon, func(w *world, pod *corev1.Pod) {
			w.podIs(w.Context(), pod, corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOfJobsThatStart(t, test.within, func(w *world, pod *corev1.Pod) {
				if strings.HasSuffix(pod.Name, "-1-x") {
					test.node(w, pod)
					return
				}
				w.execute(w.Context(), pod)
			})
			w.fill(5)
			w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
			run := w.theRun()
			w.expectEvent(run.Name, test.reason)
			run = eventually(w, run, runIs(v1alpha1.RunSucceeded))
			if run.Status.Attempts != 2 || run.Status.Failures != 1 || run.Status.Claims != 5 {
				t.Errorf("status %+v", run.Status)
			}
		})
	}
}

func TestAJobInAQueueIsToldAndGoesOnWhenItMay(t *testing.T) {
	t.Parallel()
	w := newWorldOfJobs(t, nil)
	w.stopOperator()
	w.jobs.settings.Queue = "of-{namespace}"
	w.startOperator(w.namespace)
	w.fill(5)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	run := eventually(w, w.theRun(), func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonQueued, "of-"+w.namespace)
	})
	job := w.jobsOf()[0]
	if job.Labels["kueue.x-k8s.io/queue-name"] != "of-"+w.namespace || !ptr.Deref(job.Spec.Suspend, false) {
		t.Errorf("the Job has the labels %v", job.Labels)
	}
	admitted := job.DeepCopy()
	admitted.Spec.Suspend = ptr.To(false)
	w.must(api.client.Patch(w.Context(), admitted, client.MergeFrom(&job)))
	eventually(w, run, runIs(v1alpha1.RunSucceeded))
}
