package outbound

import (
	"fmt"
	"io"
	"net/http"
)

// AnswerTooLargeError says that the body of an answer has more bytes than any that is meant.
type AnswerTooLargeError struct{ Most int64 }

// Error implements error.
func (e *AnswerTooLargeError) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes", e.Most)
}

// Bounded ends the body of each answer with an *AnswerTooLargeError where it is longer than so many bytes.
func Bounded(next http.RoundTripper, most int64) http.RoundTripper { return &bounded{next, most} }

type bounded struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(request)
	if err == nil {
		answer.Body = &boundedBody{answer.Body, b.most, b.most}
	}
	return answer, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (b *bounded) CloseIdleConnections() {
	if next, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left, most int64
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &AnswerTooLargeError{b.most}
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, &AnswerTooLargeError{b.most}
	}
	return n, err
}
