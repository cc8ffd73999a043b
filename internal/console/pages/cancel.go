package pages

import (
	"errors"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// cancellable reports whether a run can be asked to end: it has not, and does not give its claims back already.
func cancellable(run *v1alpha1.ExportRun) bool {
	return !run.Status.Phase.Finished() && run.Status.Phase != v1alpha1.RunReleasing && !run.Spec.Cancel && run.DeletionTimestamp.IsZero()
}

// confirmCancellation shows which run is about to be cancelled, and how far it is.
func (v *visit) confirmCancellation() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	if !cancellable(run) {
		return errNoPage
	}
	rights, err := v.may(v.ctx, run.Namespace, toChange, toUpdate, toApprove)
	if err != nil {
		return err
	}
	_, zone, err := v.zoneOf(run)
	if err != nil {
		return err
	}
	content := &requestView{
		Type: "cancel", Question: v.T("request.cancel.question", run.Name),
		Text: v.T("request.cancel.text"), Submit: v.T("request.cancel"), Danger: true,
		Facts: slices.Concat(v.namesOfRun(run), []fact{
			{Name: v.T("column.state"), Value: v.phase(run.Status.Phase).Text}, {Name: v.T("column.asked"), Value: v.asked(run, zone).Text},
		}, v.factsOfRun(run)),
	}
	if !canceller(rights) {
		content.Forbidden = v.T("request.forbidden")
	}
	return v.askAbout(run, http.StatusOK, content)
}

// cancel asks a run to end, and leads to it. One that is asked twice is asked once.
func (v *visit) cancel() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	switch {
	case run.Spec.Cancel:
	case !cancellable(run):
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("exportruns").GroupResource(), run.Name, errors.New("the run has ended, or gives its claims back"))
	default:
		if _, err := requests.Cancel(v.ctx, v.cluster, types.NamespacedName{Namespace: run.Namespace, Name: run.Name}, v.caller.Name); err != nil {
			return err
		}
		v.Log.Info("a run was cancelled", "namespace", run.Namespace, "run", run.Name, "by", v.caller.Name)
	}
	http.Redirect(v.w, v.r, runPath(run.Namespace, run.Name), http.StatusSeeOther)
	return nil
}
