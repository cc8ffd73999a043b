package server

import (
	"container/list"
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authentication "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/internal/console/problem"
)

const (
	// longestToken is how many bytes one may have.
	longestToken = 16 << 10
	// knownFor is how long it is taken for granted whose token one is, and unknownFor that it is nobody's. Whether a token is still good
	// is asked each time: by what it is used for.
	knownFor, unknownFor = time.Minute, 5 * time.Second
	// mostKnown tokens are remembered, by their hashes, and mostKnownOfOne of one share: somebody who may make tokens makes as many as they like.
	mostKnown, mostKnownOfOne = 10_000, 1000
	// trustedFor is how long it is remembered that a token was somebody's: it is looked at again apart from those of whom nothing is known.
	trustedFor = 10 * time.Minute
	// mostWaiting requests with tokens of whom nothing is known wait for one to be looked at.
	mostWaiting = 500
)

// session is what a browser keeps of a login.
type session struct {
	// Token is passed on to the API server; empty if this server vouches for name and groups.
	Token  string   `json:"token,omitempty"`
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"`
}

// credential of a session.
func (s session) credential() credential {
	if s.Token != "" {
		return credential{token: s.Token}
	}
	return credential{as: rest.ImpersonationConfig{UserName: s.Name, Groups: s.Groups}}
}

// identify finds out who asks: by a token that comes with the request, or else by the session of a browser.
func (s *Server) identify(r *http.Request) (identity.Caller, credential, *problem.Problem) {
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		token, is := bearer(header)
		if !is {
			return identity.Caller{}, credential{}, problem.New(http.StatusUnauthorized, problem.Unauthorized, "the header Authorization is not one bearer token")
		}
		return s.identifyToken(r.Context(), token)
	}
	kept, is := get[session](s.cookies, r, sessionCookie, time.Now())
	if !is {
		return identity.Caller{}, credential{}, problem.New(http.StatusUnauthorized, problem.Unauthorized, "log in, or send a bearer token")
	}
	return identity.Caller{Name: kept.Name, Groups: kept.Groups, Session: true}, kept.credential(), nil
}

// bearer returns the token of a header, of which there is one.
func bearer(header []string) (string, bool) {
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) != 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > longestToken {
		return "", false
	}
	return token, strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == ""
}

// identifyToken finds out whose token one is. One of a provider that this server vouches for is verified here; the API server knows all others.
func (s *Server) identifyToken(ctx context.Context, token string) (identity.Caller, credential, *problem.Problem) {
	if s.provider != nil && s.provider.Impersonate && s.provider.issued(token) {
		vouched, err := s.provider.verify(ctx, token, "")
		if err != nil {
			return identity.Caller{}, credential{}, problem.Of(err)
		}
		return identity.Caller{Name: vouched.Name, Groups: vouched.Groups}, vouched.credential(), nil
	}
	caller, err := s.known.caller(ctx, token)
	if err != nil {
		return identity.Caller{}, credential{}, problem.Of(err)
	}
	return caller, credential{token: token}, nil
}

// acquaintances remembers for a while whose tokens are whose.
type acquaintances struct {
	clusters *clusters
	// places of tokens that are looked at for the first time, and of those that are again; waiting are for the first.
	places, again, waiting chan struct{}

	mu   sync.Mutex
	seen map[[sha256.Size]byte]acquaintance
	// of are the hashes of the tokens that are somebody's, by shares; the one first that was looked at first.
	of map[string]*list.List
}

type acquaintance struct {
	caller identity.Caller
	err    error
	until  time.Time
	place  *list.Element // among those of its share, if it is somebody's
}

func newAcquaintances(clusters *clusters, reviews int) *acquaintances {
	reviews = max(1, reviews)
	return &acquaintances{
		clusters: clusters, places: make(chan struct{}, reviews), again: make(chan struct{}, reviews), waiting: make(chan struct{}, mostWaiting),
		seen: map[[sha256.Size]byte]acquaintance{}, of: map[string]*list.List{},
	}
}

