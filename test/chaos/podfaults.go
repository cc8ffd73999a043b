package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// disturbPods causes one fault where operators and attempts are pods.
func (w *world) disturbPods(ctx context.Context, count *done) (err error) {
	var ended string // what was
	switch dice := w.random.IntN(30); {
	case dice < 5:
		ended, err = w.pods.endAttempt(ctx, "an attempt is removed by force", w.pods.remove)
	case dice < 10:
		ended, err = w.pods.endAttempt(ctx, "an attempt is evicted", w.pods.evict)
	case dice < 14:
		ended, err = w.pods.endAttempt(ctx, "an attempt is killed", w.pods.kill)
	case dice < 16:
		ended, err = w.pods.endAttempt(ctx, "the Job of an attempt is deleted", w.pods.removeJob)
	case dice < 18:
		ended, err = w.pods.starve(ctx)
	case dice < 22:
		if dice < 20 {
			killed, err := w.approveWithoutPods(ctx)
			if count.kills += killed; killed > 0 || err != nil {
				say("approved what waited while no operator was there, and removed them (%d)", count.kills)
				return err
			}
		}
		ended, err = w.pods.endOperator(ctx, "an operator is removed by force", w.pods.remove)
	case dice < 25:
		ended, err = w.pods.endOperator(ctx, "an operator is killed", w.pods.killOperator)
	case dice < 26:
		count.obstacles++
		err = w.pods.cordon(ctx)
	case dice < 27:
		count.obstacles++
		err = w.pods.hideImage(ctx)
	case dice < 29:
		return w.cut(ctx, count)
	default:
		say("PostgreSQL is shut down at once and started again")
		return w.postgres.Restart(ctx)
	}
	if ended != "" {
		count.kills++
		say("%s (%d)", ended, count.kills)
	}
	return err
}

// approveWithoutPods removes all operators, has what waits approved, and lets others start. It returns how many it has removed: none if nothing waits.
func (w *world) approveWithoutPods(ctx context.Context) (removed int, err error) {
	waiting := w.allAwaiting(ctx)
	if len(waiting) == 0 {
		return 0, nil
	}
	manager, err := w.pods.manager(ctx)
	if err != nil {
		return 0, err
	}
	if err := w.pods.scale(ctx, 0); err != nil {
		return 0, err
	}
	for ; ctx.Err() == nil; pause(ctx, lookForPods) {
		left, err := w.pods.list(ctx, operatorNamespace)
		if err == nil && len(left) == 0 {
			break
		}
		for i := range left {
			if w.pods.remove(ctx, &left[i]) == nil {
				removed++
			}
		}
	}
	for _, run := range waiting {
		w.approveFor(ctx, run)
	}
	return removed, w.pods.scale(ctx, ptr.Deref(manager.Spec.Replicas, 1))
}

// endAttempt ends one of the attempts that are under way, somewhere between its beginning and its end, and says which; nothing where none is.
func (p *pods) endAttempt(ctx context.Context, how string, end func(context.Context, *corev1.Pod) error) (string, error) {
	if p.anAttempt(ctx) == nil {
		return "", nil
	}
	pause(ctx, time.Duration(p.random(2000))*time.Millisecond)
	pod := p.anAttempt(ctx)
	if pod == nil {
		return "", nil
	}
	return fmt.Sprintf("%s: %s, which is %s", how, pod.Name, pod.Status.Phase), client.IgnoreNotFound(end(ctx, pod))
}

// anAttempt waits for one, and returns nil where none comes in time.
func (p *pods) anAttempt(ctx context.Context) *corev1.Pod {
	ctx, cancel := context.WithTimeout(ctx, pointPatience)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		all, err := p.list(ctx, attemptNamespace)
		var alive []*corev1.Pod
		for i := range all {
			if phase := all[i].Status.Phase; all[i].DeletionTimestamp == nil && (phase == corev1.PodPending || phase == corev1.PodRunning) {
				alive = append(alive, &all[i])
			}
		}
		if err == nil && len(alive) > 0 {
			return alive[p.random(len(alive))]
		}
	}
	return nil
}

// endOperator ends one of the operators, whether it leads or not.
func (p *pods) endOperator(ctx context.Context, how string, end func(context.Context, *corev1.Pod) error) (string, error) {
	all, err := p.list(ctx, operatorNamespace)
	if err != nil || len(all) == 0 {
		return "", err
	}
	pod := &all[p.random(len(all))]
	return fmt.Sprintf("%s: %s", how, pod.Name), client.IgnoreNotFound(end(ctx, pod))
}

func (p *pods) remove(ctx context.Context, pod *corev1.Pod) error {
	return p.api.Delete(ctx, pod, client.GracePeriodSeconds(0))
}

func (p *pods) evict(ctx context.Context, pod *corev1.Pod) error {
	return p.api.SubResource("eviction").Create(ctx, pod, &policyv1.Eviction{})
}

// removeJob deletes the Job of an attempt, with its pod or without.
func (p *pods) removeJob(ctx context.Context, pod *corev1.Pod) error {
	policy := metav1.DeletePropagationBackground
	if p.random(2) == 0 {
		policy = metav1.DeletePropagationOrphan
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Labels[batchv1.JobNameLabel]}}
	return p.api.Delete(ctx, job, &client.DeleteOptions{PropagationPolicy: &policy})
}

