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

// TestNoSpellingOfAnAddressReachesWhatIsRefused asks for loopback in the ways that resolvers and C libraries understand.
func TestNoSpellingOfAnAddressReachesWhatIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.000.000.001",
		"0.0.0.0", "0", "::", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:127.0.0.1%lo", "::127.0.0.1", "::1%lo",
		"localhost", "LOCALHOST", "localhost.", "LocalHost.", "127.0.0.1.", "ⓛocalhost", "127。0。0。1", "１２７.0.0.1", "",
	} {
		for _, p := range []*outbound.Policy{policy(t), policy(t, "*"), policy(t, "localhost"), policy(t, "0.0.0.0/0", "::/0"), policy(t, "10.0.0.0/8")} {
			if conn, err := p.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); err == nil {
				t.Errorf("%q has reached %s", host, conn.RemoteAddr())
			}
		}
		client := policy(t).HTTPClient()
		if strings.Contains(host, ":") {
			host = "[" + strings.ReplaceAll(host, "%", "%25") + "]"
		}
		if answer, err := client.Get("http://" + host + ":" + port); err == nil { //nolint:noctx,bodyclose // there is no answer
			t.Errorf("%q has answered %d", host, answer.StatusCode)
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

// TestWhatARequestHoldsGoesNowhereElse has a server send on a form with a secret: to a host that is allowed as well, to the
// metadata service, and to itself.
func TestWhatARequestHoldsGoesNowhereElse(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 1)
	inner := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.FormValue("secret") }))
	t.Cleanup(inner.Close)
	for _, to := range []string{inner.URL, "http://169.254.169.254/latest/meta-data/", "/"} {
		for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
			outer := httptest.NewServer(http.RedirectHandler(to, status))
			t.Cleanup(outer.Close)
			client := policy(t, "127.0.0.1").HTTPClient()
			answer, err := client.PostForm(outer.URL, url.Values{"secret": {"hunter2"}}) //nolint:noctx // it is answered at once
			must(t, err)
			if answer.StatusCode != status {
				t.Errorf("%d to %s: the answer is %d", status, to, answer.StatusCode)
			}
			must(t, answer.Body.Close())
			client.CloseIdleConnections()
		}
	}
	select {
	case secret := <-reached:
		t.Errorf("the secret %q was sent on", secret)
	default:
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
