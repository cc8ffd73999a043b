package pages

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/overview"
)

const (
	// exportsOnPage of one question.
	exportsOnPage = 200
	// A list of exports has so many bytes at most where it is the page, and where it is one of many on a page; one export has largestExport.
	largestList, largestOfMany, largestExport = 6 << 20, 2 << 20, 3 << 19
	// exportsFewer is by which part less is asked for if that is not enough.
	exportsFewer = 20
	// mostNamespaces are looked into one by one, a few at once.
	mostNamespaces, namespacesAtOnce = 50, 8
	// longestContinue of a list, which the API server makes.
	longestContinue = 4096
)

// standing is how something is, why, and what to do.
type standing struct {
	// Mark is good, bad, waiting or none, for those who see colours.
	Mark                      string
	Text, Reason, Message, Do string
}

// exportRow is one export in a list.
type exportRow struct {
	Name, Path, HeldPath string
	Standing             standing
	Next                 string
	NextAt               *moment
	Last                 *runRow
	Held                 int64
}

// namespaceExports are those of one namespace.
type namespaceExports struct {
	Name, Path, AuditPath string
	Exports               []exportRow
	// More leads to those that have no room on this page.
	More string
}

// exportsPage is the content of the pages with lists of exports.
type exportsPage struct {
	Namespaces []namespaceExports
	// Everywhere is false if the caller may not list the exports of all namespaces.
	Everywhere bool
	More       string
}

// everyExport shows the exports of all namespaces in which the caller may list them.
func (v *visit) everyExport() error {
	content := exportsPage{Everywhere: true}
	list, err := v.listExports("", v.given.Get("continue"), largestList)
	switch {
	case apierrors.IsForbidden(err):
		content.Everywhere = false
		content.Namespaces, err = v.openNamespaces()
	case err == nil:
		content.Namespaces = v.byNamespace(list.Items)
		content.More = with("/", "continue", list.Continue)
		if list.Continue == "" {
			content.More = ""
		}
	}
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "exports", shown{Title: v.T("exports"), Content: content})
}

// listExports lists as many exports as come to so many bytes: a tenant's own may have a megabyte each, and are not to keep people from those of
// other namespaces.
func (v *visit) listExports(namespace, next string, most int64) (*v1alpha1.AccountingExportList, error) {
	if len(next) > longestContinue {
		return nil, errBadQuestion
	}
	fewest := max(1, most/largestExport)
	for limit := int64(exportsOnPage); ; limit = max(fewest, limit/exportsFewer) {
		var list v1alpha1.AccountingExportList
		err := v.List(atMost(v.ctx, most), &list, client.InNamespace(namespace), client.Limit(limit), client.Continue(next))
		if !errors.Is(err, errLargeAnswer) || limit == fewest {
			return &list, err
		}
	}
}

