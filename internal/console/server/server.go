// Package server is what people and applications reach over HTTP: it finds out who asks, and has them answered as themselves. It holds no
// credential of a database or a destination, and decides nothing: the API server does, for the person's own identity.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/openport"
)

const (
	// patience is how long a client may take to say what it wants.
	patience = 10 * time.Second
	// idle is how long a connection is kept that is not used.
	idle = 90 * time.Second
	// largestHeader of a request, in bytes. A session may have a token in several cookies.
	largestHeader = 64 << 10
	// farewell is how long answers may take to end when the server does.
	farewell = 5 * time.Second
)

// Options of a server.
type Options struct {
	// Address to listen at, such as :8443.
	Address string
	// Certificates is the directory with the serving certificate, as tls.crt and tls.key. It is read again when it changes. Empty is plain HTTP.
	Certificates string
	// Probes is the address of /healthz and /readyz for those who have no certificate to compare; empty serves them with the rest alone.
	Probes string
	// PublicURL is what browsers have in their address bar: its scheme, host and port.
	PublicURL *url.URL
	// Cluster says where the API server is, and how it proves that it is that. Its login is only used to impersonate.
	Cluster *rest.Config
	// OIDC lets people log in at a provider. Without it, they log in with a token that the API server accepts.
	OIDC *OIDC
	// Sessions is how long a login lasts; a token that is passed on may end before.
	Sessions time.Duration
	// Keys seal the cookies of sessions: the first seals, and all open. Without one, a key is made that ends with the process.
	Keys [][]byte
	// Limits of what is done at the same time; the zero value has defaults.
	Limits Limits
	Log    logr.Logger
}

// Doors are what is behind the server, for callers that are known.
type Doors struct {
	// API answers below /api/v1/.
	API http.Handler
	// Open paths are answered to everybody: they are documents.
	Open map[string]http.Handler
	// Pages answer everything else.
	Pages http.Handler
	// Entrance is for people who are not known.
	Entrance Entrance
}

// Entrance shows people who are not known what they need.
type Entrance interface {
	// AskForToken shows the form for a token, with the path that was wanted. Wrong says why the last one was refused.
	AskForToken(w http.ResponseWriter, r *http.Request, code int, wanted, wrong string)
	// Refuse says that a login at the provider has failed, and why.
	Refuse(w http.ResponseWriter, r *http.Request, code int, wrong string)
	// LoggedOut says that a session has ended.
	LoggedOut(w http.ResponseWriter, r *http.Request)
	// Assets are what its pages need, below /assets/.
	Assets() http.Handler
}

// Server serves people and applications.
type Server struct {
	Options
	clusters *clusters
	cookies  *cookies
	provider *provider // nil without OIDC
	limits   *limiter
	known    *acquaintances
	forms    forms
	// returning are the logins of people who have logged in before.
	returning returning
	burden    *burden.Scale
	strange   strangers
}

// New returns a server.
func New(options Options) (*Server, error) {
	if options.Limits == (Limits{}) {
		options.Limits = DefaultLimits
	}
	if options.PublicURL == nil || options.PublicURL.Host == "" || options.PublicURL.Scheme != "https" && !loopback(options.PublicURL) {
		return nil, fmt.Errorf("the public URL %q is none with https, or with http and a host of this machine: cookies of sessions are sent over nothing else", options.PublicURL)
	}
	cookies, err := newCookies(options.Keys, options.PublicURL.Scheme == "https")
	if err != nil {
		return nil, err
	}
	s := &Server{Options: options, cookies: cookies, limits: newLimiter(options.Limits), burden: burden.NewScale(options.Limits.Held), strange: strangers{most: options.Limits.Unanswered}}
	if s.clusters, err = newClusters(options.Cluster); err != nil {
		return nil, err
	}
	s.known = newAcquaintances(s.clusters, options.Limits.Reviews)
	if options.OIDC != nil {
		s.provider, err = newProvider(*options.OIDC, options.PublicURL)
	}
	return s, err
}

// loopback reports whether a URL is of this machine, which browsers take for as safe as HTTPS.
func loopback(at *url.URL) bool {
	ip := net.ParseIP(at.Hostname())
	return at.Scheme == "http" && (at.Hostname() == "localhost" || ip.IsLoopback())
}

// Handler answers everything.
func (s *Server) Handler(doors Doors) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, well)
	}
	logins := logins{s, doors.Entrance}
	mux.HandleFunc("GET /login", logins.show)
	mux.HandleFunc("POST /login", logins.takeToken)
	mux.HandleFunc("GET /callback", logins.callback)
	mux.HandleFunc("POST /logout", logins.leave)
	mux.HandleFunc("GET "+loggedOutPath, doors.Entrance.LoggedOut)
	mux.Handle("GET /assets/", doors.Entrance.Assets())
	for path, document := range doors.Open {
		mux.Handle("GET "+path, document)
	}
	mux.Handle("/api/", s.admitted(doors.API, refuse))
	mux.Handle("/", s.admitted(doors.Pages, s.sendToLogin))
	return s.guarded(mux)
}

// well answers probes.
func well(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // a client that is gone needs no answer
}

// refuse answers a program that is not known.
func refuse(w http.ResponseWriter, _ *http.Request, why *problem.Problem) { why.Write(w) }

// Serve serves until the context ends. Downloads and long polls are asked for again.
func (s *Server) Serve(ctx context.Context, doors Doors) error {
	group, ctx := errgroup.WithContext(ctx)
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", s.Address)
	if err != nil {
		return err
	}
	listener = newRoom(listener, s.Limits.Connections, s.Limits.Unanswered)
	server := s.server(ctx, s.Handler(doors))
	if s.Certificates != "" {
		watcher, err := certwatcher.New(filepath.Join(s.Certificates, "tls.crt"), filepath.Join(s.Certificates, "tls.key"))
		if err != nil {
			return errors.Join(fmt.Errorf("reading the serving certificate: %w", err), listener.Close())
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: watcher.GetCertificate}
		group.Go(func() error { return watcher.Start(ctx) })
	}
	if s.Probes != "" {
		if err := s.serveProbes(ctx, group); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	group.Go(func() error { return endWith(ctx, server) })
	group.Go(func() error {
		s.Log.Info("serving people and applications", "address", listener.Addr().String(), "url", s.PublicURL.String(), "oidc", s.OIDC != nil)
		if server.TLSConfig == nil {
			return server.Serve(listener)
		}
		return server.ServeTLS(listener, "", "")
	})
	if err := group.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// server has the limits of time that every answer has. What takes longer than others has its own.
func (s *Server) server(ctx context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: patience, IdleTimeout: idle, MaxHeaderBytes: largestHeader,
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: arrived,
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(s.Log.WithName("http")), slog.LevelDebug), // a client that goes is none of ours
	}
}

func (s *Server) serveProbes(ctx context.Context, group *errgroup.Group) error {
	listener, err := openport.Listen(ctx, s.Probes)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/readyz"} {
		mux.HandleFunc("GET "+path, well)
	}
	server := openport.Server(ctx, mux, s.Log.WithName("probes"))
	group.Go(func() error { return endWith(ctx, server) })
	group.Go(func() error { return server.Serve(listener) })
	return nil
}

// endWith ends a server with a context: what is being answered has a little time.
func endWith(ctx context.Context, server *http.Server) error {
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if server.Shutdown(ending) != nil {
		return server.Close()
	}
	return nil
}
