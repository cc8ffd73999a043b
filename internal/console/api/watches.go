package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/problem"
)

const (
	// longestWatch is how long a watch goes on before the API server decides again whether its caller may have it, in seconds.
	longestWatch = 300
	// again is when a watch that has ended is begun again at the latest.
	again = time.Second
	// mostRefusals in a row are not believed of an API server that has let the caller follow the run before: one that has just started refuses
	// what it has not read yet.
	mostRefusals = 5
)

// watches follow the runs of namespaces, each for one login: all requests of a login that wait for runs of a namespace share a watch, which
// only they are told of.
type watches struct {
	mu     sync.Mutex
	shared map[watched]*shared
}

// watched is what one watch is for. Two logins are never the same, also not of the same person.
type watched struct {
	login     [sha256.Size]byte
	namespace string
}

// loginOf tells logins apart.
func loginOf(config *rest.Config) [sha256.Size]byte {
	sum := sha256.New()
	for _, part := range append([]string{config.BearerToken, config.Impersonate.UserName}, config.Impersonate.Groups...) {
		_, _ = sum.Write(append([]byte(part), 0)) // it does not fail, and no part has a zero byte
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

func newWatches() *watches { return &watches{shared: map[watched]*shared{}} }

// shared is one watch, and who is told of it.
type shared struct {
	begun  chan struct{} // closed once it watches, or cannot
	over   chan struct{} // closed once it has ended
	err    error         // why it cannot; known once it has begun
	cancel context.CancelFunc

	mu        sync.Mutex
	listeners map[*listener]struct{}
}

// listener waits for changes of one run.
type listener struct {
	name    string
	changes chan watch.Event // the newest alone
}

// follow passes on a run as it is, and whenever it changes, until it has finished: no error then. An API server that goes away meanwhile is waited for.
func (w *watches) follow(ctx context.Context, r *asked, changed func(*v1alpha1.ExportRun) error) error {
	known, refusals := false, 0
	seen := func(run *v1alpha1.ExportRun) error {
		known, refusals = true, 0
		return changed(run)
	}
	for {
		finished, err := w.followOnce(ctx, r, seen)
		switch {
		case finished:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || known && passing(err):
		case known && refused(err) && refusals < mostRefusals:
			refusals++
		default:
			return err
		}
		select {
		case <-time.After(again/4 + rand.N(again)): // #nosec G404 -- so that not all come back at once
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// refused reports whether the API server does not let the caller do something.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// passing reports whether an error may be gone in a moment.
func passing(err error) bool {
	var told *problem.Problem
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &told):
		return false
	case errors.As(err, &status):
		code := status.Status().Code
		return code == http.StatusTooManyRequests || code == http.StatusGone || code >= http.StatusInternalServerError
	}
	return true // nobody has answered
}

// followOnce follows a run until it has finished, or the watch has ended.
func (w *watches) followOnce(ctx context.Context, r *asked, changed func(*v1alpha1.ExportRun) error) (finished bool, err error) {
	joined, listening, leave, err := w.join(ctx, r)
	if err != nil {
		return false, err
	}
	defer leave()
	run, err := r.find(ctx)
	if err != nil {
		return false, err
	}
	for {
		if err := changed(run); err != nil || run.Status.Phase.Finished() {
			return err == nil, err
		}
		seen := run
		for run == seen {
			select {
			case event := <-listening.changes:
				next, is := event.Object.(*v1alpha1.ExportRun)
				switch {
				case !is || next.UID != seen.UID || event.Type == watch.Deleted:
					return false, problem.New(http.StatusNotFound, problem.NotFound, "the run was deleted")
				case next.ResourceVersion != seen.ResourceVersion:
					run = next
				}
			case <-joined.over:
				return false, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		}
	}
}

// join shares the watch of a login, which is begun if there is none. What changes from then on is told.
func (w *watches) join(ctx context.Context, r *asked) (*shared, *listener, func(), error) {
	of := watched{r.login, r.run().Namespace}
	listening := &listener{name: r.run().Name, changes: make(chan watch.Event, 1)}
	w.mu.Lock()
	one := w.shared[of]
	if one == nil {
		one = &shared{begun: make(chan struct{}), over: make(chan struct{}), listeners: map[*listener]struct{}{}}
		var watching context.Context
		watching, one.cancel = context.WithCancel(context.WithoutCancel(ctx))
		w.shared[of] = one
		go func() {
			defer one.cancel()
			one.run(watching, r.cluster, r.run().Namespace, r.run().Name)
			w.forget(of, one)
			close(one.over)
		}()
	}
	one.mu.Lock()
	one.listeners[listening] = struct{}{}
	one.mu.Unlock()
	w.mu.Unlock()
	leave := func() { w.leave(of, one, listening) }
	select {
	case <-one.begun:
		if one.err != nil {
			leave()
			return nil, nil, nil, one.err
		}
		return one, listening, leave, nil
	case <-ctx.Done():
		leave()
		return nil, nil, nil, ctx.Err()
	}
}

// leave ends the watch with the last one that it is for.
func (w *watches) leave(of watched, one *shared, listening *listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	delete(one.listeners, listening)
	if len(one.listeners) == 0 {
		one.cancel()
		if w.shared[of] == one {
			delete(w.shared, of)
		}
	}
}

func (w *watches) forget(of watched, one *shared) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shared[of] == one {
		delete(w.shared, of)
	}
}

// run watches until the watch ends.
func (s *shared) run(ctx context.Context, cluster client.WithWatch, namespace, name string) {
	watching, err := s.begin(ctx, cluster, namespace, name)
	s.err = err
	close(s.begun)
	if err != nil {
		return
	}
	defer watching.Stop()
	for {
		select {
		case event, more := <-watching.ResultChan():
			if !more || event.Type == watch.Error {
				return
			}
			s.tell(event)
		case <-ctx.Done():
			return
		}
	}
}

// begin begins to watch a namespace from now on. A list of one run tells what now is.
func (s *shared) begin(ctx context.Context, cluster client.WithWatch, namespace, name string) (watch.Interface, error) {
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var now v1alpha1.ExportRunList
	if err := cluster.List(asking, &now, client.InNamespace(namespace), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)}); err != nil {
		return nil, err
	}
	seconds := int64(longestWatch)
	return cluster.Watch(ctx, &v1alpha1.ExportRunList{}, &client.ListOptions{
		Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: now.ResourceVersion, TimeoutSeconds: &seconds},
	})
}

// tell passes an event on to those who wait for its run. Of several only the newest counts.
func (s *shared) tell(event watch.Event) {
	run, is := event.Object.(*v1alpha1.ExportRun)
	if !is {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.listeners {
		if one.name != run.Name {
			continue
		}
		select {
		case <-one.changes:
		default:
		}
		one.changes <- event
	}
}
