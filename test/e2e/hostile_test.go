//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

const (
	hostileOrganization = "3f2c9a1e-0000-4000-8000-00000000dead"
	// attackDeadline is that of an attempt whose database never comes to an end.
	attackDeadline = "20s"
	// runsEach is how many runs an honest tenant has quietly, and how many while others attack.
	runsEach = 5
	// unmoved is by how much more an operator may have at its peak during the attacks than quietly: what a garbage collector leaves to chance.
	unmoved = 24 << 20
)

// attacks are what hostile databases send, by the namespace of their tenant: in place of rows of a statement that has some words.
var attacks = map[string]struct {
	words string
	row   func(hostilepg.Message) hostilepg.Message
}{
	"e2e-endless-claims": {"WITH approved AS", func(row hostilepg.Message) hostilepg.Message { return row }},
	"e2e-large-claims":   {"WITH approved AS", widened},
	"e2e-large-records":  {"ledgerport.runs", widened}, // which the operator itself reads, too
}

// widened returns a row whose last column has 64 MiB.
func widened(row hostilepg.Message) hostilepg.Message {
	fields := row.Fields()
	if len(fields) == 0 {
		return row
	}
	fields[len(fields)-1] = bytes.Repeat([]byte("x"), 64<<20)
	return hostilepg.Row(fields...)
}

