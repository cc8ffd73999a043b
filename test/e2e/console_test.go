//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/oauth2-proxy/mockoidc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/browser"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testoidc"
)

// gifts are claims beside the others that no rule of the chart of accounts has.
const gifts = 3

// TestConsoleOnACluster installs the chart with the console on a fresh cluster, which two people work with in a browser: a clerk sees why claims are
// held, previews, exports, downloads and proves, and another person reverses. They log in at a provider that only the console knows.
func TestConsoleOnACluster(t *testing.T) {
	c := connect(t)
	scripts := browser.Installed(t)
	c.needAggregation()
	c.beginsAlone()
	postgres, _ := c.startServers()
	c.giveGifts(postgres)
	t.Cleanup(func() { c.tidy() })
	c.findHelm()
	provider, authority, err := testoidc.StartAt(c.thisMachine())
	c.must(err)
	t.Cleanup(func() { _ = provider.Shutdown() })
	var at string

	c.step("one install and one apply bring the console", func(c *cluster) {
		c.makeNamespace()
		at = c.openWayIn()
		c.prepareConsole(provider.Config(), authority, at)
		c.helm(slices.Concat([]string{"install", "ledgerport", "../../charts/ledgerport"}, c.imageSettings(), c.consoleSettings(provider.Config(), at))...)
		c.applyPlain()
		c.leaveGiftsUnmapped()
		c.apply("people.yaml")
		c.available(operatorNamespace, "ledgerport-console")
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.booksAreServed()
	})
	c.step("two people export, prove and reverse in a browser", func(c *cluster) {
		provider.QueueUser(&mockoidc.MockUser{Subject: "anna", Groups: []string{"clerks"}})
		provider.QueueUser(&mockoidc.MockUser{Subject: "berta", Groups: []string{"controllers"}})
		scripts.Run(c.T, "cluster.cjs", "BASE="+at, "PROVIDER="+provider.Issuer(), "NAMESPACE="+tenant, "CLAIMS="+strconv.Itoa(claims), "HELD="+strconv.Itoa(gifts))
	})
	c.step("every claim is free again, and nothing secret was said", func(c *cluster) {
		c.checkExported(postgres, 0)
		c.must(c.scan.PlantPassword("the database's owner", postgres))
		var pods corev1.PodList
		c.must(c.client.List(c.Context(), &pods, client.InNamespace(operatorNamespace)))
		for _, pod := range pods.Items {
			c.scan.Lines("log line", pod.Name, []byte(c.log(pod.Name)))
		}
		c.must(c.scan.Objects(c.Context(), c.client))
		if found := c.scan.Found(); len(found) > 0 || c.scan.Looked("log line") == 0 {
			c.Errorf("what nobody is to see was written: %q", found)
		}
	})
	c.step("it goes without a trace", func(c *cluster) {
		c.must(c.client.DeleteAllOf(c.Context(), &v1alpha1.AccountingExport{}, client.InNamespace(tenant)))
		c.gone(&v1alpha1.AccountingExport{}, tenant, "monthly")
		c.must(c.client.DeleteAllOf(c.Context(), &v1alpha1.ExportRun{}, client.InNamespace(tenant)))
		c.helm("uninstall", "ledgerport")
		c.dropKinds()
		for _, name := range []string{tenant, operatorNamespace} {
			c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
			c.gone(&corev1.Namespace{}, "", name)
		}
	})
}

// needAggregation skips the test on a cluster whose API server passes nothing on, which only those have that are made by hand.
func (c *cluster) needAggregation() {
	c.Helper()
	var trust corev1.ConfigMap
	c.must(c.client.Get(c.Context(), client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "extension-apiserver-authentication"}, &trust))
	if trust.Data["requestheader-client-ca-file"] != "" {
		return
	}
	const lacks = "the API server of this cluster has no --requestheader-client-ca-file, so that it passes no requests on to the operator"
	if os.Getenv("CI") == "true" {
		c.Fatal(lacks)
	}
	c.Skip(lacks)
}

