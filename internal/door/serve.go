package door

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"

	books "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

// hall is behind the door: it answers requests.
type hall struct {
	*Door
	trusted          *trust
	transfers, pages *places
}

// handler answers requests of those that are trusted.
func (d *Door) handler(trusted *trust) http.Handler {
	limits := d.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits
	}
	h := &hall{Door: d, trusted: trusted,
		transfers: newPlaces(limits.Transfers, limits.TransfersPerNamespace, limits.Wait),
		pages:     newPlaces(limits.Pages, limits.PagesPerNamespace, limits.Wait),
	}
	h.Limits = limits
	return h
}

// asked is a question about a resource by somebody who may ask it.
type asked struct {
	*request.RequestInfo
	*http.Request
	who user.Info
}

// ServeHTTP implements http.Handler.
func (h *hall) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.survive(r)
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	who := h.trusted.identify(r)
	if who == nil {
		refused(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "only the API server is answered here").write(w)
		return
	}
	info, err := h.trusted.requests.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		describe(w, strings.TrimSuffix(r.URL.Path, "/"))
		return
	}
	if answer := h.admit(r.Context(), who, info); answer != nil {
		answer.write(w)
		return
	}
	counted := &counting{ResponseWriter: w, code: http.StatusOK}
	started := time.Now()
	h.answer(counted, &asked{info, r, who})
	h.Log.Info("answered", "user", who.GetName(), "namespace", info.Namespace, "resource", info.Resource, "name", info.Name, "what", strings.Join(info.Parts[2:], "/"),
		"code", counted.code, "bytes", counted.bytes, "seconds", time.Since(started).Seconds())
}

