package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// Where config/jobs puts operators and attempts.
const (
	operatorNamespace = "ledgerport-system"
	attemptNamespace  = "ledgerport-attempts"
	managerName       = "ledgerport-manager"
	templateName      = "ledgerport-attempt"
)

// podDeadline is attemptDeadline of an attempt that has a pod.
const podDeadline = time.Minute

// startTimeout is how long a pod may take to start. Some obstacles are there for longer.
const startTimeout = 10 * time.Second

// lookForPods is how often new pods are looked for. Of one that comes and goes meanwhile nobody knows what it has logged.
const lookForPods = 300 * time.Millisecond

// pods are the operators and their attempts in a cluster.
type pods struct {
	api       client.Client
	logs      kubernetes.Interface
	directory string // of what they have logged
	deployed  bool
	random    func(n int) int
	unfollow  context.CancelFunc
	under     sync.WaitGroup

	mu      sync.Mutex
	seen    map[string]bool // containers whose log is followed
	crashes []string
}

// join reaches the cluster of KUBECONFIG, in which operators and attempts are pods. There are no volumes: all books are in the bucket.
func (w *world) join(ctx context.Context) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("which cluster? KUBECONFIG names none: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	if err := rest.LoadTLSFiles(config); err != nil { // the console has the authority as a file of its own
		return err
	}
	w.config = config
	if w.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	w.pods = &pods{api: w.api, directory: w.directory, seen: map[string]bool{}, random: w.random.IntN}
	if w.pods.logs, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	for i := range w.tenants {
		w.tenants[i].toStore, w.tenants[i].deadline = true, podDeadline
	}
	w.host, err = environment.AddressForNodes(ctx, w.api)
	return err
}

// makeTarget runs a target of this module's Makefile.
func makeTarget(ctx context.Context, arguments ...string) error {
	root, err := environment.ModuleRoot()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "make", arguments...) // #nosec G204 -- our own arguments
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

// deploy installs the operators as people do, and follows what they and their attempts log.
func (p *pods) deploy(ctx context.Context, image string) error {
	p.deployed = true
	if err := makeTarget(ctx, "deploy", "CONFIG=config/jobs", "IMAGE="+image); err != nil {
		return err
	}
	manager, err := p.manager(ctx)
	if err != nil {
		return err
	}
	before := manager.DeepCopy()
	container := &manager.Spec.Template.Spec.Containers[0]
	container.Args = append(container.Args,
		"--leader-elect-lease-duration=12s", "--leader-elect-renew-deadline=10s", "--leader-elect-retry-period=1s",
		"--recheck-interval=2s", "--max-concurrent-runs=4", "--job-start-timeout="+startTimeout.String(),
		"--allow-plain-http", "--allow-insecure-databases") // the servers speak no TLS
	if err := p.api.Patch(ctx, manager, client.MergeFrom(before)); err != nil {
		return err
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.unfollow = stop
	p.under.Go(func() { p.follow(following) })
	return p.untilAvailable(ctx)
}

func (p *pods) manager(ctx context.Context) (*appsv1.Deployment, error) {
	manager := &appsv1.Deployment{}
	return manager, p.api.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: managerName}, manager)
}

// availablePatience is how long operators may take to be available, with the pauses that a kubelet makes before it starts one again.
const availablePatience = 2 * time.Minute

func (p *pods) untilAvailable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, availablePatience)
	defer cancel()
	for ; ; pause(ctx, lookForPods) {
		manager, err := p.manager(ctx)
		wanted := ptr.Deref(manager.Spec.Replicas, 1)
		status := manager.Status
		if err == nil && status.ObservedGeneration == manager.Generation && status.Replicas == wanted && status.UpdatedReplicas == wanted && status.AvailableReplicas == wanted {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d operators are available (%w)", status.AvailableReplicas, wanted, errors.Join(err, ctx.Err()))
		}
	}
}

// list returns the pods of a namespace.
func (p *pods) list(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := p.api.List(ctx, &list, client.InNamespace(namespace))
	return list.Items, err
}

// follow keeps what each pod logs, and notes those that have crashed.
func (p *pods) follow(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, lookForPods) {
		for _, namespace := range []string{operatorNamespace, attemptNamespace} {
			all, _ := p.list(ctx, namespace) // looked for again
			for i := range all {
				p.look(ctx, &all[i])
			}
		}
	}
}

// look follows the log of a pod's container that has begun, once.
func (p *pods) look(ctx context.Context, pod *corev1.Pod) {
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		if crash := crashOfContainer(status, pod.DeletionTimestamp != nil); crash != "" {
			p.once(status.ContainerID+" crashed", func() { p.crashes = append(p.crashes, pod.Name+" "+crash) })
		}
		if status.State.Waiting != nil || status.ContainerID == "" {
			continue
		}
		p.once(status.ContainerID, func() {
			name := fmt.Sprintf("%s-%d.log", pod.Name, status.RestartCount)
			p.under.Go(func() { p.keepLog(ctx, pod.Namespace, pod.Name, name) })
		})
	}
}

