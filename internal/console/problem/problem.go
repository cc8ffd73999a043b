// Package problem is how the console's server says that it does not do what was asked: problem details for HTTP APIs (RFC 9457).
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/texts"
)

// MediaType of a problem.
const MediaType = "application/problem+json"

// Problem is an answer that is not what was asked for.
type Problem struct {
	// Type is a URI; about:blank says that the title and the status tell it all.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is one word for programs.
	Code string `json:"code"`
	// Detail says what is wrong with this request, and what to do.
	Detail string `json:"detail,omitempty"`

	after int // seconds
}

// Codes of problems that have no reason of Kubernetes or of a run.
const (
	Unauthorized     = "Unauthorized"
	CrossOrigin      = "CrossOrigin"
	NotFound         = "NotFound"
	MethodNotAllowed = "MethodNotAllowed"
	BadRequest       = "BadRequest"
	Invalid          = "Invalid"
	KeyReused        = "IdempotencyKeyReused"
	TooManyRequests  = "TooManyRequests"
	Unavailable      = "Unavailable"
	Timeout          = "Timeout"
	Internal         = "Internal"
)

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// New is a problem with a status, a code and what it says.
func New(status int, code, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: texts.Printable(fmt.Sprintf(format, args...), texts.Message)}
}

// After says in how many seconds the same request may be answered.
func (p *Problem) After(seconds int) *Problem {
	p.after = max(1, seconds)
	return p
}

// Busy says that a limit is reached.
func Busy(format string, args ...any) *Problem {
	return New(http.StatusTooManyRequests, TooManyRequests, format, args...).After(1)
}

// Of makes a problem of what has failed. The text of an error that is not an answer of the API server is not told.
func Of(err error) *Problem {
	var told *Problem
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &status):
		return ofStatus(status.Status())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return New(http.StatusGatewayTimeout, Timeout, "the API server did not answer in time; ask again").After(1)
	}
	return New(http.StatusServiceUnavailable, Unavailable, "the API server cannot be reached; ask again").After(2)
}

// ofStatus is what the API server says, in its own words.
func ofStatus(status metav1.Status) *Problem {
	code, message := int(status.Code), status.Message
	word := string(status.Reason)
	if details := status.Details; details != nil && len(details.Causes) > 0 && details.Causes[0].Field == "" && details.Causes[0].Type != "" && status.Reason != metav1.StatusReasonInvalid {
		word = string(details.Causes[0].Type)
	}
	after := 0
	if details := status.Details; details != nil {
		after = int(details.RetryAfterSeconds)
	}
	switch {
	case code == http.StatusUnauthorized:
		return New(code, Unauthorized, "the API server does not accept the token: it has expired, or is of somebody else")
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		after = max(1, after)
	case code < 400 || code > 599:
		code, word = http.StatusBadGateway, Unavailable
	}
	if word == "" {
		word = http.StatusText(code)
	}
	told := New(code, texts.Printable(word, texts.Quote), "%s", message)
	told.after = after
	return told
}

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", MediaType)
	if p.after > 0 {
		header.Set("Retry-After", strconv.Itoa(p.after))
	}
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="ledgerport"`)
	}
	content, _ := json.Marshal(p) // of texts and numbers
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(content, '\n')) // a client that is gone needs no answer
}
