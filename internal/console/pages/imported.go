package pages

import (
	"cmp"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// importView is the mark of a run that is imported.
type importView struct {
	At             *moment
	Who, Reference string
}

// imported shows the mark of a run; nil if it has none.
func (v *visit) imported(run *v1alpha1.ExportRun, zone *time.Location) *importView {
	return v.importView(requests.ImportOf(run), zone)
}

func (v *visit) importView(mark *v1alpha1.RunImport, zone *time.Location) *importView {
	if mark == nil {
		return nil
	}
	return &importView{At: v.optional(mark.At, zone), Who: v.person(mark.By, "").Text, Reference: mark.Reference}
}

// step of what became of a run.
func (i *importView) step(what string) step {
	return step{i.At, what, i.details()}
}

// details of a mark but its time, in one text.
func (i *importView) details() string {
	if i.Reference == "" {
		return i.Who
	}
	return i.Who + " · " + i.Reference
}

// told is a mark in one text.
func (i *importView) told() string {
	if i.At == nil {
		return i.details()
	}
	return i.At.Text + " · " + i.details()
}

// warningOfImport says what it means to ask for a reversal or a redelivery of a run that is imported; nothing of any other.
func (v *visit) warningOfImport(of *v1alpha1.ExportRun, asked v1alpha1.RunType, zone *time.Location) string {
	mark := v.imported(of, zone)
	switch {
	case mark == nil:
	case asked == v1alpha1.RunReversal:
		return v.T("imported.reversal", of.Name, mark.told())
	case asked == v1alpha1.RunRedeliver:
		return v.T("imported.redelivery", of.Name, mark.told())
	}
	return ""
}

// warningOfFormer says of a reversal or a redelivery what became of the run that it is of, as far as that exists and may be read.
func (v *visit) warningOfFormer(run *v1alpha1.ExportRun, zone *time.Location) string {
	reference := cmp.Or(run.Spec.Reverses, run.Spec.Redelivers)
	if reference == nil {
		return ""
	}
	former := &v1alpha1.ExportRun{}
	err := v.Get(v.ctx, types.NamespacedName{Namespace: run.Namespace, Name: reference.Name}, former)
	if err != nil || former.Spec.ExportRef != run.Spec.ExportRef {
		return ""
	}
	return v.warningOfImport(former, run.Spec.Type, zone)
}

// offersOfImport are the mark and its way back.
func (v *visit) offersOfImport(run *v1alpha1.ExportRun, rights map[right]bool) []offer {
	switch {
	case !rights[toChange] || !requests.Importable(run):
		return nil
	case requests.ImportOf(run) != nil:
		return []offer{{v.T("request.unimported"), runPath(run.Namespace, run.Name, "unimported")}}
	}
	return []offer{{v.T("request.imported"), runPath(run.Namespace, run.Name, "imported")}}
}

// confirmImported asks under what reference the accounting system has the files of a run, and confirmUnimported whether its mark was a mistake.
func (v *visit) confirmImported() error   { return v.confirmMark("imported") }
func (v *visit) confirmUnimported() error { return v.confirmMark("unimported") }

func (v *visit) confirmMark(what string) error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	if !requests.Importable(run) || what == "unimported" && requests.ImportOf(run) == nil {
		return errNoPage
	}
	return v.confirmingMark(http.StatusOK, run, what, "", "")
}

func (v *visit) confirmingMark(code int, run *v1alpha1.ExportRun, what, reference, problem string) error {
	rights, err := v.may(v.ctx, run.Namespace, toChange)
	if err != nil {
		return err
	}
	_, zone, err := v.zoneOf(run)
	if err != nil {
		return err
	}
	content := &requestView{
		Type: what, Question: v.T("request.imported.question", run.Name), Text: v.T("request.imported.text"),
		Facts: append(v.namesOfRun(run), v.factsOfRun(run)...), Submit: v.T("request.imported"), Problem: problem, Import: what == "imported", Reference: reference,
	}
	if !content.Import {
		content.Question, content.Text, content.Submit = v.T("request.unimported.question", run.Name), v.T("request.unimported.text"), v.T("request.unimported")
	}
	if mark := v.imported(run, zone); mark != nil {
		content.Facts = append(content.Facts, fact{Name: v.T("imported"), Value: mark.told()})
	}
	content.Facts = append(content.Facts, v.factsOfFiles(run)...)
	if !rights[toChange] {
		content.Forbidden = v.T("request.forbidden")
	}
	return v.askAbout(run, code, content)
}

// markImported marks a run as imported, and leads to it. The mark of somebody else is shown instead of replaced.
func (v *visit) markImported() error {
	reference := texts.OneSpace(v.given.Get("reference"))
	if utf8.RuneCountInString(reference) > v1alpha1.ImportReferenceLength {
		run, err := v.readRun()
		if err != nil {
			return err
		}
		return v.confirmingMark(http.StatusUnprocessableEntity, run, "imported", reference, v.T("imported.longreference", v.Count(v1alpha1.ImportReferenceLength)))
	}
	return v.mark("a run was marked as imported", func(key types.NamespacedName) (*v1alpha1.ExportRun, error) {
		return requests.MarkImported(v.ctx, v.cluster, key, v.caller.Name, reference)
	})
}

// takeImportBack takes the mark of a run back, and leads to it.
func (v *visit) takeImportBack() error {
	return v.mark("the mark of a run as imported was taken back", func(key types.NamespacedName) (*v1alpha1.ExportRun, error) {
		return requests.TakeImportBack(v.ctx, v.cluster, key, v.caller.Name)
	})
}

func (v *visit) mark(done string, change func(types.NamespacedName) (*v1alpha1.ExportRun, error)) error {
	key := types.NamespacedName{Namespace: v.namespace(), Name: v.r.PathValue("run")}
	run, err := change(key)
	if already := (*requests.AlreadyImported)(nil); errors.As(err, &already) {
		if run, err = v.readRun(); err != nil {
			return err
		}
		return v.confirmingMark(http.StatusConflict, run, "imported", "", v.T("imported.already"))
	}
	if err != nil {
		return err
	}
	v.Log.Info(done, "namespace", run.Namespace, "run", run.Name, "by", v.caller.Name)
	http.Redirect(v.w, v.r, runPath(run.Namespace, run.Name), http.StatusSeeOther)
	return nil
}
