package command

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ledgerport/ledgerport/internal/console/api"
	"github.com/ledgerport/ledgerport/internal/console/pages"
	"github.com/ledgerport/ledgerport/internal/console/server"
)

// consoleOptions are the flags of the console.
type consoleOptions struct {
	address, probeAddress, certificates string
	publicURL                           string
	apiServer, apiServerCA              string
	sessionKeys                         string
	sessions                            time.Duration
	oidc                                server.OIDC
	oidcSecret, oidcCA                  string
	waiting, waitingOfOne               int
	requestsPerSecond                   int
	namespaces                          []string
	logLevel                            slog.Level
}

func consoleCommand() *cobra.Command {
	var options consoleOptions
	command := &cobra.Command{
		Use:   "console",
		Short: "Serve people and applications over HTTP, each as themselves",
		Long: `Serve people and applications over HTTP. Whatever they ask for is asked of the API server as them: with their own token, or with --oidc-impersonate by
impersonation. The console holds no credential of a database or a destination.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			log := logTo(os.Stderr, options.logLevel)
			serving, doors, err := options.server(log)
			if err != nil {
				return err
			}
			limitMemory(log, memlimit.FromCgroup, 0, false)
			log.Info("starting the console", "version", buildVersion())
			return serving.Serve(command.Context(), doors)
		},
	}
	options.add(command)
	return command
}

// add defines the flags.
func (o *consoleOptions) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&o.address, "bind-address", ":8443", "address to listen at")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", "", "address that serves /healthz and /readyz over plain HTTP; empty serves them with the rest alone")
	flags.StringVar(&o.certificates, "certificates", "", "directory with the serving certificate, as tls.crt and tls.key, which is read again when it changes; empty is plain HTTP, for what ends TLS before it")
	flags.StringVar(&o.publicURL, "public-url", "", "URL that browsers reach the console at, with https, or http on localhost; empty is localhost and the port of --bind-address, for kubectl port-forward")
	flags.StringVar(&o.apiServer, "api-server", "", "URL of the API server; empty is that of the cluster that the console runs in")
	flags.StringVar(&o.apiServerCA, "api-server-ca", "", "file with the certificate authority of the API server, so that the console needs no login of its own; empty is a kubeconfig or the pod's account")
	flags.StringVar(&o.sessionKeys, "session-keys", "", "file with keys that seal the cookies of sessions, one of at least 32 bytes a line: the first seals, and all open; empty makes one that ends with the process")
	flags.DurationVar(&o.sessions, "session-lifetime", time.Hour, "how long a login lasts at most")
	flags.StringVar(&o.oidc.Issuer, "oidc-issuer-url", "", "URL of the OIDC provider that people log in at; empty lets them log in with a token that the API server accepts")
	flags.StringVar(&o.oidc.ClientID, "oidc-client-id", "", "id of this client at the provider")
	flags.StringVar(&o.oidcSecret, "oidc-client-secret", "", "file with the secret of this client; empty is a public client")
	flags.StringVar(&o.oidcCA, "oidc-ca", "", "file with the certificate authority of the provider; empty is those of the system")
	flags.StringSliceVar(&o.oidc.Scopes, "oidc-scopes", []string{"profile", "email", "groups"}, "scopes that are asked for besides openid")
	flags.BoolVar(&o.oidc.Impersonate, "oidc-impersonate", false, "vouch for people towards the API server by impersonation, if that does not know the provider; the console then needs the right to")
	flags.StringSliceVar(&o.oidc.Audiences, "oidc-audiences", nil, "audiences of tokens that programs may send besides the client id, with --oidc-impersonate")
	flags.StringVar(&o.oidc.UsernameClaim, "oidc-username-claim", "sub", "claim of the token that has a person's name, with --oidc-impersonate")
	flags.StringVar(&o.oidc.UsernamePrefix, "oidc-username-prefix", "", "what comes before it, such as oidc: ; needed with --oidc-impersonate")
	flags.StringVar(&o.oidc.GroupsClaim, "oidc-groups-claim", "groups", "claim of the token that has a person's groups, with --oidc-impersonate")
	flags.StringVar(&o.oidc.GroupsPrefix, "oidc-groups-prefix", "", "what comes before each of them; needed with --oidc-impersonate")
	flags.StringSliceVar(&o.namespaces, "namespaces", nil, "namespaces in which pages look for exports of those who may not list them in the whole cluster; they see the ones in which they may")
	flags.IntVar(&o.waiting, "max-waiting", api.DefaultLimits.Waiting, "requests that wait for a run to change, at the same time")
	flags.IntVar(&o.waitingOfOne, "max-waiting-per-caller", api.DefaultLimits.WaitingOfOne, "those of one caller")
	flags.IntVar(&o.requestsPerSecond, "requests-per-second", server.DefaultLimits.Rate, "requests that one caller may make each second; twice as many at once")
	flags.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "what the log has at least: error, info or debug")
}

// server is the console as the flags have it.
func (o *consoleOptions) server(log logr.Logger) (*server.Server, server.Doors, error) {
	if o.waiting < 0 || o.waitingOfOne < 0 || o.requestsPerSecond < 1 || o.sessions < time.Minute {
		return nil, server.Doors{}, errors.New("--max-waiting and --max-waiting-per-caller are not below 0, --requests-per-second is at least 1, and --session-lifetime at least 1m")
	}
	public, err := o.public()
	if err != nil {
		return nil, server.Doors{}, err
	}
	cluster, err := o.cluster()
	if err != nil {
		return nil, server.Doors{}, err
	}
	keys, err := o.keys()
	if err != nil {
		return nil, server.Doors{}, err
	}
	provider, err := o.provider()
	if err != nil {
		return nil, server.Doors{}, err
	}
	limits, answers := server.DefaultLimits, api.DefaultLimits
	limits.Rate, limits.Burst = o.requestsPerSecond, 2*o.requestsPerSecond
	answers.Waiting, answers.WaitingOfOne = o.waiting, o.waitingOfOne
	serving, err := server.New(server.Options{
		Address: o.address, Certificates: o.certificates, Probes: o.probeAddress, PublicURL: public, Cluster: cluster, OIDC: provider,
		Sessions: o.sessions, Keys: keys, Limits: limits, Log: log,
	})
	if err != nil {
		return nil, server.Doors{}, err
	}
	answering, err := api.Handler(api.Options{Clusters: serving, Limits: answers})
	shown := pages.Handler(pages.Options{Clusters: serving, Namespaces: o.namespaces, LogOut: "/logout", Log: log})
	return serving, server.Doors{API: answering, Open: map[string]http.Handler{api.DocumentPath: api.Document()}, Pages: shown, Entrance: pages.NewEntrance(log)}, err
}

// public is the URL that browsers reach the console at.
func (o *consoleOptions) public() (*url.URL, error) {
	if o.publicURL == "" {
		_, port, err := net.SplitHostPort(o.address)
		if err != nil {
			return nil, fmt.Errorf("--bind-address: %w", err)
		}
		scheme := "http"
		if o.certificates != "" {
			scheme = "https"
		}
		return &url.URL{Scheme: scheme, Host: net.JoinHostPort("localhost", port)}, nil
	}
	public, err := url.Parse(o.publicURL)
	if err != nil || public.Host == "" || public.User != nil || public.RawQuery != "" || public.Fragment != "" || public.Path != "" && public.Path != "/" {
		return nil, fmt.Errorf("--public-url %q is not a URL of a host alone, such as https://console.example.com", o.publicURL)
	}
	return public, nil
}

// cluster is where the API server is. With its certificate authority there is no login at all.
func (o *consoleOptions) cluster() (*rest.Config, error) {
	if o.apiServerCA == "" {
		config, err := ctrl.GetConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the cluster: %w", err)
		}
		config.Host = cmp.Or(o.apiServer, config.Host)
		return config, nil
	}
	if o.oidc.Impersonate {
		return nil, errors.New("with --oidc-impersonate the console needs a login of its own, and with --api-server-ca it has none")
	}
	at := o.apiServer
	if at == "" {
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("--api-server is needed outside of a cluster")
		}
		at = "https://" + net.JoinHostPort(host, port)
	}
	return &rest.Config{Host: at, TLSClientConfig: rest.TLSClientConfig{CAFile: o.apiServerCA}}, nil
}

// keys are those that seal cookies.
func (o *consoleOptions) keys() (keys [][]byte, err error) {
	if o.sessionKeys == "" {
		return nil, nil
	}
	content, err := os.ReadFile(o.sessionKeys)
	if err != nil {
		return nil, fmt.Errorf("--session-keys: %w", err)
	}
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("--session-keys: %s has no key", o.sessionKeys)
	}
	return keys, nil
}

// provider is the one that people log in at, if there is one.
func (o *consoleOptions) provider() (*server.OIDC, error) {
	provider := o.oidc
	if provider.Issuer == "" {
		return nil, nil
	}
	if o.oidcSecret != "" {
		content, err := os.ReadFile(o.oidcSecret)
		if err != nil {
			return nil, fmt.Errorf("--oidc-client-secret: %w", err)
		}
		provider.ClientSecret = string(bytes.TrimSpace(content))
	}
	if o.oidcCA != "" {
		content, err := os.ReadFile(o.oidcCA)
		if err != nil {
			return nil, fmt.Errorf("--oidc-ca: %w", err)
		}
		provider.CA = x509.NewCertPool()
		if !provider.CA.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("--oidc-ca: %s has no certificate", o.oidcCA)
		}
	}
	return &provider, nil
}
