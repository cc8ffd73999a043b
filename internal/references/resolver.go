// Package references finds what an AccountingExport refers to, and says precisely what is missing or not admitted.
package references

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/schedule"
	"github.com/ledgerport/ledgerport/ledger"
)

// Resolver finds what an AccountingExport refers to. Its errors are *failure.Error that name the condition they concern.
type Resolver struct {
	// Objects reads the kinds of this API and namespaces; a cache will do.
	Objects client.Reader
	// Secrets finds credentials.
	Secrets credentials.Secrets
	// Databases are what connections to them may do without.
	Databases claims.Allowances
	// FullCheck is how often a run compares all approved claims with all that are exported; 0 is at each.
	FullCheck time.Duration
	// Sessions keeps sessions with databases from one run to the next; nil keeps none.
	Sessions *claims.Sessions
	// Destinations are the types that are built in.
	Destinations *destinations.Registry
	// ReceiptStores are the types of stores that receipts can be in, and LargestReceipt is the most bytes that one may have.
	ReceiptStores  *destinations.Registry
	LargestReceipt int64
	// PlainReceipts lets receipts be read without TLS.
	PlainReceipts bool
	// Outbound says which hosts tenants may name.
	Outbound *outbound.Policy
	// Exporters that are built in.
	Exporters *exporters.Registry
	// Restrictions of the administrator.
	Restrictions Restrictions

	validated validations
	visits    sync.Map // of namespaces, and when each may make the next one
}

// Export returns the AccountingExport of a run.
func (r *Resolver) Export(ctx context.Context, namespace, name string) (*v1alpha1.AccountingExport, error) {
	var export v1alpha1.AccountingExport
	key := types.NamespacedName{Namespace: namespace, Name: name}
	return &export, r.get(ctx, key, &export, &export.Undecoded, "AccountingExport", "spec.exportRef of the run", "", v1alpha1.ReasonExportNotFound)
}

// Source returns the ClaimSource, if it admits the export's namespace to an organisation: that of the export, or that of a
// recorded run. It returns a ClaimSource that no longer does, too, together with the error, so that a release can still give back
// what was reserved earlier.
func (r *Resolver) Source(ctx context.Context, export *v1alpha1.AccountingExport, organizationID string) (*v1alpha1.ClaimSource, error) {
	key := SourceKey(export)
	var source v1alpha1.ClaimSource
	if err := r.get(ctx, key, &source, &source.Undecoded, "ClaimSource", "spec.sourceRef, whose namespace is the export's own if it is empty", failure.OnSource, v1alpha1.ReasonSourceNotFound); err != nil {
		return nil, err
	}
	namespace, err := Namespace(ctx, r.Objects, export.Namespace)
	if err != nil {
		return nil, err
	}
	if err := r.Restrictions.refuseNamespace("ClaimSource", key, export, failure.OnSource); err != nil {
		return &source, err
	}
	if !Admits(&source, namespace, organizationID) {
		return &source, failure.OnSource.Transient(v1alpha1.ReasonAccessDenied, nil,
			"ClaimSource %s does not admit organisation %s from namespace %s: %s", key, organizationID, export.Namespace, whyDenied(&source, namespace, organizationID))
	}
	return &source, nil
}

// Namespace reads a namespace. Nobody here writes one, so that there is no write to wait for before it is read: a client that
// waits watches all namespaces, and an operator that works in a few of them may not.
func Namespace(ctx context.Context, objects client.Reader, name string) (*corev1.Namespace, error) {
	var namespace corev1.Namespace
	return &namespace, objects.Get(ctx, types.NamespacedName{Name: name}, &namespace, client.DisableReadYourWritesConsistency)
}

// Chart returns the ChartOfAccounts.
func (r *Resolver) Chart(ctx context.Context, export *v1alpha1.AccountingExport) (*v1alpha1.ChartOfAccounts, error) {
	var chart v1alpha1.ChartOfAccounts
	key := types.NamespacedName{Namespace: export.Namespace, Name: export.Spec.ChartOfAccountsRef.Name}
	return &chart, r.get(ctx, key, &chart, &chart.Undecoded, "ChartOfAccounts", "spec.chartOfAccountsRef", failure.OnMapping, v1alpha1.ReasonChartNotFound)
}

// Destination returns the ExportDestination, if it admits the export's namespace. One that does not comes with the failure, for
// who withdraws what it admitted before.
func (r *Resolver) Destination(ctx context.Context, export *v1alpha1.AccountingExport) (*v1alpha1.ExportDestination, error) {
	key := DestinationKey(export)
	var destination v1alpha1.ExportDestination
	if err := r.get(ctx, key, &destination, &destination.Undecoded, "ExportDestination", "spec.destinationRef, whose namespace is the export's own if it is empty",
		failure.OnDestination, v1alpha1.ReasonDestinationNotFound); err != nil {
		return nil, err
	}
	namespace, err := Namespace(ctx, r.Objects, export.Namespace)
	if err != nil {
		return nil, err
	}
	if err := r.Restrictions.refuseNamespace("ExportDestination", key, export, failure.OnDestination); err != nil {
		return &destination, err
	}
	if err := r.RefuseDestination(&destination); err != nil {
		return &destination, err
	}
	if !AdmitsDelivery(&destination, namespace) {
		return &destination, failure.OnDestination.Transient(v1alpha1.ReasonAccessDenied, nil,
			"ExportDestination %s does not admit namespace %s: %s", key, export.Namespace, noRule(namespace))
	}
	return &destination, nil
}

