package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ledgerport/ledgerport/internal/console/problem"
)

const (
	// returningCookie says who has logged in with a browser, for returningFor.
	returningCookie = "returning"
	returningFor    = 30 * 24 * time.Hour
	// mostReturningOfOne logins of one person end at the same time.
	mostReturningOfOne = 4
)

// visitor is who has logged in with a browser before.
type visitor struct {
	Name string `json:"name"`
}

// returning are logins of people who have logged in with the same browser before. They wait for each other alone: everybody who reaches the console can begin
// logins, and end them, as fast as they like, and it is not known before the end who they are.
type returning struct {
	mu sync.Mutex
	of map[string]int // logins that end, by who has logged in before
}

type returningKey struct{}

// begin has a request wait apart from those of whom nothing is known, if somebody has logged in with the browser before, until the function is called.
func (r *returning) begin(cookies *cookies, request *http.Request) (ctx context.Context, over func(), err error) {
	ctx = request.Context()
	before, is := get[visitor](cookies, request, returningCookie, time.Now())
	if !is {
		return ctx, func() {}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[before.Name] >= mostReturningOfOne {
		return nil, nil, problem.Busy("%d of your logins end already; begin again when one has", mostReturningOfOne)
	}
	if r.of == nil {
		r.of = map[string]int{}
	}
	r.of[before.Name]++
	becomesKnown(ctx)
	leave := stays(request)
	return context.WithValue(ctx, returningKey{}, true), func() {
		leave()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.of[before.Name]--
		if r.of[before.Name] == 0 {
			delete(r.of, before.Name)
		}
	}, nil
}

// isReturning reports whether a request is the end of the login of somebody who has logged in before.
func isReturning(ctx context.Context) bool { return ctx.Value(returningKey{}) != nil }