// giveGifts has claims approved with a line of a category of their own.
func (c *cluster) giveGifts(postgres string) {
	c.Helper()
	c.sql(postgres, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: gifts, Seed: 7, UnmappedEvery: 1, ApprovedFrom: time.Now().Add(-40 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		})
		return err
	})
}

// leaveGiftsUnmapped takes the rule for everything else out of the chart of accounts.
func (c *cluster) leaveGiftsUnmapped() {
	c.Helper()
	chart := &v1alpha1.ChartOfAccounts{ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: "acme"}}
	c.must(c.client.Patch(c.Context(), chart, client.RawPatch(types.MergePatchType, []byte(
		`{"spec":{"rules":[{"match":{"categories":["office","phone"]},"account":"4930"},{"match":{"categories":["travel","hotel","meals","mileage"]},"account":"4660"}]}}`))))
}

// openWayIn makes a port of each node lead to the console, and returns the URL there.
func (c *cluster) openWayIn() string {
	c.Helper()
	c.apply("way-in.yaml")
	service := &corev1.Service{}
	c.must(c.client.Get(c.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: "console-way-in"}, service))
	return "https://" + net.JoinHostPort(c.node(), strconv.Itoa(int(service.Spec.Ports[0].NodePort)))
}

// prepareConsole makes the Secrets that the chart refers to.
func (c *cluster) prepareConsole(provider *mockoidc.Config, authority *environment.Authority, at string) {
	c.Helper()
	own, err := environment.NewAuthority("console")
	c.must(err)
	host, err := url.Parse(at)
	c.must(err)
	for name, hosts := range map[string]string{"books": "ledgerport-books." + operatorNamespace + ".svc", "console": host.Hostname()} {
		certificate, key, err := own.Issue(name, hosts)
		c.must(err)
		c.values[name+"Certificate"], c.values[name+"Key"] = base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)
	}
	c.values["authority"], c.values["providerAuthority"] = base64.StdEncoding.EncodeToString(own.PEM), base64.StdEncoding.EncodeToString(authority.PEM)
	c.values["sessionKey"], c.values["clientSecret"] = rand.Text()+rand.Text(), provider.ClientSecret
	c.apply("console.yaml")
}

// consoleSettings are values of the chart.
func (c *cluster) consoleSettings(provider *mockoidc.Config, at string) []string {
	return []string{
		"--set=books.enabled=true", "--set=books.certManager=false", "--set=books.caBundle=" + c.values["authority"],
		"--set=console.enabled=true", "--set=console.certManager=false", "--set=console.secret=ledgerport-console", "--set=console.publicUrl=" + at,
		"--set=console.oidc.issuerUrl=" + provider.Issuer, "--set=console.oidc.clientId=" + provider.ClientID,
		"--set=console.oidc.impersonate=true", "--set=console.oidc.usernamePrefix=oidc:", "--set=console.oidc.groupsPrefix=oidc:",
		`--set=console.extraArgs={--oidc-ca=/secrets/oidc-ca.crt,--oidc-scopes=email\,groups,--namespaces=` + tenant + "}",
	}
}

// booksAreServed waits until the API server passes requests on to the operator.
func (c *cluster) booksAreServed() {
	c.Helper()
	c.until(time.Minute, func(ctx context.Context) string {
		service := &unstructured.Unstructured{}
		service.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"})
		if missing := c.get(ctx, service, "", "v1alpha1.books.accounting.ledgerport.dev"); missing != "" {
			return missing
		}
		conditions, _, _ := unstructured.NestedSlice(service.Object, "status", "conditions") // none yet
		for _, condition := range conditions {
			if is, _ := condition.(map[string]any); is["type"] == "Available" && is["status"] == "True" {
				return ""
			}
		}
		return fmt.Sprintf("the APIService is not available: %v", conditions)
	})
}
