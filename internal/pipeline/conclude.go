package pipeline

import (
	"context"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// commit records the claims as exported: from here on the resource may report it.
func (a *attempt) commit(ctx context.Context) error {
	if err := a.Failpoints.Around(failpoint.Commit, func() error { return a.database.Commit(ctx, a.run.Fence()) }); err != nil {
		return err
	}
	a.run.State = claims.StateCommitted
	return nil
}

// conclude makes the outcome from what is recorded.
func (a *attempt) conclude() error {
	manifest, err := a.run.ReadManifest()
	if err != nil {
		return err
	}
	if err := a.ownLocation(); err != nil {
		return err
	}
	a.outcome.Committed = a.run.State == claims.StateCommitted
	a.outcome.FirstVoucher, a.outcome.LastVoucher = a.run.FirstVoucher, a.run.LastVoucher
	a.outcome.Result = v1alpha1.RunResult{
		Claims: a.run.Claims, Lines: a.run.Lines, Held: a.run.Held,
		Debit: manifest.Base.Debit.Decimal(manifest.Base.Currency), Currency: manifest.Base.Currency.Code(),
		Location: a.run.Location,
	}
	if receipts := manifest.Receipts; receipts != nil {
		a.outcome.Result.Receipts, a.outcome.Result.ReceiptsMissing = receipts.Delivered, receipts.Missing
	}
	a.outcome.Result.Total = a.outcome.Result.Debit + " " + a.outcome.Result.Currency
	if a.run.ArtifactRemovedAt != nil { // with an ExportRun that was deleted, and applied again since
		a.outcome.Result.Location = ""
	}
	if len(a.run.Files) > 0 {
		a.outcome.Result.SHA256 = a.run.Files[0].SHA256
	}
	a.outcome.Files, a.outcome.FileCount = firstFiles(a.run.Files), int64(len(a.run.Files))
	if a.run.Type == claims.TypeRedelivery { // what is held, and what an accounting system said, is told by the other run
		return nil
	}
	a.outcome.Held = firstHeld(manifest.Held, a.Candid)
	if manifest.Submission != nil {
		submitted := manifest.Submission.Submitted // of its own: the rest may be megabytes
		a.outcome.Submitted = &submitted
	}
	return nil
}

const (
	// statusFiles bounds the list of files in a status.
	statusFiles = 20
	// longestFile and longestMediaType are longer than any of ours.
	longestFile      = 255
	longestMediaType = 100
	// statusHeld bounds the list of held claims in a status.
	statusHeld = 20
	// longestReason is longer than any reason of ours.
	longestReason = 64
)

// firstFiles describes the first files of an artifact. What they are called may come from a tenant's database.
func firstFiles(all []claims.File) (first []v1alpha1.RunFile) {
	for _, file := range all[:min(len(all), statusFiles)] {
		first = append(first, v1alpha1.RunFile{
			Name: texts.Printable(file.Name, longestFile), Size: file.Size, SHA256: file.SHA256, MediaType: texts.Printable(file.MediaType, longestMediaType),
		})
	}
	return first
}

// firstHeld names held claims: first those whose vouchers the accounting system rejected, with its words. Others have their messages where
// everything may be told.
func firstHeld(all []artifact.HeldClaim, candid bool) (first []v1alpha1.HeldClaim) {
	for _, held := range all {
		if held.Reason == ledger.HoldRejected && len(first) < statusHeld {
			first = append(first, shownHold(held, held.Detail))
		}
	}
	for _, held := range all {
		if held.Reason != ledger.HoldRejected && len(first) < statusHeld {
			shown := shownHold(held, "")
			if candid {
				shown.Message = texts.Printable(held.Detail, texts.Message)
			}
			first = append(first, shown)
		}
	}
	return first
}

func shownHold(held artifact.HeldClaim, message string) v1alpha1.HeldClaim {
	return v1alpha1.HeldClaim{
		ID: texts.Printable(held.Claim, texts.Quote), Reason: texts.Printable(string(held.Reason), longestReason), Message: texts.Printable(message, texts.Quote),
	}
}
