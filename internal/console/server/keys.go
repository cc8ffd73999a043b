package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// keysFor is how long the keys of a provider are taken for all that it has, and noKeysFor how long it is left alone after it has not told
	// them. Everybody may send a token of another key, for which they would be asked for anew.
	keysFor, noKeysFor = 5 * time.Second, time.Second
	// largestKeys is how many bytes they have at most.
	largestKeys = 1 << 20
)

// seldom is the way to a provider, on which its keys are asked for now and then, however many tokens have them looked for. What was answered last
// is answered meanwhile. All other requests go through.
type seldom struct {
	next http.RoundTripper

	mu     sync.Mutex
	keysAt string // the URL of the keys; empty until it is known
	until  time.Time
	answer *http.Response // whose body is content
	// content of the answer, and err why there is none.
	content []byte
	err     error
}

// of says which requests are for keys.
func (s *seldom) of(keysAt string) {
	if at, err := url.Parse(keysAt); err == nil {
		keysAt = at.String() // as a request has it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keysAt = keysAt
}

// failing reports whether the provider did not tell its keys when it was asked last, so that nobody knows whether a token is one of its own.
func (s *seldom) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil || s.answer != nil && s.answer.StatusCode != http.StatusOK
}

// RoundTrip implements http.RoundTripper.
func (s *seldom) RoundTrip(request *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.keysAt == "" || request.URL.String() != s.keysAt {
		s.mu.Unlock()
		return s.next.RoundTrip(request)
	}
	defer s.mu.Unlock() // what waits would ask the same
	if !time.Now().Before(s.until) {
		s.answer, s.content, s.err = s.ask(request)
		s.until = time.Now().Add(keysFor)
		if s.err != nil || s.answer.StatusCode != http.StatusOK {
			s.until = time.Now().Add(noKeysFor)
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	again := *s.answer
	again.Header, again.Request, again.Body = s.answer.Header.Clone(), request, io.NopCloser(bytes.NewReader(s.content))
	return &again, nil
}

func (s *seldom) ask(request *http.Request) (*http.Response, []byte, error) {
	answer, err := s.next.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(answer.Body, largestKeys+1))
	if err == nil && len(content) > largestKeys {
		err = errors.New("the keys of the OIDC provider are too large")
	}
	return answer, content, err
}