// openNamespaces are those that the server offers or the browser has been to, as far as the caller may list their exports.
func (v *visit) openNamespaces() ([]namespaceExports, error) {
	names := slices.Concat(v.Namespaces, v.visited())
	slices.Sort(names)
	names = slices.Compact(names)
	names = names[:min(len(names), mostNamespaces)]
	found := make([]*v1alpha1.AccountingExportList, len(names))
	group := errgroup.Group{}
	group.SetLimit(namespacesAtOnce)
	for i, name := range names {
		group.Go(func() error {
			list, err := v.listExports(name, "", largestOfMany)
			if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
				return nil
			}
			found[i] = list
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var open []namespaceExports
	for i, list := range found {
		if list != nil {
			open = append(open, *v.namespaceOf(names[i], list))
		}
	}
	return open, nil
}

// namespaceOf is a namespace with a page of its exports.
func (v *visit) namespaceOf(name string, list *v1alpha1.AccountingExportList) *namespaceExports {
	of := &namespaceExports{Name: name, Path: at("namespaces", name), AuditPath: at("namespaces", name, "audit")}
	for i := range list.Items {
		of.Exports = append(of.Exports, v.exportRow(&list.Items[i]))
	}
	if list.Continue != "" {
		of.More = with(of.Path, "continue", list.Continue)
	}
	return of
}

func (v *visit) byNamespace(exports []v1alpha1.AccountingExport) (all []namespaceExports) {
	for i := range exports { // which the API server sorts by namespace
		name := exports[i].Namespace
		if len(all) == 0 || all[len(all)-1].Name != name {
			all = append(all, *v.namespaceOf(name, &v1alpha1.AccountingExportList{}))
		}
		last := &all[len(all)-1]
		last.Exports = append(last.Exports, v.exportRow(&exports[i]))
	}
	return all
}

// visitedCookie has the namespaces that a browser has been to. They are names, and no right to anything.
const visitedCookie = "ledgerport-namespaces"

const mostVisited = 20

func (v *visit) visited() (names []string) {
	cookie, err := v.r.Cookie(visitedCookie)
	if err != nil {
		return nil
	}
	for name := range strings.SplitSeq(cookie.Value, ".") {
		if len(names) < mostVisited && len(validation.IsDNS1123Label(name)) == 0 {
			names = append(names, name)
		}
	}
	return names
}

// remember puts a namespace first among those that were visited.
func (v *visit) remember(name string) {
	names := append([]string{name}, slices.DeleteFunc(v.visited(), func(other string) bool { return other == name })...)
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // it is Secure if the connection is; it has names, and no right
		Name: visitedCookie, Value: strings.Join(names[:min(len(names), mostVisited)], "."), Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
		HttpOnly: true, Secure: v.r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// openNamespace leads to the page of a namespace whose name a person has typed.
func (v *visit) openNamespace() error {
	name := strings.TrimSpace(v.given.Get("name"))
	if len(validation.IsDNS1123Label(name)) > 0 {
		return errNoPage
	}
	http.Redirect(v.w, v.r, at("namespaces", name), http.StatusSeeOther)
	return nil
}

// exportsOfNamespace shows a page of them.
func (v *visit) exportsOfNamespace() error {
	name := v.namespace()
	list, err := v.listExports(name, v.given.Get("continue"), largestList)
	if err != nil {
		return err
	}
	v.remember(name)
	content := exportsPage{Namespaces: []namespaceExports{*v.namespaceOf(name, list)}, Everywhere: true}
	return v.show(http.StatusOK, "exports", shown{Title: v.T("exports.of", name), Trail: v.trail(), Content: content})
}

// trail leads back to the list of exports.
func (v *visit) trail(more ...link) []link {
	return append([]link{{v.T("exports"), "/"}}, more...)
}

func (v *visit) exportRow(export *v1alpha1.AccountingExport) exportRow {
	row := exportRow{
		Name: export.Name, Path: exportPath(export.Namespace, export.Name), HeldPath: exportPath(export.Namespace, export.Name, "held"),
		Standing: v.standingOfExport(export),
	}
	row.Next, row.NextAt = v.next(export)
	if last := export.Status.LastRun; last != nil {
		shown := v.summaryRow(export, last)
		row.Last, row.Held = &shown, last.Held
	}
	return row
}

// standingOfExport reads its condition Ready.
func (v *visit) standingOfExport(export *v1alpha1.AccountingExport) standing {
	ready := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil || export.Status.ObservedGeneration != export.Generation:
		return standing{Mark: "waiting", Text: v.T("export.unseen")}
	case ready.Status == metav1.ConditionTrue:
		return standing{Mark: "good", Text: v.T("export.ready")}
	case ready.Status == metav1.ConditionUnknown, ready.Reason == v1alpha1.ReasonChecking:
		return standing{Mark: "waiting", Text: v.T("export.unseen"), Message: ready.Message}
	}
	return standing{"bad", v.T("export.notready"), ready.Reason, ready.Message, overview.Remedy("AccountingExport", ready.Reason)}
}

// next is when the export runs by itself.
func (v *visit) next(export *v1alpha1.AccountingExport) (text string, at *moment) {
	slot := export.Status.NextScheduleTime
	switch {
	case !export.DeletionTimestamp.IsZero():
		return v.T("next.deleted"), nil
	case export.Spec.Suspend:
		return v.T("next.suspended"), nil
	case slot == nil:
		return v.T("next.request"), nil
	}
	return "", v.moment(slot.Time, zoneNamed(export.Spec.TimeZone))
}

// mark of a phase, for those who see colours.
func mark(phase v1alpha1.RunPhase) string {
	switch phase {
	case v1alpha1.RunSucceeded:
		return "good"
	case v1alpha1.RunIncomplete, v1alpha1.RunFailed:
		return "bad"
	case v1alpha1.RunCancelled:
		return "none"
	case v1alpha1.RunPending, v1alpha1.RunRunning, v1alpha1.RunRetrying, v1alpha1.RunAwaitingApproval, v1alpha1.RunReleasing:
	}
	return "waiting"
}

func (v *visit) phase(phase v1alpha1.RunPhase) standing {
	phase = cmp.Or(phase, v1alpha1.RunPending)
	return standing{Mark: mark(phase), Text: v.Word("phase", string(phase))}
}
