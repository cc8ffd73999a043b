//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
)

const (
	tenant       = "e2e-acme"
	organization = "3f2c9a1e-0000-4000-8000-000000000001"
	bucket       = "finance"
	claims       = 500
	// soon is what "within seconds" means for a condition: the sync itself takes up to two.
	soon = 20 * time.Second
	// esoModule is what ExternalSecret's CRDs come from; its controller is the image in E2E_ESO_IMAGE.
	esoModule = "github.com/external-secrets/external-secrets@v0.20.4"
)

// withoutTLS are the flags for the servers of this test, which speak no TLS.
var withoutTLS = []string{"--allow-insecure-databases", "--allow-plain-http"}

// TestOperatorOnACluster deploys the operator as users do, lets the External Secrets Operator sync what an export needs,
// breaks and heals it, and looks at what the operator did all the while.
func TestOperatorOnACluster(t *testing.T) {
	c := connect(t)
	postgres, store := c.startServers()
	t.Cleanup(func() { c.tidy() })
	c.step("the operator is deployed, and available", func(c *cluster) {
		c.make("deploy", "IMAGE="+required(c, "E2E_IMAGE"))
		c.flags(withoutTLS...)
		c.available(operatorNamespace, "ledgerport-manager")
	})
	c.step("without the External Secrets Operator a reference to an ExternalSecret says what is missing", func(c *cluster) {
		c.applyTenantWithoutESO()
		took := c.sourceSays(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretsNotInstalled)
		c.Logf("known after %s", took.Round(time.Millisecond))
	})
	c.step("it is installed without a restart of the operator", func(c *cluster) {
		c.installESO()
		c.apply("store.yaml")
		c.apply("tenant.yaml")
		c.exportSays(metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	c.step("a requested run delivers what SQL says of its claims", func(c *cluster) {
		run := c.run("first")
		c.checkManifest(store, run, claims)
	})
	c.step("a rotated password is used by the next attempt", func(c *cluster) {
		c.rotate(postgres, "the-rotated-password")
		took := c.sourceSays(metav1.ConditionFalse, v1alpha1.ReasonLoginRefused)
		c.Logf("the old password was refused after %s", took.Round(time.Millisecond))
		c.values["databaseURL"] = c.withPassword("the-rotated-password")
		c.apply("store.yaml")
		took = c.exportSays(metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.Logf("the new password was in use after %s", took.Round(time.Millisecond))
		c.fill(postgres, 20, 2)
		run := c.run("second")
		c.checkManifest(store, run, 20)
	})
	c.step("a broken sync is told, and so is its end", func(c *cluster) {
		c.values["databaseKey"] = "moved-away"
		c.apply("store.yaml")
		took := c.sourceSays(metav1.ConditionFalse, v1alpha1.ReasonExternalSecretNotReady)
		c.Logf("broken: known after %s", took.Round(time.Millisecond))
		c.expectEvent("claims", v1alpha1.ReasonExternalSecretNotReady)
		c.values["databaseKey"] = "database-url"
		c.apply("store.yaml")
		took = c.exportSays(metav1.ConditionTrue, v1alpha1.ReasonReady)
		c.Logf("healed: known after %s", took.Round(time.Millisecond))
	})
	c.step("another replica takes over where the leader is killed", func(c *cluster) {
		c.killLeader()
		c.fill(postgres, 30, 3)
		run := c.run("third")
		c.checkManifest(store, run, 30)
		c.available(operatorNamespace, "ledgerport-manager")
	})
	c.step("metrics are for those who may read them", func(c *cluster) { c.checkMetrics() })
	c.step("nothing was forbidden, and nothing secret was said", func(c *cluster) { c.checkWritten(postgres, store) })
	c.step("it goes without a trace while runs have ended and one is under way", func(c *cluster) {
		unlock := c.begin(postgres, "interrupted")
		defer unlock()
		c.make("undeploy")
		c.gone(&appsv1.Deployment{}, operatorNamespace, "ledgerport-manager")
		c.givenBack(postgres)
		c.nothingIsLeft()
	})
	c.step("it comes back whole", func(c *cluster) {
		c.make("deploy", "IMAGE="+required(c, "E2E_IMAGE"))
		c.flags(withoutTLS...)
		c.available(operatorNamespace, "ledgerport-manager")
		c.apply("tenant.yaml")
		c.exportSaysWithin(time.Minute, metav1.ConditionTrue, v1alpha1.ReasonReady) // a lease may have to run out first
		c.make("undeploy")
		c.must(c.client.Delete(c.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}}))
		c.gone(&corev1.Namespace{}, "", tenant)
		c.nothingIsLeft()
	})
}

// givenBack fails if claims are bound to a run that has not ended.
func (c *cluster) givenBack(postgresURL string) {
	c.Helper()
	c.sql(postgresURL, func(ctx context.Context, conn *pgx.Conn) (err error) {
		var held int
		if err = conn.QueryRow(ctx, `select count(*) from ledgerport.runs where state not in ('committed', 'released')`).Scan(&held); err == nil && held > 0 {
			err = fmt.Errorf("%d runs did not give their claims back", held)
		}
		return err
	})
}

// begin lets a run begin that cannot go on until it is unlocked.
func (c *cluster) begin(postgresURL, name string) (unlock func()) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), postgresURL)
	c.must(err)
	_, err = conn.Exec(c.Context(), `begin; lock table claim_lines in access exclusive mode`)
	c.must(err)
	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}},
	}
	c.must(c.client.Create(c.Context(), run))
	c.until(soon, func(ctx context.Context) string {
		if missing := c.get(ctx, run, tenant, name); missing != "" {
			return missing
		}
		if run.Status.Phase != v1alpha1.RunRunning {
			return "the run is " + string(run.Status.Phase)
		}
		return ""
	})
	return func() { _ = conn.Close(context.Background()) } // which rolls back
}

