package tracing

import (
	"net/http"
	"strconv"
)

// Requests has a span for each request that goes through it: method and status, and nothing of the URL or the answer. What it sends on has
// no header of the trace: a server of a tenant's own is not told of it.
func Requests(next http.RoundTripper) http.RoundTripper { return requests{next} }

type requests struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r requests) RoundTrip(request *http.Request) (*http.Response, error) {
	_, span := Start(request.Context(), "request "+methodOf(request))
	answer, err := r.RoundTripper.RoundTrip(request)
	if err == nil && span != nil {
		span.Count("http.response.status_code", int64(answer.StatusCode))
		if answer.StatusCode >= http.StatusBadRequest {
			span.fail(strconv.Itoa(answer.StatusCode))
		}
	}
	span.End(err)
	return answer, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (r requests) CloseIdleConnections() {
	if next, ok := r.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

func methodOf(request *http.Request) string {
	switch request.Method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodHead:
		return request.Method
	}
	return "other"
}
