package pages_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/pages"
	"github.com/ledgerport/ledgerport/test/console"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// browser asks for pages as somebody.
type browser struct {
	*testing.T
	client *http.Client
	base   string
	person string
	accept string
	scan   *leaks.Scan
}

func newBrowser(t *testing.T, base, person string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, base, person, "en", served}
}

// in makes a browser report to a subtest.
func (b *browser) in(t *testing.T) *browser {
	own := *b
	own.T = t
	return &own
}

// page is what is answered.
type page struct {
	code   int
	text   string
	header http.Header
}

func (b *browser) do(method, path string, form url.Values, headers ...string) page {
	b.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(b.Context(), method, b.base+path, body)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set(console.PersonHeader, b.person)
	request.Header.Set("Accept-Language", b.accept)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	b.scan.Lines("page", path, content)
	if err != nil && answer.StatusCode == http.StatusOK {
		return page{0, err.Error(), answer.Header}
	}
	return page{answer.StatusCode, string(content), answer.Header}
}

// short is what a failure shows of a page.
func short(page string) string {
	_, main, _ := strings.Cut(page, "<main")
	words := strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(main, " ")), " ")
	return words[:min(len(words), 1500)]
}

// see insists on a page with some words.
func (b *browser) see(path string, words ...string) string {
	b.Helper()
	return b.want(http.StatusOK, path, words...)
}

func (b *browser) want(code int, path string, words ...string) string {
	b.Helper()
	got := b.do(http.MethodGet, path, nil)
	if got.code != code {
		b.Fatalf("%s for %s: %d, want %d\n%s", path, b.person, got.code, code, short(got.text))
	}
	for _, word := range words {
		if !strings.Contains(got.text, word) {
			b.Errorf("%s for %s lacks %q:\n%s", path, b.person, word, short(got.text))
		}
	}
	return got.text
}

// lacks insists on words that a page does not have.
func (b *browser) lacks(text string, words ...string) {
	b.Helper()
	for _, word := range words {
		if strings.Contains(text, word) {
			b.Errorf("%s sees %q:\n%s", b.person, word, short(text))
		}
	}
}

const (
	home   = "/namespaces/acme"
	export = home + "/exports/monthly"
	runs   = home + "/runs/"
)

// served looks through everything that pages have shown for what nobody is to see.
var served = leaks.New()

// TestPagesThroughTheAPIServer has one stage, because that takes seconds to start.
func TestPagesThroughTheAPIServer(t *testing.T) {
	stage := console.Start(t)
	handler := pages.Handler(pages.Options{Clusters: stage, Namespaces: []string{console.Namespace, console.Elsewhere}, LogOut: "/logout", Log: logr.Discard()})
	base := stage.Serve(handler, pages.ContentSecurityPolicy)
	if err := served.PlantPassword("the database", stage.Database); err != nil {
		t.Fatal(err)
	}
	clerk, controller := newBrowser(t, base, "clerk"), newBrowser(t, base, "controller")
	stage.Until(func(context.Context) string { // the API server has to know of the operator
		if got := clerk.do(http.MethodGet, export+"/held", nil); got.code != http.StatusOK {
			return got.text
		}
		return ""
	})
	t.Run("everybody sees the exports of the namespaces in which they may", func(t *testing.T) { seesExports(t, base, clerk.in(t)) })
	t.Run("a run shows its figures, files and vouchers", func(t *testing.T) { seesRun(clerk.in(t)) })
	t.Run("a run is proved", func(t *testing.T) { proves(clerk.in(t), stage) })
	t.Run("held claims are explained, and lead to the application", func(t *testing.T) { seesHeld(clerk.in(t)) })
	t.Run("a file is downloaded as it was delivered", func(t *testing.T) { downloads(clerk.in(t), stage) })
	t.Run("what is asked for is asked for once, and needs the role", func(t *testing.T) { asks(clerk.in(t), controller.in(t), stage) })
	t.Run("a run is marked as imported, and its reversal and redelivery warn of it", func(t *testing.T) { marks(clerk.in(t), controller.in(t), stage) })
	t.Run("a reversal needs a reason and the right to it", func(t *testing.T) { reverses(clerk.in(t), controller.in(t), stage) })
	t.Run("who did what is shown and exported", func(t *testing.T) { audits(clerk.in(t)) })
	t.Run("a person without the right is refused", func(t *testing.T) { refuses(t, base) })
	t.Run("requests that are wrong are refused", func(t *testing.T) { wrong(clerk.in(t)) })
	t.Run("every page is in every language", func(t *testing.T) { speaks(clerk.in(t)) })
	t.Run("hostile texts are shown, and do nothing", func(t *testing.T) { hostile(clerk.in(t), stage) })
	t.Run("the API for applications serves nothing that nobody is to see", func(t *testing.T) { applicationSees(clerk.in(t), stage) })
	t.Run("a run that waits is approved by another person, as they have seen it", func(t *testing.T) { approves(clerk.in(t), stage) })
	t.Run("a run that waits is cancelled by those who may", func(t *testing.T) { cancels(clerk.in(t), controller.in(t), stage) })
	t.Run("a namespace with more runs than can be sorted has pages", func(t *testing.T) { many(clerk.in(t), stage) })
	if found := served.Found(); len(found) > 0 {
		t.Errorf("pages and the API have shown what nobody is to see: %q", found)
	}
}

