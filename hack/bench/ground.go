package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/environment"
)

// ground is what a bench of the operator's own process runs on: a control plane and a PostgreSQL that counts statements.
type ground struct {
	directory    string
	controlPlane *environment.ControlPlane
	postgres     *environment.Postgres
	operator     *environment.Operator // nil unless it runs
	api          client.WithWatch
}

// onGround measures something on parts of its own.
func onGround(ctx context.Context, measure func(*ground) error) (err error) {
	g := &ground{}
	if g.directory, err = os.MkdirTemp("", "ledgerport-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(g.directory)) }()
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return err
	}
	if g.controlPlane, err = environment.StartControlPlane(ctx, assets, os.Stderr); err != nil {
		return err
	}
	defer g.controlPlane.Stop()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if g.api, err = client.NewWithWatch(g.controlPlane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	g.postgres, err = environment.StartPostgres(ctx, filepath.Join(g.directory, "postgres"), os.Stderr,
		"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_utility=off", "max_connections=200")
	if err != nil {
		return err
	}
	defer g.postgres.Stop()
	defer func() { err = errors.Join(err, g.stopOperator(syscall.SIGKILL)) }() // all has been measured
	return measure(g)
}

// startOperator starts the operator with its default flags.
func (g *ground) startOperator(ctx context.Context) (err error) {
	g.operator, err = environment.StartOperator(ctx, g.controlPlane, g.directory)
	return err
}

// stopOperator ends the operator, if it runs. How it ended is of no interest.
func (g *ground) stopOperator(signal syscall.Signal) error {
	if g.operator == nil {
		return nil
	}
	err := g.operator.Signal(signal)
	_ = g.operator.Wait()
	g.operator = nil
	return err
}

// create creates objects, one after another.
func (g *ground) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		if err := g.api.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// until waits for something to be true of each of so many exports, and returns the times at which it was seen to be. A watch that the API server
// ends, because it has had more to tell than was taken, is begun again, with all that there is.
func (g *ground) until(ctx context.Context, exports int, is func(*v1alpha1.AccountingExport) (bool, error)) (at []time.Time, err error) {
	done := map[client.ObjectKey]bool{}
	for ctx.Err() == nil && err == nil && len(at) < exports {
		at, err = g.watch(ctx, exports, is, done, at)
	}
	if err == nil && len(at) < exports {
		err = fmt.Errorf("%d of %d exports came so far: %w", len(at), exports, ctx.Err())
	}
	return at, err
}

// watch adds when something was seen to be true of those exports of which it is not done, until it is of so many or the watch ends.
func (g *ground) watch(ctx context.Context, exports int, is func(*v1alpha1.AccountingExport) (bool, error), done map[client.ObjectKey]bool, at []time.Time) ([]time.Time, error) {
	changes, err := g.api.Watch(ctx, &v1alpha1.AccountingExportList{})
	if err != nil {
		return at, err
	}
	defer changes.Stop()
	for change := range changes.ResultChan() {
		export, ok := change.Object.(*v1alpha1.AccountingExport)
		if !ok || change.Type == watch.Deleted || done[client.ObjectKeyFromObject(export)] {
			continue
		}
		seen, err := is(export)
		if err != nil {
			return at, err
		}
		if seen {
			done[client.ObjectKeyFromObject(export)] = true
			at = append(at, time.Now())
		}
		if len(at) == exports {
			break
		}
	}
	return at, nil
}
