package references

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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

// whyDenied says what the namespace is labelled, and what a rule wanted. What rules admit others is not in it: who reads this may be a
// tenant of the source's owner.
func whyDenied(source *v1alpha1.ClaimSource, namespace *corev1.Namespace, organizationID string) string {
	listed := false
	for _, rule := range source.Spec.Access {
		label := rule.OrganizationIDFromNamespaceLabel
		switch value, labelled := namespace.Labels[label]; {
		case !selects(&rule.NamespaceSelector, namespace):
		case label == "":
			listed = true
		case !labelled:
			return fmt.Sprintf("a rule goes by the label %s, which the namespace lacks; let an administrator label it with %[1]s=%s", label, organizationID)
		default:
			return fmt.Sprintf("a rule goes by the label %s, which is %q on the namespace; write that id in spec.organizationID, or let an administrator correct the label", label, value)
		}
	}
	if listed {
		return "rules select the namespace, and none of them lists this organisation; its owner can add it to organizationIDs of a rule of spec.access"
	}
	return noRule(namespace)
}

// mostLabels bounds the labels of a namespace that a message has.
const mostLabels = 10

// noRule says that no rule selects a namespace, and what it is labelled.
func noRule(namespace *corev1.Namespace) string {
	var labelled []string
	for _, key := range slices.Sorted(maps.Keys(namespace.Labels)) {
		if key != corev1.LabelMetadataName {
			labelled = append(labelled, key+"="+namespace.Labels[key])
		}
	}
	what := "no other labels than its name"
	switch more := len(labelled) - mostLabels; {
	case more > 0:
		what = fmt.Sprintf("the labels %s and %d more", strings.Join(labelled[:mostLabels], ", "), more)
	case len(labelled) > 0:
		what = "the labels " + strings.Join(labelled, ", ")
	}
	return "no namespaceSelector of its spec.access selects the namespace, which has " + what + "; its owner can add a rule, or an administrator a label"
}

func selects(selector *metav1.LabelSelector, namespace *corev1.Namespace) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(namespace.Labels))
}