func seesExports(t *testing.T, base string, clerk *browser) {
	text := clerk.see("/", ">acme<", `href="`+export+`"`, "Ready", "27 claims", "These are the namespaces", "Logged in as clerk", `action="/logout"`)
	clerk.lacks(text, "nordwind")
	clerk.see(home, "Exports of acme", "monthly")
	text = newBrowser(t, base, "auditor").in(t).see("/", ">acme<", ">nordwind<")
	clerk.lacks(text, "These are the namespaces")
	stranger := newBrowser(t, base, "stranger")
	clerk.lacks(stranger.see("/", "No namespace with exports is known"), "acme<")
	stranger.want(http.StatusForbidden, home, "You may not see or do this")
	got := clerk.do(http.MethodGet, "/namespaces?name=acme", nil)
	if got.code != http.StatusSeeOther || got.header.Get("Location") != home {
		t.Errorf("to open a namespace is %d to %s", got.code, got.header.Get("Location"))
	}
	clerk.want(http.StatusNotFound, "/namespaces?name=..%2fevil")
	text = clerk.see(export, "october", "Succeeded", "not recorded", "Berlin", "3 held claims", export+"/request/export", export+"/request/preview", "october.csv")
	clerk.lacks(text, "request/reversal", "mark bad")
	viewer := newBrowser(t, base, "viewer")
	viewer.lacks(viewer.see(export, "october"), "request/export", "request/preview")
}

func seesRun(clerk *browser) {
	text := clerk.see(runs+"october", "Succeeded", "E/2026/1", "manifest.json", "Check now", "27", "Debit = credit", "EUR", "What happened", "request/redeliver")
	clerk.lacks(text, "request/reversal", "data-live")
	first := regexp.MustCompile(`voucher\?number=([^"]+)"`).FindStringSubmatch(text)
	if first == nil {
		clerk.Fatal("no voucher has a page")
	}
	number, err := url.QueryUnescape(first[1])
	if err != nil {
		clerk.Fatal(err)
	}
	text = clerk.see(runs+"october/voucher?number="+url.QueryEscape(number), number, "1. Claim", "https://expenses.example.com/claims/", "4. File", "october.csv")
	claim := regexp.MustCompile(`claims/([0-9a-f-]{36})`).FindStringSubmatch(text)[1]
	found := clerk.see(runs+"october?claim="+claim, claim, "Show all")
	if n := strings.Count(found, "voucher?number="); n != 1 {
		clerk.Errorf("the search for a claim finds %d vouchers", n)
	}
	amount := regexp.MustCompile(`amount">([0-9.,]+)`).FindStringSubmatch(found)
	if amount != nil {
		clerk.see(runs+"october?amount="+url.QueryEscape(amount[1]), claim)
	}
	clerk.see(runs+"october?number=E%2F1999%2F1", "No voucher is found")
	clerk.see(runs+"october?amount=much", "This cannot be asked for so", "decimal number")
	clerk.see(runs+"october?continue=nonsense", "This cannot be asked for so")
	clerk.want(http.StatusNotFound, runs+"october/voucher?number=E%2F1999%2F1")
	clerk.want(http.StatusNotFound, runs+"november")
}

func proves(clerk *browser, stage *console.Stage) {
	text := clerk.see(runs+"october?check=now", "Checked", "File = database", "File = run", "Debit = credit")
	clerk.lacks(text, "check.mark", ">Wrong<", ">Not checked<")
	if n := strings.Count(text, ">Right<"); n != 5 {
		clerk.Errorf("%d of 5 checks are right:\n%s", n, text)
	}
	file := delivered(stage, "october", "october.csv")
	before, err := os.ReadFile(file)
	if err != nil {
		clerk.Fatal(err)
	}
	if err := os.WriteFile(file, append(before[:len(before):len(before)], 'x'), 0o600); err != nil {
		clerk.Fatal(err)
	}
	text = clerk.see(runs+"october?check=now", ">Wrong<", "not what the run delivered")
	if n := strings.Count(text, ">Right<"); n != 4 {
		clerk.Errorf("beside a file that was changed %d checks are right:\n%s", n, text)
	}
	clerk.want(http.StatusConflict, runs+"october/files/october.csv", "not what the run delivered")
	if err := os.WriteFile(file, before, 0o600); err != nil {
		clerk.Fatal(err)
	}
}

func delivered(stage *console.Stage, run, file string) string {
	return filepath.Join(stage.Exports, console.Namespace, "finance", console.Namespace, console.Export, run, file)
}

