package claimsource

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestConditionsOfASource(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		found     claims.Inspection
		failed    *failure.Error
		condition string
		status    metav1.ConditionStatus
		reason    v1alpha1.Reason
	}{
		"a verified certificate":              {claims.Inspection{}, nil, v1alpha1.ConditionEncrypted, metav1.ConditionTrue, v1alpha1.ReasonEncrypted},
		"no verified certificate, allowed":    {claims.Inspection{Insecure: "sslmode=disable"}, nil, v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonInsecureConnection},
		"no verified certificate, refused":    {claims.Inspection{}, failure.Stalled(v1alpha1.ReasonInsecureConnection, nil, "sslmode=disable"), v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonInsecureConnection},
		"a certificate that was not seen":     {claims.Inspection{}, failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer"), v1alpha1.ConditionEncrypted, metav1.ConditionUnknown, v1alpha1.ReasonDatabaseUnreachable},
		"policies that hold":                  {claims.Inspection{}, nil, v1alpha1.ConditionIsolated, metav1.ConditionTrue, v1alpha1.ReasonRowSecurity},
		"policies that do not hold":           {claims.Inspection{ForeignRows: "it sees all"}, nil, v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonForeignRows},
		"no policies":                         {claims.Inspection{Unprotected: []string{"claims"}}, nil, v1alpha1.ConditionIsolated, metav1.ConditionFalse, v1alpha1.ReasonNoRowSecurity},
		"policies that could not be tried":    {claims.Inspection{}, failure.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no answer"), v1alpha1.ConditionIsolated, metav1.ConditionUnknown, v1alpha1.ReasonDatabaseUnreachable},
		"an index":                            {claims.Inspection{}, nil, v1alpha1.ConditionIndexed, metav1.ConditionTrue, v1alpha1.ReasonIndexed},
		"no index":                            {claims.Inspection{MissingIndex: "CREATE INDEX"}, nil, v1alpha1.ConditionIndexed, metav1.ConditionFalse, v1alpha1.ReasonIndexMissing},
		"that none of these keeps from ready": {claims.Inspection{Insecure: "x", ForeignRows: "x", MissingIndex: "x"}, nil, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var source v1alpha1.ClaimSource
			describeSource(&source, test.found, credentials.Credentials{}, test.failed)
			if got := meta.FindStatusCondition(source.Status.Conditions, test.condition); got == nil || got.Status != test.status || got.Reason != test.reason {
				t.Errorf("%s is %+v, want %s (%s)", test.condition, got, test.status, test.reason)
			}
		})
	}
}
