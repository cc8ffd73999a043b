package references

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	const label = "accounting.ledgerport.dev/organization-id"
	tenants := metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "true"}}
	byLabel := v1alpha1.AccessRule{NamespaceSelector: tenants, OrganizationIDFromNamespaceLabel: label}
	byList := v1alpha1.AccessRule{NamespaceSelector: tenants, OrganizationIDs: []string{"org-1", "org-2"}}
	broken := v1alpha1.AccessRule{
		NamespaceSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Maybe"}}},
		OrganizationIDs:   []string{"org-1"},
	}
	tests := []struct {
		name         string
		rules        []v1alpha1.AccessRule
		namespace    string
		labels       map[string]string
		organization string
		admitted     bool
	}{
		{"own namespace", nil, "home", nil, "org-1", true},
		{"another namespace without rules", nil, "acme", nil, "org-1", false},
		{"label of the namespace says the organisation", []v1alpha1.AccessRule{byLabel}, "acme", map[string]string{"tenant": "true", label: "org-1"}, "org-1", true},
		{"label says another organisation", []v1alpha1.AccessRule{byLabel}, "acme", map[string]string{"tenant": "true", label: "org-2"}, "org-1", false},
		{"label is missing, and so is the organisation", []v1alpha1.AccessRule{byLabel}, "acme", map[string]string{"tenant": "true"}, "", false},
		{"selector does not match", []v1alpha1.AccessRule{byLabel}, "acme", map[string]string{label: "org-1"}, "org-1", false},
		{"listed organisation", []v1alpha1.AccessRule{byList}, "acme", map[string]string{"tenant": "true"}, "org-2", true},
		{"organisation that is not listed", []v1alpha1.AccessRule{byList}, "acme", map[string]string{"tenant": "true"}, "org-3", false},
		{"any rule admits", []v1alpha1.AccessRule{byLabel, byList}, "acme", map[string]string{"tenant": "true"}, "org-2", true},
		{"a selector that cannot be read admits nobody", []v1alpha1.AccessRule{broken}, "acme", nil, "org-1", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Name: "claims", Namespace: "home"}}
			source.Spec.Access = test.rules
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: test.namespace, Labels: test.labels}}
			if got := Admits(source, namespace, test.organization); got != test.admitted {
				t.Errorf("admitted = %t, want %t", got, test.admitted)
			}
		})
	}
}

func TestADenialSaysWhatTheNamespaceIsLabelledAndWhatWasWanted(t *testing.T) {
	t.Parallel()
	const label = "accounting.ledgerport.dev/organization-id"
	tenants := metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "true"}}
	byLabel := v1alpha1.AccessRule{NamespaceSelector: tenants, OrganizationIDFromNamespaceLabel: label}
	byList := v1alpha1.AccessRule{NamespaceSelector: tenants, OrganizationIDs: []string{"secret-org"}}
	others := v1alpha1.AccessRule{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "bigcorp"}}, OrganizationIDFromNamespaceLabel: "bigcorp"}
	many := map[string]string{corev1.LabelMetadataName: "acme"}
	for i := range 13 {
		many[string(rune('a'+i))] = "x"
	}
	for name, test := range map[string]struct {
		rules  []v1alpha1.AccessRule
		labels map[string]string
		says   string
	}{
		"the label is missing":        {[]v1alpha1.AccessRule{others, byLabel}, map[string]string{"tenant": "true"}, "goes by the label " + label + ", which the namespace lacks; let an administrator label it with " + label + "=org-1"},
		"the label differs":           {[]v1alpha1.AccessRule{byLabel}, map[string]string{"tenant": "true", label: "org-2"}, label + `, which is "org-2" on the namespace`},
		"the list lacks it":           {[]v1alpha1.AccessRule{byList, others}, map[string]string{"tenant": "true"}, "none of them lists this organisation"},
		"no rule selects it":          {[]v1alpha1.AccessRule{byLabel, others}, map[string]string{"tenant": "yes", corev1.LabelMetadataName: "acme"}, "which has the labels tenant=yes;"},
		"no rule selects its name":    {nil, nil, "which has no other labels than its name;"},
		"no rule selects many labels": {nil, many, "j=x and 3 more;"},
	} {
		source := &v1alpha1.ClaimSource{ObjectMeta: metav1.ObjectMeta{Name: "claims", Namespace: "home"}}
		source.Spec.Access = test.rules
		got := whyDenied(source, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme", Labels: test.labels}}, "org-1")
		if !strings.Contains(got, test.says) || strings.Contains(got, "bigcorp") || strings.Contains(got, "secret-org") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAccessToADestination(t *testing.T) {
	t.Parallel()
	tenants := v1alpha1.DestinationAccessRule{NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tenant": "true"}}}
	broken := v1alpha1.DestinationAccessRule{
		NamespaceSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Maybe"}}},
	}
	tests := []struct {
		name      string
		rules     []v1alpha1.DestinationAccessRule
		namespace string
		labels    map[string]string
		admitted  bool
	}{
		{"own namespace", nil, "home", nil, true},
		{"another namespace without rules", nil, "acme", map[string]string{"tenant": "true"}, false},
		{"selector matches", []v1alpha1.DestinationAccessRule{tenants}, "acme", map[string]string{"tenant": "true"}, true},
		{"selector does not match", []v1alpha1.DestinationAccessRule{tenants}, "acme", nil, false},
		{"an empty selector admits everybody", []v1alpha1.DestinationAccessRule{{}}, "acme", nil, true},
		{"a selector that cannot be read admits nobody", []v1alpha1.DestinationAccessRule{broken}, "acme", nil, false},
		{"any rule admits", []v1alpha1.DestinationAccessRule{broken, tenants}, "acme", map[string]string{"tenant": "true"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			destination := &v1alpha1.ExportDestination{ObjectMeta: metav1.ObjectMeta{Name: "finance", Namespace: "home"}}
			destination.Spec.Access = test.rules
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: test.namespace, Labels: test.labels}}
			if got := AdmitsDelivery(destination, namespace); got != test.admitted {
				t.Errorf("admitted = %t, want %t", got, test.admitted)
			}
		})
	}
}
