// Command demo does the main job once, on real parts: a control plane, a PostgreSQL with approved claims, the operator as
// a process, and the samples applied through the API, up to the delivered files.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	keep := flag.Bool("keep", false, "keep everything running until interrupted")
	claims := flag.Int("claims", 500, "approved claims of each organisation")
	exporter := flag.String("exporter", "", "show the sample with this exporter alone")
	flag.Parse()
	ctrl.SetLogger(logr.Discard()) // of the client; the demo says what it does
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := demonstrate(ctx, &demo{claims: *claims, exporter: *exporter}, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demonstrate(ctx context.Context, d *demo, keep bool) (err error) {
	d.directory, err = os.MkdirTemp("", "ledgerport-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(d.directory) }() // a leftover in the temporary directory is no failure
	defer d.stop()

	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"Starting a Kubernetes control plane (etcd and kube-apiserver) with the CRDs", d.startControlPlane},
		{"Starting a throw-away PostgreSQL", d.startPostgres},
		{"Reading the samples", d.readSamples},
		{fmt.Sprintf("Filling the application's database with %d approved claims for each organisation", d.claims), d.fillDatabase},
		{"Building the operator, and starting it as a process", d.startOperator},
		{"Applying config/samples through the API", d.applySamples},
		{"Waiting until the exports are ready", d.waitUntilReady},
		{"Asking for a run of each export, and waiting for it to succeed", d.runExports},
		{"Looking for secrets and bank accounts in what the operator has written", d.lookForLeaks},
	}
	began := time.Now()
	for _, step := range steps {
		fmt.Printf("==> %s\n", step.what)
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Printf("    %.2f s\n", time.Since(start).Seconds())
	}
	fmt.Printf("==> Done in %.2f s\n", time.Since(began).Seconds())
	if err := d.show(ctx); err != nil {
		return err
	}
	if keep {
		d.explain()
		<-ctx.Done()
	}
	return nil
}
