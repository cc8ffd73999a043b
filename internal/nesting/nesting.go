// Package nesting bounds how deep the JSON of an API server is nested.
//
// An API server stores an object whose free-form fields are nested as deep as its decoder allows. A list has such an object two levels
// deeper, and an event of a watch one level, and there the same decoder refuses it, and with it all other objects: a single one of a
// tenant would end every list and watch of its kind.
//
// A document may also be wide: a value of two bytes may take a hundred in memory.
package nesting

import (
	"io"
	"mime"
	"net/http"
)

// mostLevels are far more than any object needs, and far fewer than the 10,000 of which decoders of JSON refuse more. Nobody takes what
// is left of a value for the whole: package references refuses options that are nested much less deep.
const mostLevels = 1000

// Depth returns how many lists and objects of a JSON value are within each other.
func Depth(value []byte) int {
	var s Scanner
	deepest := 0
	for _, c := range value {
		s.Next(c)
		deepest = max(deepest, s.Depth)
	}
	return deepest
}

// objectValues is how many values an object counts as: one without members may take as much memory as so many numbers.
const objectValues = 4

// Values counts what may begin a value in a document of JSON, outside of texts, and objects several times. It is at least the number
// of values.
func Values(document []byte) int {
	var s Scanner
	count := 1
	for _, c := range document {
		s.Next(c)
		switch {
		case s.Quoted:
		case c == ',', c == '[':
			count++
		case c == '{':
			count += objectValues
		}
	}
	return count
}

// Limit lets the JSON of answers through without the content of lists and objects that are nested too deep: those are empty.
func Limit(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		if err != nil {
			return response, err
		}
		if mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err == nil && mediaType == "application/json" {
			response.Body = &limited{ReadCloser: response.Body, most: mostLevels}
			response.ContentLength = -1
			response.Header.Del("Content-Length")
		}
		return response, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// limited leaves out what is nested too deep. The answer to a watch has one value after the other.
type limited struct {
	io.ReadCloser
	most    int
	scanner Scanner
}

// Read implements io.Reader. It never returns more than was read from below, so that the buffer is enough.
func (l *limited) Read(into []byte) (int, error) {
	for {
		n, err := l.ReadCloser.Read(into)
		kept := l.keep(into[:n])
		if kept > 0 || err != nil || len(into) == 0 {
			return kept, err
		}
	}
}

// keep moves what is kept to the front, and returns how much that is.
func (l *limited) keep(content []byte) (kept int) {
	for _, c := range content {
		before := l.scanner.Depth
		l.scanner.Next(c)
		// A bracket is on the level that it opens or closes.
		if max(before, l.scanner.Depth) <= l.most || before != l.scanner.Depth && min(before, l.scanner.Depth) == l.most {
			content[kept] = c
			kept++
		}
	}
	return kept
}

// Scanner knows where a byte of JSON is that comes piece by piece.
type Scanner struct {
	// Depth is how many lists and objects are open behind the byte that came last.
	Depth int
	// Quoted: the byte that came last is in a text, or begins one.
	Quoted   bool
	escaping bool
}

// Next looks at a byte.
func (s *Scanner) Next(c byte) {
	switch {
	case s.escaping:
		s.escaping = false
	case s.Quoted:
		s.escaping, s.Quoted = c == '\\', c != '"'
	case c == '"':
		s.Quoted = true
	case c == '{' || c == '[':
		s.Depth++
	case c == '}' || c == ']':
		s.Depth--
	}
}
