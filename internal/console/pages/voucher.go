package pages

import (
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
)

// voucherView is the content of the page of a voucher: its way from a claim to a file.
type voucherView struct {
	Namespace, Run, RunPath string
	Voucher                 voucherRow
	ClaimLink               string
	Debit, Credit           string
	Asked                   string
	Completed               *moment
	Standing                standing
	Files                   []fileRow
	Reversals               []reversalRow
	// Unlooked says that more runs have reversed claims of this one than were looked into.
	Unlooked bool
	Reverses *link
	Offer    *offer
}

// reversalRow is a voucher that reverses another.
type reversalRow struct {
	Number, Path, Run, RunPath string
}

// mostReversals are looked into for the voucher that reverses another.
const mostReversals = 5

// voucher shows one voucher.
func (v *visit) voucher() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	number := v.given.Get("number")
	if number == "" {
		return errNoPage
	}
	key := types.NamespacedName{Namespace: run.Namespace, Name: run.Name}
	found, err := v.books.Vouchers(v.ctx, key, books.Search{Number: number, Limit: 1, Pages: mostSummed / 4})
	if err != nil {
		return err
	}
	if len(found.Items) == 0 {
		return errNoPage
	}
	export, zone, err := v.zoneOf(run)
	if err != nil {
		return err
	}
	content := v.voucherView(run, &found.Items[0], export, zone)
	if err := v.reversals(run, &found.Items[0], content); err != nil {
		return err
	}
	if files, err := v.books.Files(v.ctx, key); err == nil { // the page of the run says why there are none
		for _, file := range files.Items[:min(len(files.Items), 2)] {
			content.Files = append(content.Files, fileRow{file.Name, runPath(run.Namespace, run.Name, "files", file.Name), file.MediaType, file.SHA256, file.Size})
		}
	}
	rights, err := v.may(v.ctx, run.Namespace, toRun, toReverse)
	if err != nil {
		return err
	}
	if rights[toRun] && rights[toReverse] && reversible(run) && len(content.Reversals) == 0 {
		content.Offer = &offer{v.T("request.reversal.claim"), with(runPath(run.Namespace, run.Name, "request", "reversal"), "claim", found.Items[0].Claim)}
	}
	trail := append(v.trailOfRun(run), link{run.Name, runPath(run.Namespace, run.Name)})
	return v.show(http.StatusOK, "voucher", shown{Title: v.T("voucher.title", content.Voucher.Number), Trail: trail, Content: content})
}

func (v *visit) voucherView(run *v1alpha1.ExportRun, voucher *api.Voucher, export *v1alpha1.AccountingExport, zone *time.Location) *voucherView {
	content := &voucherView{
		Namespace: run.Namespace, Run: run.Name, RunPath: runPath(run.Namespace, run.Name), Voucher: v.voucherRow(run, voucher),
		Asked: v.asked(run, zone).Text, Completed: v.optional(run.Status.CompletedAt, zone), Standing: v.phase(run.Status.Phase),
	}
	if export != nil {
		to, _ := newClaimLink(export.Annotations[v1alpha1.ClaimURLAnnotation]) // the page of held claims says what is wrong with it
		content.ClaimLink = to.of(voucher.Claim)
	}
	if of := run.Spec.Reverses; of != nil && voucher.Reverses != "" {
		content.Reverses = &link{voucher.Reverses, with(runPath(run.Namespace, of.Name, "voucher"), "number", voucher.Reverses)}
	}
	return content
}

// reversals looks for the vouchers that reverse one, in the runs that reversed claims of its run.
func (v *visit) reversals(run *v1alpha1.ExportRun, voucher *api.Voucher, content *voucherView) error {
	by := run.Status.ReversedBy
	content.Unlooked = len(by) > mostReversals
	for _, reversal := range by[:min(len(by), mostReversals)] {
		list, err := v.books.Vouchers(v.ctx, types.NamespacedName{Namespace: run.Namespace, Name: reversal.Name}, books.Search{Claim: voucher.Claim, Limit: 100, Pages: 2})
		if err != nil {
			content.Unlooked = true // its ExportRun may be gone
			continue
		}
		for _, other := range list.Items {
			if other.Reverses == voucher.Number {
				path := runPath(run.Namespace, reversal.Name)
				content.Reversals = append(content.Reversals, reversalRow{other.Number, with(path+"/voucher", "number", other.Number), reversal.Name, path})
			}
		}
	}
	return nil
}
