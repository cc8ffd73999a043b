package requests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// Importable reports whether a run can be marked as imported: it has succeeded and delivered files of its own. A preview's are of
// nothing that is recorded, and a redelivery's are those of the run that it delivers again.
func Importable(run *v1alpha1.ExportRun) bool {
	return run.Status.Phase == v1alpha1.RunSucceeded && run.Spec.Type.TakesTurns() && run.Status.Location != ""
}

// ImportOf returns the mark of a run that is imported; nil if it has none. It is what the annotations say, which a person may just have written,
// and has a time once the operator has seen it. Whatever the annotations have is on one line and bounded.
func ImportOf(run *v1alpha1.ExportRun) *v1alpha1.RunImport {
	reference, marked := run.Annotations[v1alpha1.ImportedAnnotation]
	if !marked || !Importable(run) {
		return nil
	}
	mark := &v1alpha1.RunImport{By: ImportedBy(run), Reference: texts.Printable(texts.Short(reference, mostOfReference), texts.Quote)}
	if seen := run.Status.Imported; seen != nil && seen.By == mark.By && seen.Reference == mark.Reference {
		mark.At = seen.At
	}
	return mark
}

// mostOfReference of an import is read, in bytes: as many as its characters have at most.
const mostOfReference = v1alpha1.ImportReferenceLength * utf8.UTFMax

// ImportedBy returns who has marked a run as imported, or taken that back, as its annotation has it.
func ImportedBy(run *v1alpha1.ExportRun) string {
	return texts.Printable(run.Annotations[v1alpha1.ImportedByAnnotation], texts.Quote)
}

// ImportAnnotations returns what a run has of the annotations that ImportOf reads, and no more of each than that needs.
func ImportAnnotations(run *v1alpha1.ExportRun) map[string]string {
	kept := map[string]string{}
	for _, name := range []string{v1alpha1.ImportedAnnotation, v1alpha1.ImportedByAnnotation} {
		if value, is := run.Annotations[name]; is {
			kept[name] = strings.Clone(texts.Short(value, longestStamp*utf8.UTFMax))
		}
	}
	return kept
}

// TakenBackFrom returns who has taken the last mark of a run back; nil if it is marked, or never was as far as the operator has seen.
func TakenBackFrom(run *v1alpha1.ExportRun) *v1alpha1.RunImport {
	switch status := &run.Status; {
	case ImportOf(run) != nil:
		return nil
	case status.Imported != nil: // which the operator has yet to see
		return &v1alpha1.RunImport{By: ImportedBy(run), Reference: status.Imported.Reference}
	default:
		return status.ImportTakenBack
	}
}

// ImportSummary says in words who has marked a run as imported, when, and under what reference.
func ImportSummary(mark *v1alpha1.RunImport) string {
	said := "by " + cmp.Or(mark.By, "somebody who is not named")
	if mark.At != nil {
		said += " at " + mark.At.UTC().Format(time.RFC3339)
	}
	if mark.Reference != "" {
		said += ", reference " + mark.Reference
	}
	return said
}

// WarnOfImport returns what somebody should know who asks for a reversal or a redelivery of a run that is imported; nothing of any other.
func WarnOfImport(of *v1alpha1.ExportRun, asked v1alpha1.RunType) string {
	mark := ImportOf(of)
	switch {
	case mark == nil:
	case asked == v1alpha1.RunReversal:
		return fmt.Sprintf("the files of ExportRun %s were imported into the accounting system %s; it keeps what they booked until the files of the reversal are imported, too", of.Name, ImportSummary(mark))
	case asked == v1alpha1.RunRedeliver:
		return fmt.Sprintf("the files of ExportRun %s were imported into the accounting system %s; do not import what is delivered again, or it is booked twice", of.Name, ImportSummary(mark))
	}
	return ""
}