func required(c *cluster, variable string) string {
	c.Helper()
	value := os.Getenv(variable)
	if value == "" {
		c.Fatalf("%s is not set; call `make e2e IMAGE=… ESO_IMAGE=…` with images that the cluster can pull or has", variable)
	}
	return value
}

// startServers starts what the organisation has outside of the cluster: PostgreSQL with approved claims, and a bucket.
func (c *cluster) startServers() (postgresURL string, store *s3.Client) {
	c.Helper()
	host := c.thisMachine()
	directory := c.TempDir()
	postgres, err := environment.StartPostgresAt(c.Context(), filepath.Join(directory, "postgres"), host, os.Stderr)
	c.must(err)
	c.Cleanup(postgres.Stop)
	server, err := environment.StartS3At(c.Context(), filepath.Join(directory, "s3"), host, os.Stderr)
	c.must(err)
	c.Cleanup(server.Stop)
	store = s3.New(s3.Options{BaseEndpoint: &server.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, ""))})
	_, err = store.CreateBucket(c.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	c.must(err)
	c.values = map[string]string{
		"organization": organization, "bucket": bucket, "s3Endpoint": server.Endpoint,
		"accessKey": server.AccessKey, "secretKey": server.SecretKey, "databaseKey": "database-url", "databaseURL": postgres.URL,
	}
	c.sql(postgres.URL, func(ctx context.Context, conn *pgx.Conn) error {
		if err := application.CreateTables(ctx, conn); err != nil {
			return err
		}
		for _, script := range []string{"role.sql", "managed.sql"} {
			content, err := os.ReadFile(filepath.Join("../../config/postgres", script))
			if err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, string(content)); err != nil {
				return fmt.Errorf("%s: %w", script, err)
			}
		}
		return nil
	})
	c.rotate(postgres.URL, "the-first-password")
	c.values["databaseURL"] = c.withPassword("the-first-password")
	c.fill(postgres.URL, claims, 1)
	return postgres.URL, store
}

// withPassword returns the operator's URL of the database.
func (c *cluster) withPassword(password string) string {
	c.Helper()
	parsed, err := url.Parse(c.values["databaseURL"])
	c.must(err)
	parsed.User = url.UserPassword("ledgerport_operator", password)
	return parsed.String()
}

// rotate changes the password of the operator's role.
func (c *cluster) rotate(postgresURL, password string) {
	c.Helper()
	c.sql(postgresURL, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, fmt.Sprintf(`ALTER ROLE ledgerport_operator PASSWORD '%s'`, password))
		return err
	})
}

func (c *cluster) sql(postgresURL string, do func(context.Context, *pgx.Conn) error) {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), postgresURL)
	c.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	c.must(do(c.Context(), conn))
}

func (c *cluster) fill(postgresURL string, n int, seed uint64) {
	c.Helper()
	c.sql(postgresURL, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: n, Seed: seed,
			ApprovedFrom: time.Now().Add(-40 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour), // later than the watermark of any run before
		})
		return err
	})
}

// applyTenantWithoutESO applies the organisation's resources but for those whose kinds do not exist yet.
func (c *cluster) applyTenantWithoutESO() {
	c.Helper()
	for _, object := range c.objects("tenant.yaml") {
		if object.GroupVersionKind().Group == "external-secrets.io" {
			continue
		}
		c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership))
	}
}

