package command

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/controller"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/notify"
	"github.com/ledgerport/ledgerport/internal/references"
)

// limitOptions are the flags by which an administrator bounds what tenants may ask for.
type limitOptions struct {
	runs           executor.Limits
	requests       controller.Limits
	destinations   []string
	exporters      []string
	notifications  []string
	crossNamespace bool
}

func (o *limitOptions) add(flags *pflag.FlagSet) {
	flags.IntVar(&o.runs.Runs, "max-concurrent-runs", 4, "runs that are executed at the same time; more of them wait, and their namespaces take turns")
	flags.IntVar(&o.runs.RunsPerNamespace, "max-concurrent-runs-per-namespace", 0, "how many of them may belong to one namespace; 0 is half of --max-concurrent-runs, and at least 1")
	flags.DurationVar(&o.requests.LongestDeadline, "longest-deadline", time.Hour, "longest deadline of an attempt, whatever spec.deadline of an AccountingExport says")
	flags.DurationVar(&o.requests.ShortestScheduleInterval, "shortest-schedule-interval", time.Minute, "shortest time between two slots of a schedule; an AccountingExport with a shorter one does not run")
	flags.IntVar(&o.requests.UnfinishedRunsPerExport, "max-unfinished-runs-per-export", 100, "runs of one AccountingExport that may wait or be under way; others end as Failed at once")
	flags.StringSliceVar(&o.destinations, "allowed-destination-types", nil, "types of ExportDestination that may be used, by the field of its spec; empty is all of them")
	flags.StringSliceVar(&o.exporters, "allowed-exporters", nil, "exporters that may be used, by type; empty is all of them")
	flags.StringSliceVar(&o.notifications, "allowed-notifications", nil, "types of targets of notifications that may be used, of webhook and mail; empty is all of them")
	flags.BoolVar(&o.crossNamespace, "allow-cross-namespace-references", true, "let an AccountingExport refer to a ClaimSource or ExportDestination of another namespace whose owner admits it")
}

// check refuses values that cannot work.
func (o *limitOptions) check(registry *exporters.Registry, types *destinations.Registry) error {
	switch {
	case o.runs.Runs < 1:
		return fmt.Errorf("--max-concurrent-runs is %d; it must be at least 1", o.runs.Runs)
	case o.runs.RunsPerNamespace < 0:
		return fmt.Errorf("--max-concurrent-runs-per-namespace is %d; it must be at least 1, or 0 for half of --max-concurrent-runs", o.runs.RunsPerNamespace)
	case o.requests.LongestDeadline < 10*time.Second:
		return fmt.Errorf("--longest-deadline is %s; it must be at least 10s", o.requests.LongestDeadline)
	case o.requests.UnfinishedRunsPerExport < 1:
		return fmt.Errorf("--max-unfinished-runs-per-export is %d; it must be at least 1", o.requests.UnfinishedRunsPerExport)
	}
	for _, kind := range o.destinations {
		if !slices.Contains(types.Types(), kind) {
			return fmt.Errorf("--allowed-destination-types has %q; there are %q", kind, types.Types())
		}
	}
	for _, kind := range o.notifications {
		if !slices.Contains(notify.Kinds(), kind) {
			return fmt.Errorf("--allowed-notifications has %q; there are %q", kind, notify.Kinds())
		}
	}
	for _, kind := range o.exporters {
		if _, known := registry.Get(kind); !known {
			return fmt.Errorf("--allowed-exporters has %q; there are %q", kind, registry.Types())
		}
	}
	return nil
}

func (o *limitOptions) restrictions() references.Restrictions {
	return references.Restrictions{DestinationTypes: o.destinations, Exporters: o.exporters, OwnNamespaceOnly: !o.crossNamespace}
}
