package pages

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
)

const (
	// runsAtOnce are read by one question. Those of a namespace that has no more are sorted by time.
	runsAtOnce = 500
	// runsOnPage are shown of them.
	runsOnPage = 50
)

// runRow is one run in a list.
type runRow struct {
	Name, Path, Type   string
	Standing           standing
	Created, Completed *moment
	Claims, Held       int64
	Total, File        string
	Asked              string
	Reversed           string
	ReversedBy         []link
	// Imported is the mark of a run; nil if it has none.
	Imported *importView
}

// exportView is the content of the page of an export.
type exportView struct {
	Namespace, Name, Path, HeldPath, AuditPath string
	Standing                                   standing
	Facts                                      []fact
	Held                                       *heldSummary
	Offers                                     []offer
	Runs                                       []runRow
	// Unsorted says that there are too many runs in the namespace to sort them.
	Unsorted    bool
	Newer, More string
}

// fact is a line of a list of names and values.
type fact struct {
	Name, Value string
	At          *moment
}

// Wide reports whether the value needs a line of its own: a hash, a location.
func (f fact) Wide() bool { return len(f.Value) > 44 }

// heldSummary counts the claims that wait.
type heldSummary struct{ Claims int64 }

// offer is something that the caller may ask for.
type offer struct{ Text, To string }

// runList is a part of the runs of a namespace.
type runList struct {
	runs     []v1alpha1.ExportRun
	next     string // of the API server
	unsorted bool
}

