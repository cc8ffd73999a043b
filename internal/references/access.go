package references

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Admits says whether a ClaimSource lets a namespace export an organisation. A source's own namespace always may.
// A selector that can not be read admits nobody.
func Admits(source *v1alpha1.ClaimSource, namespace *corev1.Namespace, organizationID string) bool {
	if source.Namespace == namespace.Name {
		return true
	}
	return slices.ContainsFunc(source.Spec.Access, func(rule v1alpha1.AccessRule) bool {
		return ruleAdmits(rule, namespace, organizationID)
	})
}

func ruleAdmits(rule v1alpha1.AccessRule, namespace *corev1.Namespace, organizationID string) bool {
	selector, err := metav1.LabelSelectorAsSelector(&rule.NamespaceSelector)
	if err != nil || !selector.Matches(labels.Set(namespace.Labels)) {
		return false
	}
	if label := rule.OrganizationIDFromNamespaceLabel; label != "" {
		value, labelled := namespace.Labels[label]
		return labelled && value == organizationID
	}
	return slices.Contains(rule.OrganizationIDs, organizationID)
}
