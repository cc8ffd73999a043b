package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/controller"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/door"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/idle"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/texts"
)

// managerOptions are the flags of the manager.
type managerOptions struct {
	metricsAddress, probeAddress string
	metricsAuthentication        bool
	profiling                    bool
	traces                       tracing.Options
	leaderElection               bool
	leaderElectionNamespace      string
	limits                       limitOptions
	destinations                 destinationtypes.Settings
	spoolDirectory               string
	spoolLimit, spoolTotalLimit  string
	receiptLimit                 string
	fullCheckInterval            time.Duration
	idleSessions                 int
	recheckInterval              time.Duration
	longestRecheckInterval       time.Duration
	environmentCredentials       bool
	databases                    claims.Allowances
	gracePeriod                  time.Duration
	leaseDuration                time.Duration
	renewDeadline, retryPeriod   time.Duration
	allowedHosts, namespaces     []string
	runPage                      string
	clusterID                    string
	logLevel                     slog.Level
	booksAddress                 string
	booksCertificates            string
	jobs                         jobOptions
}

func managerCommand(registry *exporters.Registry) *cobra.Command {
	var options managerOptions
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the operator",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			log := logTo(os.Stderr, options.logLevel)
			limitMemory(log, memlimit.FromCgroup, options.attemptsAtOnce(), options.servesBooks())
			options.jobs.arguments = given(command.Flags())
			mgr, err := newManager(command.Context(), options, registry)
			if err != nil {
				return err
			}
			log.Info("starting", "version", buildVersion(), "exporters", registry.Types())
			return mgr.Start(command.Context())
		},
	}
	options.add(command.Flags())
	return command
}

// add adds the flags of the manager, which the attempts that it gives to other pods have, too.
func (o *managerOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", `address that serves metrics over HTTPS, such as :8443; "0" serves none`)
	flags.BoolVar(&o.metricsAuthentication, "metrics-authentication", true, "let the API server authenticate and authorise every reader of metrics")
	flags.BoolVar(&o.profiling, "profiling", false, "serve profiles of the process at /debug/pprof/ beside the metrics, to readers that the API server authenticates and authorises")
	flags.StringVar(&o.traces.Endpoint, "otlp-endpoint", "", "URL of an OpenTelemetry collector that is sent traces of runs by OTLP over gRPC, such as https://collector.monitoring:4317; empty is that of OTEL_EXPORTER_OTLP_ENDPOINT, and without it there are no traces")
	flags.Float64Var(&o.traces.Ratio, "trace-ratio", 1, "part of all runs that are traced, from 0 to 1")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `address that serves /healthz and /readyz; "0" serves none`)
	flags.StringVar(&o.booksAddress, "books-bind-address", "0", `address that serves files, vouchers and held claims to the API server, such as :8444; "0" serves none`)
	flags.StringVar(&o.booksCertificates, "books-certificates", "/books-certificates", "directory with the certificate that these are served with, as tls.crt and tls.key; it is read again when it changes")
	flags.BoolVar(&o.leaderElection, "leader-elect", false, "let only one of several replicas work at a time")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "namespace of the lease; empty is the operator's own")
	flags.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second, "how long after its holder's last word the lease is taken by another replica")
	flags.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second, "how long the holder tries to renew the lease before it gives up and ends")
	flags.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second, "how often the lease is tried for and renewed")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "what the log has at least: error, info or debug")
	o.limits.add(flags)
	o.destinations.AddFlags(flags)
	flags.StringVar(&o.spoolLimit, "spool-limit", "2Gi", "most that the artifact of one run may take in the spool directory, compressed")
	flags.StringVar(&o.spoolTotalLimit, "spool-total-limit", "8Gi", "most that all artifacts together may take there")
	flags.StringVar(&o.receiptLimit, "receipt-size-limit", "32Mi", "most bytes that one receipt may have; a larger one is not delivered")
	flags.StringVar(&o.spoolDirectory, "spool-directory", "", "directory for artifacts while they are rendered; empty is the system's directory for temporary files")
	flags.StringSliceVar(&o.allowedHosts, "allowed-hosts", []string{outbound.AnyHost},
		"hosts that databases, destinations, accounting systems and targets of notifications may be at: names, *.example.com, addresses, networks; addresses of loopback, link-local and metadata services only where a network of theirs is listed")
	flags.StringVar(&o.runPage, "run-page", "", "URL of a page of a run that notifications lead to, with {namespace}, {export} and {run} in it; empty is none")
	flags.StringSliceVar(&o.namespaces, "namespaces", nil, "work in these namespaces only, with a Role in each of them; empty is all of them, with a ClusterRole")
	flags.StringVar(&o.clusterID, "cluster-id", "", "name that runs are recorded with, so that no other cluster goes on with them; empty is the UID of the namespace kube-system. Never change it")
	flags.DurationVar(&o.recheckInterval, "recheck-interval", 5*time.Minute, "how often databases, destinations and credentials are looked at again")
	flags.DurationVar(&o.longestRecheckInterval, "longest-recheck-interval", 40*time.Minute, "how often databases and destinations are looked at again that have worked for long; what has worked for a time is left alone for an eighth of it")
	flags.DurationVar(&o.fullCheckInterval, "full-check-interval", time.Hour, "how often a run compares all approved claims of an organisation with all that are exported; those between look at what was approved since, and at held claims. 0 is at each run")
	flags.BoolVar(&o.environmentCredentials, "allow-environment-credentials", false, "in an emergency, take credentials whose store is broken from the operator's environment")
	flags.IntVar(&o.idleSessions, "idle-database-sessions", claims.IdleSessions, "sessions with databases that are kept for the next run while none uses them, for 15 seconds; 0 keeps none")
	allowDatabases(flags, &o.databases)
	flags.DurationVar(&o.gracePeriod, "shutdown-grace-period", 20*time.Second, "how long runs may take to end cleanly when the operator is stopped")
	o.jobs.add(flags)
}

