package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ledgerport/ledgerport/internal/console/problem"
)

// issuer is an OIDC provider that counts how often it is asked for its keys.
type issuer struct {
	*httptest.Server
	asked atomic.Int64
	down  atomic.Bool
	// ending are the logins whose end is asked for, and mostEnding as many as were at once; each takes until it is let through.
	ending, mostEnding atomic.Int64
	through            chan struct{}
	mu                 sync.Mutex
	keys               map[string]*ecdsa.PrivateKey
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{keys: map[string]*ecdsa.PrivateKey{}, through: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/a", "token_endpoint": i.URL + "/t", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		if i.down.Load() {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		keys := []any{}
		for id, key := range i.keys {
			point, _ := key.PublicKey.Bytes()
			coordinate := base64.RawURLEncoding.EncodeToString
			keys = append(keys, map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": coordinate(point[1:33]), "y": coordinate(point[33:])})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	})
	mux.HandleFunc("/t", func(w http.ResponseWriter, r *http.Request) {
		now := i.ending.Add(1)
		defer i.ending.Add(-1)
		for most := i.mostEnding.Load(); now > most && !i.mostEnding.CompareAndSwap(most, now); most = i.mostEnding.Load() {
		}
		select {
		case <-i.through:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	i.Server = httptest.NewTLSServer(mux)
	t.Cleanup(i.Close)
	return i
}

// sign makes a token, with a key that the provider has from then on if it is told so.
func (i *issuer) sign(t *testing.T, key string, known bool) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	private := i.keys[key]
	if private == nil {
		var err error
		if private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		if known {
			i.keys[key] = private
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": i.URL, "aud": "ledgerport", "sub": "anna", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = key
	signed, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// provider is the issuer as the console knows it.
func (i *issuer) provider(t *testing.T) *provider {
	t.Helper()
	trusted := x509.NewCertPool()
	trusted.AddCert(i.Certificate())
	p, err := newProvider(OIDC{
		Issuer: i.URL, ClientID: "ledgerport", CA: trusted, Impersonate: true, UsernameClaim: "sub", UsernamePrefix: "oidc:", GroupsPrefix: "oidc:",
	}, &url.URL{Scheme: "https", Host: "console.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAProviderEndsSoManyLoginsAtOnce has somebody end a login hundreds of times, as everybody may who has begun one.
func TestAProviderEndsSoManyLoginsAtOnce(t *testing.T) {
	t.Parallel()
	from := startIssuer(t)
	p := from.provider(t)
	go func() { // the provider answers when as many wait as may, one after another
		for from.ending.Load() < mostEndings && t.Context().Err() == nil {
			runtime.Gosched()
		}
		close(from.through)
	}()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			var told *problem.Problem
			if _, err := p.exchange(t.Context(), "code", "verifier"); !errors.As(err, &told) || told.Status != http.StatusForbidden {
				t.Errorf("the end of a login that the provider refuses is answered %v", err)
			}
		})
	}
	all.Wait()
	if most := from.mostEnding.Load(); most != mostEndings {
		t.Errorf("the provider was asked for %d ends of logins at once, want %d", most, mostEndings)
	}
}

// TestAProviderIsAskedForItsKeysNowAndThen sends hundreds of tokens, as anybody may who reaches the console.
func TestAProviderIsAskedForItsKeysNowAndThen(t *testing.T) {
	t.Parallel()
	from := startIssuer(t)
	p := from.provider(t)
	verify := func(token string) int {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := p.verify(ctx, token, "")
		var told *problem.Problem
		if errors.As(err, &told) {
			return told.Status
		}
		return http.StatusOK
	}
	later := func() { // keysFor later
		p.keys.mu.Lock()
		defer p.keys.mu.Unlock()
		p.keys.until = time.Time{}
	}
	good := from.sign(t, "first", true)
	for range 100 {
		if is := verify(good); is != http.StatusOK {
			t.Fatalf("a good token is answered %d", is)
		}
	}
	if asked := from.asked.Load(); asked != 1 {
		t.Errorf("for 100 good tokens the provider was asked for its keys %d times", asked)
	}
	forged := make([]string, 100)
	for i := range forged {
		forged[i] = from.sign(t, fmt.Sprint("nobodys-", i), false)
	}
	var all sync.WaitGroup
	began := time.Now()
	for _, token := range forged {
		all.Go(func() {
			if is := verify(token); is != http.StatusUnauthorized {
				t.Errorf("a token of another key is answered %d", is)
			}
		})
	}
	all.Wait()
	if asked, most := from.asked.Load(), 2+int64(time.Since(began)/keysFor); asked > most {
		t.Errorf("for 100 forged ones it was asked %d times, want at most %d", asked, most)
	}
	next := from.sign(t, "second", true)
	later()
	if is := verify(next); is != http.StatusOK {
		t.Errorf("a token of the provider's next key is answered %d", is)
	}
	from.down.Store(true)
	later()
	if is := verify(forged[0]); is != http.StatusServiceUnavailable {
		t.Errorf("while the provider does not tell its keys, a token of another one is answered %d", is)
	}
	if is := verify(good); is != http.StatusOK {
		t.Errorf("… and one of a known key %d", is)
	}
}
