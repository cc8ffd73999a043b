package references_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

func TestDiscreet(t *testing.T) {
	t.Parallel()
	source := types.NamespacedName{Namespace: "expenses", Name: "claims"}
	const details = "no connection to the database at db.internal:5432"
	for name, test := range map[string]struct {
		reader  string
		failed  *failure.Error
		details bool
	}{
		"the owner sees all of it":              {"expenses", failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, details), true},
		"another namespace sees the reason":     {"acme", failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, details), false},
		"a reason that is new is private":       {"acme", failure.Transient("Unheard", nil, details), false},
		"another namespace sees what is denied": {"acme", failure.Transient(v1alpha1.ReasonAccessDenied, nil, details), true},
		"… and a receipt that it requires":      {"acme", failure.Transient(v1alpha1.ReasonReceiptMissing, nil, details), true},
		"its own organisation is wrong":         {"acme", failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "spec.organizationID: %s", details), true},
	} {
		test.failed.Condition = v1alpha1.ConditionSourceReady
		got := failure.From(references.Discreet(test.failed, "ClaimSource", source, test.reader))
		if strings.Contains(got.Message, "db.internal") != test.details || got.Reason != test.failed.Reason || got.Condition != test.failed.Condition || got.Stalled != test.failed.Stalled {
			t.Errorf("%s: %+v", name, got)
		}
		if !test.details && got.Message != "ClaimSource expenses/claims is not ready ("+test.failed.Reason+"); its own status says more" {
			t.Errorf("%s: %q", name, got.Message)
		}
	}
	other := errors.New("not a failure")
	if got := references.Discreet(other, "ClaimSource", source, "acme"); !errors.Is(got, other) {
		t.Error(got)
	}
}
