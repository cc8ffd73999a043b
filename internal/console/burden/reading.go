package burden

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
)

// bodyWeighs is how many bytes the process holds for each byte of a document or a form that a caller has sent: many of its values are short.
const bodyWeighs = 4

// Body puts onto the load what a caller sends.
func (l *Load) Body(body io.ReadCloser) io.ReadCloser { return &sent{body, l} }

type sent struct {
	io.ReadCloser
	load *Load
}

// Read implements io.Reader.
func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if tooMuch := s.load.Add(bodyWeighs * int64(n)); tooMuch != nil {
		return 0, tooMuch
	}
	return n, err
}

// Answers puts onto the load of a request's context what is answered to it. The content of files is passed on, and not held; of a watch the
// longest event is.
func Answers(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(request)
		load := from(request.Context())
		switch {
		case err != nil || load == nil || OfFile(request.URL.Path):
		case request.URL.Query().Get("watch") != "":
			answer.Body = &events{ReadCloser: answer.Body, load: load}
		default:
			answer.Body = &answered{answer.Body, load}
		}
		return answer, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// OfFile reports whether a path of the API server is the content of a delivered file.
func OfFile(path string) bool {
	part := strings.Split(path, "/") // "", apis, group, version, namespaces, namespace, resource, name, subresource, file
	return len(part) == 10 && part[2] == api.GroupVersion.Group && part[6] == api.ExportRuns && part[8] == api.Files
}

type answered struct {
	io.ReadCloser
	load *Load
}

// Read implements io.Reader.
func (a *answered) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if tooMuch := a.load.Add(int64(n)); tooMuch != nil {
		return 0, tooMuch
	}
	return n, err
}

// events are what a watch is told, each on a line.
type events struct {
	io.ReadCloser
	load *Load
	size int64 // of the event that is being read
}

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		e.size += int64(len(line))
		if tooMuch := e.load.Reach(e.size); tooMuch != nil {
			return 0, tooMuch
		}
		if ended {
			e.size = 0
		}
		rest = after
	}
	return n, err
}
