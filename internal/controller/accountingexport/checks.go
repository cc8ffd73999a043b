package accountingexport

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/approval"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/schedule"
)

// checks are what was found out about an export: nil is well.
type checks struct {
	timing, source, mapping, destination, credentials, approval, run *failure.Error
	history                                                          *failure.Error // does not keep runs from beginning
	schedule                                                         *schedule.Schedule
	own                                                              credentials.Credentials // the accounting system's
	fallback                                                         string                  // which credentials come from the operator's environment, and why
}

// check looks at the spec of an export and at everything it refers to. The error is one of the API server's.
func (c *checks) check(ctx context.Context, r *Reconciler, export *v1alpha1.AccountingExport) error {
	return errors.Join(
		note(&c.timing, c.checkTiming(export, r.ShortestInterval, r.Clock.Now())),
		note(&c.source, c.checkSource(ctx, r.Resolver, export)),
		note(&c.mapping, c.checkMapping(ctx, r.Resolver, export)),
		note(&c.destination, c.checkDestination(ctx, r.Resolver, export)),
		note(&c.credentials, c.checkCredentials(ctx, r, export)),
		note(&c.approval, checkApproval(ctx, r, export)),
	)
}

// note keeps a failure, and passes every other error on.
func note(into **failure.Error, err error) error {
	var failed *failure.Error
	if errors.As(err, &failed) {
		*into = failed
		return nil
	}
	return err
}

func (c *checks) checkTiming(export *v1alpha1.AccountingExport, shortestAllowed time.Duration, now time.Time) (err error) {
	if _, c.schedule, err = references.Timing(export); err != nil || c.schedule == nil || shortestAllowed <= time.Minute {
		return err // no schedule has slots closer to each other than a minute
	}
	if shortest := c.schedule.ShortestInterval(now, shortestAllowed); shortest > 0 && shortest < shortestAllowed {
		c.schedule = nil // nothing falls due
		return failure.Stalled(v1alpha1.ReasonScheduleTooFrequent, nil, "spec.schedule: %q has slots %s apart, and the operator's --shortest-schedule-interval is %s",
			export.Spec.Schedule, shortest, shortestAllowed)
	}
	return nil
}

func (c *checks) checkSource(ctx context.Context, resolver *references.Resolver, export *v1alpha1.AccountingExport) error {
	source, err := resolver.Source(ctx, export, export.Spec.OrganizationID)
	if err != nil {
		return err
	}
	if err := references.ReceiptsFor(export, source); err != nil {
		return err
	}
	if err := c.readiness("ClaimSource", source, export.Namespace, source.Status.Conditions); err != nil || source.Status.LedgerID == "" {
		return err
	}
	return resolver.ExpectLedger(ctx, source.Status.LedgerID, source, export)
}

func (c *checks) checkMapping(ctx context.Context, resolver *references.Resolver, export *v1alpha1.AccountingExport) error {
	exporter, err := resolver.Exporter(export.Namespace, export.Spec.Exporter)
	if err == nil {
		err = references.ReceiptsWith(exporter, references.Options(export.Spec.Exporter), export.Spec.Receipts)
	}
	if err != nil {
		return err
	}
	if err := resolver.CheckSelection(export); err != nil {
		return err
	}
	chart, err := resolver.Chart(ctx, export)
	if err != nil {
		return err
	}
	return c.readiness("ChartOfAccounts", chart, export.Namespace, chart.Status.Conditions)
}

func (c *checks) checkDestination(ctx context.Context, resolver *references.Resolver, export *v1alpha1.AccountingExport) error {
	destination, err := resolver.Destination(ctx, export)
	if err != nil {
		return err
	}
	if err := c.readiness("ExportDestination", destination, export.Namespace, destination.Status.Conditions); err != nil {
		return err
	}
	for _, refused := range destination.Status.Refused {
		if refused.Namespace == export.Namespace {
			return references.Discreet(failure.Transient(refused.Reason, nil, "ExportDestination %s/%s: the directory of this namespace there cannot be used: %s",
				destination.Namespace, destination.Name, refused.Message), "ExportDestination", references.DestinationKey(export), export.Namespace)
		}
	}
	return nil
}

func (c *checks) checkCredentials(ctx context.Context, r *Reconciler, export *v1alpha1.AccountingExport) (err error) {
	c.own, err = r.Resolver.Credentials(ctx, export)
	if err := r.external.Follow(r.Resolver.ExternalSecrets(export), err); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if c.own.Fallback != "" {
		c.fallback = c.own.Fallback
	}
	if c.credentials != nil {
		return c.credentials
	}
	return nil
}

// checkApproval finds out whether approvals are worth something, if the export needs them.
func checkApproval(ctx context.Context, r *Reconciler, export *v1alpha1.AccountingExport) error {
	if export.Spec.Approval != v1alpha1.ApprovalRequired {
		return nil
	}
	unenforced, err := approval.Unenforced(ctx, r.Client, export)
	if err != nil || unenforced == nil {
		return err
	}
	return unenforced
}