// listRuns reads runs of a namespace, those of one export if it is named, newest first. A run that a person has made need not have the label
// of its export, so that all of the namespace are looked at.
func (v *visit) listRuns(export, next string) (*runList, error) {
	if len(next) > longestContinue {
		return nil, errBadQuestion
	}
	var list v1alpha1.ExportRunList
	if err := v.List(v.ctx, &list, client.InNamespace(v.namespace()), client.Limit(runsAtOnce), client.Continue(next)); err != nil {
		return nil, err
	}
	read := &runList{next: list.Continue, unsorted: list.Continue != "" || next != ""}
	for i := range list.Items {
		if export == "" || list.Items[i].Spec.ExportRef.Name == export {
			read.runs = append(read.runs, list.Items[i])
		}
	}
	slices.SortStableFunc(read.runs, func(a, b v1alpha1.ExportRun) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	return read, nil
}

// export shows an export with a page of its runs.
func (v *visit) export() error {
	namespace, name := v.namespace(), v.r.PathValue("export")
	var export v1alpha1.AccountingExport
	if err := v.Get(v.ctx, types.NamespacedName{Namespace: namespace, Name: name}, &export); err != nil {
		return err
	}
	list, err := v.listRuns(name, v.given.Get("continue"))
	if err != nil {
		return err
	}
	rights, err := v.may(v.ctx, namespace, toRun)
	if err != nil {
		return err
	}
	content := exportView{
		Namespace: namespace, Name: name, Path: exportPath(namespace, name), HeldPath: exportPath(namespace, name, "held"),
		AuditPath: with(at("namespaces", namespace, "audit"), "export", name), Standing: v.standingOfExport(&export), Facts: v.factsOfExport(&export),
		Unsorted: list.unsorted,
	}
	if rights[toRun] {
		content.Offers = []offer{{v.T("request.export"), exportPath(namespace, name, "request", "export")}, {v.T("request.preview"), exportPath(namespace, name, "request", "preview")}}
	}
	content.Held = v.heldSummary(name)
	from := max(0, min(int(wholeNumber(v.given.Get("from"))), len(list.runs)))
	end := min(len(list.runs), from+runsOnPage)
	for i := range list.runs[from:end] {
		content.Runs = append(content.Runs, v.runRow(&list.runs[from+i], zoneNamed(export.Spec.TimeZone)))
	}
	next := v.given.Get("continue")
	if from > 0 {
		content.Newer = with(content.Path, "continue", next, "from", digits(max(0, from-runsOnPage)))
	}
	switch {
	case end < len(list.runs):
		content.More = with(content.Path, "continue", next, "from", digits(end))
	case list.next != "":
		content.More = with(content.Path, "continue", list.next)
	}
	return v.show(http.StatusOK, "export", shown{Title: v.T("export.title", name), Trail: v.trail(link{namespace, at("namespaces", namespace)}), Content: content})
}

// heldSummary counts the held claims of an export, as far as the caller may know and the cluster serves that.
func (v *visit) heldSummary(export string) *heldSummary {
	list, err := v.books.Held(v.ctx, types.NamespacedName{Namespace: v.namespace(), Name: export}, books.Search{Limit: 1, Pages: 1})
	if err != nil {
		return nil // the page of held claims says why
	}
	summary := &heldSummary{}
	for _, group := range list.Groups {
		summary.Claims += group.Claims
	}
	return summary
}

func (v *visit) factsOfExport(export *v1alpha1.AccountingExport) []fact {
	spec := &export.Spec
	next, slot := v.next(export)
	schedule := v.T("next.request")
	if spec.Schedule != "" {
		schedule = spec.Schedule + " (" + cmp.Or(spec.TimeZone, "UTC") + ")"
	}
	facts := []fact{
		{Name: v.T("fact.next"), Value: next, At: slot},
		{Name: v.T("fact.schedule"), Value: schedule},
		{Name: v.T("fact.organization"), Value: spec.OrganizationID},
		{Name: v.T("fact.book"), Value: cmp.Or(spec.Book, "main")},
		{Name: v.T("fact.format"), Value: spec.Exporter.Type},
		{Name: v.T("fact.chart"), Value: spec.ChartOfAccountsRef.Name},
		{Name: v.T("fact.destination"), Value: spec.DestinationRef.Name},
		{Name: v.T("fact.series"), Value: spec.VoucherSeries},
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" && f.At == nil })
}

func (v *visit) runRow(run *v1alpha1.ExportRun, zone *time.Location) runRow {
	status := &run.Status
	row := runRow{
		Name: run.Name, Path: runPath(run.Namespace, run.Name), Type: v.Word("type", string(cmp.Or(run.Spec.Type, v1alpha1.RunExport))), Standing: v.phase(status.Phase),
		Created: v.moment(run.CreationTimestamp.Time, zone), Completed: v.optional(status.CompletedAt, zone), Claims: status.Claims, Held: status.Held,
		Total: v.total(&status.RunResult), File: fileOf(status.Location), Asked: v.asked(run, zone).Text, Imported: v.imported(run, zone),
	}
	if status.Reversed != "" {
		row.Reversed = v.Word("reversed", string(status.Reversed))
	}
	for _, by := range status.ReversedBy[:min(len(status.ReversedBy), 5)] {
		row.ReversedBy = append(row.ReversedBy, link{by.Name, runPath(run.Namespace, by.Name)})
	}
	return row
}

// summaryRow is what an export says of its newest run.
func (v *visit) summaryRow(export *v1alpha1.AccountingExport, run *v1alpha1.RunSummary) runRow {
	return runRow{
		Name: run.Name, Path: runPath(export.Namespace, run.Name), Standing: v.phase(run.Phase), Completed: v.optional(run.CompletedAt, zoneNamed(export.Spec.TimeZone)),
		Claims: run.Claims, Held: run.Held, Total: v.total(&run.RunResult),
	}
}

func (v *visit) optional(at *metav1.Time, zone *time.Location) *moment {
	if at == nil {
		return nil
	}
	return v.moment(at.Time, zone)
}

func (v *visit) total(result *v1alpha1.RunResult) string {
	if result.Debit == "" {
		return ""
	}
	return v.Amount(result.Debit, result.Currency)
}

// fileOf is the name of the file at a location.
func fileOf(location string) string {
	if location == "" {
		return ""
	}
	location, _, _ = strings.Cut(location, "?")
	return path.Base(location)
}

// zoneOf is the time zone of the export of a run; UTC if that does not exist or may not be read.
func (v *visit) zoneOf(run *v1alpha1.ExportRun) (*v1alpha1.AccountingExport, *time.Location, error) {
	export := &v1alpha1.AccountingExport{}
	err := v.Get(v.ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, export)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, time.UTC, nil
	}
	return export, zoneNamed(export.Spec.TimeZone), err
}
