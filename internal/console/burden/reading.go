package burden

import (
	"io"
	"net/http"
	"strings"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/nesting"
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
			answer.Body = &events{answer.Body, load, document{deepest: ofObject + 1}}
		case isList(request.URL.Path):
			answer.Body = &answered{answer.Body, load, document{deepest: ofObject + 2}}
		default:
			answer.Body = &answered{answer.Body, load, document{deepest: ofObject}}
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

// isList reports whether a path of the API server is that of a list of objects.
func isList(path string) bool {
	part := strings.Count(path, "/")
	return part == 4 || part == 6 // /apis/group/version/resource, or with /namespaces/namespace before the resource
}

const (
	// valueWeighs is how many bytes a value weighs at least that is in a map of its own: a label or an annotation without a text takes eighty in memory,
	// when a byte of other documents takes a few.
	valueWeighs = 20
	// ofObject is how deep the labels of an object are in it. What is deeper is kept as it came, or is the operator's own.
	ofObject = 3
)

// document is one of JSON that comes piece by piece.
type document struct {
	deepest      int // level at which values are still weighed
	size, values int64
	at           nesting.Scanner
}

// weight of what has come of it.
func (d *document) weight() int64 { return max(d.size, valueWeighs*d.values) }

// next looks at a byte.
func (d *document) next(c byte) {
	d.size++
	d.at.Next(c)
	if c == ',' && !d.at.Quoted && d.at.Depth <= d.deepest {
		d.values++
	}
}

type answered struct {
	io.ReadCloser
	load *Load
	document
}

// Read implements io.Reader.
func (a *answered) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	before := a.weight()
	for _, c := range p[:n] {
		a.next(c)
	}
	if tooMuch := a.load.Add(a.weight() - before); tooMuch != nil {
		return 0, tooMuch
	}
	return n, err
}

// events are what a watch is told, each on a line.
type events struct {
	io.ReadCloser
	load *Load
	document
}

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for _, c := range p[:n] {
		if c != '\n' { // no text has one
			e.next(c)
			continue
		}
		if tooMuch := e.load.Reach(e.weight()); tooMuch != nil {
			return 0, tooMuch
		}
		e.document = document{deepest: e.deepest}
	}
	if tooMuch := e.load.Reach(e.weight()); tooMuch != nil {
		return 0, tooMuch
	}
	return n, err
}