// readiness passes on what a referenced object says of itself: in its own words in its namespace, and the reason alone elsewhere.
// What it says of credentials counts for the export's too.
func (c *checks) readiness(kind string, object metav1.Object, reader string, conditions []metav1.Condition) error {
	key := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	name := kind + " " + key.String()
	passOn := func(said *metav1.Condition) *failure.Error {
		failed := failure.Transient(said.Reason, nil, "%s: %s", name, said.Message)
		if key.Namespace != reader {
			failed = failure.Transient(said.Reason, nil, "%s", references.ElsewhereNotReady(kind, key, said.Reason))
		}
		failed.Elsewhere = true
		return failed
	}
	switch said := meta.FindStatusCondition(conditions, v1alpha1.ConditionCredentialsReady); {
	case said == nil:
	case said.Status == metav1.ConditionFalse && c.credentials == nil:
		c.credentials = passOn(said)
	case said.Reason == v1alpha1.ReasonEnvironmentFallback && key.Namespace != reader:
		c.fallback = name + " has its credentials from the operator's environment; its own status says why"
	case said.Reason == v1alpha1.ReasonEnvironmentFallback:
		c.fallback = name + ": " + said.Message
	}
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || ready.ObservedGeneration != object.GetGeneration():
		return failure.Transient(v1alpha1.ReasonChecking, nil, "%s was not checked yet", name)
	case ready.Status != metav1.ConditionTrue:
		return passOn(ready)
	}
	return nil
}

// failed returns what is wrong, first what a person must change; nil where all is well.
func (c *checks) failed() *failure.Error {
	var first *failure.Error
	for _, failed := range []*failure.Error{c.timing, c.credentials, c.source, c.mapping, c.destination, c.approval, c.run} {
		if failed != nil && (first == nil || failed.Stalled && !first.Stalled) {
			first = failed
		}
	}
	return first
}

// toldElsewhere reports whether Ready changes because of another resource, which has an event of that: it may be a thousand exports'.
func (c *checks) toldElsewhere(before []metav1.Condition) bool {
	if failed := c.failed(); failed != nil {
		return failed.Elsewhere
	}
	ready := meta.FindStatusCondition(before, v1alpha1.ConditionReady)
	return ready != nil && slices.ContainsFunc(before, func(was metav1.Condition) bool {
		return was.Status == metav1.ConditionFalse && was.Reason == ready.Reason && slices.Contains(ofReferences, was.Type)
	})
}

// ofReferences are the conditions that say what the resources say to which an export refers.
var ofReferences = []string{v1alpha1.ConditionSourceReady, v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady, v1alpha1.ConditionCredentialsReady}

// describe puts what was found into the status of the export.
func (c *checks) describe(export *v1alpha1.AccountingExport, waiting string) {
	export.Status.ObservedGeneration = export.Generation
	set := report.Of(export)
	set.Aspect(v1alpha1.ConditionSourceReady, c.source, "the source can be read and admits this namespace and organisation")
	set.Aspect(v1alpha1.ConditionMappingReady, c.mapping, "the chart of accounts can be used, and the exporter accepts its options")
	set.Aspect(v1alpha1.ConditionDestinationReady, c.destination, "the destination can be written")
	set.Aspect(v1alpha1.ConditionCredentialsReady, c.credentials, "all credentials that are needed are there")
	if c.credentials == nil && c.fallback != "" {
		set.Set(v1alpha1.ConditionCredentialsReady, metav1.ConditionTrue, v1alpha1.ReasonEnvironmentFallback, c.fallback)
	}
	if c.history == nil {
		meta.RemoveStatusCondition(&export.Status.Conditions, v1alpha1.ConditionHistoryPruned)
	} else {
		set.Aspect(v1alpha1.ConditionHistoryPruned, c.history, "")
	}
	tellLastRun(set, export.Status.LastRun)
	switch failed := c.failed(); {
	case failed != nil && waiting != "":
		set.Failed(&failure.Error{Reason: failed.Reason, Stalled: failed.Stalled, Message: failed.Message + "; " + waiting})
	case failed != nil:
		set.Failed(failed)
	case export.Spec.Suspend:
		set.Ready(v1alpha1.ReasonSuspended, "spec.suspend is true: neither schedule nor requests begin a run")
	default:
		set.Ready(v1alpha1.ReasonReady, "runs can begin")
	}
}

// tellLastRun reports how the newest run that has ended did. While another is under way that is said of the one before it.
func tellLastRun(set report.Conditions, last *v1alpha1.RunSummary) {
	tell := func(status metav1.ConditionStatus, reason, message string) {
		set.Set(v1alpha1.ConditionLastRunSucceeded, status, reason, message)
	}
	switch {
	case last == nil || !last.Phase.Finished():
	case last.Phase == v1alpha1.RunFailed:
		tell(metav1.ConditionFalse, v1alpha1.ReasonLastRunFailed, "ExportRun "+last.Name+" failed ("+last.Reason+"); its own status says why. The next run takes its claims")
	case last.Phase == v1alpha1.RunIncomplete:
		tell(metav1.ConditionFalse, v1alpha1.ReasonLastRunIncomplete, "the accounting system has a part of ExportRun "+last.Name+" ("+last.Reason+"); its own status says what to look for there. The next run takes the other claims")
	case last.Phase == v1alpha1.RunCancelled:
		tell(metav1.ConditionFalse, v1alpha1.ReasonCancelled, "ExportRun "+last.Name+" was cancelled. The next run takes its claims")
	default:
		tell(metav1.ConditionTrue, cmp.Or(last.Reason, v1alpha1.ReasonSucceeded), "the newest run that has ended has exported what there was")
	}
}
