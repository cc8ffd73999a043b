// Package door serves through the API server what runs have recorded and delivered: the files and vouchers of a run, and the held claims of
// an export. It only reads. Who asks is for the API server to say, and whether they may; what is read is read with the credentials of the
// run's namespace, as a run does it.
package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/internal/pipeline"
)

const (
	// patience is how long a client may take to say what it wants.
	patience = 10 * time.Second
	// idle is how long a connection is kept that is not used.
	idle = 90 * time.Second
	// largestHeader of a request, in bytes.
	largestHeader = 64 << 10
	// again is when the door is opened again that could not be opened.
	again = 10 * time.Second
)

// Door serves requests that the API server passes on. It is a runnable of the manager, on every replica. Whatever fails in it is logged, and
// tried again; the operator does without.
type Door struct {
	// Address to listen at, such as :8444.
	Address string
	// Certificates is the directory with the serving certificate, as tls.crt and tls.key. It is read again when it changes.
	Certificates string
	// Config reaches the API server.
	Config *rest.Config
	// Objects reads runs; a cache will do. Live reads what that may not know yet: of several replicas each has a cache of its own, and who asks has heard
	// of the run already.
	Objects, Live client.Reader
	// Namespaces that runs may be in; empty is all.
	Namespaces []string
	// Pipeline reads records and files.
	Pipeline *pipeline.Pipeline
	// Limits of what is served at the same time; the zero value has defaults.
	Limits Limits
	Log    logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica serves.
func (d *Door) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable: it serves until the context ends.
func (d *Door) Start(ctx context.Context) error {
	for {
		err := d.serve(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it is to end
		}
		d.Log.Error(err, "the API of artifacts is not served, and all else is; it is tried again", "address", d.Address, "certificates", d.Certificates)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

// serve serves until something fails, or the context ends.
func (d *Door) serve(ctx context.Context) error {
	watcher, err := certwatcher.New(filepath.Join(d.Certificates, "tls.crt"), filepath.Join(d.Certificates, "tls.key"))
	if err != nil {
		return fmt.Errorf("reading the serving certificate: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	trusted, err := newTrust(ctx, d.Config)
	if err != nil {
		return err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", d.Address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           d.handler(trusted),
		ReadHeaderTimeout: patience, ReadTimeout: patience, IdleTimeout: idle, MaxHeaderBytes: largestHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(logr.ToSlogHandler(d.Log.WithName("http")), slog.LevelDebug), // a client that goes is none of ours
	}
	group.Go(func() error { return watcher.Start(ctx) })
	group.Go(func() error { return trusted.run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		return server.Close() // downloads are asked for again
	})
	group.Go(func() error {
		d.Log.Info("serving the API of artifacts", "address", listener.Addr().String())
		return server.Serve(newEntrance(ctx, listener, trusted.tls(watcher.GetCertificate), semaphore.NewWeighted(mostConnections)))
	})
	if err := group.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}
