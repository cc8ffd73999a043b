package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

const (
	// AttemptLabel marks the Jobs and pods of attempts; its value is the UID of the ExportRun.
	AttemptLabel = "accounting.ledgerport.dev/run-uid"
	// namespaceLabel has the namespace of the run, for policies and metrics, and runAnnotation its name.
	namespaceLabel = "accounting.ledgerport.dev/run-namespace"
	runAnnotation  = "accounting.ledgerport.dev/run"
	// queueLabel names the queue of Kueue that a Job waits in.
	queueLabel = "kueue.x-k8s.io/queue-name"
	// OrderVariable has what the pod of an attempt is to do.
	OrderVariable = "LEDGERPORT_ATTEMPT"
	// attemptContainer is the container of the PodTemplate that the attempt runs in.
	attemptContainer = "attempt"
	// keptFor is how long a Job that has ended is kept, for its log.
	keptFor = 10 * time.Minute
	// largestOrder is what a process may be given in one variable of its environment, with room to spare.
	largestOrder = 120 << 10
)

// Order is what the process in a pod needs to make an attempt. Of what it names it reads everything else itself.
type Order struct {
	// Task of the attempt, without the claims that the run names.
	Task pipeline.Task `json:"task"`
	// NamesClaims: the run names claims, which are to be read from it.
	NamesClaims bool `json:"namesClaims,omitempty"`
	// Cluster that the run belongs to.
	Cluster string `json:"cluster"`
	// Seen is what runs have seen of ledgers.
	Seen references.Seen `json:"seen"`
}

// jobName is the name of the Job of an attempt.
func jobName(task pipeline.Task) string {
	if task.RemoveArtifact {
		return "run-" + task.RunID + "-removal"
	}
	return fmt.Sprintf("run-%s-%d", task.RunID, task.Number)
}

// queueOf is the queue that the Jobs of a namespace wait in.
func (s *JobSettings) queueOf(namespace string) string {
	return strings.ReplaceAll(s.Queue, "{namespace}", namespace)
}

// job is the Job of an attempt, by the PodTemplate of the administrator.
func (j *Jobs) job(ctx context.Context, task pipeline.Task) (*batchv1.Job, error) {
	order, err := j.order(ctx, task)
	if err != nil {
		return nil, err
	}
	var template corev1.PodTemplate
	if err := j.api.Get(ctx, types.NamespacedName{Namespace: j.settings.Namespace, Name: j.settings.Template}, &template); err != nil {
		return nil, fmt.Errorf("PodTemplate %s/%s: %w", j.settings.Namespace, j.settings.Template, err)
	}
	pod := template.Template
	if err := j.setUp(&pod, order, task); err != nil {
		return nil, err
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: j.settings.Namespace, Name: jobName(task), Labels: labelsOf(task),
			Annotations: map[string]string{runAnnotation: task.Namespace + "/" + task.Name},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:            ptr.To(int32(0)), // what follows a failure is the operator's to say
			ActiveDeadlineSeconds:   ptr.To(seconds(j.settings.StartTimeout + task.Longest() + grace)),
			TTLSecondsAfterFinished: ptr.To(int32(seconds(keptFor))),
			Template:                pod,
		},
	}
	if queue := j.settings.queueOf(task.Namespace); queue != "" {
		job.Labels[queueLabel] = queue
		job.Spec.Suspend = ptr.To(true)
	}
	return job, nil
}

func labelsOf(task pipeline.Task) map[string]string {
	return map[string]string{AttemptLabel: task.RunID, namespaceLabel: task.Namespace, "app.kubernetes.io/name": "ledgerport-attempt"}
}

func seconds(duration time.Duration) int64 { return int64(duration.Round(time.Second) / time.Second) }

// setUp puts into a pod what the attempt needs.
func (j *Jobs) setUp(pod *corev1.PodTemplateSpec, order string, task pipeline.Task) error {
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	for name, value := range labelsOf(task) {
		pod.Labels[name] = value
	}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	for i := range pod.Spec.Containers {
		if container := &pod.Spec.Containers[i]; container.Name == attemptContainer {
			container.Args = append([]string{"attempt"}, j.settings.Arguments...)
			container.Env = append(container.Env, corev1.EnvVar{Name: OrderVariable, Value: order})
			return nil
		}
	}
	return failure.Transient(v1alpha1.ReasonAttemptRefused, nil, "PodTemplate %s/%s has no container %q; add one, or apply config/jobs again", j.settings.Namespace, j.settings.Template, attemptContainer)
}

// order is what the pod of a task is given. Kubernetes puts the value of a variable in place of $(NAME), and a dollar in place of two.
func (j *Jobs) order(ctx context.Context, task pipeline.Task) (string, error) {
	seen, err := j.records.Seen(ctx, task)
	if err != nil {
		return "", err
	}
	order, err := json.Marshal(Order{Task: task.WithoutClaims(), NamesClaims: len(task.Claims) > 0, Cluster: j.settings.Cluster, Seen: seen})
	if err != nil {
		return "", err
	}
	if len(order) > largestOrder {
		return "", failure.Transient(v1alpha1.ReasonAttemptRefused, nil, "what the runs of namespace %s have seen of ledgers is more than the pod of an attempt can be given; delete runs that are not needed any more", task.Namespace)
	}
	return strings.ReplaceAll(string(order), "$", "$$"), nil
}
