package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/texts"
)

// policy of what a page may load, do, and be shown in: nothing but what this server has.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded has every answer within the limits of time, with the headers that keep browsers from doing harm, and nothing changed by other sites.
func (s *Server) guarded(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	_ = protection.AddTrustedOrigin(s.PublicURL.Scheme + "://" + s.PublicURL.Host) // it is a URL with a host
	return http.HandlerFunc(func(inner http.ResponseWriter, r *http.Request) {
		w := &paced{ResponseWriter: inner, connection: http.NewResponseController(inner), stall: s.Limits.Stall}
		w.within(0)
		defer w.within(s.Limits.Stall) // for the last bytes, which are sent when this has ended
		defer s.survive(r)
		s.protect(w.Header())
		known := func() {}
		if !s.known.met(r) {
			known = s.strange.begin(r)
		}
		defer known()
		if len(r.RequestURI) > longestPath {
			problem.New(http.StatusRequestURITooLong, problem.BadRequest, "a path with its query has %d bytes at most", longestPath).Write(w)
			return
		}
		if err := protection.Check(r); err != nil {
			problem.New(http.StatusForbidden, problem.CrossOrigin, "the request comes from a page of another site").Write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), knownKey{}, known)))
		taken(w, r)
	})
}

// protect sets the headers that every answer has.
func (s *Server) protect(header http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
		"Cache-Control": "no-store",
	} {
		header.Set(name, value)
	}
	if s.PublicURL.Scheme == "https" {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// survive ends a request in which something has panicked, of which nothing else is told than where. A transfer is broken off so, too.
func (s *Server) survive(r *http.Request) {
	value := recover()
	if value == nil {
		return
	}
	if value != http.ErrAbortHandler { //nolint:errorlint // it is the value itself
		s.Log.Error(nil, "a request has ended in a panic", "kind", fmt.Sprintf("%T", value), "path", r.URL.Path, "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// admitted lets callers through who are known, each within their limits.
func (s *Server) admitted(next http.Handler, refuse func(http.ResponseWriter, *http.Request, *problem.Problem)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, of, refused := s.identify(r)
		if refused != nil {
			refuse(w, r, refused)
			return
		}
		if answer, is := w.(*paced); is {
			answer.untilReturn = func() time.Duration { return s.limits.untilReturn(caller.Share(), time.Now()) }
		}
		giveBack, busy := s.limits.take(caller.Share(), time.Now())
		if busy != nil {
			busy.Write(w)
			return
		}
		defer giveBack()
		defer stays(r)()
		becomesKnown(r.Context())
		load := s.burden.Begin(caller.Share())
		defer load.End()
		forgetHeaders(r)
		if r.Body != nil && r.Body != http.NoBody {
			connection := http.NewResponseController(w)
			_ = connection.SetReadDeadline(time.Now().Add(patience)) // every connection can
			defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
			r.Body = load.Body(r.Body)
		}
		started := time.Now()
		next.ServeHTTP(w, with(r.WithContext(burden.With(r.Context(), load)), caller, of))
		s.tell(w, r, caller, started)
		taken(w, r)
	})
}

// taken waits until a client has taken what is written, which keeps its place until then, with all that is held for it. A connection of HTTP/2 has
// many requests; one of HTTP/1.1 has one.
func taken(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor > 1 {
		_ = http.NewResponseController(w).Flush() // a client that is gone takes nothing
	}
}

// tell logs who has changed or downloaded something, or was refused it.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, caller identity.Caller, started time.Time) {
	answer, is := w.(*paced)
	if !is {
		return
	}
	level := s.Log.V(1)
	if r.Method != http.MethodGet && r.Method != http.MethodHead || answer.code >= http.StatusInternalServerError || answer.code == http.StatusForbidden {
		level = s.Log
	}
	level.Info("answered", "user", caller.Name, "method", r.Method, "path", texts.Printable(r.URL.Path, texts.Quote), "code", answer.code, "bytes", answer.bytes,
		"seconds", time.Since(started).Seconds())
}

// sendToLogin has a browser log in that wants a page, and refuses everything else.
func (s *Server) sendToLogin(w http.ResponseWriter, r *http.Request, why *problem.Problem) {
	if why.Status != http.StatusUnauthorized || r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
		why.Write(w)
		return
	}
	http.Redirect(w, r, loginPath(r.URL.RequestURI()), http.StatusSeeOther)
}

// bounded is the context of a question to a provider or an API server.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
