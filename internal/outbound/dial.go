package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	dialTimeout = 30 * time.Second
	keepAlive   = 30 * time.Second
	// answerTimeout is how long a server may take to begin its answer to an HTTP request.
	answerTimeout = time.Minute
	// largestHeader of an answer to an HTTP request, in bytes.
	largestHeader = 64 << 10
)

// RefusedError says that a host may not be reached, and why. It does not say which address a name leads to: the tenant who
// named it may not be meant to know.
type RefusedError struct {
	Host, Why string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the host %s is refused: %s", e.Host, e.Why)
}

// Refusal returns the failure to report where an error comes from a host that is refused, else nil.
func Refusal(err error) *failure.Error {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return nil
	}
	return failure.Stalled(v1alpha1.ReasonHostNotAllowed, err,
		"the operator may not connect to %s: %s; name another host, or let an administrator add it to --allowed-hosts", refused.Host, refused.Why)
}

// DialContext connects over TCP, if the policy allows host and address. A refusal is a *RefusedError.
func (p *Policy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return p.dial(ctx, network, address, false)
}

// dial connects. known is true where an address was reached by an allowed name before.
func (p *Policy) dial(ctx context.Context, network, address string, known bool) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, &RefusedError{Host: address, Why: "it is a socket of the operator's own machine"}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	named := known || p.allowsName(host)
	if !named && len(p.prefixes) == 0 { // without asking a resolver, which may be the tenant's own
		return nil, &RefusedError{Host: host, Why: "it is not among --allowed-hosts"}
	}
	dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: func(_, resolved string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return err
		}
		if why := p.refuses(target, named); why != "" {
			return &RefusedError{Host: host, Why: why}
		}
		return nil
	}}
	return dialer.DialContext(ctx, network, address)
}

// Dialer dials the hosts of one target. Other than the policy alone it also reaches an address that one of its names led
// to: a cancellation of a query goes to the address. It is safe for concurrent use.
type Dialer struct {
	policy  *Policy
	reached sync.Map // addresses, as text
}

// Dialer returns a new Dialer.
func (p *Policy) Dialer() *Dialer { return &Dialer{policy: p} }

// DialContext connects over TCP, if the policy allows host and address.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, known := d.reached.Load(address)
	conn, err := d.policy.dial(ctx, network, address, known)
	if err == nil {
		d.reached.Store(conn.RemoteAddr().String(), true)
	}
	return conn, err
}

// HTTPClient makes a client whose every connection is allowed by the policy. It uses no proxy: a proxy would connect where the
// policy cannot look. It follows no redirect, which is an answer like any other: what a request holds, a secret or a claim, is
// for the server that it was sent to. It speaks HTTP/1.1 alone: a server that sends frames of HTTP/2 and reads none keeps a connection,
// and what waits in it, from ever being closed. Its connections are the caller's to close.
func (p *Policy) HTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = p.DialContext
	transport.ForceAttemptHTTP2, transport.Protocols = false, new(http.Protocols)
	transport.Protocols.SetHTTP1(true)
	transport.ResponseHeaderTimeout = answerTimeout
	transport.DisableCompression = true // a few kilobytes would become a gigabyte
	transport.MaxResponseHeaderBytes = largestHeader
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
