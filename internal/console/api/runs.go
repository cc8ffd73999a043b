package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	// largestBody of a request, in bytes: a thousand claims are named in less.
	largestBody = 512 << 10
	// longestKey is what an Idempotency-Key has at most.
	longestKey = 255
	// longestRunName is what an ExportRun's name may have.
	longestRunName = 128
)

// wanted is what a request for a run has.
type wanted struct {
	// Type is Export or Preview; empty is Export.
	Type v1alpha1.RunType `json:"type"`
	// Claims alone are exported; none is all that are approved.
	Claims []string `json:"claims"`
	// Cutoff: claims approved before it are exported. Without it, it is the time of the request.
	Cutoff *time.Time `json:"cutoff"`
}

// Run is how a run is told.
type Run struct {
	ID        string            `json:"id"`
	Namespace string            `json:"namespace"`
	Export    string            `json:"export"`
	Type      v1alpha1.RunType  `json:"type"`
	Phase     v1alpha1.RunPhase `json:"phase"`
	// Finished runs do not change any more, but that they may be reversed.
	Finished bool                  `json:"finished"`
	Stage    v1alpha1.RunStage     `json:"stage,omitempty"`
	Progress *v1alpha1.RunProgress `json:"progress,omitempty"`
	// Reason in one word, and Message in words, why it is as it is.
	Reason      string    `json:"reason,omitempty"`
	Message     string    `json:"message,omitempty"`
	RequestedAt time.Time `json:"requestedAt"`
	// RequestedBy, CancelledBy and ApprovedBy are users, as the run names them.
	RequestedBy  string               `json:"requestedBy,omitempty"`
	CancelledBy  string               `json:"cancelledBy,omitempty"`
	ApprovedBy   string               `json:"approvedBy,omitempty"`
	StartedAt    *time.Time           `json:"startedAt,omitempty"`
	CompletedAt  *time.Time           `json:"completedAt,omitempty"`
	Claims       int64                `json:"claims"`
	Lines        int64                `json:"lines"`
	Held         int64                `json:"held"`
	Total        *Money               `json:"total,omitempty"`
	FirstVoucher string               `json:"firstVoucher,omitempty"`
	LastVoucher  string               `json:"lastVoucher,omitempty"`
	Reversed     v1alpha1.RunReversed `json:"reversed,omitempty"`
	// Imported is there while somebody says that the accounting system has the run.
	Imported *Import `json:"imported,omitempty"`
	Links    Links   `json:"links"`
}

// Money is an exact decimal with its currency.
type Money struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Import is the mark of a run that is imported.
type Import struct {
	// By is the user that has marked it, as the run names them.
	By string `json:"by,omitempty"`
	// At is when the operator has seen the mark.
	At *time.Time `json:"at,omitempty"`
	// Reference under which the accounting system has it.
	Reference string `json:"reference,omitempty"`
}

// Links of a run are paths of this server.
type Links struct {
	Self string `json:"self"`
	// Files are there once the run has delivered some.
	Files string `json:"files,omitempty"`
	Held  string `json:"held"`
}

// described tells of a run.
func described(run *v1alpha1.ExportRun) *Run {
	status := &run.Status
	of := "/api/v1/namespaces/" + url.PathEscape(run.Namespace) + "/exports/" + url.PathEscape(run.Spec.ExportRef.Name)
	told := &Run{
		ID: run.Name, Namespace: run.Namespace, Export: run.Spec.ExportRef.Name, Type: cmp.Or(run.Spec.Type, v1alpha1.RunExport),
		Phase: cmp.Or(status.Phase, v1alpha1.RunPending), Finished: status.Phase.Finished(), Stage: status.Stage, Progress: status.Progress,
		RequestedAt: run.CreationTimestamp.UTC(), CancelledBy: status.CancelledBy, Claims: status.Claims, Lines: status.Lines, Held: status.Held,
		FirstVoucher: texts.Printable(status.FirstVoucher, texts.Quote), LastVoucher: texts.Printable(status.LastVoucher, texts.Quote), Reversed: status.Reversed,
		Links: Links{Self: of + "/runs/" + url.PathEscape(run.Name), Held: of + "/held"},
	}
	told.RequestedBy = cmp.Or(status.RequestedBy, texts.Printable(run.Annotations[v1alpha1.RequestedByAnnotation], texts.Quote))
	if status.Approval.Given() {
		told.ApprovedBy = status.Approval.ApprovedBy
	}
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		told.Reason, told.Message = ready.Reason, texts.Printable(ready.Message, texts.Message)
	}
	if at := status.StartedAt; at != nil {
		told.StartedAt = new(at.UTC())
	}
	if at := status.CompletedAt; at != nil {
		told.CompletedAt = new(at.UTC())
	}
	if mark := requests.ImportOf(run); mark != nil {
		told.Imported = &Import{By: mark.By, Reference: mark.Reference}
		if mark.At != nil {
			told.Imported.At = new(mark.At.UTC())
		}
	}
	if status.Debit != "" {
		told.Total = &Money{status.Debit, status.Currency}
	}
	if status.Phase.Exported() && status.Location != "" && told.Type != v1alpha1.RunPreview {
		told.Links.Files = told.Links.Self + "/files"
	}
	return told
}

