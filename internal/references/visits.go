package references

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// betweenVisits is how long the attempts of a namespace have to wait before the next one looks into the database of a source that does
// not admit them.
const betweenVisits = 5 * time.Second

// Visit returns when an attempt of a namespace may look into the database of a source that does not admit it: what a run reserved while
// its source did is given back there. A namespace has as many runs that might have reserved something as it likes.
func (r *Resolver) Visit(ctx context.Context, namespace string) error {
	turn, _ := r.visits.LoadOrStore(namespace, rate.NewLimiter(rate.Every(betweenVisits), 1))
	return turn.(*rate.Limiter).Wait(ctx)
}