// TestHostileSourcesOnACluster lets databases send without an end, each to attempts that are pods: those fail alone, while runs of another
// tenant succeed, and the operator has no more memory than without them.
func TestHostileSourcesOnACluster(t *testing.T) {
	c := connect(t)
	c.beginsAlone()
	postgres, _ := c.startServers()
	image := required(c, "E2E_IMAGE")
	t.Cleanup(func() { c.tidy() })
	c.step("the operator is deployed, and available", func(c *cluster) {
		c.make("deploy", "CONFIG=config/jobs", "IMAGE="+image)
		c.flags(withoutTLS...)
		c.available(operatorNamespace, "ledgerport-manager")
		c.applyPlain()
		c.apply("metrics-reader.yaml")
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	before := c.operatorPods()
	var quietly, attacked int64
	c.step("runs of an honest tenant succeed quietly", func(c *cluster) {
		quietly = c.peakUntil(func(ctx context.Context) string { return c.allSucceed(ctx, "quiet") }, func() { c.ask(postgres, "quiet", 100) })
	})
	c.step("they succeed while databases of others send without an end", func(c *cluster) {
		names := c.startAttacks(postgres)
		attacked = c.peakUntil(func(ctx context.Context) string {
			if missing := c.allSucceed(ctx, "attacked"); missing != "" {
				return missing
			}
			return c.allFail(ctx, names)
		}, func() { c.ask(postgres, "attacked", 200) })
	})
	c.step("the memory of the operator does not move", func(c *cluster) {
		c.Logf("at most %d MiB quietly, and %d MiB during the attacks", quietly>>20, attacked>>20)
		if attacked > quietly+unmoved {
			c.Errorf("an operator had %d MiB at most quietly, and %d MiB during the attacks", quietly>>20, attacked>>20)
		}
		for i, pod := range c.operatorPods() {
			if pod.Name != before[i].Name || pod.Status.ContainerStatuses[0].RestartCount != before[i].Status.ContainerStatuses[0].RestartCount {
				c.Errorf("an operator has ended: there is %s, and there was %s", pod.Name, before[i].Name)
			}
		}
	})
	c.step("every claim of the honest tenant was exported once", func(c *cluster) { c.checkExported(postgres, claims+2*runsEach*20) })
	c.step("it goes without a trace", func(c *cluster) {
		for namespace := range attacks { // nothing is held, and nothing is to be asked of such a database
			var runs v1alpha1.ExportRunList
			c.must(c.client.List(c.Context(), &runs, client.InNamespace(namespace)))
			for i := range runs.Items {
				c.must(client.IgnoreNotFound(c.client.Patch(c.Context(), &runs.Items[i], client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"finalizers": null}}`)))))
			}
		}
		c.make("undeploy", "CONFIG=config/jobs", "FORCE=1", "TIMEOUT=20s")
		for namespace := range attacks {
			c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
		}
		c.gone(&corev1.Namespace{}, "", attempts)
	})
}

// startAttacks makes a tenant for each attack, with a database of its own behind a server that changes what it says, and asks for its run.
func (c *cluster) startAttacks(postgresURL string) (namespaces []string) {
	c.Helper()
	owner, err := url.Parse(postgresURL)
	c.must(err)
	server := owner.Host
	c.sql(postgresURL, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `CREATE DATABASE hostile`)
		return err
	})
	owner.Path = "/hostile"
	c.sql(owner.String(), func(ctx context.Context, conn *pgx.Conn) error {
		if err := application.CreateTables(ctx, conn); err != nil {
			return err
		}
		_, err := application.Fill(ctx, conn, application.Content{OrganizationID: hostileOrganization, Claims: 20, Seed: 1,
			ApprovedFrom: time.Now().Add(-40 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour)})
		return err
	})
	for namespace, attack := range attacks {
		address, stop, err := hostilepg.ListenAt(c.thisMachine(), func(connection net.Conn) {
			hostilepg.Relay(connection, server, func(statement string, m hostilepg.Message, send func(hostilepg.Message) error) error {
				if m.Kind != 'D' || !strings.Contains(statement, attack.words) {
					return send(m)
				}
				row, err := attack.row(m), error(nil)
				for err == nil {
					err = send(row)
				}
				return err
			})
		})
		c.must(err)
		c.Cleanup(stop)
		through := *owner
		through.Host = address
		c.applyHostile(namespace, through.String())
		namespaces = append(namespaces, namespace)
	}
	return namespaces
}

// applyHostile applies what the honest tenant has, in another namespace and with another database, and asks for a run.
func (c *cluster) applyHostile(namespace, database string) {
	c.Helper()
	theirs := *c
	theirs.values = maps.Clone(c.values)
	theirs.values["organization"], theirs.values["databaseURL"] = hostileOrganization, database
	for _, object := range theirs.plain() {
		c.becomes(object, namespace)
		c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership))
	}
	run := c.runNamed("attack")
	run.Namespace = namespace
	c.must(c.client.Create(c.Context(), run))
}

// becomes moves an object of the honest tenant into another namespace.
func (c *cluster) becomes(object *unstructured.Unstructured, namespace string) {
	c.Helper()
	if object.GetKind() == "Namespace" {
		object.SetName(namespace)
		return
	}
	object.SetNamespace(namespace)
	if object.GetKind() == "AccountingExport" {
		c.must(unstructured.SetNestedField(object.Object, attackDeadline, "spec", "deadline"))
	}
}

// ask approves claims of the honest tenant, and asks for runs of them.
func (c *cluster) ask(postgresURL, name string, seed uint64) {
	c.Helper()
	for i := range runsEach {
		c.fill(postgresURL, 20, seed+uint64(i))
		c.began(fmt.Sprintf("%s-%d", name, i))
	}
}

// allSucceed says which of the runs of that name has not succeeded.
func (c *cluster) allSucceed(ctx context.Context, name string) string {
	for i := range runsEach {
		run := &v1alpha1.ExportRun{}
		if missing := c.get(ctx, run, tenant, fmt.Sprintf("%s-%d", name, i)); missing != "" {
			return missing
		}
		if run.Status.Phase != v1alpha1.RunSucceeded {
			return fmt.Sprintf("run %s is %s: %v", run.Name, run.Status.Phase, run.Status.Conditions)
		}
	}
	return ""
}

// allFail says which attack has not failed an attempt yet.
func (c *cluster) allFail(ctx context.Context, namespaces []string) string {
	for _, namespace := range namespaces {
		run := &v1alpha1.ExportRun{}
		if missing := c.get(ctx, run, namespace, "attack"); missing != "" {
			return missing
		}
		if run.Status.Phase == v1alpha1.RunSucceeded {
			c.Fatalf("the run of %s has succeeded", namespace)
		}
		if run.Status.Failures == 0 {
			return fmt.Sprintf("no attempt of %s has failed: %v", namespace, run.Status.Conditions)
		}
	}
	return ""
}

// peakUntil does something, and returns the largest resident memory that an operator has had from then on until nothing is missing, in bytes.
func (c *cluster) peakUntil(missing func(context.Context) string, do func()) (peak int64) {
	c.Helper()
	token := c.token("default", "e2e-metrics-reader")
	do()
	c.until(5*time.Minute, func(ctx context.Context) string {
		for _, pod := range c.operatorPods() {
			peak = max(peak, c.residentMemory(pod.Name, token))
		}
		return missing(ctx)
	})
	return peak
}

// residentMemory asks an operator for its own, in bytes.
func (c *cluster) residentMemory(pod, token string) int64 {
	c.Helper()
	body, status := c.metrics(pod, token)
	for line := range strings.Lines(body) {
		if value, is := strings.CutPrefix(line, "process_resident_memory_bytes "); is {
			resident, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			c.must(err)
			return int64(resident)
		}
	}
	c.Fatalf("the metrics of %s do not tell its memory (%d): %.200s", pod, status, body)
	return 0
}
