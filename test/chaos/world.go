package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/rights"
)

const bucket = "chaos"

// loopback is where servers listen that processes of this machine reach.
const loopback = "127.0.0.1"

// gracePeriod is what an operator has to end when it is asked to.
const gracePeriod = 10 * time.Second

// world is everything that takes part.
type world struct {
	directory, failpoints string
	host                  string // address of this machine that the operators reach
	kept                  bool
	random                *rand.Rand
	tenants               []tenant
	config                *rest.Config              // of an administrator
	controlPlane          *environment.ControlPlane // nil where operators are pods of a cluster
	postgres              *environment.Postgres
	store                 *environment.S3
	toDatabase, toStore   *line
	toBooks               *line    // from the API server to whichever operator answers
	served                []string // where each operator does
	api                   client.Client
	made                  []client.Object          // that are in no namespace
	people                map[string]client.Client // by their names
	operators             []*operator
	pods                  *pods        // the operators, and attempts, where these are pods of a cluster; nil where they are processes
	console               *operator    // nil without one
	applications          []*applicant // of every tenant, where there is a console
	approvals             approvals
	deleted               sync.Map // names and UIDs of runs of this cluster that somebody has deleted
	maintenanceURL        string   // of another database of the server
	binary                string
	built                 chan struct{} // closed once the binary is
	unbuilt               error         // why it is not
	staging               *staging      // a second cluster; nil without one
	inbox                 *inbox        // what the tenants' exports tell
	hostile               *hostile      // a tenant with hostile servers; nil without one
	garbled               atomic.Int64
	requests              atomic.Int64
	disturbances          atomic.Int64 // of the console
	apiServerEnded        atomic.Bool  // until it serves again
	apiServerServes       atomic.Int64 // since when, in nanoseconds since 1970
	metrics               sync.Map     // addresses, by the operators' names
	scan                  *leaks.Scan
	volume                string // a small filesystem below the operators' root; empty where none can be mounted
}

// newWorld starts the servers, the lines to them, two operators, and applies the resources of every tenant. With an image the operators are
// pods of the cluster of KUBECONFIG, and so are their attempts.
func newWorld(ctx context.Context, seed uint64, image string) (w *world, err error) {
	w = &world{random: rand.New(rand.NewPCG(seed, 0)), tenants: newTenants(), scan: leaks.New(), host: loopback}
	w.scan.Plant("the key of the inbox", inboxKey)
	if w.directory, err = os.MkdirTemp("", "ledgerport-chaos-"); err != nil {
		return w, err
	}
	w.failpoints = filepath.Join(w.directory, "failpoints")
	if err := errors.Join(os.Mkdir(w.failpoints, 0o750), os.Mkdir(w.receiptsRoot(), 0o750), os.MkdirAll(filepath.Join(w.directory, "exports"), 0o750)); err != nil {
		return w, err
	}
	w.build(ctx)
	beginning, operators := w.startControlPlane, w.startProcesses
	if image != "" {
		beginning = w.join
		operators = func(ctx context.Context) error { return w.pods.deploy(ctx, image) }
	}
	for _, step := range []func(context.Context) error{beginning, w.startServers, w.createDatabase, w.startLines, w.prepareDatabase, w.prepareStores, operators, w.admit, w.apply} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

// newScheme has the kinds of all that is made here, and looked at.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme))
}

func (w *world) startControlPlane(ctx context.Context) error {
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if w.controlPlane, err = environment.StartControlPlane(ctx, assets, os.Stderr); err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	w.config = w.controlPlane.Config
	w.api, err = client.New(w.config, client.Options{Scheme: scheme})
	return err
}

// build builds the product while the servers start.
func (w *world) build(ctx context.Context) {
	w.built = make(chan struct{})
	go func() {
		defer close(w.built)
		w.binary, w.unbuilt = environment.BuildOperator(ctx, w.directory, "failpoints")
	}()
}

