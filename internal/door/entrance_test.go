package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ledgerport/ledgerport/test/environment"
)

// serveEntrance serves what an API server is known by, and returns the address, and how a client connects that is known.
func serveEntrance(t *testing.T, places int64) (address string, known *tls.Config) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	authority, err := environment.NewAuthority("both")
	must(err)
	pair := func(name string) tls.Certificate {
		certificate, key, err := authority.Issue(name, name)
		must(err)
		made, err := tls.X509KeyPair(certificate, key)
		must(err)
		return made
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority.PEM) {
		t.Fatal("the authority has no certificate")
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	e := newEntrance(t.Context(), listener, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair("server")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	}, semaphore.NewWeighted(places))
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(e) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return listener.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "server", Certificates: []tls.Certificate{pair("client")}}
}

// once asks on a connection of its own.
func once(ctx context.Context, address string, config *tls.Config) error {
	return ask(ctx, address, &http.Transport{TLSClientConfig: config, DisableKeepAlives: true})
}

// ask asks on a connection that a transport has or makes.
func ask(ctx context.Context, address string, transport *http.Transport) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// keepSilent connects from an address, says nothing, and connects again some time after the connection is ended.
func keepSilent(ctx context.Context, from, address string, pause time.Duration, connected *sync.WaitGroup) {
	first := sync.OnceFunc(connected.Done)
	defer first()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Second}
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			first()
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			_, _ = conn.Read(make([]byte, 1)) // until it is ended
			stop()
			_ = conn.Close()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// TestWhoSaysNothingKeepsNoAPIServerOut has an API server at 127.0.0.1.
func TestWhoSaysNothingKeepsNoAPIServerOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		addresses []int // last numbers
		pause     time.Duration
	}{
		"one address, again at once":    {[]int{2}, 10 * time.Millisecond},
		"many addresses, again at once": {[]int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}, 100 * time.Millisecond},
		"that of the API server":        {[]int{1}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, known := serveEntrance(t, mostConnections)
			var connected sync.WaitGroup
			connected.Add(300)
			for i := range 300 {
				go keepSilent(t.Context(), fmt.Sprintf("127.0.0.%d", test.addresses[i%len(test.addresses)]), address, test.pause, &connected)
			}
			connected.Wait()
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // half of what a silent connection would have without handshakeTime
				if err := once(ctx, address, known); err != nil {
					t.Errorf("beside 300 silent connections: %v", err)
				}
				cancel()
			}
			stranger := known.Clone()
			stranger.Certificates = nil
			if err := once(t.Context(), address, stranger); err == nil {
				t.Error("a client without a certificate is answered")
			}
		})
	}
}

// TestAHandshakeThatSaysNothingEnds has one connection, and no other that could end it.
func TestAHandshakeThatSaysNothingEnds(t *testing.T) {
	t.Parallel()
	address, _ := serveEntrance(t, mostConnections)
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	_ = conn.SetReadDeadline(began.Add(3 * handshakeTime)) // a connection of TCP can
	_, err = conn.Read(make([]byte, 1))
	var late net.Error
	if err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("after %s the connection ended with %v", time.Since(began), err)
	}
}

// TestAConnectionGivesItsPlaceBack has one place for all.
func TestAConnectionGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	address, known := serveEntrance(t, 1)
	first := &http.Transport{TLSClientConfig: known}
	if err := ask(t.Context(), address, first); err != nil { // whose connection stays
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := once(short, address, known); err == nil {
		t.Error("two connections are served at one place")
	}
	first.CloseIdleConnections()
	long, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 5 {
		if err := once(long, address, known); err != nil {
			t.Errorf("after a connection has ended: %v", err)
		}
	}
}

// TestAnAddressThatIsKnownMayAskForMuchAtOnce has a client at 127.0.0.1 as an API server is: what many of its clients ask for comes at once.
func TestAnAddressThatIsKnownMayAskForMuchAtOnce(t *testing.T) {
	t.Parallel()
	address, known := serveEntrance(t, mostConnections)
	if err := once(t.Context(), address, known); err != nil {
		t.Fatal(err)
	}
	var answered sync.WaitGroup
	for range 8 * mostHandshakesOfOne {
		answered.Go(func() {
			if err := once(t.Context(), address, known); err != nil {
				t.Errorf("of %d at once one is not answered: %v", 8*mostHandshakesOfOne, err)
			}
		})
	}
	answered.Wait()
}

// TestAHandshakeOfManyBytesEnds has a client send a chain of certificates as large as a handshake may be.
func TestAHandshakeOfManyBytesEnds(t *testing.T) {
	t.Parallel()
	address, known := serveEntrance(t, mostConnections)
	large := known.Clone()
	chain := large.Certificates[0]
	for len(chain.Certificate)*len(chain.Certificate[0]) < 2*largestHandshake {
		chain.Certificate = append(chain.Certificate, chain.Certificate[0])
	}
	large.Certificates = []tls.Certificate{chain}
	if err := once(t.Context(), address, large); err == nil {
		t.Errorf("a handshake with a chain of %d certificates is answered", len(chain.Certificate))
	}
	if err := once(t.Context(), address, known); err != nil {
		t.Errorf("after it: %v", err)
	}
}