func seesHeld(clerk *browser) {
	text := clerk.see(export+"/held", "3 held claims", "No rule of the chart of accounts matches a line.", "Add a rule", "gifts", runs+"october", `href="https://expenses.example.com/claims/`)
	if n := strings.Count(text, "https://expenses.example.com/claims/"); n != console.Held {
		clerk.Errorf("%d claims lead to the application, want %d", n, console.Held)
	}
	claim := regexp.MustCompile(`claims/([0-9a-f-]{36})`).FindStringSubmatch(text)[1]
	if found := clerk.see(export+"/held?claim="+claim, claim); strings.Count(found, "https://expenses.example.com/claims/") != 1 {
		clerk.Error("the search finds others, too")
	}
	clerk.see(export+"/held?reason=NoLines", "No held claim is found")
	clerk.want(http.StatusBadRequest, export+"/held?continue=x", "cannot be asked for so")
}

func downloads(clerk *browser, stage *console.Stage) {
	for _, name := range []string{"october.csv", "manifest.json"} {
		got := clerk.do(http.MethodGet, runs+"october/files/"+name, nil)
		content, err := os.ReadFile(delivered(stage, "october", name))
		if err != nil || got.text != string(content) || got.code != http.StatusOK {
			clerk.Errorf("%s is %d with %d bytes, and %d were delivered (%v)", name, got.code, len(got.text), len(content), err)
		}
		if have := got.header.Get("Content-Disposition"); have != "attachment; filename="+name || got.header.Get("Content-Type") != "application/octet-stream" {
			clerk.Errorf("%s comes with %v", name, got.header)
		}
		sum := sha256.Sum256(content)
		clerk.see(runs+"october", hex.EncodeToString(sum[:]))
	}
	for _, name := range []string{"other.csv", "..%2fmanifest.json", "%2e%2e", "first%0d%0aX:%20y", "*"} {
		if got := clerk.do(http.MethodGet, runs+"october/files/"+name, nil); got.code == http.StatusOK || got.header.Get("X") != "" {
			clerk.Errorf("%s is %d", name, got.code)
		}
	}
}

// form reads what a page of a request sends.
func (b *browser) form(path string) url.Values {
	b.Helper()
	text := b.see(path, `<form method="post" action="`)
	form := url.Values{}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		form.Set(field[1], field[2])
	}
	return form
}

// send posts a form, and returns the name of the run that it leads to.
func (b *browser) send(path string, form url.Values) string {
	b.Helper()
	got := b.do(http.MethodPost, path, form)
	name, is := strings.CutPrefix(got.header.Get("Location"), runs)
	if got.code != http.StatusSeeOther || !is {
		b.Fatalf("%s: %d to %q\n%s", path, got.code, got.header.Get("Location"), got.text)
	}
	return name
}