// Exporter returns the exporter that an export of a namespace names, if it accepts its options.
func (r *Resolver) Exporter(namespace string, spec v1alpha1.ExporterSpec) (exporters.Exporter, error) {
	exporter, known := r.Exporters.Get(spec.Type)
	if !known {
		return nil, failure.OnMapping.Stalled(v1alpha1.ReasonUnknownExporter, nil,
			"spec.exporter.type %q is not built into this operator; it has %q", spec.Type, r.Exporters.Types())
	}
	if err := r.Restrictions.refuseExporter(spec.Type); err != nil {
		return nil, err
	}
	if failed := r.validated.validate(namespace, exporter, Options(spec)); failed != nil {
		return nil, failed
	}
	return exporter, nil
}

// Options are the raw options of an exporter: a JSON object, or nothing.
func Options(spec v1alpha1.ExporterSpec) []byte {
	if spec.Options == nil {
		return nil
	}
	return spec.Options.Raw
}

// SourceKey is where the ClaimSource of an export is.
func SourceKey(export *v1alpha1.AccountingExport) types.NamespacedName {
	return keyOf(export, export.Spec.SourceRef)
}

// DestinationKey is where the ExportDestination of an export is.
func DestinationKey(export *v1alpha1.AccountingExport) types.NamespacedName {
	return keyOf(export, export.Spec.DestinationRef)
}

// RunDestinationKey is where the ExportDestination is that a run of an export delivers to, or has delivered to.
func RunDestinationKey(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) types.NamespacedName {
	if key, own := OwnDestinationKey(run); own {
		return key
	}
	return DestinationKey(export)
}

// OwnDestinationKey is where the ExportDestination is that a run has begun with, or names itself; false of one that goes by its export.
func OwnDestinationKey(run *v1alpha1.ExportRun) (key types.NamespacedName, own bool) {
	ref := cmp.Or(run.Status.DestinationRef, run.Spec.DestinationRef)
	if ref == nil {
		return key, false
	}
	return keyFrom(run.Namespace, *ref), true
}

// NamedDestinationKey is where the ExportDestination is that a run that begins now delivers to: the run's own, or the export's.
func NamedDestinationKey(run *v1alpha1.ExportRun, export *v1alpha1.AccountingExport) types.NamespacedName {
	if own := run.Spec.DestinationRef; own != nil {
		return keyOf(export, *own)
	}
	return DestinationKey(export)
}

func keyOf(export *v1alpha1.AccountingExport, ref v1alpha1.NamespacedReference) types.NamespacedName {
	return keyFrom(export.Namespace, ref)
}

// keyFrom is what a reference in a namespace names.
func keyFrom(namespace string, ref v1alpha1.NamespacedReference) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(ref.Namespace, namespace), Name: ref.Name}
}

// Mapper compiles a chart for an export. A failure is stalled: the chart or the export must change.
func Mapper(chart *v1alpha1.ChartOfAccountsSpec, policy ledger.VoucherPolicy) (*ledger.Mapper, error) {
	mapper, err := ledger.NewMapper(chart, policy)
	if period := (*ledger.PeriodError)(nil); errors.As(err, &period) {
		return nil, failure.OnMapping.Stalled(v1alpha1.ReasonPeriodNotOpen, err, "%s", period)
	}
	if err != nil {
		return nil, failure.OnMapping.Stalled(v1alpha1.ReasonInvalidChart, err, "the chart of accounts cannot be used: %s", failure.Listing(err))
	}
	return mapper, nil
}

// Selection compiles the expression that says which claims an export is for.
func Selection(of *v1alpha1.ClaimSelection) (ledger.Selection, error) {
	if of == nil {
		return ledger.Selection{}, nil
	}
	selection, err := ledger.NewSelection(of.Expression)
	if err != nil {
		return selection, failure.OnMapping.Stalled(v1alpha1.ReasonInvalidSelection, err, "spec.claims.expression: %s", err)
	}
	return selection, nil
}

// Timing returns the time zone of an export and its schedule, nil where it runs on request only.
func Timing(export *v1alpha1.AccountingExport) (*time.Location, *schedule.Schedule, error) {
	location, err := schedule.LoadZone(export.Spec.TimeZone)
	if err != nil {
		return nil, nil, failure.Stalled(v1alpha1.ReasonInvalidTimeZone, err, "spec.timeZone: %s", err)
	}
	if export.Spec.Schedule == "" {
		return location, nil, nil
	}
	slots, err := schedule.Parse(export.Spec.Schedule, location)
	if err != nil {
		return location, nil, failure.Stalled(v1alpha1.ReasonInvalidSchedule, err, "spec.schedule: %s", err)
	}
	if anyTime := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC); slots.Next(anyTime).IsZero() {
		return location, nil, failure.Stalled(v1alpha1.ReasonInvalidSchedule, nil,
			"spec.schedule: %q never falls due: no month has such a day", export.Spec.Schedule)
	}
	return location, slots, nil
}

func (r *Resolver) get(ctx context.Context, key types.NamespacedName, into client.Object, undecoded *v1alpha1.Undecoded, kind, field string, condition failure.Condition, notFound v1alpha1.Reason) error {
	err := r.Objects.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return condition.Transient(notFound, err, "%s %s does not exist; create it, or correct %s", kind, key, field)
	}
	if err == nil && undecoded.Spec != "" {
		return condition.Transient(v1alpha1.ReasonUndecodable, nil, "%s %s has a field that cannot be decoded, which its own conditions name", kind, key)
	}
	return err
}
