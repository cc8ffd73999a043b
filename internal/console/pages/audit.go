package pages

import (
	"cmp"
	"encoding/csv"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// deed is something that somebody did, or that became of it.
type deed struct {
	at time.Time
	// what is asked, approved, cancelled, ended, imported or unimported.
	what string
	// who has done it, as far as the run says it, and the program that wrote it.
	who     asking
	run     *v1alpha1.ExportRun
	outcome bool
	// reference of an import.
	reference string
}

// deeds of a run, oldest first.
func (v *visit) deeds(run *v1alpha1.ExportRun) []deed {
	found := []deed{{at: run.CreationTimestamp.Time, what: "asked", who: v.asked(run, time.UTC), run: run}}
	if approval := run.Status.Approval; approval.Given() && approval.ApprovedAt != nil {
		found = append(found, deed{at: approval.ApprovedAt.Time, what: "approved", who: v.person(approval.ApprovedBy, ""), run: run})
	}
	if run.Spec.Cancel {
		at, who := v.cancelled(run)
		found = append(found, deed{at: at, what: "cancelled", who: who, run: run})
	}
	if completed := run.Status.CompletedAt; completed != nil {
		found = append(found, deed{at: completed.Time, what: "ended", run: run, outcome: true})
	}
	if mark := requests.ImportOf(run); mark != nil {
		found = append(found, v.deedOfImport("imported", mark, run))
	} else if mark = requests.TakenBackFrom(run); mark != nil {
		found = append(found, v.deedOfImport("unimported", mark, run))
	}
	return found
}

// deedOfImport is that a run was marked as imported, or that the last mark was taken back.
func (v *visit) deedOfImport(what string, mark *v1alpha1.RunImport, run *v1alpha1.ExportRun) deed {
	done := deed{what: what, who: v.person(mark.By, ""), run: run, reference: mark.Reference}
	if mark.At != nil {
		done.at = mark.At.Time
	}
	return done
}

// writer is the program that wrote a field last, and when.
func writer(fields []metav1.ManagedFieldsEntry, field string) (at time.Time, program string) {
	for _, entry := range fields {
		if entry.FieldsV1 != nil && entry.Time != nil && strings.Contains(entry.FieldsV1.GetRawString(), field) && entry.Time.After(at) {
			at, program = entry.Time.Time, entry.Manager
		}
	}
	return at, program
}

// auditView is the content of the page of who did what.
type auditView struct {
	Namespace, Export, Path, File string
	Rows                          []auditRow
	Unsorted                      bool
	First, More                   string
}

type auditRow struct {
	At                               *moment
	Export, ExportPath, Run, RunPath string
	What, Who, Program, Reason       string
	Claims, Total                    string
	Standing                         *standing
}

// audit shows who did what in a namespace, or with one export, newest first.
func (v *visit) audit() error {
	export, err := v.auditedExport()
	if err != nil {
		return err
	}
	list, err := v.listRuns(export, v.given.Get("continue"))
	if err != nil {
		return err
	}
	place := at("namespaces", v.namespace(), "audit")
	content := &auditView{Namespace: v.namespace(), Export: export, Path: place, File: with(place+".csv", "export", export), Unsorted: list.unsorted}
	from := max(0, min(int(wholeNumber(v.given.Get("from"))), len(list.runs)))
	end := min(len(list.runs), from+runsOnPage)
	var found []deed
	for i := range list.runs[from:end] {
		of := v.deeds(&list.runs[from+i])
		slices.Reverse(of)
		found = append(found, of...)
	}
	slices.SortStableFunc(found, func(a, b deed) int { return b.at.Compare(a.at) })
	for _, deed := range found {
		content.Rows = append(content.Rows, v.auditRow(deed))
	}
	next := v.given.Get("continue")
	if from > 0 || next != "" {
		content.First = with(place, "export", export)
	}
	switch {
	case end < len(list.runs):
		content.More = with(place, "export", export, "continue", next, "from", digits(end))
	case list.next != "":
		content.More = with(place, "export", export, "continue", list.next)
	}
	return v.show(http.StatusOK, "audit", shown{Title: v.T("audit.title", cmp.Or(export, v.namespace())), Trail: v.trail(link{v.namespace(), at("namespaces", v.namespace())}), Content: content})
}

func (v *visit) auditedExport() (string, error) {
	export := v.given.Get("export")
	if export != "" && len(validation.IsDNS1123Subdomain(export)) > 0 {
		return "", errNoPage
	}
	return export, nil
}

func (v *visit) auditRow(d deed) auditRow {
	run := d.run
	row := auditRow{
		At: v.moment(d.at, time.UTC), Export: run.Spec.ExportRef.Name, ExportPath: exportPath(run.Namespace, run.Spec.ExportRef.Name), Run: run.Name, RunPath: runPath(run.Namespace, run.Name),
		What: v.T("deed."+d.what, v.Word("type", string(cmp.Or(run.Spec.Type, v1alpha1.RunExport)))), Who: d.who.Text, Program: d.who.Program,
	}
	if d.who.Source == "unknown" && d.what == "asked" {
		row.Program = "" // the text has it
	}
	row.Reason = d.reference
	if d.what == "asked" {
		row.Reason = reasonOf(run)
	}
	if d.outcome {
		state := v.phase(run.Status.Phase)
		row.What, row.Standing = v.T("deed.ended"), &state
		if run.Status.Phase.Exported() {
			row.Claims, row.Total = v.N("claims", run.Status.Claims), v.total(&run.Status.RunResult)
		}
	}
	return row
}

const (
	// mostAudited questions are asked for a file.
	mostAudited = 20
	// longestCell of the file, in bytes.
	longestCell = 2000
)

// columns of the file. They and the words in it are the same in every language: programs read it.
var columns = []string{
	"time", "namespace", "export", "run", "type", "what", "asked_by", "asked_by_is", "program", "reason", "reverses", "redelivers", "phase", "phase_reason",
	"claims", "held", "total", "currency", "sha256", "reversed", "reference",
}

// auditFile sends who did what as CSV.
func (v *visit) auditFile() error {
	export, err := v.auditedExport()
	if err != nil {
		return err
	}
	list, err := v.listRuns(export, "")
	if err != nil {
		return err
	}
	header := v.w.Header()
	header.Set("Content-Type", "text/csv; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": cmp.Or(export, v.namespace()) + "-audit.csv"}))
	out := csv.NewWriter(v.w)
	out.UseCRLF = true
	_ = out.Write(columns) // an error of the connection comes with Flush
	for asked := 1; ; asked++ {
		for i := range list.runs {
			for _, deed := range v.deeds(&list.runs[i]) {
				_ = out.Write(cells(deed))
			}
		}
		out.Flush()
		if list.next == "" {
			return nil
		}
		if asked == mostAudited {
			_ = out.Write(append([]string{"", v.namespace(), export, "", "", "INCOMPLETE: there are more runs than a file has; ask for those of one export"}, make([]string, len(columns)-6)...))
			out.Flush()
			return nil
		}
		if list, err = v.listRuns(export, list.next); err != nil {
			v.Log.Error(err, "a file of who did what could not be completed", "namespace", v.namespace())
			panic(http.ErrAbortHandler) // so that nobody takes it for whole
		}
	}
}

