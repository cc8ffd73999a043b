//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

const (
	// attempts is the namespace of the pods of attempts.
	attempts = "ledgerport-attempts"
	// quickly is how long a request of 500 claims may take whose attempt is a Job.
	quickly = 5 * time.Second
)

// TestJobsOnACluster has each attempt made in a pod of its own, and ends those pods in every way that a cluster has.
func TestJobsOnACluster(t *testing.T) {
	c := connect(t)
	c.beginsAlone()
	postgres, store := c.startServers()
	image := required(c, "E2E_IMAGE")
	t.Cleanup(func() { c.tidy() })
	c.step("the operator is deployed, and available", func(c *cluster) {
		c.make("deploy", "CONFIG=config/jobs", "IMAGE="+image)
		c.flags(append([]string{"--job-start-timeout=10s"}, withoutTLS...)...)
		c.available(operatorNamespace, "ledgerport-manager")
		c.applyPlain()
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	c.step("a requested run of 500 claims takes seconds", func(c *cluster) {
		start := time.Now()
		run := c.run("first")
		if took := time.Since(start); took > quickly {
			c.Errorf("it took %s, want at most %s", took, quickly)
		}
		c.checkManifest(store, run, claims)
	})
	number := 0
	for name, obstacle := range map[string]struct {
		reason v1alpha1.Reason
		change func(*corev1.PodTemplate)
	}{
		"needs more memory than it may have": {v1alpha1.ReasonAttemptOutOfMemory, func(template *corev1.PodTemplate) {
			resources := &template.Template.Spec.Containers[0].Resources
			resources.Limits[corev1.ResourceMemory], resources.Requests[corev1.ResourceMemory] = resource.MustParse("12Mi"), resource.MustParse("12Mi")
		}},
		"finds no node": {v1alpha1.ReasonAttemptUnschedulable, func(template *corev1.PodTemplate) {
			template.Template.Spec.NodeSelector = map[string]string{"no": "such-node"}
		}},
		"has an image that nobody has": {v1alpha1.ReasonAttemptImageUnavailable, func(template *corev1.PodTemplate) {
			template.Template.Spec.Containers[0].Image = "registry.invalid/none:1"
		}},
		"breaks a rule of its namespace": {v1alpha1.ReasonAttemptNotStarted, func(template *corev1.PodTemplate) {
			template.Template.Spec.HostNetwork = true
		}},
	} {
		number++
		c.step("an attempt ends that "+name, func(c *cluster) {
			c.fill(postgres, 10, uint64(number)+10)
			heal := c.changeTemplate(obstacle.change)
			run := c.began(fmt.Sprintf("obstacle-%d", number))
			took := c.failedOf(run, obstacle.reason)
			heal()
			c.Logf("known after %s", took.Round(time.Millisecond))
			c.checkManifest(store, c.succeeds(run), 10)
		})
	}
	c.step("an attempt ends whose pod is evicted, or removed by force", func(c *cluster) {
		for n, end := range map[string]func(*corev1.Pod) error{
			"evicted": func(pod *corev1.Pod) error {
				return c.client.SubResource("eviction").Create(c.Context(), pod, &policyv1.Eviction{})
			},
			"removed": func(pod *corev1.Pod) error { return c.client.Delete(c.Context(), pod, client.GracePeriodSeconds(0)) },
		} {
			number++
			c.fill(postgres, 10, uint64(number)+10)
			unlock := c.begin(postgres, n)
			c.must(end(c.podOfAttempt(n)))
			reason := map[string]v1alpha1.Reason{"evicted": v1alpha1.ReasonAttemptEvicted, "removed": v1alpha1.ReasonAttemptGone}[n]
			took := c.failedOf(c.runNamed(n), reason)
			unlock()
			c.Logf("%s: known after %s", n, took.Round(time.Millisecond))
			c.checkManifest(store, c.succeeds(c.runNamed(n)), 10)
		}
	})
	c.step("an attempt goes on while every operator is killed", func(c *cluster) {
		c.fill(postgres, 10, 40)
		unlock := c.begin(postgres, "orphan")
		pod := c.podOfAttempt("orphan")
		for _, operator := range c.operatorPods() {
			c.must(c.client.Delete(c.Context(), &operator, client.GracePeriodSeconds(0)))
		}
		unlock()
		run := c.succeeds(c.runNamed("orphan"))
		c.checkManifest(store, run, 10)
		if run.Status.Attempts != 1 || run.Status.LostAttempts != 0 {
			c.Errorf("there were %d attempts, and pod %s was the first: %+v", run.Status.Attempts, pod.Name, run.Status)
		}
	})
	c.step("every claim was exported once", func(c *cluster) { c.checkExported(postgres, claims+10*(number+1)) })
	c.step("metrics are for those who may read them", func(c *cluster) { c.checkMetrics() })
	c.step("nothing was forbidden, and nothing secret was said", func(c *cluster) { c.checkWritten(postgres, store) })
	c.step("it goes without a trace", func(c *cluster) {
		c.make("undeploy", "CONFIG=config/jobs")
		c.gone(&corev1.Namespace{}, "", attempts)
		c.nothingIsLeft()
	})
}

// changeTemplate changes the PodTemplate of attempts, and returns what changes it back.
func (c *cluster) changeTemplate(change func(*corev1.PodTemplate)) (heal func()) {
	c.Helper()
	var template corev1.PodTemplate
	key := client.ObjectKey{Namespace: attempts, Name: "ledgerport-attempt"}
	c.must(c.client.Get(c.Context(), key, &template))
	before := template.DeepCopy()
	change(&template)
	c.must(c.client.Update(c.Context(), &template))
	return func() {
		c.Helper()
		c.must(c.client.Get(c.Context(), key, &template))
		template.Template = before.Template
		c.must(c.client.Update(c.Context(), &template))
	}
}

func (c *cluster) runNamed(name string) *v1alpha1.ExportRun {
	return &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}},
	}
}