// logTo has everything written by one handler, which makes foreign texts harmless: what the Kubernetes client says, and what
// libraries print with the packages log and slog, such as the words of a server of a destination.
func logTo(writer io.Writer, level slog.Level) logr.Logger {
	handler := texts.Handler(slog.NewJSONHandler(writer, &slog.HandlerOptions{Level: level}))
	log := logr.FromSlogHandler(handler)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	slog.SetDefault(slog.New(handler)) // and with it that of the package log
	return log
}

func newManager(ctx context.Context, options managerOptions, registry *exporters.Registry) (ctrl.Manager, error) {
	if err := errors.Join(options.limits.check(registry, destinationtypes.Registry(options.destinations)), notify.CheckPage(options.runPage), options.jobs.check()); err != nil {
		return nil, err
	}
	if err := options.checkProfiling(); err != nil {
		return nil, err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := controller.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Client:                  clientOptions(options),
		Cache:                   cacheOptions(options),
		Metrics:                 metricsserver.Options{BindAddress: noAddress}, // these two are served within bounds of our own
		HealthProbeBindAddress:  noAddress,
		LeaderElection:          options.leaderElection,
		LeaderElectionID:        "ledgerport.accounting.ledgerport.dev",
		LeaderElectionNamespace: options.leaderElectionNamespace,
		// The process ends when the manager does, so the next one need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &options.gracePeriod,
		LeaseDuration:                 &options.leaseDuration,
		RenewDeadline:                 &options.renewDeadline,
		RetryPeriod:                   &options.retryPeriod,
	})
	if err != nil {
		return nil, err
	}
	return mgr, setup(ctx, mgr, options, registry)
}

// newScheme has the kinds that the operator reads and writes.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(credentials.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// clientOptions read a Namespace by its name where it is needed, with --namespaces: a Role lets nobody list or watch those.
func clientOptions(options managerOptions) (read client.Options) {
	if len(options.namespaces) > 0 {
		read.Cache = &client.CacheOptions{DisableFor: []client.Object{&corev1.Namespace{}}}
	}
	return read
}