// cells of one deed. Their columns are those above.
func cells(d deed) []string {
	run, status := d.run, &d.run.Status
	row := []string{
		instant(d.at), run.Namespace, run.Spec.ExportRef.Name, run.Name, string(cmp.Or(run.Spec.Type, v1alpha1.RunExport)), d.what, d.who.Name, d.who.Source, d.who.Program, "", "", "",
	}
	if d.what == "asked" {
		row[9] = run.Annotations[v1alpha1.ReasonAnnotation]
		row[10], row[11] = nameOf(run.Spec.Reverses), nameOf(run.Spec.Redelivers)
	}
	if d.outcome {
		reason := ""
		if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
			reason = ready.Reason
		}
		row = append(row, string(status.Phase), reason, strconv.FormatInt(status.Claims, 10), strconv.FormatInt(status.Held, 10), status.Debit, status.Currency, status.SHA256, string(status.Reversed))
	}
	row = append(row, make([]string, len(columns)-len(row))...)
	row[len(columns)-1] = d.reference
	for i, cell := range row {
		row[i] = unformulaic(texts.Printable(cell, longestCell))
	}
	return row
}

func instant(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func nameOf(run *v1alpha1.RunReference) string {
	if run == nil {
		return ""
	}
	return run.Name
}

// unformulaic keeps a spreadsheet from taking a text for a formula. Amounts are plain decimals, and stay.
func unformulaic(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) && strings.Trim(cell, "-.0123456789") != "" {
		return "'" + cell
	}
	return cell
}
