package references

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Restrictions are what the administrator keeps tenants from using.
type Restrictions struct {
	// DestinationTypes that may be used; empty is all.
	DestinationTypes []string
	// Exporters that may be used, by type; empty is all.
	Exporters []string
	// OwnNamespaceOnly refuses references to sources and destinations of other namespaces, whatever their owners admit.
	OwnNamespaceOnly bool
}

// RefuseDestination returns a failure if the administrator does not allow destinations of this type.
func (r *Resolver) RefuseDestination(destination *v1alpha1.ExportDestination) error {
	allowed := r.Restrictions.DestinationTypes
	if len(allowed) == 0 {
		return nil
	}
	kind, err := r.Destinations.Of(destination)
	if err != nil || slices.Contains(allowed, kind.Name) {
		return err
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonTypeNotAllowed, nil,
		"destinations of type %s are not among the operator's --allowed-destination-types, which are %q", kind.Name, allowed)
}

// refuseExporter returns a failure if the administrator does not allow an exporter.
func (r *Restrictions) refuseExporter(kind string) error {
	if len(r.Exporters) == 0 || slices.Contains(r.Exporters, kind) {
		return nil
	}
	return failure.OnMapping.Stalled(v1alpha1.ReasonTypeNotAllowed, nil,
		"the exporter %s is not among the operator's --allowed-exporters, which are %q", kind, r.Exporters)
}

// refuseNamespace returns a failure if the administrator does not allow an export to refer to another namespace than its own.
func (r *Restrictions) refuseNamespace(kind string, key types.NamespacedName, export *v1alpha1.AccountingExport, condition failure.Condition) error {
	if !r.OwnNamespaceOnly || key.Namespace == export.Namespace {
		return nil
	}
	return condition.Transient(v1alpha1.ReasonAccessDenied, nil,
		"%s %s is in another namespace than the export, which the operator's --allow-cross-namespace-references=false refuses", kind, key)
}
