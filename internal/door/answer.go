package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/texts"
)

// refusal is an answer that is not what was asked for.
type refusal struct {
	code    int32
	reason  metav1.StatusReason
	message string
	cause   v1alpha1.Reason
	after   int32 // seconds
}

// Error implements error.
func (r *refusal) Error() string { return r.message }

func refused(code int32, reason metav1.StatusReason, format string, args ...any) *refusal {
	return &refusal{code: code, reason: reason, message: fmt.Sprintf(format, args...)}
}

// ofFailure makes an answer of what has failed. The text of an error that is no failure is not told.
func ofFailure(err error) *refusal {
	var told *refusal
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, pipeline.ErrNoSuchFile):
		return refused(http.StatusNotFound, metav1.StatusReasonNotFound, "%s", err)
	case errors.Is(err, destinations.ErrNotFound):
		return refused(http.StatusNotFound, metav1.StatusReasonNotFound, "the file is not at its destination any more; ask for a redelivery of the run")
	case errors.Is(err, destinations.ErrOccupied):
		return refused(http.StatusConflict, metav1.StatusReasonConflict, "something that is not a file is in its place at the destination; remove it, and ask for a redelivery of the run")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return refused(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "the database or the destination did not answer in time; ask again")
	}
	failed := failure.From(err)
	answer := &refusal{code: http.StatusServiceUnavailable, reason: metav1.StatusReasonServiceUnavailable, message: failed.Message, cause: failed.Reason}
	switch failed.Reason {
	case v1alpha1.ReasonAccessDenied:
		answer.code, answer.reason = http.StatusForbidden, metav1.StatusReasonForbidden
	case v1alpha1.ReasonExportNotFound, v1alpha1.ReasonRunNotCommitted:
		answer.code, answer.reason = http.StatusNotFound, metav1.StatusReasonNotFound
	case v1alpha1.ReasonDestinationChanged, v1alpha1.ReasonArtifactConflict, v1alpha1.ReasonRecordInvalid, v1alpha1.ReasonOtherCluster, v1alpha1.ReasonRunNameTaken:
		answer.code, answer.reason = http.StatusConflict, metav1.StatusReasonConflict
	case v1alpha1.ReasonInternal:
		answer.code, answer.reason = http.StatusInternalServerError, metav1.StatusReasonInternalError
	}
	return answer
}

// write answers as the API server does.
func (r *refusal) write(w http.ResponseWriter) {
	message := texts.Printable(r.message, texts.Message)
	status := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Code: r.code, Reason: r.reason, Message: message,
	}
	if r.cause != "" || r.after > 0 {
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: r.after}
	}
	if r.cause != "" {
		status.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseType(r.cause), Message: message}}
	}
	if r.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.after)))
	}
	writeJSON(w, int(r.code), status)
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, code int, document any) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false) // which makes six bytes of one, and the answer says that it is no HTML
	if err := encoder.Encode(document); err != nil {
		code = http.StatusInternalServerError
		content.Reset()
		content.WriteString(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}` + "\n")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(content.Bytes()) // a client that is gone needs no answer
}