func (w *world) untilBuilt() error {
	<-w.built
	return w.unbuilt
}

func (w *world) startServers(ctx context.Context) (err error) {
	if w.inbox, err = newInbox(w.host); err != nil {
		return err
	}
	for i := range w.tenants {
		w.tenants[i].inbox = w.inbox.server.URL
	}
	if w.postgres, err = environment.StartPostgresAt(ctx, filepath.Join(w.directory, "postgres"), w.host, os.Stderr); err != nil {
		return err
	}
	if err := w.scan.PlantPassword("the database", w.postgres.URL); err != nil {
		return err
	}
	w.store, err = environment.StartS3At(ctx, filepath.Join(w.directory, "s3"), w.host, os.Stderr)
	return err
}

// createDatabase lets the application have a database of its own, which can be put away while another takes its place.
func (w *world) createDatabase(ctx context.Context) error {
	w.maintenanceURL = w.postgres.URL
	conn, err := pgx.Connect(ctx, w.maintenanceURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+applicationDatabase)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	named, err := url.Parse(w.maintenanceURL)
	if err != nil {
		return err
	}
	named.Path = "/" + applicationDatabase
	w.postgres.URL = named.String()
	return nil
}

// startLines puts a proxy between the operators and each server that they may lose.
func (w *world) startLines(context.Context) error {
	database, err := url.Parse(w.postgres.URL)
	if err != nil {
		return err
	}
	if w.toDatabase, err = newLine(w.host, database.Host); err != nil {
		return err
	}
	w.toStore, err = newLine(w.host, strings.TrimPrefix(w.store.Endpoint, "http://"))
	return err
}

// databaseURL is the database as the operators reach it.
func (w *world) databaseURL() (string, error) {
	through, err := url.Parse(w.postgres.URL)
	if err != nil {
		return "", err
	}
	through.Host = w.toDatabase.address()
	return through.String(), nil
}

func (w *world) prepareDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	if err := application.CreateTables(ctx, conn); err != nil {
		return err
	}
	// An application without this constraint can approve a claim that has a line number twice.
	_, err = conn.Exec(ctx, `ALTER TABLE public.claim_lines DROP CONSTRAINT claim_lines_pkey; CREATE INDEX ON public.claim_lines (claim_id)`)
	return err
}

// objects is a client that reaches the store directly.
func (w *world) objects() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &w.store.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(w.store.AccessKey, w.store.SecretKey, "")),
	})
}

func (w *world) prepareStores(ctx context.Context) error {
	for _, name := range []string{bucket, receiptBucket} {
		if _, err := w.objects().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			return err
		}
	}
	for _, t := range w.tenants {
		if err := os.Mkdir(filepath.Join(w.receiptsRoot(), t.namespace), 0o750); err != nil {
			return err
		}
	}
	return nil
}

// nextRequest is a request that nobody has made before.
func (w *world) nextRequest() string { return fmt.Sprintf("request-%d", w.requests.Add(1)) }

// mountVolume puts the destinations on a filesystem that can be filled.
func (w *world) mountVolume() {
	exports := filepath.Join(w.directory, "exports")
	if err := syscall.Mount("tmpfs", exports, "tmpfs", 0, "size=256m"); err != nil {
		say("mounting a small volume needs root: the destination will not be filled (%s)", err)
		return
	}
	w.volume = exports
}