// cacheOptions are of the namespaces that are watched: all, if none is named.
func cacheOptions(options managerOptions) (cached cache.Options) {
	if options.jobs.used() {
		cached.ByObject = executor.JobCache(options.jobs.namespace)
	}
	for _, namespace := range options.namespaces {
		if cached.DefaultNamespaces == nil {
			cached.DefaultNamespaces = map[string]cache.Config{}
		}
		cached.DefaultNamespaces[namespace] = cache.Config{}
	}
	return cached
}

// setup connects the parts: reconcilers, executor, pipeline.
func setup(ctx context.Context, mgr ctrl.Manager, options managerOptions, registry *exporters.Registry) error {
	cluster, err := clusterID(ctx, mgr.GetAPIReader(), options.clusterID)
	if err != nil {
		return err
	}
	resolver, attempts, err := newPipeline(ctx, options, registry, reading{config: mgr.GetConfig(), objects: mgr.GetClient(), secrets: mgr.GetAPIReader(), cluster: cluster})
	if err != nil {
		return err
	}
	runs, err := addExecutor(mgr, options, attempts)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(idle.Memory{}), mgr.Add(resolver.Sessions), mgr.Add(sendingTraces(attempts.Traces, runs.Stopped())), addDoor(mgr, options, attempts)); err != nil {
		return err
	}
	parts := controller.Parts{
		Metrics:  metrics.Registry,
		Resolver: resolver, Executor: runs, Clock: clock.RealClock{}, RecheckInterval: options.recheckInterval,
		LongestRecheckInterval: options.longestRecheckInterval,
		WatchNamespaces:        len(options.namespaces) == 0,
		Limits:                 options.limits.requests, GracePeriod: options.gracePeriod,
		Failpoints:    failpoint.FromEnvironment(),
		Notifications: controller.Notifications{Allowed: options.limits.notifications, PlainHTTP: options.destinations.PlainHTTP(), Page: options.runPage},
	}
	ready, err := addKinds(mgr, func() error { return controller.Setup(mgr, parts) })
	if err != nil {
		return err
	}
	return errors.Join(addProbes(ctx, mgr, options.probeAddress, ready), addMetrics(ctx, mgr, options))
}

// addExecutor adds what executes attempts.
func addExecutor(mgr ctrl.Manager, options managerOptions, attempts *pipeline.Pipeline) (executor.Executor, error) {
	if options.jobs.used() {
		api, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), HTTPClient: mgr.GetHTTPClient(), Mapper: mgr.GetRESTMapper()})
		if err != nil {
			return nil, err
		}
		jobs := executor.NewJobs(api, mgr.GetCache(), attempts, options.jobs.settings(attempts.Cluster, options.limits.runs))
		return jobs, mgr.Add(jobs)
	}
	here := executor.NewInProcess(attempts, options.limits.runs)
	return here, mgr.Add(here)
}

// reading is where a pipeline reads what it needs from.
type reading struct {
	config  *rest.Config
	objects client.Reader // of our kinds, and namespaces; a cache will do
	secrets client.Reader
	cluster string // that runs belong to
}

// newPipeline makes what makes attempts, and what it resolves references with.
func newPipeline(ctx context.Context, options managerOptions, registry *exporters.Registry, from reading) (*references.Resolver, *pipeline.Pipeline, error) {
	policy, err := outbound.New(options.allowedHosts, apiServer(ctx, from.config)...)
	if err != nil {
		return nil, nil, fmt.Errorf("--allowed-hosts: %w", err)
	}
	largest, err := bytesOf("receipt-size-limit", options.receiptLimit)
	if err != nil {
		return nil, nil, err
	}
	var environment func(string) (string, bool)
	if options.environmentCredentials {
		environment = os.LookupEnv
	}
	resolver := &references.Resolver{
		Objects:       from.objects,
		Secrets:       credentials.Secrets{API: from.secrets, Turns: semaphore.NewWeighted(credentials.AtOnce), Environment: environment},
		Databases:     options.databases,
		FullCheck:     options.fullCheckInterval,
		Sessions:      claims.NewSessions(options.idleSessions),
		Destinations:  destinationtypes.Registry(options.destinations),
		ReceiptStores: destinationtypes.Stores(options.destinations), LargestReceipt: largest, PlainReceipts: options.destinations.PlainHTTP(),
		Outbound:     policy,
		Exporters:    registry,
		Restrictions: options.limits.restrictions(),
	}
	space, err := spoolSpace(options)
	if err != nil {
		return nil, nil, err
	}
	traces, err := collectorOf(ctx, options)
	if err != nil {
		return nil, nil, err
	}
	return resolver, &pipeline.Pipeline{
		Traces:   traces,
		Resolver: resolver, Holder: holder(), Cluster: from.cluster, SpoolDirectory: options.spoolDirectory, SpoolSpace: space,
		Program: "Ledgerport", ProgramVersion: buildVersion(), Failpoints: failpoint.FromEnvironment(),
	}, nil
}

