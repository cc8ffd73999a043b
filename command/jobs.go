package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/internal/executor"
)

// The executors that there are.
const (
	inProcess = "in-process"
	asJobs    = "job"
)

// ownNamespaceFile has the namespace of a pod.
const ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// jobOptions are the flags by which an administrator has attempts made in pods of their own.
type jobOptions struct {
	executor, namespace, template, queue string
	startTimeout                         time.Duration
	// arguments that the manager was given, and that attempts are given, too.
	arguments []string
}

func (o *jobOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.executor, "executor", inProcess, "where attempts are made: in-process, in the operator itself, or job, each in a pod of its own, as a Kubernetes Job")
	flags.StringVar(&o.namespace, "job-namespace", "", "namespace of the Jobs; empty is the operator's own. Nobody but administrators may have rights there")
	flags.StringVar(&o.template, "job-template", "ledgerport-attempt", "name of the PodTemplate in that namespace that the pods of Jobs are made by")
	flags.StringVar(&o.queue, "job-queue", "", "LocalQueue of Kueue that the Jobs wait in, where {namespace} stands for the namespace of the run; empty lets Jobs begin at once, as many as --max-concurrent-runs")
	flags.DurationVar(&o.startTimeout, "job-start-timeout", 5*time.Minute, "how long the pod of a Job may take to start: to be scheduled, and to have its image pulled")
}

func (o *jobOptions) used() bool { return o.executor == asJobs }

// check refuses values that cannot work, and finds the namespace that is not named.
func (o *jobOptions) check() error {
	switch {
	case o.executor == inProcess:
		return nil
	case !o.used():
		return fmt.Errorf("--executor is %q; it must be %s or %s", o.executor, inProcess, asJobs)
	case o.startTimeout < time.Second:
		return fmt.Errorf("--job-start-timeout is %s; it must be at least 1s", o.startTimeout)
	case o.namespace != "":
		return nil
	}
	own, err := os.ReadFile(ownNamespaceFile)
	if err != nil {
		return errors.New("--job-namespace is empty, and the operator does not run in a pod that has a namespace; set it")
	}
	o.namespace = strings.TrimSpace(string(own))
	return nil
}

func (o *jobOptions) settings(cluster string, limits executor.Limits) executor.JobSettings {
	return executor.JobSettings{
		Namespace: o.namespace, Template: o.template, Queue: o.queue, StartTimeout: o.startTimeout,
		Arguments: o.arguments, Cluster: cluster, Limits: limits,
	}
}

// notForAttempts are flags of the manager that say nothing to an attempt.
var notForAttempts = []string{"executor", "namespaces", "cluster-id", "shutdown-grace-period"}

// given returns the flags that a command was given, as arguments of another one. None of them has a secret.
func given(flags *pflag.FlagSet) (arguments []string) {
	flags.Visit(func(flag *pflag.Flag) {
		for _, prefix := range []string{"job-", "leader-", "metrics-", "health-", "books-"} {
			if strings.HasPrefix(flag.Name, prefix) {
				return
			}
		}
		if slices.Contains(notForAttempts, flag.Name) {
			return
		}
		value := flag.Value.String()
		if list, is := flag.Value.(pflag.SliceValue); is {
			value = strings.Join(list.GetSlice(), ",")
		}
		arguments = append(arguments, "--"+flag.Name+"="+value)
	})
	return arguments
}