// survive ends a request in which something has panicked, of which nothing else is told than where. A transfer is broken off so, too.
func (h *hall) survive(r *http.Request) {
	value := recover()
	if value == nil {
		return
	}
	if value != http.ErrAbortHandler { //nolint:errorlint // it is the value itself
		h.Log.Error(nil, "a request has ended in a panic", "kind", fmt.Sprintf("%T", value), "path", r.URL.Path, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// What a question can be about: nothing else exists.
const (
	mostParts   = 4 // runs, a name, files, a name
	longestPath = 2048
	longestName = 253
)

// admit asks whether somebody may have what a request is for; nil if so.
func (h *hall) admit(ctx context.Context, who user.Info, info *request.RequestInfo) *refusal {
	if info.APIGroup != books.GroupVersion.Group || info.APIVersion != books.GroupVersion.Version || info.Namespace == "" || len(info.Parts) < 3 ||
		len(info.Parts) > mostParts || len(info.Path) > longestPath || len(info.Name) > longestName { // what is asked is remembered for a while
		return refused(http.StatusNotFound, metav1.StatusReasonNotFound, "nothing is served here")
	}
	admitted, err := h.trusted.admits(ctx, who, info)
	switch {
	case err != nil:
		h.Log.Error(err, "asking the API server about rights")
		return &refusal{code: http.StatusServiceUnavailable, reason: metav1.StatusReasonServiceUnavailable, message: "the API server does not answer whether you may do that; ask again", after: 1}
	case !admitted:
		return refused(http.StatusForbidden, metav1.StatusReasonForbidden, "user %q cannot %s resource \"%s/%s\" in API group %q in the namespace %q",
			who.GetName(), info.Verb, info.Resource, info.Subresource, info.APIGroup, info.Namespace)
	case info.Verb != "get":
		return refused(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "what is served here is only read")
	case len(h.Namespaces) > 0 && !slices.Contains(h.Namespaces, info.Namespace):
		return refused(http.StatusNotFound, metav1.StatusReasonNotFound, "this operator does not work in the namespace %q", info.Namespace)
	}
	return nil
}

// answer finds what is asked for.
func (h *hall) answer(w http.ResponseWriter, r *asked) {
	var err error
	switch what := r.Resource + "/" + r.Subresource; {
	case what == books.ExportRuns+"/"+books.Files && len(r.Parts) == 4:
		err = h.transfer(w, r)
	case len(r.Parts) != 3:
		err = nothing
	case what == books.ExportRuns+"/"+books.Files:
		err = h.page(w, r, h.files)
	case what == books.ExportRuns+"/"+books.Vouchers:
		err = h.page(w, r, h.vouchers)
	case what == books.AccountingExports+"/"+books.HeldClaims:
		err = h.page(w, r, h.heldClaims)
	case what == books.AccountingExports+"/"+books.Claims:
		err = h.page(w, r, h.claim)
	default:
		err = nothing
	}
	if err != nil {
		h.refuse(w, r, err)
	}
}

var nothing = refused(http.StatusNotFound, metav1.StatusReasonNotFound, "nothing is served here")

// refuse answers with what went wrong.
func (h *hall) refuse(w http.ResponseWriter, r *asked, err error) {
	answer := ofFailure(err)
	if answer.code == http.StatusInternalServerError {
		h.Log.Error(err, "answering", "namespace", r.Namespace, "resource", r.Resource, "name", r.Name, "what", r.Subresource)
	}
	answer.write(w)
}

// page answers with a document that is made in a bounded time, while few others are.
func (h *hall) page(w http.ResponseWriter, r *asked, write func(context.Context, *asked) (any, error)) error {
	giveBack, taken := h.pages.take(r.Context(), r.Namespace, nil)
	if !taken {
		return busy
	}
	defer giveBack() // once it has been taken: until then it is in memory
	ctx, cancel := context.WithTimeout(r.Context(), h.Limits.Page)
	defer cancel()
	document, err := write(ctx, r)
	if err != nil {
		return err
	}
	deadline := http.NewResponseController(w)
	_ = deadline.SetWriteDeadline(time.Now().Add(h.Limits.Page)) // every connection can
	defer func() { _ = deadline.SetWriteDeadline(time.Time{}) }()
	writeJSON(w, http.StatusOK, document)
	return nil
}

var busy = &refusal{
	code: http.StatusTooManyRequests, reason: metav1.StatusReasonTooManyRequests, after: 1,
	message: "as much is being read for this namespace, or for all, as may be at the same time; ask again",
}

// run opens the record of the run that is asked about.
func (h *hall) run(ctx context.Context, r *asked) (*pipeline.Reading, error) {
	run, err := h.find(ctx, types.NamespacedName{Namespace: r.Namespace, Name: r.Name})
	switch {
	case apierrors.IsNotFound(err):
		return nil, refused(http.StatusNotFound, metav1.StatusReasonNotFound, "ExportRun %s/%s does not exist", r.Namespace, r.Name)
	case err != nil:
		return nil, err
	case run.Spec.Type == v1alpha1.RunPreview:
		return nil, refused(http.StatusNotFound, metav1.StatusReasonNotFound, "ExportRun %s is a preview, of which nothing is recorded; what it shows is at its status.location", r.Name)
	case !run.Status.Phase.Exported():
		return nil, refused(http.StatusNotFound, metav1.StatusReasonNotFound, "ExportRun %s has delivered nothing: its phase is %q", r.Name, run.Status.Phase)
	}
	reading, err := h.Pipeline.Read(ctx, pipeline.RecordOf(run))
	return reading, h.unheard(ctx, types.NamespacedName{Namespace: run.Namespace, Name: run.Spec.ExportRef.Name}, err)
}

// unheard is what is said where the cache does not know an export that exists: it was made a moment ago, and this replica hears of it soon. Other
// errors stay.
func (h *hall) unheard(ctx context.Context, export types.NamespacedName, err error) error {
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonExportNotFound {
		return err
	}
	known := &metav1.PartialObjectMetadata{}
	known.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AccountingExport"))
	if h.Live.Get(ctx, export, known) != nil {
		return err
	}
	return &refusal{code: http.StatusServiceUnavailable, reason: metav1.StatusReasonServiceUnavailable, message: "the operator has not heard of AccountingExport " + export.Name + " yet; ask again", after: 1}
}

// find reads a run: once more, and not from a cache, if there is none, or it has delivered nothing.
func (h *hall) find(ctx context.Context, key types.NamespacedName) (*v1alpha1.ExportRun, error) {
	var run v1alpha1.ExportRun
	err := h.Objects.Get(ctx, key, &run)
	if apierrors.IsNotFound(err) || err == nil && run.Spec.Type != v1alpha1.RunPreview && !run.Status.Phase.Exported() {
		run = v1alpha1.ExportRun{}
		err = h.Live.Get(ctx, key, &run)
	}
	return &run, err
}

// counting notes how a request is answered.
type counting struct {
	http.ResponseWriter
	code  int
	bytes int64
}

// WriteHeader implements http.ResponseWriter.
func (c *counting) WriteHeader(code int) {
	c.code = code
	c.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the connection.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
