package pages

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/internal/console/burden"
)

var (
	errNoPage      = errors.New("there is no such page")
	errBadQuestion = errors.New("the request has a parameter twice, a wrong character, or more than a page takes")
	errNobody      = errors.New("nobody is logged in")
)

// refusal is what a page says instead of what was asked for.
type refusal struct {
	code int
	// key of the texts about it.
	key string
}

// refusals by the reasons of the API server.
var refusals = map[metav1.StatusReason]refusal{
	metav1.StatusReasonNotFound:              {http.StatusNotFound, "refusal.notfound"},
	metav1.StatusReasonForbidden:             {http.StatusForbidden, "refusal.forbidden"},
	metav1.StatusReasonUnauthorized:          {http.StatusUnauthorized, "refusal.nobody"},
	metav1.StatusReasonExpired:               {http.StatusGone, "refusal.expired"},
	metav1.StatusReasonGone:                  {http.StatusGone, "refusal.expired"},
	metav1.StatusReasonConflict:              {http.StatusConflict, "refusal.conflict"},
	metav1.StatusReasonAlreadyExists:         {http.StatusConflict, "refusal.conflict"},
	metav1.StatusReasonTooManyRequests:       {http.StatusTooManyRequests, "refusal.busy"},
	metav1.StatusReasonBadRequest:            {http.StatusBadRequest, "refusal.question"},
	metav1.StatusReasonInvalid:               {http.StatusUnprocessableEntity, "refusal.question"},
	metav1.StatusReasonRequestEntityTooLarge: {http.StatusRequestEntityTooLarge, "refusal.question"},
}

// refusalOf returns what an error is for a person.
func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, errNoPage):
		return refusal{http.StatusNotFound, "refusal.notfound"}
	case errors.Is(err, errBadQuestion):
		return refusal{http.StatusBadRequest, "refusal.question"}
	case errors.Is(err, errNobody):
		return refusal{http.StatusUnauthorized, "refusal.nobody"}
	case errors.Is(err, burden.TooMuch):
		return refusal{http.StatusTooManyRequests, "refusal.busy"}
	case errors.Is(err, errTooLarge), errors.Is(err, errLongPage), errors.Is(err, errLargeAnswer), errors.Is(err, errTooManyQuestions):
		return refusal{http.StatusServiceUnavailable, "refusal.large"}
	}
	if known, is := refusals[apierrors.ReasonForError(err)]; is {
		return known
	}
	return refusal{http.StatusServiceUnavailable, "refusal.away"}
}

// detail is what the API server says; of other errors only those of this package are shown: the rest may name hosts.
func detail(err error) string {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Message
	}
	for _, own := range []error{errBadQuestion, errTooLarge, errLongPage, errTooManyQuestions} {
		if errors.Is(err, own) {
			return own.Error()
		}
	}
	return ""
}

// refuse answers with a page about an error.
func (v *visit) refuse(err error) {
	if errors.Is(v.r.Context().Err(), context.Canceled) {
		return // nobody waits for it
	}
	_ = burden.Settle(v.ctx, 0) // what was read is let go, and that there is too much can be said to everybody
	v.ctx = burden.With(v.ctx, nil)
	told := refusalOf(err)
	if told.key == "refusal.away" {
		v.Log.Error(err, "a page of the console could not be made", "path", v.r.URL.Path)
	}
	if seconds, is := apierrors.SuggestsClientDelay(err); is && seconds > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(min(seconds, 3600)))
	}
	content := struct{ What, Do, Detail string }{v.T(told.key), v.T(told.key + ".do"), detail(err)}
	page := shown{Title: v.T(told.key), Trail: []link{{v.T("exports"), "/"}}, Content: content}
	if err := v.show(told.code, "refusal", page); err != nil {
		v.Log.Error(err, "a page about an error could not be made")
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