// attemptsAtOnce is how many attempts the process makes at once, or reads the records of.
func (o *managerOptions) attemptsAtOnce() int {
	if o.jobs.used() {
		return executor.LearnAtOnce
	}
	return o.limits.runs.Runs
}

func (o *managerOptions) servesBooks() bool { return o.booksAddress != "0" && o.booksAddress != "" }

// addDoor serves what runs have recorded and delivered, if that is asked for.
func addDoor(mgr ctrl.Manager, options managerOptions, records *pipeline.Pipeline) error {
	if !options.servesBooks() {
		return nil
	}
	return mgr.Add(&door.Door{
		Address: options.booksAddress, Certificates: options.booksCertificates, Config: mgr.GetConfig(), Objects: mgr.GetClient(), Live: mgr.GetAPIReader(),
		Namespaces: options.namespaces, Pipeline: records, Log: mgr.GetLogger().WithName("books"),
	})
}

// spoolSpace reads the limits of the spool.
func spoolSpace(options managerOptions) (*artifact.Space, error) {
	space := &artifact.Space{}
	for _, limit := range []struct {
		flag, text string
		into       *int64
	}{{"spool-limit", options.spoolLimit, &space.Attempt}, {"spool-total-limit", options.spoolTotalLimit, &space.Total}} {
		bytes, err := bytesOf(limit.flag, limit.text)
		if err != nil {
			return nil, err
		}
		*limit.into = bytes
	}
	return space, nil
}

// bytesOf reads a flag that is a number of bytes.
func bytesOf(flag, text string) (int64, error) {
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Sign() <= 0 {
		return 0, fmt.Errorf("--%s is %q; write a number of bytes such as 2Gi", flag, text)
	}
	return quantity.Value(), nil
}

// apiServer returns the addresses of the API server, which nobody is to reach through the operator: all those that the name has
// by which the operator itself speaks to it, and the cluster's own service.
func apiServer(ctx context.Context, config *rest.Config) (addresses []netip.AddrPort) {
	type server struct{ host, port string }
	servers := []server{{os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")}}
	if at, _, err := rest.DefaultServerUrlFor(config); err == nil {
		servers = append(servers, server{at.Hostname(), cmp.Or(at.Port(), "443")})
	}
	for _, server := range servers {
		port, err := strconv.ParseUint(server.port, 10, 16)
		if err != nil {
			continue // not in a cluster
		}
		found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", server.host) // of a name that nobody knows there are none
		for _, address := range found {
			addresses = append(addresses, netip.AddrPortFrom(address.Unmap(), uint16(port)))
		}
	}
	return addresses
}

// clusterID is what runs are recorded with: what a flag says, or the UID of a namespace that every cluster has, and keeps.
func clusterID(ctx context.Context, api client.Reader, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	var system corev1.Namespace
	if err := api.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &system); err != nil {
		return "", fmt.Errorf("reading the UID of the namespace %s, which names this cluster in the records of runs: %w; let the operator read it (config/rbac, config/namespaced), or set --cluster-id",
			metav1.NamespaceSystem, err)
	}
	return string(system.UID), nil
}

// holder names this process and no other one: the pod, and a token for each start.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + string(uuid.NewUUID())
}