func asks(clerk, controller *browser, stage *console.Stage) {
	preview := clerk.send(export+"/request/preview", clerk.form(export+"/request/preview"))
	stage.Ended(preview)
	clerk.see(runs+preview, "Preview", "clerk (as stated)", "recorded nothing")
	stage.Approve(4, 2)
	form := clerk.form(export + "/request/export")
	name := clerk.send(export+"/request/export", form)
	if again := clerk.send(export+"/request/export", form); again != name {
		clerk.Errorf("the same form asks for %s and %s", name, again)
	}
	run := stage.Ended(name)
	if run.Annotations[v1alpha1.RequestedByAnnotation] != "clerk" || run.Status.Claims != 4 {
		clerk.Errorf("the run has %v and %d claims", run.Annotations, run.Status.Claims)
	}
	clerk.see(export, name, "clerk (as stated)")
	again := clerk.send(runs+"october/request/redeliver", clerk.form(runs+"october/request/redeliver"))
	stage.Ended(again)
	clerk.see(runs+again, "Redelivery", `href="`+runs+`october"`)

	viewer := newBrowser(clerk.T, clerk.base, "viewer")
	viewer.want(http.StatusForbidden, export+"/request/export", "Your role does not allow this")
	for _, path := range []string{export + "/request/export", export + "/request/preview", runs + "october/request/redeliver"} {
		if got := viewer.do(http.MethodPost, path, url.Values{"once": {"abcdefghij"}}); got.code != http.StatusForbidden {
			clerk.Errorf("a viewer who posts to %s hears %d", path, got.code)
		}
	}
	if got := controller.do(http.MethodPost, export+"/request/export", form, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.code != http.StatusForbidden {
		clerk.Errorf("a form of another site is answered with %d", got.code)
	}
	for _, once := range []string{"", "../x", "ABCDEFGHIJ", strings.Repeat("a", 300)} {
		if got := clerk.do(http.MethodPost, export+"/request/export", url.Values{"once": {once}}); got.code != http.StatusBadRequest {
			clerk.Errorf("%.20q is answered with %d", once, got.code)
		}
	}
}

func marks(clerk, controller *browser, stage *console.Stage) {
	const october, path, undo = runs + "october", runs + "october/imported", runs + "october/unimported"
	viewer := newBrowser(clerk.T, clerk.base, "viewer")
	viewer.lacks(viewer.see(october), path)
	viewer.want(http.StatusForbidden, path, "Your role does not allow this")
	if got := viewer.do(http.MethodPost, path, url.Values{"reference": {"x"}}); got.code != http.StatusForbidden {
		clerk.Errorf("a viewer who marks a run hears %d", got.code)
	}
	clerk.want(http.StatusNotFound, undo)
	clerk.lacks(clerk.see(october, `href="`+path+`"`), undo)
	clerk.see(path, "Mark october as imported?", "Reference in the accounting system", "october.csv", `maxlength="64"`)
	if got := clerk.do(http.MethodPost, path, url.Values{"reference": {strings.Repeat("é", 65)}}); got.code != http.StatusUnprocessableEntity || len(missing(got.text, "at most 64 characters")) > 0 {
		clerk.Errorf("a long reference is answered with %d\n%s", got.code, short(got.text))
	}
	const hostile = `"><script>alert(1)</script>`
	for _, reference := range []string{"batch 4710", hostile + "\u202e", hostile + "\u202e"} { // corrected, and then sent twice
		if led := clerk.send(path, url.Values{"reference": {reference}}); led != "october" {
			clerk.Errorf("a mark leads to %s", led)
		}
	}
	for _, at := range []string{october, export, home + "/audit", runs + "october/request/redeliver"} {
		clerk.lacks(clerk.see(at, "&lt;script&gt;", `\u202e`), "<script>alert", "\u202e")
	}
	clerk.send(path, url.Values{"reference": {"=4711"}})
	untilImported(stage, func(status *v1alpha1.ExportRunStatus) bool {
		return status.Imported != nil && status.Imported.By == "clerk" && status.Imported.Reference == "=4711" && status.Imported.At != nil
	})
	clerk.lacks(clerk.see(october, "Imported", "clerk (as stated)", "=4711", "Marked as imported", `href="`+undo+`"`), `href="`+path+`"`)
	clerk.see(export, "=4711")
	if got := controller.do(http.MethodPost, path, url.Values{"reference": {"4712"}}); got.code != http.StatusConflict || len(missing(got.text, "Somebody else has marked this run", "=4711")) > 0 {
		clerk.Errorf("a second person who marks it hears %d\n%s", got.code, short(got.text))
	}
	clerk.see(runs+"october/request/redeliver", "everything would be booked twice", "=4711")
	controller.see(runs+"october/request/reversal", "until the files of the reversal are imported there, too", "=4711")
	clerk.see(home+"/audit", "Export marked as imported", "=4711")
	if file := clerk.do(http.MethodGet, home+"/audit.csv", nil).text; !strings.Contains(file, ",imported,clerk,person,") || !strings.Contains(file, ",'=4711\r\n") {
		clerk.Errorf("the file has no mark, or a formula:\n%s", file)
	}
	others(clerk, stage)
	onlyMarks(clerk, stage)
	controller.send(undo, controller.form(undo))
	untilImported(stage, func(status *v1alpha1.ExportRunStatus) bool {
		return status.Imported == nil && status.ImportTakenBack != nil && status.ImportTakenBack.By == "controller" && status.ImportTakenBack.Reference == "=4711"
	})
	clerk.see(october, "Mark as imported taken back", "controller (as stated)", `href="`+path+`"`)
	clerk.see(home+"/audit", "Export: mark as imported taken back", "controller (as stated)")
	clerk.lacks(clerk.see(runs+"october/request/redeliver"), "booked twice")
	clerk.send(path, url.Values{"reference": {"batch 4711"}})
}

// others cannot be marked: a preview, and a redelivery, which says what its run is instead.
func others(clerk *browser, stage *console.Stage) {
	var list v1alpha1.ExportRunList
	if err := stage.Cluster.List(clerk.Context(), &list, client.InNamespace(console.Namespace)); err != nil {
		clerk.Fatal(err)
	}
	found := 0
	for _, run := range list.Items {
		if run.Spec.Type.TakesTurns() {
			continue
		}
		found++
		clerk.want(http.StatusNotFound, runs+run.Name+"/imported")
		if got := clerk.do(http.MethodPost, runs+run.Name+"/imported", url.Values{}); got.code != http.StatusConflict {
			clerk.Errorf("a %s that is marked is answered with %d", run.Spec.Type, got.code)
		}
		if run.Spec.Type == v1alpha1.RunRedeliver {
			clerk.see(runs+run.Name, "everything would be booked twice", "=4711")
		}
	}
	if found < 2 {
		clerk.Errorf("there are %d runs that cannot be marked", found)
	}
}

// onlyMarks tries whether somebody who may mark runs changes anything else of them.
func onlyMarks(clerk *browser, stage *console.Stage) {
	config := rest.CopyConfig(stage.ControlPlane.Config)
	config.Impersonate.UserName = "clerk"
	cluster, err := client.New(config, client.Options{Scheme: stage.Cluster.Scheme()})
	if err != nil {
		clerk.Fatal(err)
	}
	for what, change := range map[string]string{
		"cancels": `{"spec":{"cancel":true}}`, "labels": `{"metadata":{"labels":{"a":"b"}}}`, "keeps": `{"metadata":{"finalizers":["example.com/a"]}}`,
		"annotates": `{"metadata":{"annotations":{"accounting.ledgerport.dev/reason":"b"}}}`, "annotates for others": `{"metadata":{"annotations":{"example.com/a":"b"}}}`,
	} {
		run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: console.Namespace, Name: "october"}}
		if err := cluster.Patch(clerk.Context(), run, client.RawPatch("application/merge-patch+json", []byte(change))); err == nil || !strings.Contains(err.Error(), "marks them as imported") {
			clerk.Errorf("a clerk %s a run: %v", what, err)
		}
	}
}

