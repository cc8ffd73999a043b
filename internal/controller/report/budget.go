package report

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

const (
	// eventsAtOnce is how many events a namespace may have written at once.
	eventsAtOnce = 200
	// betweenEvents is the time in which it may have one more.
	betweenEvents = 10 * time.Second
)

// Budget returns a recorder that writes as many events about the objects of a namespace as people read, and drops the rest: an event
// follows from an edit, is written with the operator's rights, and is kept by the API server for an hour. Statuses say the same.
func Budget(recorder events.EventRecorder) events.EventRecorder {
	return &budget{EventRecorder: recorder}
}

type budget struct {
	events.EventRecorder
	namespaces sync.Map
}

// Eventf implements events.EventRecorder.
func (b *budget) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	about, err := meta.Accessor(regarding)
	if err != nil {
		return // it is no object of the API
	}
	left, _ := b.namespaces.LoadOrStore(about.GetNamespace(), rate.NewLimiter(rate.Every(betweenEvents), eventsAtOnce))
	if left.(*rate.Limiter).Allow() {
		b.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
	}
}
