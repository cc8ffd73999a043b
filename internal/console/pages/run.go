package pages

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/overview"
	"github.com/ledgerport/ledgerport/internal/requests"
)

const vouchersOnPage = 50

// runView is the content of the page of a run.
type runView struct {
	Namespace, Name, Path, Export string
	ExportPath                    string
	Type                          string
	Standing                      standing
	// End is how it has succeeded, if the operator says no more of that than the page has in the caller's language.
	End           string
	Live          bool
	Progress      string
	Asked, Reason string
	Facts         []fact
	Timeline      []step
	Held          []heldRow
	HeldPath      string
	Reversed      string
	ReversedBy    []link
	Of            *link // the run that it reverses or delivers again
	// Warning of what became of that run.
	Warning string
	// Imported is the mark of the run; nil if it has none.
	Imported *importView
	Offers   []offer
	// Recorded is false for a run that records nothing, such as a preview, or has not ended.
	Recorded bool
	Files    []fileRow
	Removed  *moment
	NoFiles  *standing // why there are none
	Vouchers *voucherList
	Checks   []check
	CheckTo  string
	CheckAt  *moment
}

// step is one of what became of a run.
type step struct {
	At        *moment
	What, Why string
}

// fileRow is one file of an artifact.
type fileRow struct {
	Name, Path, Type, SHA256 string
	Size                     int64
}

// voucherList is a page of the vouchers of a run.
type voucherList struct {
	Number, Claim, Amount string
	Searched              bool
	Rows                  []voucherRow
	More, First           string
	Refused               *standing
}

type voucherRow struct {
	Number, Path, Day, Claim, Amount, Base string
	Reverses                               string
}

// run shows a run with its files and a page of its vouchers.
func (v *visit) run() error {
	run, err := v.readRun()
	if err != nil {
		return err
	}
	export, zone, err := v.zoneOf(run)
	if err != nil {
		return err
	}
	asked := []right{toRun, toReverse}
	switch {
	case cancellable(run):
		asked = append(asked, toApprove, toChange, toUpdate)
	case requests.Importable(run):
		asked = append(asked, toChange)
	}
	rights, err := v.may(v.ctx, run.Namespace, asked...)
	if err != nil {
		return err
	}
	content := v.runView(run, zone)
	content.Offers = slices.Concat(v.offersOf(run, rights), v.offersOfImport(run, rights))
	content.Warning = v.warningOfFormer(run, zone)
	if export != nil {
		held, _ := newClaimLink(export.Annotations[v1alpha1.ClaimURLAnnotation]) // the page of held claims says what is wrong with it
		for i := range content.Held {
			content.Held[i].Link = held.of(run.Status.HeldClaims[i].ID)
		}
	}
	if content.Recorded {
		v.readFiles(run, content, zone)
		content.Vouchers = v.vouchers(run)
	}
	if v.given.Get("check") != "" && len(content.Files) > 0 {
		content.Checks, content.CheckAt = v.check(run), v.moment(v.Now(), zone)
	}
	page := shown{Title: v.T("run.title", run.Name), Trail: v.trailOfRun(run), Live: content.Live, Status: content.Standing.Text, Content: content}
	return v.show(http.StatusOK, "run", page)
}

func (v *visit) readRun() (*v1alpha1.ExportRun, error) {
	run := &v1alpha1.ExportRun{}
	err := v.Get(v.ctx, types.NamespacedName{Namespace: v.namespace(), Name: v.r.PathValue("run")}, run)
	return run, err
}

func (v *visit) trailOfRun(run *v1alpha1.ExportRun) []link {
	export := run.Spec.ExportRef.Name
	return v.trail(link{run.Namespace, at("namespaces", run.Namespace)}, link{export, exportPath(run.Namespace, export)})
}

// recorded reports whether a run has files and vouchers that can be read.
func recorded(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase.Exported() && run.Spec.Type != v1alpha1.RunPreview
}