// untilImported waits for the operator to see what was said of the import of a run.
func untilImported(stage *console.Stage, want func(*v1alpha1.ExportRunStatus) bool) {
	stage.Until(func(ctx context.Context) string {
		var run v1alpha1.ExportRun
		if err := stage.Cluster.Get(ctx, client.ObjectKey{Namespace: console.Namespace, Name: "october"}, &run); err != nil {
			return err.Error()
		}
		if !want(&run.Status) {
			return fmt.Sprintf("the import is %+v, taken back %+v", run.Status.Imported, run.Status.ImportTakenBack)
		}
		return ""
	})
}

func reverses(clerk, controller *browser, stage *console.Stage) {
	const path = runs + "october/request/reversal"
	clerk.want(http.StatusForbidden, path, "Your role does not allow this")
	got := clerk.do(http.MethodPost, path, url.Values{"once": {"abcdefghij"}, "reason": {"x"}})
	if got.code != http.StatusForbidden || !strings.Contains(got.text, "reverse") {
		clerk.Errorf("a clerk who reverses hears %d\n%s", got.code, got.text)
	}
	text := controller.see(runs+"october", "request/reversal")
	number := regexp.MustCompile(`voucher\?number=([^"]+)"`).FindStringSubmatch(text)[1]
	one := regexp.MustCompile(`href="(/namespaces/acme/runs/october/request/reversal\?claim=[^"]+)"`).FindStringSubmatch(controller.see(runs + "october/voucher?number=" + number))
	form := controller.form(one[1])
	if got := controller.do(http.MethodPost, path, form); got.code != http.StatusUnprocessableEntity || !strings.Contains(got.text, "needs a reason") || !strings.Contains(got.text, form.Get("once")) {
		controller.Errorf("without a reason it is %d\n%s", got.code, got.text)
	}
	form.Set("reason", strings.Repeat("é", 501))
	if got := controller.do(http.MethodPost, path, form); got.code != http.StatusUnprocessableEntity || !strings.Contains(got.text, "at most 500") {
		controller.Errorf("with a long reason it is %d", got.code)
	}
	form.Set("reason", "Posted <b>twice</b>\nby hand")
	name := controller.send(path, form)
	if run := stage.Ended(name); run.Annotations[v1alpha1.ReasonAnnotation] != "Posted <b>twice</b> by hand" || run.Status.Claims != 1 {
		controller.Errorf("the reversal is %v of %d claims", run.Annotations, run.Status.Claims)
	}
	untilReversed(stage, v1alpha1.PartlyReversed)
	controller.see(runs+name, "Reversal", "A reversal does not take them out of it", "batch 4711", "Posted &lt;b&gt;twice&lt;/b&gt; by hand", "reverses")
	controller.see(runs+"october", "Partly reversed", runs+name)
	controller.see(runs+"october/voucher?number="+number, "5. Reversed by", runs+name)
	form = controller.form(path)
	form.Set("reason", "All of it")
	all := controller.send(path, form)
	stage.Ended(all)
	untilReversed(stage, v1alpha1.WhollyReversed)
	controller.lacks(controller.see(runs+"october", "Reversed"), "request/reversal")
	controller.want(http.StatusNotFound, path)
	controller.want(http.StatusNotFound, runs+all+"/request/reversal")
}

// untilReversed waits for the first run to report it: that comes a moment after the end of the reversal.
func untilReversed(stage *console.Stage, want v1alpha1.RunReversed) {
	stage.Until(func(ctx context.Context) string {
		var run v1alpha1.ExportRun
		if err := stage.Cluster.Get(ctx, client.ObjectKey{Namespace: console.Namespace, Name: "october"}, &run); err != nil {
			return err.Error()
		}
		if run.Status.Reversed != want {
			return fmt.Sprintf("the run is reversed %q", run.Status.Reversed)
		}
		return ""
	})
}

