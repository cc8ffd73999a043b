// Package hostilehttp is an HTTP server that a tenant has made to do harm. It stands before a real one, an object store or an
// accounting system, and answers for it at times.
package hostilehttp

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// answers are what a client gets instead of what it asked for.
var answers = []http.HandlerFunc{sayNothing, endless, endlessHead, muchLater, elsewhere, nonsense, hangUp}

// Mood passes requests on to the server of a URL, and answers some itself: so many of a hundred, at random. With 100 it needs no
// server. It tells of each answer of its own.
func Mood(server string, ofHundred int, random *rand.Rand, tell func()) (*httptest.Server, error) {
	at, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	// The client signs the name under which it knows the server, so that it stays.
	honest := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(at); r.Out.Host = r.In.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {}, // the client has hung up, or the server is away
	}
	var one sync.Mutex
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		hostile, which := random.IntN(100) < ofHundred, random.IntN(len(answers))
		one.Unlock()
		if hostile {
			tell()
			answers[which](w, r)
			return
		}
		honest.ServeHTTP(w, r)
	})), nil
}

// sayNothing waits until the client hangs up.
func sayNothing(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the client hangs up
	<-r.Context().Done()
}

// endless sends a document that looks like one of a store, and never ends.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead { // whose answer has no body
		sayNothing(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_, err := io.WriteString(w, `<?xml version="1.0"?><ListBucketResult><Contents><Key>`)
	for part := strings.Repeat("x", 64<<10); err == nil; {
		_, err = io.WriteString(w, part)
	}
}

// endlessHead sends header fields without an end.
func endlessHead(w http.ResponseWriter, _ *http.Request) {
	raw(w, func(connection net.Conn) {
		_, err := io.WriteString(connection, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(connection, "X-Field: "+strings.Repeat("x", 8<<10)+"\r\n")
		}
	})
}

// muchLater is to be asked again in thirty years.
func muchLater(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "999999999")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// elsewhere leads in a circle.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
}

func nonsense(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("ETag", strings.Repeat("\x7f", 10_000))
	_, _ = io.WriteString(w, "\x1b[31m{\"value\": [[[[")
}

func hangUp(w http.ResponseWriter, _ *http.Request) { raw(w, func(net.Conn) {}) }

// raw does something with the connection itself, and closes it.
func raw(w http.ResponseWriter, do func(net.Conn)) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = connection.Close() }()
	do(connection)
}
