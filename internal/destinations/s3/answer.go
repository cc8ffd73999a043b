package s3

import (
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// largestAnswer bounds an answer that is not an object, in bytes. The largest is a list of 1,000 keys.
	largestAnswer = 2 << 20
	// mostMarks bounds the tags and attributes of such an answer: in memory each takes many times its length. A list of 1,000 keys has
	// 26,000 with all that a server may say of them.
	mostMarks = 40_000
)

// boundedAnswers ends an answer with an error where it is longer than any that is not an object, or has more in it: the client keeps
// all of it in memory, and who answers is of a tenant's choice.
type boundedAnswers struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c boundedAnswers) Do(request *http.Request) (*http.Response, error) {
	answer, err := c.HTTPClient.Do(request)
	isObject := request.URL.Query().Get("x-id") == "GetObject" && err == nil && answer.StatusCode < http.StatusMultipleChoices
	if err == nil && !isObject {
		answer.Body = &marked{ReadCloser: http.MaxBytesReader(nil, answer.Body, largestAnswer), left: mostMarks}
	}
	return answer, err
}

// marked ends XML with an error before more of it is read than mostMarks allows.
type marked struct {
	io.ReadCloser
	left  int
	inTag bool
}

// Read implements io.Reader.
func (m *marked) Read(into []byte) (int, error) {
	n, err := m.ReadCloser.Read(into)
	for _, c := range into[:n] {
		switch {
		case c == '<':
			m.inTag = true
			m.left--
		case c == '>':
			m.inTag = false
		case c == '=' && m.inTag:
			m.left--
		}
	}
	if m.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d tags and attributes", mostMarks)
	}
	return n, err
}
