package outbound_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/outbound"
)

func TestARefusedAddressIsNeverDialled(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	port := listener.Addr().(*net.TCPAddr).Port
	for name, test := range map[string]struct {
		policy  *outbound.Policy
		network string
		address string
	}{
		"loopback by the policy of nobody":   {nil, "tcp", listener.Addr().String()},
		"loopback by a name":                 {policy(t), "tcp", net.JoinHostPort("localhost", strconv.Itoa(port))},
		"a name that is not listed":          {policy(t, "db.example.com"), "tcp", net.JoinHostPort("localhost", strconv.Itoa(port))},
		"a name that leads where it may not": {policy(t, "localhost"), "tcp", net.JoinHostPort("localhost", strconv.Itoa(port))},
		"a socket of the machine":            {policy(t, "127.0.0.0/8"), "unix", "/run/postgresql/.s.PGSQL.5432"},
	} {
		conn, err := test.policy.DialContext(t.Context(), test.network, test.address)
		var refused *outbound.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v (%v), want a refusal", name, err, conn)
		}
		if failed := outbound.Refusal(err); failed == nil || strings.Contains(failed.Message, "127.0.0.1") && strings.Contains(test.address, "localhost") {
			t.Errorf("%s: %v tells where the name leads", name, failed)
		}
	}
}

func TestAnAllowedAddressIsReached(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(server.Close)
	answer, err := get(t, policy(t, "127.0.0.0/8").HTTPClient(), server.URL)
	must(t, err)
	if answer != http.StatusOK {
		t.Errorf("the answer is %d", answer)
	}
}

// TestARedirectCanNotLeadElsewhere lets an allowed server send the client to one that is not.
func TestARedirectCanNotLeadElsewhere(t *testing.T) {
	t.Parallel()
	reached := false
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	must(t, err)
	_ = inner.Listener.Close()
	inner.Listener = listener
	inner.Start()
	t.Cleanup(inner.Close)
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	t.Cleanup(outer.Close)
	_, err = get(t, policy(t, "127.0.0.1").HTTPClient(), outer.URL)
	if outbound.Refusal(err) == nil || reached {
		t.Errorf("reached %t, %v; want a refusal", reached, err)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	proxied := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied = true }))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	_, err := get(t, policy(t, "127.0.0.0/8", "refused.invalid").HTTPClient(), "http://refused.invalid/")
	var unknown *net.DNSError
	if proxied || !errors.As(err, &unknown) {
		t.Errorf("proxied %t, %v", proxied, err)
	}
}

func TestTheAPIServerIsRefusedWhateverIsAllowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	must(t, err)
	p, err := outbound.New([]string{"*", "127.0.0.0/8"}, netip.MustParseAddrPort(at.Host))
	must(t, err)
	if _, err := get(t, p.HTTPClient(), server.URL); outbound.Refusal(err) == nil {
		t.Errorf("%v, want a refusal", err)
	}
}

func get(t *testing.T, client *http.Client, address string) (status int, err error) {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
	must(t, err)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func policy(t *testing.T, entries ...string) *outbound.Policy {
	t.Helper()
	p, err := outbound.New(entries)
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