// caller asks the API server who has a token, unless that is known.
func (a *acquaintances) caller(ctx context.Context, token string) (identity.Caller, error) {
	hash := sha256.Sum256([]byte(token))
	if one, known := a.recall(hash, time.Now()); known {
		return one.caller, one.err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	leave, err := a.turn(ctx, hash)
	if err != nil {
		return identity.Caller{}, err
	}
	defer leave()
	if one, known := a.recall(hash, time.Now()); known { // somebody has asked meanwhile
		return one.caller, one.err
	}
	caller, err := a.review(ctx, token)
	switch {
	case err == nil:
		a.remember(hash, acquaintance{caller: caller, until: time.Now().Add(knownFor)})
	case apierrors.IsUnauthorized(err):
		a.remember(hash, acquaintance{err: err, until: time.Now().Add(unknownFor)})
	}
	return caller, err
}

// turn waits until a token may be looked at. Those that were somebody's a while ago, and those of people who log in again, wait for each other alone,
// however many others come.
func (a *acquaintances) turn(ctx context.Context, hash [sha256.Size]byte) (leave func(), err error) {
	places := a.again
	if a.trusted(hash, time.Now()) || isReturning(ctx) {
		becomesKnown(ctx)
	} else {
		places = a.places
		select {
		case a.waiting <- struct{}{}:
			defer func() { <-a.waiting }()
		default:
			return nil, tooManyTokens
		}
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, tooManyTokens
	}
}

var tooManyTokens = problem.Busy("too many tokens are being looked at; ask again")

// met reports whether a request has a token that was somebody's a while ago. However many come of one, and however long that takes, they are no
// strangers'.
func (a *acquaintances) met(r *http.Request) bool {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return false
	}
	token, is := bearer(header)
	return is && a.trusted(sha256.Sum256([]byte(token)), time.Now())
}

// trusted reports whether a token was somebody's a while ago.
func (a *acquaintances) trusted(hash [sha256.Size]byte, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, known := a.seen[hash]
	return known && one.err == nil && now.Before(one.until.Add(trustedFor))
}

// review asks the API server.
func (a *acquaintances) review(ctx context.Context, token string) (identity.Caller, error) {
	client, err := authentication.NewForConfig(a.clusters.as(credential{token: token}))
	if err != nil {
		return identity.Caller{}, err
	}
	review, err := client.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	switch {
	case apierrors.IsForbidden(err): // nobody's rights: everybody may ask that, once the API server knows its roles
		return identity.Caller{}, problem.New(http.StatusServiceUnavailable, problem.Unavailable, "the API server does not say yet whose token that is; ask again. "+
			"It tells everybody, unless nobody is bound to the ClusterRole system:basic-user").After(1)
	case err != nil:
		return identity.Caller{}, err
	}
	is := review.Status.UserInfo
	if is.Username == "" || is.Username == "system:anonymous" {
		return identity.Caller{}, problem.New(http.StatusUnauthorized, problem.Unauthorized, "the API server does not know whose token that is")
	}
	return identity.Caller{Name: is.Username, Groups: is.Groups}, nil
}

func (a *acquaintances) recall(hash [sha256.Size]byte, now time.Time) (acquaintance, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, known := a.seen[hash]
	return one, known && now.Before(one.until)
}

// remember keeps whose a token is. One more of a share than may be has the oldest of the same share forgotten, and nobody else's.
func (a *acquaintances) remember(hash [sha256.Size]byte, one acquaintance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(hash)
	if one.err == nil {
		share := one.caller.Share()
		if own := a.of[share]; own != nil && own.Len() >= mostKnownOfOne {
			a.drop(own.Front().Value.([sha256.Size]byte))
		}
		if a.of[share] == nil {
			a.of[share] = list.New()
		}
		one.place = a.of[share].PushBack(hash)
	}
	if len(a.seen) >= mostKnown {
		a.forget(time.Now())
	}
	a.seen[hash] = one
}

// drop forgets a token, if it is remembered.
func (a *acquaintances) drop(hash [sha256.Size]byte) {
	one, known := a.seen[hash]
	if !known {
		return
	}
	delete(a.seen, hash)
	if one.place == nil {
		return
	}
	share := one.caller.Share()
	own := a.of[share]
	own.Remove(one.place)
	if own.Len() == 0 {
		delete(a.of, share)
	}
}

// forget makes room for a token: by those that were nobody's, then by those that were somebody's long ago, then by any.
func (a *acquaintances) forget(now time.Time) {
	for _, old := range []func(acquaintance) bool{
		func(one acquaintance) bool { return one.err != nil },
		func(one acquaintance) bool { return !now.Before(one.until) },
		func(acquaintance) bool { return len(a.seen) >= mostKnown },
	} {
		for hash, one := range a.seen {
			if old(one) {
				a.drop(hash)
			}
		}
		if len(a.seen) < mostKnown {
			return
		}
	}
}
