//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	kueueNamespace = "kueue-system"
	// secondTenant shares the quota with the first.
	secondTenant = "e2e-zeta"
	// queuedRuns of each of two tenants, with a few claims each, of which a quota lets so many be under way.
	queuedRuns, queuedClaims, quota = 100, 5, 4
	// fair is by how much the share of a tenant may be off its half, while both wait.
	fair = 0.10
	// queuePatience is how long all of them may take.
	queuePatience = 30 * time.Minute
)

// kueueConfiguration is that of Kueue's own manifests with the one integration that Jobs need, and without an API of its own behind the API server, which
// not every cluster passes requests on to.
const kueueConfiguration = `apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
health: {healthProbeBindAddress: ":8081"}
metrics: {bindAddress: ":8443"}
webhook: {port: 9443}
leaderElection: {leaderElect: false}
clientConnection: {qps: 50, burst: 100}
integrations: {frameworks: [batch/job]}
featureGates: {VisibilityOnDemand: false}
`

// workloads is the kind by which Kueue keeps what waits for quota, and has it.
var workloads = schema.GroupVersionKind{Group: "kueue.x-k8s.io", Version: "v1beta2", Kind: "WorkloadList"}

// TestKueueOnACluster has the runs of two tenants wait in queues of Kueue, whose controller is the one of its module.
func TestKueueOnACluster(t *testing.T) {
	c := connect(t)
	if os.Getenv("E2E_KUEUE_IMAGE") == "" {
		t.Skip("there is no KUEUE_IMAGE: `make kueue-image` makes one")
	}
	c.beginsAlone()
	postgres, store := c.startServers()
	image := required(c, "E2E_IMAGE")
	t.Cleanup(func() { c.tidy() })
	c.step("the operator is deployed, and Kueue", func(c *cluster) {
		c.make("deploy", "CONFIG=config/jobs", "IMAGE="+image)
		c.flags(append([]string{"--job-queue={namespace}"}, withoutTLS...)...)
		c.deployKueue(required(c, "E2E_KUEUE_IMAGE"))
		c.available(operatorNamespace, "ledgerport-manager")
		c.applyPlain()
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	c.step("a run of 500 claims passes through its queue", func(c *cluster) { c.checkManifest(store, c.run("first"), claims) })
	c.step("runs of two tenants share a quota, though one has asked for all of its before the other", func(c *cluster) {
		c.fillQueued(postgres)
		seen := c.watchQueues()
		for _, namespace := range []string{tenant, secondTenant} {
			c.makeQueued(namespace)
		}
		took := c.until(queuePatience, c.queuedMissing)
		seen.stop()
		c.Logf("%d runs took %s, at most %d at once; while both waited, %v had ended", 2*queuedRuns, took.Round(time.Second), seen.most, seen.shares)
		seen.check(c)
	})
	c.step("every claim was exported once", func(c *cluster) { c.checkExported(postgres, claims+2*queuedRuns*queuedClaims) })
	c.step("it goes without a trace", func(c *cluster) {
		c.make("undeploy", "CONFIG=config/jobs")
		c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: secondTenant}}))
		c.removeKueue()
	})
}

