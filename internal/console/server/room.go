package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// room is a listener with room for so many connections. While it is full, one more takes the place of that which has been there for longest
// and on which no known caller has asked for anything, or else of that on which none does now: nobody keeps others out by saying nothing. If
// known callers are answered on all of them, it waits. Beyond so many bytes that come on connections on which no known caller is being answered, the
// one ends on which most has come.
type room struct {
	net.Listener
	most, mostUnanswered int

	mu     sync.Mutex
	left   sync.Cond
	all    int
	closed bool
	// unanswered is what has come on all connections in the lists.
	unanswered int
	// strangers are connections of whom nothing is known, and acquainted those of known callers who ask for nothing now; of *guest, the one
	// that has been there for longest first.
	strangers, acquainted list.List
}

// guest is a connection.
type guest struct {
	net.Conn
	of *room

	// What follows is the room's.
	place *list.Element // in one of the lists
	among *list.List    // which one; nil while a known caller is answered
	known int           // requests of known callers under way
	gone  bool
	// unanswered is what has come since a known caller was answered last, in bytes.
	unanswered int
}

func newRoom(listener net.Listener, most, mostUnanswered int) *room {
	r := &room{Listener: listener, most: most, mostUnanswered: mostUnanswered}
	r.left.L = &r.mu
	return r
}

// Accept implements net.Listener.
func (r *room) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.all >= r.most && !r.closed {
		oldest := r.strangers.Front()
		if oldest == nil {
			oldest = r.acquainted.Front()
		}
		if oldest != nil {
			one := oldest.Value.(*guest)
			r.leave(one)
			_ = one.Conn.Close() // whose it is hears of it by that
			continue
		}
		r.left.Wait()
	}
	if r.closed {
		_ = conn.Close() // it is nobody's
		return nil, net.ErrClosed
	}
	one := &guest{Conn: conn, of: r}
	one.wait(&r.strangers)
	r.all++
	return one, nil
}

// Close implements net.Listener.
func (r *room) Close() error {
	r.mu.Lock()
	r.closed = true
	r.left.Broadcast()
	r.mu.Unlock()
	return r.Listener.Close()
}

// leave takes a connection out of the count, once.
func (r *room) leave(one *guest) {
	if one.gone {
		return
	}
	one.gone = true
	one.waitNot()
	r.unanswered -= one.unanswered
	one.unanswered = 0
	r.all--
	r.left.Signal()
}

// wait puts a connection last into a list of those that make room.
func (g *guest) wait(among *list.List) { g.place, g.among = among.PushBack(g), among }

func (g *guest) waitNot() {
	if g.among != nil {
		g.among.Remove(g.place)
		g.place, g.among = nil, nil
	}
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.of.mu.Lock()
	g.of.leave(g)
	g.of.mu.Unlock()
	return g.Conn.Close()
}

// stay keeps the place of a connection until the function is called.
func (g *guest) stay() (over func()) {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.known++
	g.waitNot()
	g.of.unanswered -= g.unanswered
	g.unanswered = 0
	return sync.OnceFunc(func() {
		g.of.mu.Lock()
		defer g.of.mu.Unlock()
		g.known--
		if g.known == 0 && !g.gone {
			g.wait(&g.of.acquainted)
			g.of.left.Signal()
		}
	})
}

// Read implements net.Conn. What comes before it is known who asks is counted.
func (g *guest) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	if g.known == 0 && !g.gone {
		g.unanswered += n
		g.of.unanswered += n
		g.of.makeRoom()
	}
	return n, err
}

// makeRoom ends connections on which much has come and nobody known is answered, until all of it is little enough.
func (r *room) makeRoom() {
	for r.unanswered > r.mostUnanswered {
		var largest *guest
		for _, among := range []*list.List{&r.strangers, &r.acquainted} {
			for place := among.Front(); place != nil; place = place.Next() {
				if one := place.Value.(*guest); largest == nil || one.unanswered > largest.unanswered {
					largest = one
				}
			}
		}
		if largest == nil {
			return // all of them are answered
		}
		r.leave(largest)
		_ = largest.Conn.Close() // whose it is hears of it by that
	}
}

type guestKey struct{}

// arrived has the requests of a connection know it. It is for http.Server.ConnContext.
func arrived(ctx context.Context, conn net.Conn) context.Context {
	if encrypted, is := conn.(*tls.Conn); is {
		conn = encrypted.NetConn()
	}
	return context.WithValue(ctx, guestKey{}, conn)
}

// stays keeps the place of the connection of a request until the function is called.
func stays(r *http.Request) (over func()) {
	one, is := r.Context().Value(guestKey{}).(*guest)
	if !is { // such as of probes
		return func() {}
	}
	return one.stay()
}
