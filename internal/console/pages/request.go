package pages

import (
	"crypto/rand"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

const longestReason = 500

// requestTypes are what may be asked for, of an export and of a run.
var requestTypes = map[string]v1alpha1.RunType{
	"export": v1alpha1.RunExport, "preview": v1alpha1.RunPreview, "redeliver": v1alpha1.RunRedeliver, "reversal": v1alpha1.RunReversal,
}

// requestView is the content of the page that asks once more.
type requestView struct {
	Type, To, Back string
	Question, Text string
	Facts          []fact
	// Warning of what somebody does not want to do, perhaps.
	Warning string
	// Import may have a Reference.
	Import    bool
	Reference string
	// Reversal needs a reason.
	Reversal bool
	// Danger is of what cannot be taken back, and takes something away.
	Danger bool
	Reason string
	Claim  string
	// Once is a part of the name of the run, so that a form that is sent twice asks once.
	Once, Submit string
	// Digest of what is approved, so that nothing else is.
	Digest string
	// Problem of what was sent.
	Problem string
	// Forbidden says why the caller may not ask for this; empty if they may.
	Forbidden string
}

// subject is what a request is of.
type subject struct {
	kind   v1alpha1.RunType
	name   string // of the type in paths
	export string
	run    *v1alpha1.ExportRun // nil if it is of an export
	claim  string
}

// path of the page that has offered the request.
func (s *subject) path(namespace string) string {
	if s.run != nil {
		return runPath(namespace, s.run.Name)
	}
	return exportPath(namespace, s.export)
}

// subject reads what a request is of. A run that cannot be reversed or delivered again has no such page.
func (v *visit) subject() (*subject, error) {
	s := &subject{name: v.r.PathValue("type"), export: v.r.PathValue("export"), claim: v.given.Get("claim")}
	kind, known := requestTypes[s.name]
	ofRun := kind == v1alpha1.RunReversal || kind == v1alpha1.RunRedeliver
	if !known || ofRun != (s.export == "") || s.claim != "" && kind != v1alpha1.RunReversal || len(s.claim) > longestClaim {
		return nil, errNoPage
	}
	s.kind = kind
	if !ofRun {
		return s, v.Get(v.ctx, types.NamespacedName{Namespace: v.namespace(), Name: s.export}, &v1alpha1.AccountingExport{})
	}
	run, err := v.readRun()
	if err != nil {
		return nil, err
	}
	if !recorded(run) || kind == v1alpha1.RunReversal && !reversible(run) {
		return nil, errNoPage
	}
	s.run, s.export = run, run.Spec.ExportRef.Name
	return s, nil
}

// longestClaim is the longest id that an ExportRun may name.
const longestClaim = 200

// confirm shows what is about to be asked for.
func (v *visit) confirm() error {
	s, err := v.subject()
	if err != nil {
		return err
	}
	return v.confirming(http.StatusOK, s, strings.ToLower(rand.Text()[:10]), "", "")
}

func (v *visit) confirming(code int, s *subject, once, reason, problem string) error {
	rights, err := v.may(v.ctx, v.namespace(), toRun, toReverse)
	if err != nil {
		return err
	}
	content := &requestView{
		Type: s.name, To: v.r.URL.EscapedPath(), Back: s.path(v.namespace()), Text: v.T("request." + s.name + ".text"), Reversal: s.kind == v1alpha1.RunReversal, Danger: s.kind == v1alpha1.RunReversal,
		Reason: reason, Claim: s.claim, Once: once, Submit: v.T("request." + s.name), Problem: problem,
		Facts: []fact{{Name: v.T("fact.namespace"), Value: v.namespace()}, {Name: v.T("fact.export"), Value: s.export}},
	}
	name := s.export
	if s.run != nil {
		name = s.run.Name
		content.Facts = append(content.Facts, fact{Name: v.T("fact.run"), Value: name})
		content.Facts = append(content.Facts, v.factsOfRun(s.run)...)
		_, zone, err := v.zoneOf(s.run)
		if err != nil {
			return err
		}
		content.Warning = v.warningOfImport(s.run, s.kind, zone)
	}
	content.Question = v.T("request."+s.name+".question", name)
	if s.claim != "" {
		content.Question = v.T("request.reversal.claim")
		content.Facts = append(content.Facts, fact{Name: v.T("column.claim"), Value: s.claim})
		content.Text = v.T("request.reversal.claim.text")
	}
	if !rights[toRun] || s.kind == v1alpha1.RunReversal && !rights[toReverse] {
		content.Forbidden = v.T("request.forbidden")
		if code == http.StatusOK {
			code = http.StatusForbidden
		}
	}
	trail := v.trail(link{v.namespace(), at("namespaces", v.namespace())}, link{s.export, exportPath(v.namespace(), s.export)})
	if s.run != nil {
		trail = append(trail, link{s.run.Name, s.path(v.namespace())})
	}
	return v.show(code, "request", shown{Title: content.Question, Trail: trail, Content: content})
}

// onceForm is what confirm has made.
var onceForm = regexp.MustCompile(`^[a-z2-7]{10}$`)

// request asks for a run, and leads to it.
func (v *visit) request() error {
	s, err := v.subject()
	if err != nil {
		return err
	}
	once, reason := v.given.Get("once"), strings.TrimSpace(v.given.Get("reason"))
	switch {
	case !onceForm.MatchString(once):
		return errBadQuestion
	case s.kind == v1alpha1.RunReversal && reason == "":
		return v.confirming(http.StatusUnprocessableEntity, s, once, reason, v.T("request.noreason"))
	case utf8.RuneCountInString(reason) > longestReason:
		return v.confirming(http.StatusUnprocessableEntity, s, once, reason, v.T("request.longreason", v.Count(longestReason)))
	}
	run, err := requests.Create(v.ctx, v.cluster, v.namespace(), v.requested(s, once, reason))
	if err != nil {
		return err
	}
	v.Log.Info("a run was asked for", "namespace", run.Namespace, "run", run.Name, "type", run.Spec.Type, "by", v.caller.Name)
	http.Redirect(v.w, v.r, runPath(run.Namespace, run.Name), http.StatusSeeOther)
	return nil
}

// requested is the run that is asked for. That the same form asks for the same run is known by its name.
func (v *visit) requested(s *subject, once, reason string) requests.Request {
	asked := requests.Request{Type: s.kind, Export: s.export, Name: s.export + "-" + once, By: v.caller.Name, Reason: texts.OneSpace(reason)}
	if s.kind != v1alpha1.RunExport {
		asked.Name = s.export + "-" + s.name + "-" + once
	}
	if s.run != nil {
		asked.Of = s.run.Name
	}
	if s.claim != "" {
		asked.Claims = []string{s.claim}
	}
	return asked
}