func audits(clerk *browser) {
	clerk.see(home+"/audit", "Reversal asked for", "controller (as stated)", "Posted &lt;b&gt;twice", "not recorded", "Ended")
	got := clerk.do(http.MethodGet, home+"/audit.csv?export=monthly", nil)
	rows, err := csv.NewReader(strings.NewReader(got.text)).ReadAll()
	if err != nil || got.code != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; filename=monthly-audit.csv") {
		clerk.Fatalf("%d %v %v", got.code, err, got.header)
	}
	asked, ended := 0, 0
	for _, row := range rows[1:] {
		switch {
		case row[5] == "asked":
			asked++
		case row[5] == "ended" && row[12] == "Succeeded" && row[18] != "":
			ended++
		}
	}
	if asked < 6 || ended < 5 {
		clerk.Errorf("%d runs were asked for, and %d have ended:\n%s", asked, ended, got.text)
	}
	if got := clerk.do(http.MethodGet, home+"/audit.csv?export=other", nil); strings.Count(got.text, "\n") != 1 {
		clerk.Errorf("of another export it has\n%s", got.text)
	}
}

func refuses(t *testing.T, base string) {
	stranger, viewer := newBrowser(t, base, "stranger"), newBrowser(t, base, "viewer")
	for _, path := range []string{home, export, export + "/held", runs + "october", runs + "october?check=now", runs + "october/voucher?number=E%2F2026%2F1", runs + "october/files/october.csv", home + "/audit", home + "/audit.csv", export + "/request/export"} {
		stranger.lacks(stranger.want(http.StatusForbidden, path), "EUR", "october.csv")
	}
	viewer.want(http.StatusForbidden, export+"/held")
	viewer.want(http.StatusForbidden, runs+"october/files/october.csv")
	viewer.see(runs+"october", "You may not see or do this") // of files and vouchers
	clerk := newBrowser(t, base, "clerk")
	for _, path := range []string{"/namespaces/nordwind", "/namespaces/nordwind/exports/monthly", "/namespaces/nordwind/runs/october", "/namespaces/nordwind/audit.csv"} {
		clerk.want(http.StatusForbidden, path)
	}
	nobody := newBrowser(t, base, "")
	nobody.want(http.StatusUnauthorized, "/", "You are not logged in")
}

func wrong(clerk *browser) {
	for path, code := range map[string]int{
		"/nothing": http.StatusNotFound, "/namespaces/ACME": http.StatusNotFound, "/namespaces/..%2f..%2fapi": http.StatusNotFound, "/namespaces/a%00b": http.StatusNotFound,
		home + "?continue=x": http.StatusBadRequest, export + "?continue=%00": http.StatusBadRequest, export + "?from=1&from=2": http.StatusBadRequest, export + "?x=" + strings.Repeat("y", 9000): http.StatusBadRequest,
		export + "?continue=" + strings.Repeat("y", 5000): http.StatusBadRequest, export + "/request/reversal": http.StatusNotFound, runs + "october/request/export": http.StatusNotFound, export + "/request/%0d": http.StatusNotFound,
		export + "/request/export?claim=x": http.StatusNotFound, "/assets/none": http.StatusNotFound, "/assets/..%2fpages.go": http.StatusNotFound, home + "/audit?export=..%2f": http.StatusNotFound,
	} {
		clerk.want(code, path)
	}
	for _, path := range []string{"/", export, runs + "october"} {
		if got := clerk.do(http.MethodPost, path, url.Values{}); got.code != http.StatusMethodNotAllowed {
			clerk.Errorf("to post to %s is %d", path, got.code)
		}
	}
	if got := clerk.do(http.MethodPost, export+"/request/export", url.Values{"once": {strings.Repeat("a", 100<<10)}}); got.code != http.StatusBadRequest {
		clerk.Errorf("a form of 100 KiB is %d", got.code)
	}
	clerk.see(export + "?from=999999999999")
	clerk.see(export + "?from=-1")
}

func speaks(clerk *browser) {
	for language, words := range map[string][2]string{
		"de-DE": {"Bereit", "Soll = Haben"}, "nb-NO": {"Klar", "Debet = kredit"}, "sv-SE": {"Redo", "Debet = kredit"}, "en-US": {"Ready", "Debit = credit"},
	} {
		reader := *clerk
		reader.accept = language
		text := reader.see(export, words[0], `<html lang="`+language[:2]+`">`)
		clerk.lacks(reader.see(runs+"october"), "were exported", "75231.68")
		for _, path := range []string{"/", home, export + "/held", runs + "october?check=now", home + "/audit", export + "/request/export", "/nothing"} {
			text += reader.do(http.MethodGet, path, nil).text
		}
		if !strings.Contains(text, words[1]) || strings.Contains(text, "%!") {
			clerk.Errorf("in %s something is missing", language)
		}
		if key := regexp.MustCompile(`[>"](exports|export|run|runs|fact|column|held|audit|request|refusal|check|step|asked|phase|type|stage|way)\.[a-z.]+[<"]`).FindString(text); key != "" {
			clerk.Errorf("in %s the page has the key %s", language, key)
		}
	}
}