func (v *visit) runView(run *v1alpha1.ExportRun, zone *time.Location) *runView {
	status := &run.Status
	content := &runView{
		Namespace: run.Namespace, Name: run.Name, Path: runPath(run.Namespace, run.Name), Export: run.Spec.ExportRef.Name, ExportPath: exportPath(run.Namespace, run.Spec.ExportRef.Name),
		Type: v.Word("type", string(cmp.Or(run.Spec.Type, v1alpha1.RunExport))), Standing: v.phase(status.Phase), Live: !status.Phase.Finished(),
		Asked: v.asked(run, zone).Text, Reason: reasonOf(run), Recorded: recorded(run),
		HeldPath: exportPath(run.Namespace, run.Spec.ExportRef.Name, "held"), CheckTo: with(runPath(run.Namespace, run.Name), "check", "now"),
		Imported: v.imported(run, zone),
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		content.Standing.Message, content.End = v.end(status.Phase, ready.Reason, ready.Message)
		if ready.Reason != string(status.Phase) && content.End == "" {
			content.Standing.Reason = ready.Reason
		}
		if status.Phase != v1alpha1.RunSucceeded {
			content.Standing.Do = overview.Remedy("ExportRun", ready.Reason)
		}
	}
	content.Progress = v.progress(run)
	content.Facts = append(v.factsOfRun(run), slices.DeleteFunc([]fact{{Name: v.T("fact.location"), Value: status.Location}}, func(f fact) bool { return f.Value == "" })...)
	content.Timeline = v.timeline(run, zone)
	for _, held := range status.HeldClaims {
		content.Held = append(content.Held, v.heldRow(held.ID, held.Reason, held.Message))
	}
	if status.Reversed != "" {
		content.Reversed = v.Word("reversed", string(status.Reversed))
	}
	for _, by := range status.ReversedBy {
		content.ReversedBy = append(content.ReversedBy, link{by.Name, runPath(run.Namespace, by.Name)})
	}
	for _, of := range []*v1alpha1.RunReference{run.Spec.Reverses, run.Spec.Redelivers} {
		if of != nil {
			content.Of = &link{of.Name, runPath(run.Namespace, of.Name)}
		}
	}
	return content
}

// figured are messages that say of a run no more than its reason and its figures.
var figured = regexp.MustCompile(`^(a preview: [^;]*; nothing was recorded|[^;]*; (its claim goes|their claims go) to the next run|[^;]*; nothing was delivered|` +
	`[^;]*; no claim was exported|[^;]*)(; [0-9]+ claims? (is|are) held)?$`)

// end is how a run stands in the operator's words; or, if it has succeeded and they say no more than its figures, in the caller's language.
func (l locale) end(phase v1alpha1.RunPhase, reason, message string) (operator, own string) {
	if phase != v1alpha1.RunSucceeded || !figured.MatchString(message) {
		return message, ""
	}
	switch own = l.Word("end", reason); {
	case own != reason:
		return "", own
	case reason == v1alpha1.ReasonSucceeded:
		return "", "" // the figures say it
	}
	return message, ""
}

func (v *visit) progress(run *v1alpha1.ExportRun) string {
	progress := run.Status.Progress
	switch {
	case run.Status.Phase.Finished():
		return ""
	case progress != nil && progress.Total != nil:
		return v.T("progress.of", v.Word("stage", string(run.Status.Stage)), v.Count(progress.Claims), v.Count(*progress.Total))
	case progress != nil:
		return v.T("progress.claims", v.Word("stage", string(run.Status.Stage)), v.Count(progress.Claims))
	case run.Status.Stage != "":
		return v.Word("stage", string(run.Status.Stage))
	}
	return ""
}

func (v *visit) factsOfRun(run *v1alpha1.ExportRun) (facts []fact) {
	status := &run.Status
	add := func(key, value string) {
		if value != "" {
			facts = append(facts, fact{Name: v.T(key), Value: value})
		}
	}
	if status.Phase.Exported() || status.Phase == v1alpha1.RunAwaitingApproval {
		add("fact.claims", v.Count(status.Claims))
		add("fact.lines", v.Count(status.Lines))
		add("fact.held", v.Count(status.Held))
		add("fact.total", v.total(&status.RunResult))
	}
	switch status.FirstVoucher {
	case "":
	case status.LastVoucher:
		add("fact.vouchers", status.FirstVoucher)
	default:
		add("fact.vouchers", v.T("fact.vouchers.range", status.FirstVoucher, status.LastVoucher))
	}
	if status.Receipts > 0 || status.ReceiptsMissing > 0 {
		add("fact.receipts", v.Count(status.Receipts))
		add("fact.receipts.missing", v.Count(status.ReceiptsMissing))
	}
	return facts
}

// timeline is what became of a run, in order.
func (v *visit) timeline(run *v1alpha1.ExportRun, zone *time.Location) (steps []step) {
	status := &run.Status
	steps = append(steps, step{v.moment(run.CreationTimestamp.Time, zone), v.T("step.asked"), v.asked(run, zone).Text})
	if status.StartedAt != nil {
		steps = append(steps, step{At: v.moment(status.StartedAt.Time, zone), What: v.T("step.started")})
	}
	if status.Failures > 0 {
		steps = append(steps, step{What: v.N("step.failures", int64(status.Failures))})
	}
	if status.Approval.Given() {
		steps = append(steps, step{v.optional(status.Approval.ApprovedAt, zone), v.T("step.approved"), v.T("asked.person", status.Approval.ApprovedBy)})
	}
	if run.Spec.Cancel {
		_, who := v.cancelled(run)
		steps = append(steps, step{What: v.T("step.cancel"), Why: who.Text})
	}
	if status.NextAttemptAt != nil && !status.Phase.Finished() {
		steps = append(steps, step{At: v.moment(status.NextAttemptAt.Time, zone), What: v.T("step.next")})
	}
	if status.CompletedAt != nil {
		steps = append(steps, step{v.moment(status.CompletedAt.Time, zone), v.T("step.ended", v.phase(status.Phase).Text), status.Duration})
	}
	if mark := v.imported(run, zone); mark != nil {
		steps = append(steps, mark.step(v.T("step.imported")))
	} else if mark = v.importView(requests.TakenBackFrom(run), zone); mark != nil {
		steps = append(steps, mark.step(v.T("step.unimported")))
	}
	for _, by := range status.ReversedBy[:min(len(status.ReversedBy), 20)] {
		steps = append(steps, step{What: v.T("step.reversed", by.Name), Why: v.N("claims", by.Claims)})
	}
	return steps
}