// installESO applies the CRDs that the module ships, and its controller.
func (c *cluster) installESO() {
	c.Helper()
	c.values["esoImage"] = required(c, "E2E_ESO_IMAGE")
	directory := c.moduleDirectory(esoModule)
	files, err := filepath.Glob(filepath.Join(directory, "config/crds/bases/*external-secrets.io_*.yaml"))
	c.must(err)
	for _, name := range files {
		file, err := os.Open(name)
		c.must(err)
		objects, err := environment.Decode(file)
		c.must(err)
		c.must(file.Close())
		for _, object := range objects {
			object.SetCreationTimestamp(metav1.Time{})
			c.must(c.client.Apply(c.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("e2e"), client.ForceOwnership))
		}
	}
	c.apply("external-secrets.yaml")
	c.available("external-secrets", "external-secrets")
	c.until(time.Minute, func(ctx context.Context) string { // the client learns of the new kinds
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "SecretStoreList"})
		if err := c.client.List(ctx, list); err != nil {
			return err.Error()
		}
		return ""
	})
}

// moduleDirectory downloads a Go module.
func (c *cluster) moduleDirectory(module string) string {
	c.Helper()
	output, err := exec.CommandContext(c.Context(), "go", "mod", "download", "-json", module).Output()
	c.must(err)
	var downloaded struct{ Dir string }
	c.must(json.Unmarshal(output, &downloaded))
	return downloaded.Dir
}

// sourceSays waits until CredentialsReady of the ClaimSource is as it should be.
func (c *cluster) sourceSays(status metav1.ConditionStatus, reason string) time.Duration {
	c.Helper()
	return c.until(soon, func(ctx context.Context) string {
		var source v1alpha1.ClaimSource
		if missing := c.get(ctx, &source, tenant, "claims"); missing != "" {
			return missing
		}
		return differs(source.Status.Conditions, v1alpha1.ConditionCredentialsReady, status, reason)
	})
}

// exportSays waits until Ready of the AccountingExport is as it should be.
func (c *cluster) exportSays(status metav1.ConditionStatus, reason string) time.Duration {
	c.Helper()
	return c.exportSaysWithin(soon, status, reason)
}

func (c *cluster) exportSaysWithin(patience time.Duration, status metav1.ConditionStatus, reason string) time.Duration {
	c.Helper()
	return c.until(patience, func(ctx context.Context) string {
		var export v1alpha1.AccountingExport
		if missing := c.get(ctx, &export, tenant, "monthly"); missing != "" {
			return missing
		}
		return differs(export.Status.Conditions, v1alpha1.ConditionReady, status, reason)
	})
}

func differs(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) string {
	have := meta.FindStatusCondition(conditions, kind)
	switch {
	case have == nil:
		return "there is no condition " + kind
	case have.Status != status || have.Reason != reason:
		return fmt.Sprintf("%s is %s (%s: %s), want %s (%s)", kind, have.Status, have.Reason, have.Message, status, reason)
	}
	return ""
}

func (c *cluster) expectEvent(about, reason string) {
	c.Helper()
	c.until(soon, func(ctx context.Context) string {
		var list eventsv1.EventList
		if err := c.client.List(ctx, &list, client.InNamespace(tenant)); err != nil {
			return err.Error()
		}
		if slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.Name == about && e.Reason == reason }) {
			return ""
		}
		return fmt.Sprintf("there is no event about %s with reason %s", about, reason)
	})
}

// run creates an ExportRun, and waits for it to succeed.
func (c *cluster) run(name string) *v1alpha1.ExportRun {
	c.Helper()
	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: name},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}},
	}
	c.must(c.client.Create(c.Context(), run))
	took := c.until(time.Minute, func(ctx context.Context) string {
		if missing := c.get(ctx, run, tenant, name); missing != "" {
			return missing
		}
		if run.Status.Phase != v1alpha1.RunSucceeded {
			return fmt.Sprintf("run %s is %s: %v", name, run.Status.Phase, run.Status.Conditions)
		}
		return ""
	})
	c.Logf("run %s of %d claims succeeded after %s", name, run.Status.Claims, took.Round(time.Millisecond))
	return run
}