func hostile(clerk *browser, stage *console.Stage) {
	const id, message = "\"><script>alert(1)</script>\u202e", "<img src=x onerror=alert(1)>\x1b[2J\u2066"
	stage.SQL(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `insert into ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
			select r.organization_id, (select min(id) from ledgerport.claim_tables), $1, r.id, 'Unheard', $2 from ledgerport.runs r where name = 'october'`, id, message)
		return err
	})
	text := clerk.see(export+"/held", "&lt;script&gt;", "&lt;img src=x", `\x1b[2J`, "Unheard")
	clerk.lacks(text, "<script>alert", "<img", "\u202e", "\u2066", "\x1b")
	clerk.lacks(clerk.see(export+"/held?claim="+url.QueryEscape(id)), "<script>alert", "\u202e")
	clerk.lacks(clerk.see(runs+"october?claim="+url.QueryEscape(id)), "<script>alert", "\u202e")

	patch := func(link string) {
		change := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ClaimURLAnnotation, link)
		object := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: console.Namespace, Name: console.Export}}
		if err := stage.Cluster.Patch(clerk.Context(), object, client.RawPatch("application/merge-patch+json", change)); err != nil {
			clerk.Fatal(err)
		}
	}
	patch("javascript:alert({id})")
	clerk.lacks(clerk.see(export+"/held", "is not used"), "javascript:", `href="https://expenses`)
	patch("https://expenses.example.com/claims/{id}")

	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: console.Namespace, Name: "hostile", Annotations: map[string]string{
			v1alpha1.RequestedByAnnotation: "=cmd|' /C calc'!A0<script>alert(1)</script>\u202e", v1alpha1.ReasonAnnotation: "-2+3\x1b<b>",
		}},
		Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: console.Export}, Type: v1alpha1.RunPreview},
	}
	if err := stage.Cluster.Create(clerk.Context(), run); err != nil {
		clerk.Fatal(err)
	}
	stage.Ended("hostile")
	for _, path := range []string{runs + "hostile", export, home + "/audit"} {
		clerk.lacks(clerk.see(path, "&lt;script&gt;"), "<script>alert", "\u202e", "\x1b", "<b>")
	}
	file := clerk.do(http.MethodGet, home+"/audit.csv", nil).text
	if !strings.Contains(file, `'=cmd|`) || strings.Contains(file, "\u202e") || strings.Contains(file, "\x1b") {
		clerk.Errorf("the file has a formula, or a control character:\n%s", file)
	}
}

func approves(clerk *browser, stage *console.Stage) {
	stage.RequireApproval()
	stage.Approve(4, 3)
	name := clerk.send(export+"/request/export", clerk.form(export+"/request/export"))
	waits := stage.In(v1alpha1.RunAwaitingApproval, name)
	path := runs + name + "/approval"
	approver, viewer := newBrowser(clerk.T, clerk.base, "approver"), newBrowser(clerk.T, clerk.base, "viewer")
	digest, file := waits.Status.Approval.Digest, waits.Status.Files[0]
	approver.see(runs+name, "Waits for approval", `href="`+path+`"`)
	text := approver.see(path, "Approve "+name+"?", "clerk (as stated)", waits.Status.FirstVoucher, file.Name, file.SHA256, digest, "Waits until", "Debit = credit")
	approver.lacks(text, `name="once"`, "mark bad")
	form := approver.form(path)

	for _, other := range []*browser{clerk, viewer} {
		other.lacks(other.see(runs+name, "Waits for approval"), path)
		other.want(http.StatusForbidden, path, "Your role does not allow this")
	}
	stage.Admit("clerk-approves", "ledgerport-approver", rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "clerk"})
	stage.Until(func(context.Context) string {
		return strings.Join(missing(clerk.do(http.MethodGet, path, nil).text, "You asked for this run: another person approves it"), "")
	})
	clerk.lacks(clerk.see(runs+name, "Waits for approval"), path)
	if got := clerk.do(http.MethodPost, path, form); got.code != http.StatusForbidden || len(missing(got.text, "a run is approved by another person than clerk")) > 0 {
		clerk.Errorf("a clerk who approves their own run hears %d\n%s", got.code, short(got.text))
	}
	if got := viewer.do(http.MethodPost, path, form); got.code != http.StatusForbidden {
		clerk.Errorf("a viewer who approves hears %d", got.code)
	}
	for given, code := range map[string]int{"": http.StatusBadRequest, digest + "0": http.StatusBadRequest, strings.ToUpper(digest): http.StatusBadRequest} {
		if got := approver.do(http.MethodPost, path, url.Values{"digest": {given}}); got.code != code {
			clerk.Errorf("the digest %.70q is answered with %d", given, got.code)
		}
	}
	got := approver.do(http.MethodPost, path, url.Values{"digest": {strings.Repeat("0", 64)}})
	if got.code != http.StatusConflict || len(missing(got.text, "has changed since you saw it", `value="`+digest+`"`)) > 0 {
		clerk.Errorf("what is not there any more is approved with %d\n%s", got.code, short(got.text))
	}
	if run := stage.In(v1alpha1.RunAwaitingApproval, name); run.Annotations[v1alpha1.ApprovedAnnotation] != "" {
		clerk.Errorf("after refusals the run has %v", run.Annotations)
	}

	if led := approver.send(path, form); led != name {
		clerk.Errorf("an approval leads to %s", led)
	}
	if led := approver.send(path, form); led != name { // twice is once
		clerk.Errorf("the same approval leads to %s", led)
	}
	if run := stage.Ended(name); run.Status.Approval.ApprovedBy != "approver" || run.Status.SHA256 != waits.Status.SHA256 {
		clerk.Errorf("the run that was approved is %+v", run.Status)
	}
	approver.lacks(approver.see(runs+name, "Approved", "approver (as stated)"), path)
	approver.want(http.StatusNotFound, path)
	if got := approver.do(http.MethodPost, path, url.Values{"digest": {strings.Repeat("0", 64)}}); got.code != http.StatusConflict {
		clerk.Errorf("a run that has ended is approved with %d", got.code)
	}
	clerk.see(home+"/audit", "Export approved", "approver (as stated)")
}

