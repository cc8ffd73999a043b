package pages

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// awaitsApproval reports whether a run waits for somebody to approve it. An approval that the operator has not seen yet is one.
func awaitsApproval(run *v1alpha1.ExportRun) bool {
	approval := run.Status.Approval
	return run.Status.Phase == v1alpha1.RunAwaitingApproval && !run.Spec.Cancel && approval != nil && !approval.Given() &&
		run.Annotations[v1alpha1.ApprovedAnnotation] != approval.Digest
}

// notApprover returns why the caller cannot approve a run; empty if they can. It decides what is offered: the API
// server decides again.
func (v *visit) notApprover(run *v1alpha1.ExportRun, rights map[right]bool) string {
	who, requested := requests.Stamp(v.caller.Name), run.Annotations[v1alpha1.RequestedByAnnotation]
	switch {
	case !rights[toApprove] || !rights[toChange]:
		return v.T("request.forbidden")
	case requested == "":
		return v.T("request.approve.nobody")
	case who == requested || who == run.Status.RequestedBy:
		return v.T("request.approve.own")
	}
	return ""
}

// confirmApproval shows what is about to be approved.
func (v *visit) confirmApproval() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	if !awaitsApproval(run) {
		return errNoPage
	}
	return v.confirmingApproval(http.StatusOK, run, "")
}

func (v *visit) confirmingApproval(code int, run *v1alpha1.ExportRun, problem string) error {
	rights, err := v.may(v.ctx, run.Namespace, toApprove, toChange)
	if err != nil {
		return err
	}
	_, zone, err := v.zoneOf(run)
	if err != nil {
		return err
	}
	content := &requestView{
		Type: "approve", Question: v.T("request.approve.question", run.Name), Forbidden: v.notApprover(run, rights),
		Text: v.T("request.approve.text"), Facts: v.factsOfApproval(run, zone), Digest: run.Status.Approval.Digest, Submit: v.T("request.approve"), Problem: problem,
	}
	return v.askAbout(run, code, content)
}

// askAbout asks the question of a form about a run. People who may not answer it are told that.
func (v *visit) askAbout(run *v1alpha1.ExportRun, code int, content *requestView) error {
	content.To, content.Back = v.r.URL.EscapedPath(), runPath(run.Namespace, run.Name)
	if content.Forbidden != "" && code == http.StatusOK {
		code = http.StatusForbidden
	}
	trail := append(v.trailOfRun(run), link{run.Name, content.Back})
	return v.show(code, "request", shown{Title: content.Question, Trail: trail, Content: content})
}

// namesOfRun say which run it is that somebody is asked about.
func (v *visit) namesOfRun(run *v1alpha1.ExportRun) []fact {
	return []fact{
		{Name: v.T("fact.namespace"), Value: run.Namespace}, {Name: v.T("fact.export"), Value: run.Spec.ExportRef.Name}, {Name: v.T("fact.run"), Value: run.Name},
	}
}

// factsOfApproval are what somebody looks at before they approve a run.
func (v *visit) factsOfApproval(run *v1alpha1.ExportRun, zone *time.Location) []fact {
	facts := append(v.namesOfRun(run), fact{Name: v.T("column.asked"), Value: v.asked(run, zone).Text})
	if run.Spec.Reverses != nil {
		facts = append(facts, fact{Name: v.T("request.reversal"), Value: run.Spec.Reverses.Name})
	}
	facts = slices.Concat(facts, v.factsOfRun(run), v.factsOfFiles(run))
	approval := run.Status.Approval
	facts = append(facts, fact{Name: v.T("fact.digest"), Value: approval.Digest})
	if until := v.optional(approval.Until, zone); until != nil {
		facts = append(facts, fact{Name: v.T("fact.until"), At: until})
	}
	return facts
}

// factsOfFiles are the files of a run with their hashes.
func (v *visit) factsOfFiles(run *v1alpha1.ExportRun) (facts []fact) {
	for _, file := range run.Status.Files {
		facts = append(facts, fact{Name: v.T("column.file"), Value: file.Name + " · SHA-256 " + file.SHA256})
	}
	return facts
}

// digestForm is how a digest is written.
var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// approve approves what the page has shown, and leads to the run. What has changed since then is shown again, and not approved.
func (v *visit) approve() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	digest, by := v.given.Get("digest"), requests.Stamp(v.caller.Name)
	sentTwice := run.Annotations[v1alpha1.ApprovedAnnotation] == digest && run.Annotations[v1alpha1.ApprovedByAnnotation] == by
	switch {
	case !digestForm.MatchString(digest):
		return errBadQuestion
	case sentTwice:
	case !awaitsApproval(run):
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("exportruns").GroupResource(), run.Name, errors.New("the run does not wait for an approval"))
	case digest != run.Status.Approval.Digest:
		return v.confirmingApproval(http.StatusConflict, run, v.T("request.approve.changed"))
	default:
		if _, err := requests.Approve(v.ctx, v.cluster, run, v.caller.Name); err != nil {
			return err
		}
		v.Log.Info("a run was approved", "namespace", run.Namespace, "run", run.Name, "digest", digest, "by", v.caller.Name)
	}
	http.Redirect(v.w, v.r, runPath(run.Namespace, run.Name), http.StatusSeeOther)
	return nil
}
