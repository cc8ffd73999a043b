package door

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ledgerport/ledgerport/internal/panics"
)

const (
	// mostConnections after the handshake. All of them are the API server's.
	mostConnections = 512
	// mostHandshakes at the same time, and those with one address. For one more, another is ended. An address from which an API server has
	// come has as many as it may have connections.
	mostHandshakes, mostHandshakesOfOne = 128, 16
	// handshakeTime is how long one may take, and largestHandshake what the other end may send for it, in bytes: an API server sends 2 KiB.
	handshakeTime, largestHandshake = 2 * time.Second, 16 << 10
	// mostKnown addresses are remembered: a cluster has a few API servers.
	mostKnown = 64
)

var errLargeHandshake = errors.New("a handshake of more bytes than an API server sends")

// entrance is a listener that returns connections whose handshake is done. Until then anybody may be at the other end, and takes a place among
// handshakes only, which is too short to keep the API server out.
type entrance struct {
	net.Listener
	config *tls.Config
	places *semaphore.Weighted // of connections after the handshake
	came   chan arrival
	ended  chan struct{}

	mu        sync.Mutex
	underWay  []*handshake // the oldest first
	addresses map[string]int
	known     map[string]bool // addresses from which an API server has come
}

// arrival is what Accept returns.
type arrival struct {
	net.Conn
	err error
}

// handshake is one that is under way.
type handshake struct {
	net.Conn
	address string
	abandon context.CancelFunc
	spoken  atomic.Bool // by the client
	came    int         // bytes, until done
	done    bool        // the handshake, as its own goroutine knows before it passes the connection on
	place   func()      // gives the place after it back, if there is one
}

// Read implements net.Conn.
func (h *handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && !h.spoken.Load() {
		h.spoken.Store(true)
	}
	if !h.done {
		if h.came += n; h.came > largestHandshake {
			return 0, errLargeHandshake
		}
	}
	return n, err
}

// Close implements net.Conn. The connection gives its place back.
func (h *handshake) Close() error {
	if h.place != nil {
		defer h.place()
	}
	return h.Conn.Close()
}

func newEntrance(ctx context.Context, listener net.Listener, config *tls.Config, places *semaphore.Weighted) *entrance {
	e := &entrance{
		Listener: listener, config: config, places: places,
		came: make(chan arrival), ended: make(chan struct{}), addresses: map[string]int{}, known: map[string]bool{},
	}
	go e.open(ctx)
	return e
}

// Accept implements net.Listener.
func (e *entrance) Accept() (net.Conn, error) {
	select {
	case one := <-e.came:
		return one.Conn, one.err
	case <-e.ended:
		return nil, net.ErrClosed
	}
}

// open begins a handshake with each connection, until the listener is closed.
func (e *entrance) open(ctx context.Context) {
	defer close(e.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		conn, err := e.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // the server that accepts knows whether to try again, and when
			select {
			case e.came <- arrival{err: err}:
			case <-ctx.Done():
				return
			}
			continue
		}
		shaking, shake := e.begin(ctx, conn)
		go e.admit(ctx, shaking, shake)
	}
}

// begin finds a place for a handshake: one of the same address if that has as many as it may, and one of the stranger that has most if there
// are as many of strangers as may be.
func (e *entrance) begin(ctx context.Context, conn net.Conn) (context.Context, *handshake) {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	shake := &handshake{Conn: conn, address: address, abandon: cancel}
	e.mu.Lock()
	defer e.mu.Unlock()
	most := mostHandshakesOfOne
	if e.known[address] {
		most = mostConnections
	}
	strangers, crowded := 0, address
	for _, one := range e.underWay {
		if e.known[one.address] {
			continue
		}
		strangers++
		if e.addresses[one.address] > e.addresses[crowded] {
			crowded = one.address
		}
	}
	switch {
	case e.addresses[address] >= most:
		e.abandonOne(address)
	case !e.known[address] && strangers >= mostHandshakes:
		e.abandonOne(crowded)
	}
	e.underWay = append(e.underWay, shake)
	e.addresses[address]++
	return ctx, shake
}

// abandonOne ends the oldest handshake of an address whose client has said nothing yet, or the oldest if all have.
func (e *entrance) abandonOne(address string) {
	var oldest *handshake
	for _, one := range e.underWay {
		if one.address != address {
			continue
		}
		if !one.spoken.Load() {
			oldest = one
			break
		}
		if oldest == nil {
			oldest = one
		}
	}
	if oldest != nil {
		oldest.abandon()
		e.remove(oldest)
	}
}

// end gives the place of a handshake back, and remembers the address of an API server.
func (e *entrance) end(shake *handshake, succeeded bool) {
	shake.abandon()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(shake)
	if succeeded && len(e.known) < mostKnown {
		e.known[shake.address] = true
	}
}

// remove takes a handshake off the list, if it is still there.
func (e *entrance) remove(shake *handshake) {
	at := slices.Index(e.underWay, shake)
	if at < 0 {
		return
	}
	e.underWay = slices.Delete(e.underWay, at, at+1)
	e.addresses[shake.address]--
	if e.addresses[shake.address] == 0 {
		delete(e.addresses, shake.address)
	}
}

// admit hands a connection over whose handshake succeeds, once there is a place for it.
func (e *entrance) admit(ctx, shaking context.Context, shake *handshake) {
	secure := tls.Server(shake, e.config)
	err := handshakeOf(shaking, secure)
	shake.done = err == nil
	e.end(shake, err == nil)
	if err != nil {
		_ = shake.Close() // it is nobody's
		return
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if e.places.Acquire(waiting, 1) != nil {
		_ = shake.Close() // the API server tries again
		return
	}
	shake.place = sync.OnceFunc(func() { e.places.Release(1) })
	select {
	case e.came <- arrival{Conn: secure}:
	case <-ctx.Done():
		_ = shake.Close() // nobody accepts it
	}
}

// handshakeOf does a handshake. A panic in it, which works on what anybody may send, ends it alone.
func handshakeOf(ctx context.Context, conn *tls.Conn) (err error) {
	defer panics.Catch(&err)
	return conn.HandshakeContext(ctx)
}
