//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// operatorNamespace is where config/default puts the operator.
const operatorNamespace = "ledgerport-system"

// cluster is the one under test, and what it is told about the servers on this machine.
type cluster struct {
	*testing.T
	client client.Client
	pods   kubernetes.Interface
	config *rest.Config
	values map[string]string // of the templates in testdata
	scan   *leaks.Scan       // of all that the operator writes
}

func connect(t *testing.T) *cluster {
	t.Helper()
	config, err := ctrl.GetConfig()
	if err != nil {
		t.Fatalf("which cluster? KUBECONFIG names none: %s", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c := &cluster{T: t, config: config, values: map[string]string{}, scan: leaks.New()}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if c.pods, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return c
}

// step is a part of the test whose time is told; the parts after one that fails do not run.
func (c *cluster) step(name string, do func(c *cluster)) {
	c.Helper()
	start := time.Now()
	passed := c.Run(name, func(t *testing.T) {
		within := *c
		within.T = t
		do(&within)
	})
	if !passed {
		c.FailNow()
	}
	c.Logf("%s: %s", name, time.Since(start).Round(time.Millisecond))
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// make runs a target of the Makefile.
func (c *cluster) make(arguments ...string) {
	c.Helper()
	command := exec.CommandContext(c.Context(), "make", append([]string{"-C", "../.."}, arguments...)...)
	if output, err := command.CombinedOutput(); err != nil {
		c.Fatalf("make %s: %s\n%s", strings.Join(arguments, " "), err, output)
	}
}

// kubectl runs it as people do.
func (c *cluster) kubectl(arguments ...string) {
	c.Helper()
	if output, err := exec.CommandContext(c.Context(), "kubectl", arguments...).CombinedOutput(); err != nil {
		c.Fatalf("kubectl %s: %s\n%s", strings.Join(arguments, " "), err, output)
	}
}

// thisMachine is the address under which the cluster's pods reach this machine.
func (c *cluster) thisMachine() string {
	c.Helper()
	host, err := environment.AddressForNodes(c.Context(), c.client)
	c.must(err)
	return host
}

// node is the address of a node.
func (c *cluster) node() string {
	c.Helper()
	var nodes corev1.NodeList
	c.must(c.client.List(c.Context(), &nodes))
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				return address.Address
			}
		}
	}
	c.Fatal("no node has an internal address; name this machine's in E2E_HOST")
	return ""
}

// apply applies a template of testdata with the cluster's values, as kubectl apply --server-side does.
func (c *cluster) apply(file string) {
	c.Helper()
	for _, object := range c.objects(file) {
		err := c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership)
		if err != nil {
			c.Fatalf("%s: %s %s: %s", file, object.GetKind(), object.GetName(), err)
		}
	}
}

func (c *cluster) objects(file string) []*unstructured.Unstructured {
	c.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	c.must(err)
	parsed, err := template.New(file).Option("missingkey=error").Parse(string(content))
	c.must(err)
	var rendered bytes.Buffer
	c.must(parsed.Execute(&rendered, c.values))
	objects, err := environment.Decode(&rendered)
	c.must(err)
	return objects
}

// until waits for a check to find nothing missing, and says how long that took.
func (c *cluster) until(patience time.Duration, check func(context.Context) (missing string)) time.Duration {
	c.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	missing := "it was not asked in time"
	for {
		switch now := check(ctx); {
		case now == "":
			return time.Since(start)
		case ctx.Err() == nil: // else it may say no more than that
			missing = now
		}
		select {
		case <-ctx.Done():
			c.Fatalf("after %s: %s", patience, missing)
		case <-tick.C:
		}
	}
}

// get reads an object, and returns what is wrong as a check does.
func (c *cluster) get(ctx context.Context, object client.Object, namespace, name string) string {
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		return fmt.Sprintf("%T %s/%s: %s", object, namespace, name, err)
	}
	return ""
}

// available waits until every replica of a Deployment is.
func (c *cluster) available(namespace, name string) {
	c.Helper()
	c.availableWithin(3*time.Minute, namespace, name)
}

func (c *cluster) availableWithin(patience time.Duration, namespace, name string) {
	c.Helper()
	c.until(patience, func(ctx context.Context) string {
		var deployment appsv1.Deployment
		if missing := c.get(ctx, &deployment, namespace, name); missing != "" {
			return missing
		}
		status := deployment.Status
		// Replicas counts those of the former generation, too: one of them may be available, and become the leader.
		if status.ObservedGeneration != deployment.Generation || status.Replicas != *deployment.Spec.Replicas ||
			status.UpdatedReplicas != *deployment.Spec.Replicas || status.AvailableReplicas != *deployment.Spec.Replicas {
			return fmt.Sprintf("%d of %d replicas of %s are available", status.AvailableReplicas, *deployment.Spec.Replicas, name)
		}
		return ""
	})
}

// beginsAlone waits until nothing is there of the test before.
func (c *cluster) beginsAlone() {
	c.Helper()
	c.gone(&corev1.Namespace{}, "", operatorNamespace)
	c.gone(&corev1.Namespace{}, "", tenant)
}

// gone waits until an object no longer exists.
func (c *cluster) gone(object client.Object, namespace, name string) {
	c.Helper()
	c.until(time.Minute, func(ctx context.Context) string {
		err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return ""
		}
		return fmt.Sprintf("%T %s still exists (%v)", object, name, err)
	})
}

// operatorPods returns the operator's pods.
func (c *cluster) operatorPods() []corev1.Pod {
	c.Helper()
	var pods corev1.PodList
	c.must(c.client.List(c.Context(), &pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/name": "ledgerport"}))
	return pods.Items
}

// log returns what a pod has logged.
func (c *cluster) log(pod string) string {
	c.Helper()
	content, err := c.pods.CoreV1().Pods(operatorNamespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(c.Context())
	c.must(err)
	return string(content)
}

// flags adds flags of the operator's.
func (c *cluster) flags(more ...string) {
	c.Helper()
	var manager appsv1.Deployment
	c.must(c.client.Get(c.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "ledgerport-manager"}, &manager))
	before := manager.DeepCopy()
	container := &manager.Spec.Template.Spec.Containers[0]
	container.Args = append(container.Args, more...)
	c.must(c.client.Patch(c.Context(), &manager, client.MergeFrom(before)))
}