// offersOf are what may be asked for of a run.
func (v *visit) offersOf(run *v1alpha1.ExportRun, rights map[right]bool) (offers []offer) {
	if awaitsApproval(run) && v.notApprover(run, rights) == "" {
		offers = append(offers, offer{v.T("request.approve"), runPath(run.Namespace, run.Name, "approval")})
	}
	if cancellable(run) && canceller(rights) {
		offers = append(offers, offer{v.T("request.cancel"), runPath(run.Namespace, run.Name, "cancellation")})
	}
	if !recorded(run) || !rights[toRun] {
		return offers
	}
	offers = append(offers, offer{v.T("request.redeliver"), runPath(run.Namespace, run.Name, "request", "redeliver")})
	if rights[toReverse] && reversible(run) {
		offers = append(offers, offer{v.T("request.reversal"), runPath(run.Namespace, run.Name, "request", "reversal")})
	}
	return offers
}

func reversible(run *v1alpha1.ExportRun) bool {
	return cmp.Or(run.Spec.Type, v1alpha1.RunExport) == v1alpha1.RunExport && run.Status.Claims > 0 && run.Status.Reversed != v1alpha1.WhollyReversed
}

// readFiles lists the files, or says why that cannot be.
func (v *visit) readFiles(run *v1alpha1.ExportRun, content *runView, zone *time.Location) {
	list, err := v.books.Files(v.ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Name})
	if err != nil {
		content.NoFiles = v.why(err)
		return
	}
	content.Removed = v.optional(list.RemovedAt, zone)
	for _, file := range list.Items[:min(len(list.Items), mostFiles)] {
		content.Files = append(content.Files, fileRow{file.Name, runPath(run.Namespace, run.Name, "files", file.Name), file.MediaType, file.SHA256, file.Size})
	}
}

// mostFiles are listed of an artifact; receipts may be many more.
const mostFiles = 200

// why says of a part of a page why it is not there.
func (v *visit) why(err error) *standing {
	if told := detail(err); told != "" {
		return &standing{Mark: "bad", Text: v.T(refusalOf(err).key), Message: told}
	}
	v.Log.Error(err, "a part of a page of the console could not be made", "path", v.r.URL.Path)
	return &standing{Mark: "bad", Text: v.T(refusalOf(err).key)}
}

// vouchers reads a page of them, of those that are searched for.
func (v *visit) vouchers(run *v1alpha1.ExportRun) *voucherList {
	list := &voucherList{
		Number: strings.TrimSpace(v.given.Get("number")), Claim: strings.TrimSpace(v.given.Get("claim")), Amount: strings.TrimSpace(v.given.Get("amount")),
	}
	list.Searched = list.Number+list.Claim+list.Amount != ""
	place := runPath(run.Namespace, run.Name)
	next := v.given.Get("continue")
	search := books.Search{Number: list.Number, Claim: list.Claim, Limit: vouchersOnPage, Pages: 1, From: next}
	if list.Amount != "" {
		search.Amount = v.decimal(list.Amount)
	}
	if len(next) > longestContinue {
		list.Refused = &standing{Mark: "bad", Text: v.T("refusal.question")}
		return list
	}
	found, err := v.books.Vouchers(v.ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Name}, search)
	if err != nil {
		list.Refused = v.why(err)
		return list
	}
	for i := range found.Items {
		list.Rows = append(list.Rows, v.voucherRow(run, &found.Items[i]))
	}
	if next != "" {
		list.First = with(place, "number", list.Number, "claim", list.Claim, "amount", list.Amount) + "#vouchers"
	}
	if found.Continue != "" {
		list.More = with(place, "number", list.Number, "claim", list.Claim, "amount", list.Amount, "continue", found.Continue) + "#vouchers"
	}
	return list
}

func (v *visit) voucherRow(run *v1alpha1.ExportRun, voucher *api.Voucher) voucherRow {
	row := voucherRow{
		Number: voucher.Number, Path: with(runPath(run.Namespace, run.Name, "voucher"), "number", voucher.Number), Day: v.Day(voucher.Date), Claim: voucher.Claim,
		Amount: v.Amount(voucher.Amount, voucher.Currency), Reverses: voucher.Reverses,
	}
	if voucher.BaseCurrency != voucher.Currency {
		row.Base = v.Amount(voucher.BaseAmount, voucher.BaseCurrency)
	}
	return row
}