// request asks for a run.
func (a *api) request(w http.ResponseWriter, r *asked) error {
	var asks wanted
	if err := read(w, r.Request, &asks); err != nil {
		return err
	}
	asking := requests.Request{Type: cmp.Or(asks.Type, v1alpha1.RunExport), Export: r.export().Name, Claims: asks.Claims, By: r.caller.Name}
	if asking.Type != v1alpha1.RunExport && asking.Type != v1alpha1.RunPreview {
		return problem.New(http.StatusUnprocessableEntity, problem.Invalid, "type is Export or Preview")
	}
	if asks.Cutoff != nil {
		asking.Cutoff = *asks.Cutoff
	}
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	if key != "" {
		asking.Name = nameOf(r, key)
	}
	run, err := a.create(r.Context(), r, asking)
	if err != nil {
		return err
	}
	told := described(run)
	w.Header().Set("Location", told.Links.Self)
	return write(w, r, http.StatusAccepted, told)
}

// create asks for the run, or returns the one that the same request has asked for before.
func (a *api) create(ctx context.Context, r *asked, asking requests.Request) (*v1alpha1.ExportRun, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var export v1alpha1.AccountingExport
	if err := r.cluster.Get(ctx, r.export(), &export); err != nil {
		return nil, err
	}
	run := asking.Run(r.export().Namespace)
	err := r.cluster.Create(ctx, run)
	if asking.Name == "" || !apierrors.IsAlreadyExists(err) {
		return run, err
	}
	existing := &v1alpha1.ExportRun{}
	if err := r.cluster.Get(ctx, client.ObjectKeyFromObject(run), existing); err != nil {
		return nil, err
	}
	asked := existing.Spec.DeepCopy()
	asked.Cancel = false
	if !equality.Semantic.DeepEqual(*asked, run.Spec) {
		return nil, problem.New(http.StatusConflict, problem.KeyReused, "this Idempotency-Key was used for a request with another body; use another key")
	}
	return existing, nil
}

// answerTime is how long the API server may take to answer.
const answerTime = 10 * time.Second

// keyOf returns what makes a request one that can be repeated; nothing if it was not sent.
func keyOf(r *asked) (string, error) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	key := given[0]
	if len(given) > 1 || key == "" || len(key) > longestKey || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		return "", problem.New(http.StatusBadRequest, problem.BadRequest, "Idempotency-Key is one text of 1 to %d printable ASCII characters without spaces", longestKey)
	}
	return key, nil
}

// nameOf is the name of the run that a caller asks for with a key: the same for the same caller, export and key, and nobody else's.
func nameOf(r *asked, key string) string {
	sum := sha256.New()
	for _, part := range []string{r.caller.Name, r.export().Namespace, r.export().Name, key} {
		// Names and keys have no zero byte.
		_, _ = sum.Write(append([]byte(part), 0)) // it does not fail
	}
	hash := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum.Sum(nil)[:15]))
	export := r.export().Name
	return strings.TrimRight(export[:min(len(export), longestRunName-len(hash)-1)], "-.") + "-" + hash
}

// find returns the run of a question, which must be one of its export.
func (r *asked) find(ctx context.Context) (*v1alpha1.ExportRun, error) {
	run, err := r.get(ctx)
	if err != nil {
		return nil, err
	}
	return run, r.owns(run)
}

// get reads the run of a question.
func (r *asked) get(ctx context.Context) (*v1alpha1.ExportRun, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	run := &v1alpha1.ExportRun{}
	return run, r.cluster.Get(ctx, r.run(), run)
}

// owns insists on a run of the export that is asked about.
func (r *asked) owns(run *v1alpha1.ExportRun) error {
	if run.Spec.ExportRef.Name != r.export().Name {
		return problem.New(http.StatusNotFound, problem.NotFound, "the export %s has no run of this id", r.export().Name)
	}
	return nil
}
