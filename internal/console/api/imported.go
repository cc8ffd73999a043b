package api

import (
	"context"
	"net/http"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// imported is what a mark has.
type imported struct {
	// Reference under which the accounting system has the files of the run; empty if it is not known.
	Reference string `json:"reference"`
}

// markImported marks a run as imported.
func (a *api) markImported(w http.ResponseWriter, r *asked) error {
	var given imported
	if err := read(w, r.Request, &given); err != nil {
		return err
	}
	if utf8.RuneCountInString(given.Reference) > v1alpha1.ImportReferenceLength {
		return problem.New(http.StatusUnprocessableEntity, problem.Invalid, "reference has at most %d characters", v1alpha1.ImportReferenceLength)
	}
	return r.mark(w, func(ctx context.Context, key types.NamespacedName) (*v1alpha1.ExportRun, error) {
		return requests.MarkImported(ctx, r.cluster, key, r.caller.Name, given.Reference)
	})
}

// takeImportBack takes the mark of a run back.
func (a *api) takeImportBack(w http.ResponseWriter, r *asked) error {
	return r.mark(w, func(ctx context.Context, key types.NamespacedName) (*v1alpha1.ExportRun, error) {
		return requests.TakeImportBack(ctx, r.cluster, key, r.caller.Name)
	})
}

// mark changes the mark of a run of the export that is asked about, and answers with the run as it then is.
func (r *asked) mark(w http.ResponseWriter, change func(context.Context, types.NamespacedName) (*v1alpha1.ExportRun, error)) error {
	if _, err := r.find(r.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	run, err := change(ctx, r.run())
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, described(run))
}
