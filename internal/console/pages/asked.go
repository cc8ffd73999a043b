package pages

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// asking says who has asked for a run, as far as the run says it.
type asking struct {
	// Text for a person.
	Text string
	// Source is schedule, request, person or unknown.
	Source string
	// Name of who has asked, as the run says. It is verified where a policy of the cluster sees to that.
	Name string
	// Program that made the run, as it calls itself.
	Program string
}

// asked reads who has asked for a run. The schedule's and requests' runs are named by the operator; of what else is in an object only
// the program is known that wrote it, and what that has written.
func (v *visit) asked(run *v1alpha1.ExportRun, zone *time.Location) asking {
	program := maker(run.ManagedFields)
	controlled := metav1.GetControllerOf(run)
	name := cmp.Or(run.Status.RequestedBy, run.Annotations[v1alpha1.RequestedByAnnotation])
	byOperator := controlled != nil && controlled.Kind == "AccountingExport" && name == ""
	switch {
	case run.Spec.Slot != nil && (name == "" || name == v1alpha1.RequestedBySchedule):
		return asking{v.T("asked.schedule", v.moment(run.Spec.Slot.Time, zone).Text), "schedule", "", program}
	case name != "":
		return v.person(name, program)
	case byOperator && strings.HasPrefix(run.Name, controlled.Name+"-r"):
		return asking{v.T("asked.request"), "request", "", program}
	case program != "":
		return asking{v.T("asked.program", program), "unknown", "", program}
	}
	return v.person("", "")
}

// person is somebody by the name that a run has, which may be empty, and by the program that wrote it.
func (v *visit) person(name, program string) asking {
	if name == "" {
		return asking{v.T("asked.unknown"), "unknown", "", program}
	}
	name = texts.Printable(name, texts.Quote)
	return asking{v.T("asked.person", name), "person", name, program}
}

// reasonOf is why somebody has asked for a run, as they say: as much of it as people read.
func reasonOf(run *v1alpha1.ExportRun) string {
	return texts.Printable(run.Annotations[v1alpha1.ReasonAnnotation], longestReason*utf8.UTFMax)
}

// cancelled reads who has cancelled a run, and when.
func (v *visit) cancelled(run *v1alpha1.ExportRun) (at time.Time, who asking) {
	at, program := writer(run.ManagedFields, `"f:cancel"`)
	return at, v.person(cmp.Or(run.Status.CancelledBy, run.Annotations[v1alpha1.CancelledByAnnotation]), program)
}

// maker is the program that first wrote the spec of an object, as it calls itself.
func maker(fields []metav1.ManagedFieldsEntry) (program string) {
	var first time.Time
	for _, entry := range fields {
		if entry.Subresource != "" || entry.FieldsV1 == nil || !strings.Contains(entry.FieldsV1.GetRawString(), `"f:exportRef"`) {
			continue
		}
		if at := entry.Time; program == "" || at != nil && at.Time.Before(first) {
			program = entry.Manager
			if at != nil {
				first = at.Time
			}
		}
	}
	return program
}
