package openport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asking is a filter that asks about each token, and goes on asking after the request has ended, as that of the metrics does.
type asking struct {
	under, most, all atomic.Int64
	begun, answers   chan struct{} // begun has one for each that is asked about; nil if nobody waits for that
}

func (a *asking) filter(handler http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told := make(chan struct{})
		go func() {
			defer close(told)
			defer a.under.Add(-1)
			a.all.Add(1)
			if now := a.under.Add(1); now > a.most.Load() {
				a.most.Store(now)
			}
			if a.begun != nil {
				a.begun <- struct{}{}
			}
			<-a.answers
		}()
		select {
		case <-told:
		case <-r.Context().Done():
			return
		}
		if r.Header.Get("Authorization") == "Bearer somebodys" {
			handler.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}), nil
}

// ask sends a token until the context ends, and returns the code of the answer.
func ask(ctx context.Context, served http.Handler, path, token string) int {
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody).WithContext(ctx)
	request.Header.Set("Authorization", "Bearer "+token)
	served.ServeHTTP(answer, request)
	return answer.Code
}

// TestReadersThatLeaveHaveNobodyAskedMore has hundreds of requests with tokens of nobody, each of which is given up at once for the next.
func TestReadersThatLeaveHaveNobodyAskedMore(t *testing.T) {
	t.Parallel()
	const readers = 500
	asked := &asking{begun: make(chan struct{}, 2*readers), answers: make(chan struct{})}
	served, err := Turns(asked.filter)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	var requests sync.WaitGroup
	began := time.Now()
	for range readers {
		requests.Go(func() { ask(ctx, served, "/metrics", "nobodys") })
	}
	for range askedAtOnce { // as many as may be
		<-asked.begun
	}
	leave() // all of them
	time.AfterFunc(100*time.Millisecond, func() { close(asked.answers) })
	requests.Wait()
	if most := asked.most.Load(); most > askedAtOnce {
		t.Errorf("about %d it is asked at once, want at most %d", most, askedAtOnce)
	}
	if all, most := asked.all.Load(), askedAtOnce+1+int64(time.Since(began)/askedEach); all > most {
		t.Errorf("about %d it is asked, want at most %d", all, most)
	}
	if code := ask(t.Context(), served, "/metrics", "somebodys"); code != http.StatusOK {
		t.Errorf("a reader that is known is answered %d", code)
	}
}

// TestReadersThatAreKnownKeepNobodyWaiting has as many read for minutes as may be asked about at once, and one more.
func TestReadersThatAreKnownKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	asked := &asking{answers: make(chan struct{})}
	close(asked.answers)
	reading, read := make(chan struct{}), make(chan struct{})
	served, err := Turns(asked.filter)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/profile" {
			reading <- struct{}{}
			<-read
			if r.Context().Err() == nil {
				t.Error("a profile goes on though nobody wants it")
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	var profiles sync.WaitGroup
	for range askedAtOnce {
		profiles.Go(func() { ask(ctx, served, "/profile", "somebodys") })
	}
	for range askedAtOnce {
		<-reading
	}
	if code := ask(t.Context(), served, "/metrics", "somebodys"); code != http.StatusOK {
		t.Errorf("beside %d profiles a reader is answered %d", askedAtOnce, code)
	}
	leave()
	close(read)
	profiles.Wait()
	if code := ask(t.Context(), served, "/"+strings.Repeat("a", longestPath), "somebodys"); code != http.StatusNotFound {
		t.Errorf("a long path is answered %d", code)
	}
}
