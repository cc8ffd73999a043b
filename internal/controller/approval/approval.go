// Package approval finds out whether the API server refuses approvals that are forged.
package approval

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// policy is the name of the policy in config/admission/approval.yaml, and refused what it says of a run that is made with an approval.
	policy  = "ledgerport-approval"
	refused = "a run is approved when it waits for that, and not when it is created"
)

// Unenforced returns why approvals of the runs of an export are not believed; nil if they are. It asks the API server to take a run with a
// forged approval, which would not be stored: an answer is worth more than what somebody says of the cluster. The error is one that says
// nothing of the policy, such as that the API server is away.
func Unenforced(ctx context.Context, cluster client.Client, export *v1alpha1.AccountingExport) (*failure.Error, error) {
	forged := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: export.Namespace, GenerateName: "forged-", Annotations: map[string]string{v1alpha1.ApprovedAnnotation: "forged"},
		},
		Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: export.Name}, Type: v1alpha1.RunPreview},
	}
	err := cluster.Create(ctx, forged, client.DryRunAll, client.DisableReadYourWritesConsistency) // the cache never has it
	switch {
	case err == nil:
		return failure.Transient(v1alpha1.ReasonApprovalNotEnforced, nil,
			"spec.approval is Required, and the API server does not refuse an approval that is forged; let an administrator apply config/admission, or enable admissionPolicies.who and "+
				"admissionPolicies.approval of the chart"), nil
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), policy) && strings.Contains(err.Error(), refused):
		return nil, nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return failure.Transient(v1alpha1.ReasonApprovalNotEnforced, err,
			"spec.approval is Required, and whether the API server refuses an approval that is forged is not known, because it refuses something else first: %s",
			texts.Printable(err.Error(), texts.Quote)), nil
	}
	return nil, err
}