// once does something the first time that it is asked to.
func (p *pods) once(what string, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.seen[what] {
		p.seen[what] = true
		do()
	}
}

// keepLog copies the log of a container until it ends. That of a pod that is removed by force may be cut off.
func (p *pods) keepLog(ctx context.Context, namespace, pod, name string) {
	from, err := p.logs.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return
	}
	defer func() { _ = from.Close() }()
	into, err := os.OpenFile(filepath.Join(p.directory, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) // #nosec G304 -- a pod's name
	if err != nil {
		return
	}
	defer func() { _ = into.Close() }()
	_, _ = io.Copy(into, from)
}

// crashOfContainer says how a container has ended that nobody has ended: a Go program that panics ends with 2. One that is killed ends with 137,
// an operator that has lost its lease or a server, and an attempt that has failed, with 1. One that is asked to end before it listens to signals ends with 2,
// too, because it is the first process of its pod; that it has not panicked is for its log to say. An operator is never to need more memory than it has.
func crashOfContainer(status *corev1.ContainerStatus, asked bool) string {
	for _, ended := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
		switch {
		case ended == nil:
		case ended.ExitCode == 2 && !asked, ended.Signal == 11:
			return fmt.Sprintf("ended with code %d (%s)", ended.ExitCode, ended.Reason)
		case status.Name == "manager" && ended.Reason == "OOMKilled":
			return "needed more memory than it had"
		}
	}
	return ""
}

// crashed says which containers have ended though nobody ended them, and whether an operator is not available though nobody disturbs it.
func (p *pods) crashed(ctx context.Context) []string {
	unavailable := p.untilAvailable(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	crashes := slices.Clone(p.crashes)
	if unavailable != nil {
		crashes = append(crashes, unavailable.Error())
	}
	return crashes
}

// endings counts, by reason, the attempts in pods that have not done their work.
func (w *world) endings(ctx context.Context) (map[v1alpha1.Reason]int, error) {
	if w.pods == nil {
		return nil, nil
	}
	var list eventsv1.EventList
	if err := w.api.List(ctx, &list); err != nil {
		return nil, err
	}
	count := map[v1alpha1.Reason]int{}
	for i := range list.Items {
		event := &list.Items[i]
		if event.Regarding.Kind != "ExportRun" || !strings.HasPrefix(event.Reason, "Attempt") && event.Reason != v1alpha1.ReasonDeadlineExceeded {
			continue
		}
		count[event.Reason]++
		if event.Series != nil {
			count[event.Reason] += int(event.Series.Count) - 1
		}
	}
	return count, nil
}

// scale changes how many operators there are.
func (p *pods) scale(ctx context.Context, replicas int32) error {
	manager, err := p.manager(ctx)
	if err != nil {
		return err
	}
	return p.api.Patch(ctx, manager, merge(fmt.Sprintf(`{"spec": {"replicas": %d}}`, replicas)))
}

// halt ends the operators, so that nothing is written any more.
func (p *pods) halt() error {
	if !p.deployed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), availablePatience)
	defer cancel()
	manager, err := p.manager(ctx)
	if err == nil && ptr.Deref(manager.Spec.Replicas, 1) > 0 {
		err = p.scale(ctx, 0)
	}
	for err == nil {
		var left []corev1.Pod
		if left, err = p.list(ctx, operatorNamespace); err == nil && len(left) == 0 {
			break
		}
		pause(ctx, lookForPods)
		err = errors.Join(err, ctx.Err())
	}
	if p.unfollow != nil {
		p.unfollow()
		p.under.Wait()
		p.unfollow = nil
	}
	return client.IgnoreNotFound(err)
}

// leave removes what was applied, after the operators have gone, and what is in no namespace.
func (p *pods) leave(tenants []tenant, made []client.Object) error {
	if !p.deployed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var list v1alpha1.ExportRunList
	err := p.api.List(ctx, &list)
	for _, object := range made {
		err = errors.Join(err, client.IgnoreNotFound(p.api.Delete(ctx, object)))
	}
	for i := range list.Items {
		err = errors.Join(err, p.free(ctx, &list.Items[i]))
	}
	for _, t := range tenants {
		for _, name := range t.exports {
			err = errors.Join(err, p.free(ctx, t.export(name)))
		}
		err = errors.Join(err, client.IgnoreNotFound(p.api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}})))
	}
	return errors.Join(err, makeTarget(ctx, "undeploy", "CONFIG=config/jobs", "FORCE=1", "TIMEOUT=60s"))
}

// free takes the finalizers off an object: what it stands for ends with the database.
func (p *pods) free(ctx context.Context, object client.Object) error {
	return client.IgnoreNotFound(p.api.Patch(ctx, object, merge(`{"metadata": {"finalizers": null}}`)))
}
