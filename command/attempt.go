package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

// stopWithin is how long an attempt may take to end cleanly when its pod is stopped, which has 30 seconds.
const stopWithin = 20 * time.Second

// errAttemptFailed ends the process with the code of a failure; the report says why.
var errAttemptFailed = errors.New("the attempt has failed; see the log above")

// attemptCommand makes one attempt, in a pod that the operator has made for it.
func attemptCommand(registry *exporters.Registry) *cobra.Command {
	var options managerOptions
	var reportTo string
	command := &cobra.Command{
		Use:    "attempt",
		Short:  "Make one attempt of a run, as the operator says in " + executor.OrderVariable,
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(command *cobra.Command, _ []string) error {
			log := logTo(os.Stderr, options.logLevel)
			limitMemory(log, memlimit.FromCgroup, 1, false)
			options.idleSessions = 0
			report, err := makeAttempt(command.Context(), options, registry, os.Getenv(executor.OrderVariable))
			if report != nil && reportTo != "" {
				err = errors.Join(err, os.WriteFile(reportTo, report, 0o600))
			}
			return err
		},
	}
	options.add(command.Flags())
	command.Flags().StringVar(&reportTo, "report-to", "/dev/termination-log", "file for what the operator is to know of the end of the attempt")
	return command
}

// makeAttempt makes the attempt of an order, and returns what the operator is to know of its end.
func makeAttempt(ctx context.Context, options managerOptions, registry *exporters.Registry, text string) ([]byte, error) {
	var order executor.Order
	if err := json.Unmarshal([]byte(text), &order); err != nil || order.Task.RunID == "" {
		return nil, fmt.Errorf("the variable %s does not say what to do; the operator makes the Job that does", executor.OrderVariable)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	config = rest.CopyConfig(config)
	config.Wrap(nesting.Limit)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	if order.NamesClaims {
		if order.Task.Claims, err = namedClaims(ctx, api, &order); err != nil {
			return nil, err
		}
	}
	_, attempts, err := newPipeline(ctx, options, registry, reading{config: config, objects: order.Seen.Over(api), secrets: api, cluster: order.Cluster})
	if err != nil {
		return nil, err
	}
	state := executor.RunOne(ctx, attempts, order.Task, stopWithin)
	err = attempts.Traces.Close() //nolint:contextcheck // its own has ended
	if state.Err != nil {
		err = errAttemptFailed
	}
	return executor.ReportOf(order.Task, state), err
}

// namedClaims reads which claims a run names: there may be more of them than a variable holds.
func namedClaims(ctx context.Context, api client.Reader, order *executor.Order) ([]string, error) {
	var run v1alpha1.ExportRun
	if err := api.Get(ctx, types.NamespacedName{Namespace: order.Task.Namespace, Name: order.Task.Name}, &run); err != nil {
		return nil, fmt.Errorf("reading which claims the run names: %w", err)
	}
	if string(run.UID) != order.Task.RunID || run.Spec.Claims == nil || len(run.Spec.Claims.IDs) == 0 {
		return nil, errors.New("the run that names the claims does not exist any more")
	}
	logr.FromContextOrDiscard(ctx).V(1).Info("the run names claims", "claims", len(run.Spec.Claims.IDs))
	return run.Spec.Claims.IDs, nil
}
