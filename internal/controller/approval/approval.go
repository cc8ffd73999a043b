// Package approval finds out whether the API server refuses approvals that are forged.
package approval

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/texts"
)

// probe is something that is forged, and what the API server says of it where it is refused by the policy that is to.
type probe struct {
	policy, refused string
	forge           func(context.Context, client.Client, *v1alpha1.AccountingExport) (taken bool, err error)
}

// probes of all that an approval is worth nothing without: that nobody approves but who may, and that nobody asks in another's name, with a
// run or with an export.
var probes = []probe{
	{"ledgerport-approval", "a run is approved when it waits for that, and not when it is created", forgeRun(v1alpha1.ApprovedAnnotation, "forged")},
	{"ledgerport-who", "names who asked for a run in at most 256 characters", forgeRun(v1alpha1.RequestedByAnnotation, strings.Repeat("x", 257))},
	{"ledgerport-who-of-exports", "is who changes accounting.ledgerport.dev/requestedAt", forgeRequest},
}

// forgeRun makes a run with an annotation that nobody may write.
func forgeRun(annotation, value string) func(context.Context, client.Client, *v1alpha1.AccountingExport) (bool, error) {
	return func(ctx context.Context, cluster client.Client, export *v1alpha1.AccountingExport) (bool, error) {
		forged := &v1alpha1.ExportRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: export.Namespace, GenerateName: "forged-", Annotations: map[string]string{annotation: value}},
			Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: export.Name}, Type: v1alpha1.RunPreview},
		}
		return true, cluster.Create(ctx, forged, client.DryRunAll, client.DisableReadYourWritesConsistency) // the cache never has it
	}
}

// forgeRequest writes into an export that somebody else asks for a run. Where names are written for everybody (config/stamps), this one is
// not taken.
func forgeRequest(ctx context.Context, cluster client.Client, export *v1alpha1.AccountingExport) (bool, error) {
	const name = "system:ledgerport:forged"
	forged := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: export.Namespace, Name: export.Name}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+v1alpha1.RequestedByAnnotation+`":"`+name+`"}}}`))
	err := cluster.Patch(ctx, forged, patch, client.DryRunAll, client.DisableReadYourWritesConsistency)
	return forged.Annotations[v1alpha1.RequestedByAnnotation] == name, err
}

// Unenforced returns why approvals of the runs of an export are not believed; nil if they are. It asks the API server to take what is
// forged, which would not be stored: an answer is worth more than what somebody says of the cluster. The error is one that says
// nothing of the policies, such as that the API server is away.
func Unenforced(ctx context.Context, cluster client.Client, export *v1alpha1.AccountingExport) (*failure.Error, error) {
	for _, probe := range probes {
		taken, err := probe.forge(ctx, cluster, export)
		switch {
		case err == nil && taken:
			return failure.Transient(v1alpha1.ReasonApprovalNotEnforced, nil,
				"spec.approval is Required, and the API server does not refuse an approval, or a name of who asked, that is forged (%s); let an administrator apply config/admission, "+
					"or enable admissionPolicies.who and admissionPolicies.approval of the chart", probe.policy), nil
		case err == nil, apierrors.IsForbidden(err) && strings.Contains(err.Error(), "'"+probe.policy) && strings.Contains(err.Error(), probe.refused):
		case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
			return failure.Transient(v1alpha1.ReasonApprovalNotEnforced, err,
				"spec.approval is Required, and whether the API server refuses an approval that is forged is not known (%s), because it refuses something else first: %s",
				probe.policy, texts.Printable(err.Error(), texts.Quote)), nil
		default:
			return nil, err
		}
	}
	return nil, nil
}
