package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// told is an entrance that answers with the code alone.
type told struct{ Entrance }

func (told) Refuse(w http.ResponseWriter, _ *http.Request, code int, _ string) { w.WriteHeader(code) }

// ending are logins that end at an issuer.
type ending struct {
	*testing.T
	from *issuer
	all  logins
	done sync.WaitGroup
}

func startEnding(t *testing.T) *ending {
	t.Helper()
	from := startIssuer(t)
	s, err := New(Options{PublicURL: &url.URL{Scheme: "https", Host: "console.example.com"}, Cluster: &rest.Config{Host: "https://127.0.0.1:1"}, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	s.provider = from.provider(t)
	return &ending{T: t, from: from, all: logins{s, told{}}}
}

// end has a browser end a login in which somebody has logged in before, or nobody, and returns what it is answered.
func (e *ending) end(before string) int {
	e.Helper()
	cookies := httptest.NewRecorder()
	err := set(e.all.cookies, cookies, loginCookie, underWay{State: "state", Nonce: "nonce", Verifier: "verifier", Return: "/"}, time.Now().Add(loginTime))
	if err == nil && before != "" {
		err = set(e.all.cookies, cookies, returningCookie, visitor{before}, time.Now().Add(returningFor))
	}
	if err != nil {
		e.Error(err)
	}
	request := httptest.NewRequestWithContext(e.Context(), http.MethodGet, "/callback?code=code&state=state", http.NoBody)
	for _, cookie := range cookies.Result().Cookies() {
		request.AddCookie(cookie)
	}
	answer := httptest.NewRecorder()
	e.all.callback(answer, request)
	return answer.Code
}

// endMany has many logins end at the same time.
func (e *ending) endMany(many int, before string, answered func(code int)) {
	for range many {
		e.done.Go(func() { answered(e.end(before)) })
	}
}

// untilAsked waits until the issuer is asked for so many ends.
func (e *ending) untilAsked(many int64) {
	e.Helper()
	for deadline := time.Now().Add(patience / 2); e.from.ending.Load() < many; runtime.Gosched() {
		if time.Now().After(deadline) {
			e.Fatalf("the issuer is asked for %d ends of logins, want %d", e.from.ending.Load(), many)
		}
	}
}

// TestStrangersKeepNobodyFromLoggingInAgain has strangers end logins that nobody has at the provider, more than are asked for at once.
func TestStrangersKeepNobodyFromLoggingInAgain(t *testing.T) {
	t.Parallel()
	e := startEnding(t)
	release := sync.OnceFunc(func() { close(e.from.through) })
	defer e.done.Wait()
	defer release()
	refused := func(code int) {
		if code != http.StatusForbidden {
			t.Errorf("the end of a login that the provider refuses is answered %d", code)
		}
	}
	e.endMany(10*mostEndings, "", refused)
	e.untilAsked(mostEndings)
	e.endMany(1, "oidc:anna", refused)
	e.untilAsked(mostEndings + 1)
}

// TestOneWhoHasLoggedInBeforeTakesFewPlaces has somebody who has an account end logins as a stranger would.
func TestOneWhoHasLoggedInBeforeTakesFewPlaces(t *testing.T) {
	t.Parallel()
	e := startEnding(t)
	release := sync.OnceFunc(func() { close(e.from.through) })
	defer e.done.Wait()
	defer release()
	codes := make(chan int, 100)
	e.endMany(cap(codes), "oidc:mallory", func(code int) { codes <- code })
	for range cap(codes) - mostReturningOfOne {
		select {
		case code := <-codes:
			if code != http.StatusTooManyRequests {
				t.Errorf("one login more than may end of one person is answered %d", code)
			}
		case <-time.After(patience):
			t.Fatal("more logins of one person end at the same time than may")
		}
	}
	e.endMany(1, "oidc:anna", func(int) {})
	e.untilAsked(mostReturningOfOne + 1)
	release()
	e.done.Wait()
	if left := len(e.all.returning.of); left > 0 {
		t.Errorf("%d people are counted whose logins have all ended", left)
	}
}