// MarkImported marks a run as imported under a reference, which may be empty. By is the name of the user that does. What the same person has said before stays
// as it is, or has its reference corrected; the mark of another is left alone, because what is imported twice is booked twice.
func MarkImported(ctx context.Context, cluster client.Client, key types.NamespacedName, by, reference string) (*v1alpha1.ExportRun, error) {
	reference = texts.OneSpace(reference)
	if utf8.RuneCountInString(reference) > v1alpha1.ImportReferenceLength {
		return nil, fmt.Errorf("the reference has more than %d characters", v1alpha1.ImportReferenceLength)
	}
	return changeMark(ctx, cluster, key, func(run *v1alpha1.ExportRun) (map[string]any, error) {
		if !Importable(run) {
			return nil, &NotImportable{Run: key, Why: notImportable(run)}
		}
		former, marked := run.Annotations[v1alpha1.ImportedAnnotation]
		formerBy := run.Annotations[v1alpha1.ImportedByAnnotation]
		switch {
		case marked && formerBy != Stamp(by):
			return nil, &AlreadyImported{Run: key, Mark: *ImportOf(run)}
		case marked && former == reference:
			return nil, nil
		}
		return map[string]any{v1alpha1.ImportedAnnotation: reference, v1alpha1.ImportedByAnnotation: stampOrNone(by)}, nil
	})
}

// TakeImportBack takes the mark of a run back. By is the name of the user that does. A run without a mark stays as it is.
func TakeImportBack(ctx context.Context, cluster client.Client, key types.NamespacedName, by string) (*v1alpha1.ExportRun, error) {
	return changeMark(ctx, cluster, key, func(run *v1alpha1.ExportRun) (map[string]any, error) {
		if _, marked := run.Annotations[v1alpha1.ImportedAnnotation]; !marked {
			return nil, nil
		}
		return map[string]any{v1alpha1.ImportedAnnotation: nil, v1alpha1.ImportedByAnnotation: stampOrNone(by)}, nil
	})
}

// changeMark changes annotations of a run as it is now: of two who mark it at the same time one sees the mark of the other.
func changeMark(ctx context.Context, cluster client.Client, key types.NamespacedName, change func(*v1alpha1.ExportRun) (map[string]any, error)) (*v1alpha1.ExportRun, error) {
	run := &v1alpha1.ExportRun{}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		*run = v1alpha1.ExportRun{}
		if err := cluster.Get(ctx, key, run); err != nil {
			return err
		}
		annotations, err := change(run)
		if err != nil {
			return final{err}
		}
		if annotations == nil {
			return nil
		}
		return merge(ctx, cluster, run, map[string]any{"metadata": map[string]any{"resourceVersion": run.ResourceVersion, "annotations": annotations}})
	})
	var refused final
	switch {
	case errors.As(err, &refused):
		return nil, refused.error
	case err != nil:
		return nil, explained(err)
	}
	return run, nil
}

// final is an error after which nothing is tried again, also if it tells of a conflict.
type final struct{ error }

// stampOrNone is the name of a user for a merge patch, which takes the annotation away if it is not known.
func stampOrNone(by string) any {
	if by == "" {
		return nil
	}
	return Stamp(by)
}

// NotImportable is the error of a run that cannot be marked as imported.
type NotImportable struct {
	Run types.NamespacedName
	Why string
}

// Error implements error.
func (e *NotImportable) Error() string {
	return fmt.Sprintf("ExportRun %s cannot be marked as imported: %s", e.Run, e.Why)
}

// Status is that of a conflict, as the API server tells of one.
func (e *NotImportable) Status() metav1.Status { return conflict(e) }

// AlreadyImported is the error of a run that somebody else has marked as imported.
type AlreadyImported struct {
	Run  types.NamespacedName
	Mark v1alpha1.RunImport
}

// Error implements error.
func (e *AlreadyImported) Error() string {
	return fmt.Sprintf("ExportRun %s is marked as imported already, %s; if that is wrong, take the mark back first", e.Run, ImportSummary(&e.Mark))
}

// Status is that of a conflict, as the API server tells of one.
func (e *AlreadyImported) Status() metav1.Status { return conflict(e) }

func conflict(err error) metav1.Status {
	return metav1.Status{Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: err.Error()}
}

// notImportable says why a run cannot be marked as imported.
func notImportable(run *v1alpha1.ExportRun) string {
	switch {
	case run.Spec.Type == v1alpha1.RunPreview:
		return "it is a preview, which records nothing"
	case run.Spec.Type == v1alpha1.RunRedeliver && run.Spec.Redelivers != nil:
		return "it has delivered the files of ExportRun " + run.Spec.Redelivers.Name + " again; mark that"
	case !run.Status.Phase.Finished():
		return fmt.Sprintf("it is %s, and has delivered nothing yet", cmp.Or(run.Status.Phase, v1alpha1.RunPending))
	case run.Status.Phase != v1alpha1.RunSucceeded:
		return fmt.Sprintf("it is %s; a run that has Succeeded can be", run.Status.Phase)
	}
	return "it has delivered no files"
}
