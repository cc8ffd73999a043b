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
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/burden"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
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
	places *places

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

func newWatches(places *places) *watches {
	return &watches{places: places, shared: map[watched]*shared{}}
}

var tooManyWatches = problem.Busy("as many logins wait for runs as may, of yours or of all; let those who wait share a token")

// shared is one watch, and who is told of it.
type shared struct {
	begun  chan struct{} // closed once it watches, or cannot
	over   chan struct{} // closed once it has ended
	err    error         // why it cannot; known once it has begun
	cancel context.CancelFunc

	mu        sync.Mutex
	topics    map[string]*topic // by the names of runs
	listeners int
}

// topic is one run that somebody waits for. It is read once for all of them, and then told by the watch.
type topic struct {
	known     chan struct{} // closed once it was read, or could not be
	newest    *v1alpha1.ExportRun
	deleted   bool
	err       error
	listeners map[*listener]struct{}
}

// listener hears that its run has changed.
type listener struct{ changed chan struct{} }

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
	one, of, listening, leave, err := w.join(ctx, r)
	if err != nil {
		return false, err
	}
	defer leave()
	select {
	case <-of.known:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	var told *v1alpha1.ExportRun
	for {
		run, err := one.now(of, r)
		switch {
		case err != nil:
			return false, err
		case told != nil && run.UID != told.UID:
			return false, deleted
		case told == nil || run.ResourceVersion != told.ResourceVersion:
			if err := changed(run); err != nil || run.Status.Phase.Finished() {
				return err == nil, err
			}
			told = run
		}
		select {
		case <-listening.changed:
		case <-one.over:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

var deleted = problem.New(http.StatusNotFound, problem.NotFound, "the run was deleted")

// now is the run as it is known, if it is one of the export that is asked about.
func (s *shared) now(of *topic, r *asked) (*v1alpha1.ExportRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case of.err != nil:
		return nil, of.err
	case of.deleted:
		return nil, deleted
	}
	return of.newest, r.owns(of.newest)
}

// join shares the watch of a login, which is begun if there is none. What changes from then on is told.
func (w *watches) join(ctx context.Context, r *asked) (*shared, *topic, *listener, func(), error) {
	of := watched{r.login, r.run().Namespace}
	w.mu.Lock()
	one := w.shared[of]
	if one == nil {
		watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
		giveBack, taken := w.places.take(r.caller.Share(), cancel)
		if !taken {
			cancel()
			w.mu.Unlock()
			return nil, nil, nil, nil, tooManyWatches
		}
		one = w.open(watching, cancel, of, r, giveBack)
	}
	about, listening := one.listen(ctx, r)
	w.mu.Unlock()
	leave := func() { w.leave(of, one, r.run().Name, about, listening) }
	var err error
	select {
	case <-one.begun:
		err = one.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		leave()
		return nil, nil, nil, nil, err
	}
	return one, about, listening, leave, nil
}

// open begins a watch, and gives its place back when that ends.
func (w *watches) open(ctx context.Context, cancel func(), of watched, r *asked, giveBack func()) *shared {
	one := &shared{begun: make(chan struct{}), over: make(chan struct{}), topics: map[string]*topic{}}
	watching, lighten := burden.Another(ctx)
	one.cancel = cancel
	w.shared[of] = one
	cluster, namespace, name := r.cluster, r.run().Namespace, r.run().Name
	go func() {
		defer giveBack()
		defer cancel()
		defer lighten()
		one.run(watching, cluster, namespace, name)
		w.mu.Lock()
		if w.shared[of] == one {
			delete(w.shared, of)
		}
		w.mu.Unlock()
		close(one.over)
	}()
	return one
}

// listen adds a listener to a run, which is read if nobody has.
func (s *shared) listen(ctx context.Context, r *asked) (*topic, *listener) {
	listening := &listener{changed: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.run().Name
	about := s.topics[name]
	if about == nil {
		about = &topic{known: make(chan struct{}), listeners: map[*listener]struct{}{}}
		s.topics[name] = about
		reading, lighten := burden.Another(context.WithoutCancel(ctx))
		go func() {
			defer lighten()
			s.read(reading, r, about)
		}()
	}
	about.listeners[listening] = struct{}{}
	s.listeners++
	return about, listening
}

// read reads a run once the watch has begun, so that no change is missed.
func (s *shared) read(ctx context.Context, r *asked, about *topic) {
	defer close(about.known)
	<-s.begun
	run, err := (*v1alpha1.ExportRun)(nil), s.err
	if err == nil {
		run, err = r.get(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		about.err = err
		if s.topics[r.run().Name] == about {
			delete(s.topics, r.run().Name) // it is read again for the next one
		}
	case about.newest == nil || newer(run, about.newest):
		about.newest = lean(run)
	}
}

// lean is what is told of a run, without what its owner may make large.
func lean(run *v1alpha1.ExportRun) *v1alpha1.ExportRun {
	kept := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name, UID: run.UID, ResourceVersion: run.ResourceVersion, CreationTimestamp: run.CreationTimestamp},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: run.Spec.ExportRef, Type: run.Spec.Type},
		Status:     run.Status,
	}
	kept.Annotations = requests.ImportAnnotations(run)
	if by, is := run.Annotations[v1alpha1.RequestedByAnnotation]; is {
		kept.Annotations[v1alpha1.RequestedByAnnotation] = texts.Printable(by, texts.Quote)
	}
	return kept
}

// newer reports whether a version of a run comes after another.
func newer(one, other *v1alpha1.ExportRun) bool {
	order, err := resourceversion.CompareResourceVersion(one.ResourceVersion, other.ResourceVersion)
	return err != nil || order > 0
}

// leave ends the watch with the last one that it is for.
func (w *watches) leave(of watched, one *shared, name string, about *topic, listening *listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	delete(about.listeners, listening)
	one.listeners--
	if len(about.listeners) == 0 && one.topics[name] == about {
		delete(one.topics, name)
	}
	if one.listeners == 0 {
		one.cancel()
		if w.shared[of] == one {
			delete(w.shared, of)
		}
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

// tell has those hear of an event who wait for its run.
func (s *shared) tell(event watch.Event) {
	run, is := event.Object.(*v1alpha1.ExportRun)
	if !is {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	about := s.topics[run.Name]
	if about == nil || about.newest != nil && !newer(run, about.newest) {
		return
	}
	about.newest, about.deleted = lean(run), event.Type == watch.Deleted
	for one := range about.listeners {
		select {
		case one.changed <- struct{}{}:
		default: // it has not looked yet
		}
	}
}