// kueueObjects are those of the manifests in Kueue's module, with an image and the configuration of this test.
func (c *cluster) kueueObjects(image string) []*unstructured.Unstructured {
	c.Helper()
	find := exec.CommandContext(c.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kueue")
	find.Dir = "../kueue"
	directory, err := find.Output()
	c.must(err)
	objects, err := environment.Render(c.Context(), filepath.Join(strings.TrimSpace(string(directory)), "config", "default"))
	c.must(err)
	objects = slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool { return object.GetKind() == "APIService" })
	for _, object := range objects {
		switch {
		case object.GetKind() == "ConfigMap" && object.GetName() == "kueue-manager-config":
			c.must(unstructured.SetNestedField(object.Object, kueueConfiguration, "data", "controller_manager_config.yaml"))
		case object.GetKind() == "Deployment":
			containers, _, err := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
			c.must(err)
			container := containers[0].(map[string]any)
			container["image"], container["imagePullPolicy"] = image, "IfNotPresent"
			delete(container, "resources") // half a processor is much for a small node
			c.must(unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers"))
		}
	}
	return objects
}

// deployKueue applies Kueue, and the queues of this test once its webhooks answer.
func (c *cluster) deployKueue(image string) {
	c.Helper()
	for _, object := range c.kueueObjects(image) {
		c.until(time.Minute, func(ctx context.Context) string { // kinds of its own come with it
			if err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership); err != nil {
				return fmt.Sprintf("%s %s: %s", object.GetKind(), object.GetName(), err)
			}
			return ""
		})
	}
	// It waits for its own certificates, which it writes into a Secret that a kubelet mounts again after minutes.
	c.availableWithin(10*time.Minute, kueueNamespace, "kueue-controller-manager")
	for _, object := range c.objects("queues.yaml") {
		c.until(time.Minute, func(ctx context.Context) string {
			if err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership); err != nil {
				return fmt.Sprintf("%s %s: %s", object.GetKind(), object.GetName(), err)
			}
			return ""
		})
	}
}

// removeKueue removes it with its kinds.
func (c *cluster) removeKueue() {
	c.Helper()
	for _, object := range c.kueueObjects("none") {
		c.must(client.IgnoreNotFound(c.client.Delete(c.Context(), object)))
	}
	c.gone(&corev1.Namespace{}, "", kueueNamespace)
}

// queuedOrganization returns the organisation of an export of one of the two tenants: each has one of its own, so that no run waits for another.
func queuedOrganization(namespace string, n int) string {
	return fmt.Sprintf("3f2c9a1e-0000-4000-%d000-%012d", map[string]int{tenant: 8, secondTenant: 9}[namespace], n)
}

