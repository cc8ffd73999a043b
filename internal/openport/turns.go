package openport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	// askedAtOnce is about how many readers it is asked at the same time who they are, and askedEach how soon about the next one: with as many
	// connections as there may be, the last one waits for little more than a second.
	askedAtOnce, askedEach = 4, 20 * time.Millisecond
	// longestPath is that of a request: the answer about who may have it is remembered with it.
	longestPath = 256
)

// Filter lets those through to a handler who may have what it answers.
type Filter func(http.Handler) (http.Handler, error)

// Turns bounds a filter that asks the API server about each reader, whose token may be anything. It goes on asking after the reader has left, so
// that a number of connections bounds nothing; and each question is one of the operator's own, which has work of its own there.
func Turns(filter Filter) Filter {
	turns := &turns{places: semaphore.NewWeighted(askedAtOnce), pace: rate.NewLimiter(rate.Every(askedEach), askedAtOnce)}
	return func(handler http.Handler) (http.Handler, error) {
		filtered, err := filter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own := r.Context().Value(turnKey{}).(*turn)
			own.over() // who it is, is known: what is answered takes its time
			handler.ServeHTTP(w, own.request)
		}))
		if err != nil {
			return nil, err
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { turns.serve(filtered, w, r) }), nil
	}
}

type turns struct {
	places *semaphore.Weighted
	pace   *rate.Limiter
}

// turn is that of one request.
type turn struct {
	request *http.Request
	over    func()
}

type turnKey struct{}

func (t *turns) serve(filtered http.Handler, w http.ResponseWriter, r *http.Request) {
	if len(r.URL.Path) > longestPath {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if t.places.Acquire(ctx, 1) != nil {
		busy(w)
		return
	}
	own := &turn{r, sync.OnceFunc(func() { t.places.Release(1) })}
	defer own.over()
	if t.pace.Wait(ctx) != nil {
		busy(w)
		return
	}
	// The turn lasts as long as the question, also of a reader that has left.
	filtered.ServeHTTP(w, r.WithContext(context.WithValue(context.WithoutCancel(r.Context()), turnKey{}, own)))
}

func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many readers whom nobody knows yet; ask again", http.StatusServiceUnavailable)
}