// cancels comes after approves: runs of the export wait for approvals.
func cancels(clerk, controller *browser, stage *console.Stage) {
	stage.Approve(4, 4)
	name := clerk.send(export+"/request/export", clerk.form(export+"/request/export"))
	waits := stage.In(v1alpha1.RunAwaitingApproval, name)
	path := runs + name + "/cancellation"
	viewer := newBrowser(clerk.T, clerk.base, "viewer")
	viewer.lacks(viewer.see(runs+name, "Waits for approval"), path)
	viewer.want(http.StatusForbidden, path, "Your role does not allow this")
	if got := viewer.do(http.MethodPost, path, url.Values{}); got.code != http.StatusForbidden {
		clerk.Errorf("a viewer who cancels hears %d", got.code)
	}
	if run := stage.In(v1alpha1.RunAwaitingApproval, name); run.Spec.Cancel {
		clerk.Error("a viewer has cancelled a run")
	}

	controller.see(runs+name, `href="`+path+`"`)
	text := controller.see(path, "Cancel "+name+"?", "Waits for approval", "clerk (as stated)", waits.Status.FirstVoucher, `class="danger"`)
	controller.lacks(text, "mark bad")
	form := controller.form(path)
	for range 2 { // twice is once
		if led := controller.send(path, form); led != name {
			clerk.Errorf("a cancellation leads to %s", led)
		}
	}
	if run := stage.In(v1alpha1.RunCancelled, name); run.Status.CancelledBy != "controller" {
		clerk.Errorf("the run that was cancelled is %+v", run.Status)
	}
	controller.lacks(controller.see(runs+name, "Cancelled", "controller (as stated)"), path)
	controller.want(http.StatusNotFound, path)
	controller.lacks(controller.see(runs+"october"), runs+"october/cancellation")
	controller.want(http.StatusNotFound, runs+"october/cancellation")
	if got := controller.do(http.MethodPost, runs+"october/cancellation", url.Values{}); got.code != http.StatusConflict {
		clerk.Errorf("a run that has ended is cancelled with %d", got.code)
	}
	clerk.see(home+"/audit", "Export: cancellation asked for", "controller (as stated)")
}

// missing returns which words a page lacks.
func missing(text string, words ...string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return strings.Contains(html.UnescapeString(text), word) })
}

// many has runs of an export that does not exist, which fail or wait; what counts is that they are there.
func many(clerk *browser, stage *console.Stage) {
	const more = 620
	for i := range more {
		run := &v1alpha1.ExportRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: console.Namespace, Name: fmt.Sprintf("many-%05d", i)},
			Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "many"}, Type: v1alpha1.RunPreview},
		}
		if err := stage.Cluster.Create(clerk.Context(), run); err != nil {
			clerk.Fatal(err)
		}
	}
	seen := map[string]bool{}
	path, asked := home+"/audit?export=many", 0
	for path != "" {
		text := clerk.see(path, "more runs than can be put in order")
		for _, found := range regexp.MustCompile(`runs/(many-\d+)"`).FindAllStringSubmatch(text, -1) {
			seen[found[1]] = true
		}
		next := regexp.MustCompile(`href="([^"]+)">Older`).FindStringSubmatch(text)
		asked++
		if asked > 40 {
			clerk.Fatal("the pages do not end")
		}
		path = ""
		if next != nil {
			path = strings.ReplaceAll(next[1], "&amp;", "&")
		}
	}
	if len(seen) != more {
		clerk.Errorf("%d of %d runs are shown on %d pages", len(seen), more, asked)
	}
	clerk.see(export, "more runs than can be put in order", "monthly")
	if file := clerk.do(http.MethodGet, home+"/audit.csv?export=many", nil); strings.Count(file.text, ",asked,") != more || strings.Contains(file.text, "INCOMPLETE") {
		clerk.Errorf("the file has %d of %d runs", strings.Count(file.text, ",asked,"), more)
	}
}