func (c *cluster) fillQueued(postgresURL string) {
	c.Helper()
	c.sql(postgresURL, func(ctx context.Context, conn *pgx.Conn) error {
		for i, namespace := range []string{tenant, secondTenant} {
			for n := range queuedRuns {
				_, err := application.Fill(ctx, conn, application.Content{
					OrganizationID: queuedOrganization(namespace, 100+n), Claims: queuedClaims, Seed: uint64(1000 + i*queuedRuns + n), // of which the ids follow, too
					ApprovedFrom: time.Now().Add(-40 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// makeQueued makes the exports of a tenant, and asks for a run of each.
func (c *cluster) makeQueued(namespace string) {
	c.Helper()
	var template *unstructured.Unstructured
	for _, object := range c.plain() {
		switch object.GetKind() {
		case "Namespace": // of many organisations
			object.SetLabels(nil)
			object.SetName(namespace)
		case "AccountingExport":
			template = object
			continue
		default:
			object.SetNamespace(namespace)
		}
		c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership))
	}
	for n := range queuedRuns {
		export := template.DeepCopy()
		export.SetNamespace(namespace)
		export.SetName(fmt.Sprintf("queued-%d", n))
		c.must(unstructured.SetNestedField(export.Object, queuedOrganization(namespace, 100+n), "spec", "organizationID"))
		c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(export), client.FieldOwner("e2e"), client.ForceOwnership))
		run := c.runNamed(export.GetName())
		run.Namespace, run.Spec.ExportRef.Name = namespace, export.GetName()
		c.must(c.client.Create(c.Context(), run))
	}
}

// queuedMissing says how many runs have not succeeded.
func (c *cluster) queuedMissing(ctx context.Context) string {
	succeeded, last := 0, ""
	for _, namespace := range []string{tenant, secondTenant} {
		var runs v1alpha1.ExportRunList
		if err := c.client.List(ctx, &runs, client.InNamespace(namespace)); err != nil {
			return err.Error()
		}
		for i := range runs.Items {
			run := &runs.Items[i]
			switch {
			case !strings.HasPrefix(run.Name, "queued-"):
			case run.Status.Phase == v1alpha1.RunSucceeded && run.Status.Claims == queuedClaims:
				succeeded++
			default:
				last = fmt.Sprintf("%s/%s is %s with %d claims: %v", namespace, run.Name, run.Status.Phase, run.Status.Claims, run.Status.Conditions)
			}
		}
	}
	if succeeded < 2*queuedRuns {
		return fmt.Sprintf("%d of %d runs have succeeded; %s", succeeded, 2*queuedRuns, last)
	}
	return ""
}

// queues is what was seen of Kueue's workloads, in the order in which the API server has written them.
type queues struct {
	stop func()

	admitted map[string]bool // workloads that have quota now
	ended    map[string]bool
	waiting  map[string]map[string]bool // workloads, by queue
	most     int                        // workloads that had quota at once
	shares   map[string]int             // workloads that have ended while others waited in both queues, by queue
}

// watchQueues follows the workloads until it is stopped.
func (c *cluster) watchQueues() *queues {
	c.Helper()
	watching, err := client.NewWithWatch(c.config, client.Options{Scheme: runtime.NewScheme()})
	c.must(err)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(workloads)
	follow, err := watching.Watch(c.Context(), list, client.InNamespace(attempts))
	c.must(err)
	seen := &queues{admitted: map[string]bool{}, ended: map[string]bool{}, waiting: map[string]map[string]bool{}, shares: map[string]int{}}
	var under sync.WaitGroup
	under.Go(func() {
		for event := range follow.ResultChan() {
			if workload, is := event.Object.(*unstructured.Unstructured); is {
				seen.note(event.Type, workload)
			}
		}
	})
	seen.stop = func() {
		follow.Stop()
		under.Wait()
	}
	return seen
}

// note follows a workload into its queue, to its quota, and to its end.
func (q *queues) note(event watch.EventType, workload *unstructured.Unstructured) {
	name := workload.GetName()
	queue, _, _ := unstructured.NestedString(workload.Object, "spec", "queueName")
	if q.waiting[queue] == nil {
		q.waiting[queue] = map[string]bool{}
	}
	admitted, finished := holds(workload, "Admitted"), event == watch.Deleted || holds(workload, "Finished")
	switch {
	case finished:
		delete(q.admitted, name)
		delete(q.waiting[queue], name)
		if !q.ended[name] {
			q.ended[name] = true
			if len(q.waiting[tenant]) > 0 && len(q.waiting[secondTenant]) > 0 {
				q.shares[queue]++
			}
		}
	case admitted:
		q.admitted[name] = true
		delete(q.waiting[queue], name)
		q.most = max(q.most, len(q.admitted))
	default:
		delete(q.admitted, name)
		q.waiting[queue][name] = true
	}
}

// holds reports whether a condition of a workload is true.
func holds(workload *unstructured.Unstructured, kind string) bool {
	var conditions []metav1.Condition
	all, _, _ := unstructured.NestedSlice(workload.Object, "status", "conditions")
	for _, one := range all {
		var condition metav1.Condition
		if fields, is := one.(map[string]any); is && runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &condition) == nil {
			conditions = append(conditions, condition)
		}
	}
	return meta.IsStatusConditionTrue(conditions, kind)
}

// check compares what was seen with the quota, and with a half each.
func (q *queues) check(c *cluster) {
	c.Helper()
	if q.most > quota || q.most < quota {
		c.Errorf("%d runs were under way at once, and the quota is %d", q.most, quota)
	}
	both := q.shares[tenant] + q.shares[secondTenant]
	if share := float64(q.shares[tenant]) / float64(max(both, 1)); both < queuedRuns || share < 0.5-fair/2 || share > 0.5+fair/2 {
		c.Errorf("while both waited %v had ended: the share of %s is %.2f", q.shares, tenant, share)
	}
	var jobs batchv1.JobList
	c.must(c.client.List(c.Context(), &jobs, client.InNamespace(attempts)))
	for i := range jobs.Items {
		if jobs.Items[i].Labels["kueue.x-k8s.io/queue-name"] == "" {
			c.Errorf("Job %s has not waited in a queue", jobs.Items[i].Name)
		}
	}
}
