package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/receipts"
)

// approvalOf is the approval that runs of an export begin with; empty if they need none.
func approvalOf(export *v1alpha1.AccountingExport) v1alpha1.ApprovalPolicy {
	if export.Spec.Approval == v1alpha1.ApprovalRequired {
		return v1alpha1.ApprovalRequired
	}
	return ""
}

// awaitsApproval reports whether a rendered run has to wait for its approval, and describes it then. It has to if its export requires it now, or
// did when it began, or if it has waited before: the record of what it began with is in a tenant's own database. A run without claims
// delivers nothing.
func (a *attempt) awaitsApproval() (bool, error) {
	if !a.task.Type.NeedsApproval() || a.run.Claims == 0 {
		return false, nil
	}
	began, err := inputsOf(a.run)
	if err != nil {
		return false, err
	}
	if !a.task.Awaited && began.Approval != v1alpha1.ApprovalRequired && approvalOf(a.cluster.export) != v1alpha1.ApprovalRequired {
		return false, nil
	}
	digest, err := a.digest()
	if err != nil || digest == a.task.Approved {
		return false, err
	}
	a.outcome.Awaits = digest
	return true, a.conclude()
}

// nameless says why a run does not begin that nobody could approve.
func (a *attempt) nameless() error {
	return failure.Stalled(v1alpha1.ReasonRequesterUnknown, nil,
		"AccountingExport %s needs an approval by another person than who asked for the run, and nobody is named who did: ask with the console or \"kubectl ledgerport run\", "+
			"or let an administrator apply config/stamps, which writes the name for kubectl, too", a.cluster.export.Name)
}

// recordApproval records who has asked for a run and who has approved it, if it has waited for that. An attempt that goes on after another
// records the same again.
func (a *attempt) recordApproval(ctx context.Context) error {
	if a.task.Approved == "" {
		return nil
	}
	of := claims.Approval{RequestedBy: a.task.RequestedBy, ApprovedBy: a.task.ApprovedBy, ApprovedAt: a.task.ApprovedAt}
	return a.Failpoints.Around(failpoint.RecordApproval, func() error { return a.database.RecordApproval(ctx, a.run.Fence(), of) })
}

// digest is what an approval is of: the run with all its figures, and the name, size and hash of each file. What the delivery of receipts adds
// is left out: it comes later, and the list of the receipts does not change what is booked.
func (a *attempt) digest() (string, error) {
	manifest, err := a.run.ReadManifest()
	if err != nil {
		return "", err
	}
	manifest.Receipts = nil
	manifest.Files = slices.DeleteFunc(slices.Clone(a.run.Files), func(file claims.File) bool {
		return file.Name == artifact.ManifestName || file.Name == receipts.ListName
	})
	content, err := json.Marshal(manifest)
	if err != nil {
		return "", fmt.Errorf("describing what is to be approved: %w", err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}
