package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/internal/console/identity"
	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// TestTokensOfNobodyKeepNoKnownTokenWaiting has an API server that takes its time for tokens of nobody, and thousands of those. Who is known is
// looked at again meanwhile, and who waits beyond a number is told so at once.
func TestTokensOfNobodyKeepNoKnownTokenWaiting(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer somebodys" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"somebody"}}}`))
			return
		}
		<-slow
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(api.Close)
	found, err := newClusters(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	known := newAcquaintances(found, 2)
	if caller, err := known.caller(t.Context(), "somebodys"); err != nil || caller.Name != "somebody" {
		t.Fatalf("%+v, %v", caller, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var nobody sync.WaitGroup
	busy := make(chan struct{}, 2*mostWaiting)
	for i := range 2 * mostWaiting {
		nobody.Go(func() {
			var told *problem.Problem
			if _, err := known.caller(ctx, fmt.Sprintf("nobodys-%d", i)); errors.As(err, &told) && ctx.Err() == nil {
				busy <- struct{}{}
			}
		})
	}
	for range mostWaiting - 2 { // of those that wait two have a place
		select {
		case <-busy:
		case <-ctx.Done():
			t.Fatal("all wait")
		}
	}
	known.mu.Lock()
	for hash, one := range known.seen { // a minute later
		one.until = time.Now().Add(-time.Second)
		known.seen[hash] = one
	}
	known.mu.Unlock()
	if caller, err := known.caller(ctx, "somebodys"); err != nil || caller.Name != "somebody" {
		t.Errorf("who is known is told %v", err)
	}
	close(slow)
	cancel()
	nobody.Wait()
}

// TestAnAPIServerThatHasJustStartedRefusesNobody: it knows no roles yet, and forbids everybody to ask who they are.
func TestAnAPIServerThatHasJustStartedRefusesNobody(t *testing.T) {
	t.Parallel()
	var started atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !started.Load() {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"selfsubjectreviews.authentication.k8s.io is forbidden"}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","status":{"userInfo":{"username":"somebody"}}}`))
	}))
	t.Cleanup(api.Close)
	found, err := newClusters(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	known := newAcquaintances(found, 2)
	var told *problem.Problem
	if _, err := known.caller(t.Context(), "somebodys"); !errors.As(err, &told) || told.Status != http.StatusServiceUnavailable {
		t.Errorf("somebody is told %v, and is to ask again", err)
	}
	started.Store(true)
	if caller, err := known.caller(t.Context(), "somebodys"); err != nil || caller.Name != "somebody" {
		t.Errorf("a moment later it is %+v, %v", caller, err)
	}
}

// TestTokensOfNobodyAreForgottenFirst remembers more of them than may be remembered.
func TestTokensOfNobodyAreForgottenFirst(t *testing.T) {
	t.Parallel()
	known := newAcquaintances(nil, 1)
	somebody := [32]byte{1}
	known.remember(somebody, acquaintance{until: time.Now().Add(knownFor)})
	for i := range 3 * mostKnown {
		known.remember([32]byte{2, byte(i), byte(i >> 8), byte(i >> 16)}, acquaintance{err: errors.New("nobody"), until: time.Now().Add(unknownFor)})
	}
	if _, is := known.recall(somebody, time.Now()); !is || len(known.seen) > mostKnown {
		t.Errorf("of %d tokens that of somebody is known: %t", len(known.seen), is)
	}
}

// TestTokensOfOneShareHaveNobodyElseForgotten has a service account make more tokens than may be remembered. That of a clerk, who was there a few
// minutes ago, is still looked at apart from those of whom nothing is known.
func TestTokensOfOneShareHaveNobodyElseForgotten(t *testing.T) {
	t.Parallel()
	known := newAcquaintances(nil, 1)
	clerk, mallory := [32]byte{1}, identity.Caller{Name: "system:serviceaccount:mallory:robot"}
	known.remember(clerk, acquaintance{caller: identity.Caller{Name: "anna"}, until: time.Now().Add(-trustedFor / 2)})
	var last [32]byte
	for i := range 2 * mostKnown {
		last = [32]byte{2, byte(i), byte(i >> 8), byte(i >> 16)}
		known.remember(last, acquaintance{caller: mallory, until: time.Now().Add(knownFor)})
	}
	if !known.trusted(clerk, time.Now()) {
		t.Error("the clerk's token is forgotten")
	}
	if _, is := known.recall(last, time.Now()); !is {
		t.Error("the newest is not known")
	}
	known.remember(last, acquaintance{err: errors.New("nobody"), until: time.Now().Add(unknownFor)})
	if len(known.seen) != mostKnownOfOne+1 {
		t.Errorf("%d are remembered, want %d of one and the clerk's", len(known.seen), mostKnownOfOne)
	}
	for hash := range known.seen {
		known.drop(hash)
	}
	if len(known.of) != 0 {
		t.Errorf("of %d shares something is left, though no token is", len(known.of))
	}
}
