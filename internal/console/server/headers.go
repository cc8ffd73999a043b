package server

import (
	"net/http"
	"slices"
	"strings"
)

const (
	// longestPath with its query, in bytes.
	longestPath = 16 << 10
	// longestKept is how much of a header is held while a request is being answered, and mostKept how many values.
	longestKept, mostKept = 2 << 10, 8
	// longestCookieKept is that of a cookie, and most of all of them: those of a session are longer, and have been read.
	longestCookieKept, mostCookiesKept = 2 << 10, 4 << 10
)

// dependedOn are the headers that answers depend on once it is known who asks.
var dependedOn = []string{"Accept", "Accept-Language", "Content-Type", "Cookie", "Idempotency-Key", "Range"}

// forgetHeaders of a request that nothing depends on any more, so that a request that waits holds little.
func forgetHeaders(r *http.Request) {
	cookies := r.Cookies()
	for name, values := range r.Header {
		if !slices.Contains(dependedOn, name) {
			delete(r.Header, name)
			continue
		}
		values = values[:min(len(values), mostKept)]
		for i, value := range values {
			values[i] = strings.Clone(value[:min(len(value), longestKept)])
		}
		r.Header[name] = values
	}
	r.Header.Del("Cookie")
	kept := 0
	for _, cookie := range cookies {
		if size := len(cookie.Name) + len(cookie.Value); size <= longestCookieKept && kept+size <= mostCookiesKept {
			kept += size
			r.AddCookie(cookie)
		}
	}
}
