package references

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Admits reports whether a ClaimSource lets a namespace export an organisation. A source's own namespace always may.
// A selector that cannot be read admits nobody.
func Admits(source *v1alpha1.ClaimSource, namespace *corev1.Namespace, organizationID string) bool {
	if source.Namespace == namespace.Name {
		return true
	}
	return slices.ContainsFunc(source.Spec.Access, func(rule v1alpha1.AccessRule) bool {
		return ruleAdmits(rule, namespace, organizationID)
	})
}

// AdmitsDelivery reports whether an ExportDestination lets a namespace deliver to it. A destination's own namespace always
// may. A selector that cannot be read admits nobody.
func AdmitsDelivery(destination *v1alpha1.ExportDestination, namespace *corev1.Namespace) bool {
	if destination.Namespace == namespace.Name {
		return true
	}
	return slices.ContainsFunc(destination.Spec.Access, func(rule v1alpha1.DestinationAccessRule) bool {
		return selects(&rule.NamespaceSelector, namespace)
	})
}

func ruleAdmits(rule v1alpha1.AccessRule, namespace *corev1.Namespace, organizationID string) bool {
	if !selects(&rule.NamespaceSelector, namespace) {
		return false
	}
	if label := rule.OrganizationIDFromNamespaceLabel; label != "" {
		value, labelled := namespace.Labels[label]
		return labelled && value == organizationID
	}
	return slices.Contains(rule.OrganizationIDs, organizationID)
}

func selects(selector *metav1.LabelSelector, namespace *corev1.Namespace) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(namespace.Labels))
}