func (w *world) startProcesses(ctx context.Context) error {
	w.mountVolume()
	if err := w.openDoors(ctx); err != nil {
		return err
	}
	if err := w.untilBuilt(); err != nil {
		return err
	}
	for i := range 2 {
		o := &operator{name: fmt.Sprintf("operator-%d", i+1), leads: true, memory: memoryLimit, start: func(name string) (started, error) {
			metrics, err := freeAddress()
			if err != nil {
				return started{}, err
			}
			w.metrics.Store(name, metrics)
			return startOperator(w.controlPlane, w.binary, w.directory, name,
				[]string{"KUBECONFIG=" + w.kubeconfig(), "LEDGERPORT_FAILPOINTS=" + w.failpoints, fmt.Sprintf("GOMEMLIMIT=%d", memoryLimit*9/10)},
				append(w.flags(), "--leader-election-namespace="+rights.Namespace, "--metrics-bind-address="+metrics, "--metrics-authentication=false",
					"--books-bind-address="+w.served[i], "--books-certificates="+w.certificates())...)
		}}
		if err := o.begin(); err != nil {
			return err
		}
		w.operators = append(w.operators, o)
	}
	return nil
}

// startOperator starts one.
func startOperator(controlPlane *environment.ControlPlane, binary, directory, name string, variables []string, flags ...string) (started, error) {
	operator, err := environment.RunOperator(controlPlane, binary, directory, name, variables, flags...)
	if err != nil {
		return started{}, err
	}
	return started{operator, operator.Probes}, nil
}

// flags of every operator.
func (w *world) flags() []string {
	return []string{
		"--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1500ms", "--leader-elect-retry-period=300ms",
		"--recheck-interval=2s", "--max-concurrent-runs=8", "--shutdown-grace-period=" + gracePeriod.String(), "--spool-directory=" + w.directory,
		"--receipts-root=" + w.receiptsRoot(),
	}
}

// running are the operators of both clusters, and the console.
func (w *world) running() []*operator {
	all := slices.Clone(w.operators)
	if w.staging != nil && w.staging.operator != nil {
		all = append(all, w.staging.operator)
	}
	if w.console != nil {
		all = append(all, w.console)
	}
	return all
}

// crashed says which operators have ended though nobody ended them.
func (w *world) crashed(ctx context.Context) (all []string) {
	for _, o := range w.running() {
		all = append(all, o.crashed(ctx)...)
	}
	if w.pods != nil {
		all = append(all, w.pods.crashed(ctx)...)
	}
	return all
}

func (w *world) stopOperators() error {
	var err error
	if w.pods != nil {
		err = w.pods.halt()
	}
	for _, o := range w.running() {
		err = errors.Join(err, o.stop())
	}
	w.operators, w.console = nil, nil
	if w.staging != nil {
		w.staging.operator = nil
	}
	return err
}

// keep lets the directory stay for a person to look at.
func (w *world) keep() {
	w.kept = true
	say("logs are kept in %s", w.directory)
}

// stop ends everything.
func (w *world) stop() {
	_ = w.stopOperators() // how they end says nothing any more
	if w.staging != nil {
		w.staging.stop()
	}
	if w.hostile != nil {
		w.hostile.stop()
	}
	for _, l := range []*line{w.toDatabase, w.toStore, w.toBooks} {
		if l != nil {
			l.cut()
		}
	}
	if w.inbox != nil {
		w.inbox.server.CloseClientConnections()
		w.inbox.server.Close()
	}
	if w.store != nil {
		w.store.Stop()
	}
	if w.postgres != nil {
		w.postgres.Stop()
	}
	if w.controlPlane != nil {
		w.controlPlane.Stop()
	}
	if w.volume != "" {
		_ = syscall.Unmount(w.volume, syscall.MNT_DETACH)
	}
	if w.pods != nil {
		if err := w.pods.leave(w.tenants, w.made); err != nil {
			say("the cluster is not as it was: %s", err)
		}
	}
	if !w.kept {
		_ = os.RemoveAll(w.directory) // a leftover in the temporary directory is no failure
	}
}

// points are all failpoints, in the order of this seed.
func (w *world) points() []failpoint.Point {
	points := slices.Concat(failpoint.ExportPoints(), failpoint.ReceiptPoints(), failpoint.ReleasePoints(), failpoint.ControllerPoints(), failpoint.NotificationPoints())
	w.random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	return points
}
