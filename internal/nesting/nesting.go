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
	var s scanner
	deepest := 0
	for _, c := range value {
		s.next(c)
		deepest = max(deepest, s.depth)
	}
	return deepest
}

// objectValues is how many values an object counts as: one without members may take as much memory as so many numbers.
const objectValues = 4

// Values counts what may begin a value in a document of JSON, outside of texts, and objects several times. It is at least the number
// of values.
func Values(document []byte) int {
	count, text := 1, false
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case c == '"':
			text = !text
		case text && c == '\\':
			i++
		case !text && (c == ',' || c == '['):
			count++
		case !text && c == '{':
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
	scanner scanner
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
		before := l.scanner.depth
		l.scanner.next(c)
		// A bracket is on the level that it opens or closes.
		if max(before, l.scanner.depth) <= l.most || before != l.scanner.depth && min(before, l.scanner.depth) == l.most {
			content[kept] = c
			kept++
		}
	}
	return kept
}

// scanner knows how deep a byte of JSON is.
type scanner struct {
	depth            int
	quoted, escaping bool
}

func (s *scanner) next(c byte) {
	switch {
	case s.escaping:
		s.escaping = false
	case s.quoted:
		s.escaping, s.quoted = c == '\\', c != '"'
	case c == '"':
		s.quoted = true
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		s.depth--
	}
}