// kill ends the processes of a pod as kill -9 does where its node is this machine; on another one the pod is removed by force.
func (p *pods) kill(ctx context.Context, pod *corev1.Pod) error {
	killed := false
	for _, pid := range processesOf(pod.UID) {
		killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
	}
	if killed {
		return nil
	}
	return p.remove(ctx, pod)
}

// killOperator does that once to each pod: a kubelet waits longer each time before it starts one again.
func (p *pods) killOperator(ctx context.Context, pod *corev1.Pod) error {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].RestartCount > 0 {
			return p.remove(ctx, pod)
		}
	}
	return p.kill(ctx, pod)
}

// processesOf returns the processes of a pod's containers that this machine has, as their control groups say.
func processesOf(pod types.UID) (found []int) {
	groups, _ := filepath.Glob("/proc/[0-9]*/cgroup") // the pattern is well formed
	for _, group := range groups {
		content, err := os.ReadFile(group)
		if err != nil || !bytes.Contains(content, []byte("pod"+string(pod))) && !bytes.Contains(content, []byte("pod"+strings.ReplaceAll(string(pod), "-", "_"))) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(group))) // it is a number
		if program, err := os.Readlink(filepath.Join(filepath.Dir(group), "exe")); err == nil && filepath.Base(program) != "pause" {
			found = append(found, pid)
		}
	}
	return found
}

// starve lets attempts have less memory than any needs, until one has ended for that. It returns which; nothing if none did in time.
func (p *pods) starve(ctx context.Context) (string, error) {
	heal, err := p.changeTemplate(ctx, func(container *corev1.Container) {
		for _, list := range []corev1.ResourceList{container.Resources.Limits, container.Resources.Requests} {
			list[corev1.ResourceMemory] = quantity.MustParse("12Mi")
		}
	})
	if err != nil {
		return "", err
	}
	starved := p.await(ctx, 15*time.Second, func(status *corev1.ContainerStatus) bool {
		return status.State.Terminated != nil && status.State.Terminated.Reason == "OOMKilled"
	})
	if starved == "" {
		return "", heal()
	}
	return "an attempt is out of memory: " + starved, heal()
}

// hideImage lets attempts have an image that nobody has, at times for longer than they may take to start.
func (p *pods) hideImage(ctx context.Context) error {
	heal, err := p.changeTemplate(ctx, func(container *corev1.Container) { container.Image = "registry.invalid/none:1" })
	if err != nil {
		return err
	}
	waiting := p.await(ctx, 15*time.Second, func(status *corev1.ContainerStatus) bool {
		return status.State.Waiting != nil && strings.Contains(status.State.Waiting.Reason, "Image")
	})
	long := time.Duration(p.random(int(1500*startTimeout/time.Second))) * time.Millisecond
	pause(ctx, long)
	say("the image was not available for %s: %s", long, waiting)
	return heal()
}

// await returns the first attempt of now on whose container is as told; nothing if none is in time.
func (p *pods) await(ctx context.Context, patience time.Duration, is func(*corev1.ContainerStatus) bool) string {
	before := map[types.UID]bool{}
	earlier, _ := p.list(ctx, attemptNamespace) // looked for again
	for i := range earlier {
		before[earlier[i].UID] = true
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, lookForPods) {
		all, _ := p.list(ctx, attemptNamespace)
		for i := range all {
			if statuses := all[i].Status.ContainerStatuses; !before[all[i].UID] && len(statuses) > 0 && is(&statuses[0]) {
				return all[i].Name
			}
		}
	}
	return ""
}

// changeTemplate changes what pods of attempts are made by, and returns what changes it back.
func (p *pods) changeTemplate(ctx context.Context, change func(*corev1.Container)) (heal func() error, err error) {
	template := &corev1.PodTemplate{}
	if err := p.api.Get(ctx, client.ObjectKey{Namespace: attemptNamespace, Name: templateName}, template); err != nil {
		return nil, err
	}
	before := template.DeepCopy()
	change(&template.Template.Spec.Containers[0])
	if err := p.api.Update(ctx, template); err != nil {
		return nil, err
	}
	return func() error {
		before.ResourceVersion = ""
		return p.api.Update(context.WithoutCancel(ctx), before)
	}, nil
}

// cordon lets no pod onto any node, at times for longer than one may take to start.
func (p *pods) cordon(ctx context.Context) error {
	if err := p.setCordoned(ctx, true); err != nil {
		return err
	}
	long := time.Duration(p.random(int(1500*startTimeout/time.Second))) * time.Millisecond
	say("every node is cordoned for %s", long)
	pause(ctx, long)
	return p.setCordoned(context.WithoutCancel(ctx), false)
}

func (p *pods) setCordoned(ctx context.Context, cordoned bool) error {
	var nodes corev1.NodeList
	err := p.api.List(ctx, &nodes)
	for i := range nodes.Items {
		err = errors.Join(err, p.api.Patch(ctx, &nodes.Items[i], merge(fmt.Sprintf(`{"spec": {"unschedulable": %t}}`, cordoned))))
	}
	return err
}