// began asks for a run.
func (c *cluster) began(name string) *v1alpha1.ExportRun {
	c.Helper()
	run := c.runNamed(name)
	c.must(c.client.Create(c.Context(), run))
	return run
}

// failedOf waits for an attempt of a run to have failed for a reason.
func (c *cluster) failedOf(run *v1alpha1.ExportRun, reason v1alpha1.Reason) time.Duration {
	c.Helper()
	return c.until(time.Minute, func(ctx context.Context) string {
		if missing := c.get(ctx, run, tenant, run.Name); missing != "" {
			return missing
		}
		if run.Status.Failures == 0 {
			return fmt.Sprintf("no attempt of run %s has failed: %v", run.Name, run.Status.Conditions)
		}
		return differs(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
	})
}

func (c *cluster) succeeds(run *v1alpha1.ExportRun) *v1alpha1.ExportRun {
	c.Helper()
	c.until(2*time.Minute, func(ctx context.Context) string {
		if missing := c.get(ctx, run, tenant, run.Name); missing != "" {
			return missing
		}
		if run.Status.Phase != v1alpha1.RunSucceeded {
			return fmt.Sprintf("run %s is %s: %v", run.Name, run.Status.Phase, run.Status.Conditions)
		}
		return ""
	})
	return run
}

// podOfAttempt waits for the running pod of an attempt.
func (c *cluster) podOfAttempt(name string) *corev1.Pod {
	c.Helper()
	run := c.runNamed(name)
	c.must(c.client.Get(c.Context(), client.ObjectKeyFromObject(run), run))
	var pods corev1.PodList
	c.until(soon, func(ctx context.Context) string {
		err := c.client.List(ctx, &pods, client.InNamespace(attempts), client.MatchingLabels{"accounting.ledgerport.dev/run-uid": string(run.UID)})
		if err != nil || len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodRunning {
			return fmt.Sprintf("run %s has %d pods (%v)", name, len(pods.Items), err)
		}
		return ""
	})
	return &pods.Items[0]
}