// checkManifest compares what the bucket has of a run with its status, and with the number of claims that there were.
func (c *cluster) checkManifest(store *s3.Client, run *v1alpha1.ExportRun, want int64) {
	c.Helper()
	if run.Status.Claims != want {
		c.Errorf("run %s exported %d claims, want %d", run.Name, run.Status.Claims, want)
	}
	key := strings.Join([]string{tenant, "monthly", run.Name, "manifest.json"}, "/")
	object, err := store.GetObject(c.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	c.must(err)
	defer func() { _ = object.Body.Close() }()
	content, err := io.ReadAll(object.Body)
	c.must(err)
	var manifest struct {
		Claims int64
		Base   struct{ Debit, Credit string }
		Files  []struct{ Name, SHA256 string }
	}
	c.must(json.Unmarshal(content, &manifest))
	if manifest.Claims != want || manifest.Base.Debit != run.Status.Debit || manifest.Base.Debit != manifest.Base.Credit ||
		len(manifest.Files) != 1 || manifest.Files[0].SHA256 != run.Status.SHA256 {
		c.Errorf("the manifest of run %s is %s, and its status %+v", run.Name, content, run.Status.RunResult)
	}
}

// killLeader deletes the pod that holds the lease, without grace.
func (c *cluster) killLeader() {
	c.Helper()
	var leases coordinationv1.LeaseList
	c.must(c.client.List(c.Context(), &leases, client.InNamespace(operatorNamespace)))
	for _, lease := range leases.Items {
		holder, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
		for _, pod := range c.operatorPods() {
			if pod.Name == holder {
				c.must(c.client.Delete(c.Context(), &pod, client.GracePeriodSeconds(0)))
				return
			}
		}
	}
	c.Fatalf("no pod holds one of the leases %v", leases.Items)
}

// checkMetrics asks for metrics without and with the right to read them, through the API server.
func (c *cluster) checkMetrics() {
	c.Helper()
	pod := c.operatorPods()[0].Name
	if body, status := c.metrics(pod, ""); status != 401 {
		c.Errorf("without a token the answer is %d: %.200s", status, body)
	}
	if body, status := c.metrics(pod, c.token("default", "default")); status != 403 {
		c.Errorf("to a service account without the right the answer is %d: %.200s", status, body)
	}
	c.apply("metrics-reader.yaml")
	c.until(soon, func(context.Context) string {
		body, status := c.metrics(pod, c.token("default", "e2e-metrics-reader"))
		if status != 200 || !strings.Contains(body, "ledgerport_") {
			return fmt.Sprintf("to a reader of metrics the answer is %d: %.200s", status, body)
		}
		c.scan.Lines("metric", pod, []byte(body))
		return ""
	})
}

// checkLogsOfRuns has the command show what was logged of the runs. That of pods that are gone is gone.
func (c *cluster) checkLogsOfRuns() {
	c.Helper()
	var runs v1alpha1.ExportRunList
	c.must(c.client.List(c.Context(), &runs))
	var out bytes.Buffer
	for i := range runs.Items {
		show := command.New(builtin.Registry())
		show.SetArgs([]string{"logs", runs.Items[i].Name, "-n", runs.Items[i].Namespace, "--operator-namespace", operatorNamespace})
		show.SetOut(&out)
		c.must(show.ExecuteContext(c.Context()))
	}
	if !strings.Contains(out.String(), "the attempt begins, attempt 1") {
		c.Errorf("of %d runs was logged:\n%s", len(runs.Items), out.String())
	}
}

// checkWritten looks for refusals in the logs, and for what nobody is to see in everything that the operator has written.
func (c *cluster) checkWritten(postgresURL string, store *s3.Client) {
	c.Helper()
	c.checkLogsOfRuns()
	for _, pod := range c.operatorPods() {
		said := c.log(pod.Name)
		for line := range strings.Lines(said) {
			if strings.Contains(line, "forbidden") {
				c.Errorf("the role lacks something: %s", line)
			}
		}
		c.scan.Lines("log line", pod.Name, []byte(said))
	}
	c.must(c.scan.PlantPassword("the database's owner", postgresURL))
	c.must(c.scan.Objects(c.Context(), c.client))
	c.must(c.scan.Bucket(c.Context(), store, bucket))
	c.sql(postgresURL, c.scan.Records)
	for _, kind := range []string{"log line", "metric", "object", "object in a bucket", "record"} {
		if c.scan.Looked(kind) == 0 {
			c.Errorf("no %s was looked at", kind)
		}
	}
	for _, found := range c.scan.Found() {
		c.Errorf("what nobody is to see was written: %s", found)
	}
}

// tidy removes what the test has applied, whatever became of it.
func (c *cluster) tidy() {
	ctx := context.Background() // the test's own has ended
	for _, name := range []string{tenant, "external-secrets", operatorNamespace} {
		_ = c.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}) // gone already, if all went well
	}
}
