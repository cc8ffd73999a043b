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

// DestinationTypes are the types of ExportDestination.
func DestinationTypes() []string { return []string{"filesystem", "s3", "sftp"} }

// destinationType is the type of an ExportDestination.
func destinationType(spec *v1alpha1.ExportDestinationSpec) string {
	switch {
	case spec.Filesystem != nil:
		return "filesystem"
	case spec.S3 != nil:
		return "s3"
	}
	return "sftp"
}

// RefuseDestination returns a failure if the administrator does not allow destinations of this type.
func (r *Restrictions) RefuseDestination(destination *v1alpha1.ExportDestination) error {
	kind := destinationType(&destination.Spec)
	if len(r.DestinationTypes) == 0 || slices.Contains(r.DestinationTypes, kind) {
		return nil
	}
	return failure.OnDestination.Transient(v1alpha1.ReasonTypeNotAllowed, nil,
		"destinations of type %s are not among the operator's --allowed-destination-types, which are %q", kind, r.DestinationTypes)
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
