package exportrun

import (
	"cmp"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// noteWho puts into the status who has asked for a run and who has cancelled it. What was noted once stays: in a cluster without the
// policy of config/admission, a user who may change runs may write another name later.
func noteWho(run *v1alpha1.ExportRun) {
	status := &run.Status
	status.RequestedBy = cmp.Or(status.RequestedBy, named(run, v1alpha1.RequestedByAnnotation))
	if run.Spec.Cancel {
		status.CancelledBy = cmp.Or(status.CancelledBy, named(run, v1alpha1.CancelledByAnnotation))
	}
}

// named returns the name that an annotation has, as a status can show it.
func named(run *v1alpha1.ExportRun, annotation string) string {
	return texts.Printable(run.Annotations[annotation], texts.Quote)
}
