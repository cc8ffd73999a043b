// Package openport serves what every pod of a cluster can reach, such as probes and metrics. Who is at the other end is not known until a
// request has been read, so that what one may cost before is bounded: its header, its time, and the number of connections.
package openport

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

const (
	// mostConnections at the same time: a node's probes and a few readers of metrics have one each.
	mostConnections = 64
	// largestHeader of a request, in bytes: a token has some KiB.
	largestHeader = 16 << 10
	// patience is how long a request, or a handshake, may take to come.
	patience = 5 * time.Second
	// longestAnswer is how long it may take to be taken. A profile is of minutes.
	longestAnswer = 10 * time.Minute
	// idle is how long a connection is kept that is not used.
	idle = 90 * time.Second
)

// Server returns a server of a handler for connections of a listener that Listen returns. It speaks HTTP/1.1 alone: a connection of HTTP/2 has
// many requests at once, each with a header of its own.
func Server(ctx context.Context, handler http.Handler, log logr.Logger) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler: handler, Protocols: protocols, MaxHeaderBytes: largestHeader, ReadHeaderTimeout: patience, WriteTimeout: longestAnswer, IdleTimeout: idle,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelDebug), // a client that goes is none of ours
	}
}

// Listen listens at an address. While as many connections are open as may be, one more takes the place of the oldest of the address that has
// most of them: nobody keeps others out, however many they open.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &crowd{Listener: listener, of: map[string]*list.List{}}, nil
}

// crowd is a listener with room for so many connections.
type crowd struct {
	net.Listener

	mu  sync.Mutex
	all int
	of  map[string]*list.List // of *one, by addresses; the oldest first
}

// one is a connection.
type one struct {
	net.Conn
	among   *crowd
	address string
	place   *list.Element // nil once it has left
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	came := &one{Conn: conn, among: c, address: addressOf(conn)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= mostConnections {
		oldest := c.largest().Front().Value.(*one)
		c.leave(oldest)
		_ = oldest.Conn.Close() // whose it is hears of it by that
	}
	if c.of[came.address] == nil {
		c.of[came.address] = list.New()
	}
	came.place = c.of[came.address].PushBack(came)
	c.all++
	return came, nil
}

// largest is the group of connections of the address that has most. There are some.
func (c *crowd) largest() *list.List {
	var most *list.List
	for _, group := range c.of {
		if most == nil || group.Len() > most.Len() {
			most = group
		}
	}
	return most
}

// leave takes a connection out of the count, once.
func (c *crowd) leave(gone *one) {
	if gone.place == nil {
		return
	}
	group := c.of[gone.address]
	group.Remove(gone.place)
	gone.place = nil
	if group.Len() == 0 {
		delete(c.of, gone.address)
	}
	c.all--
}

// Close implements net.Conn.
func (o *one) Close() error {
	o.among.mu.Lock()
	o.among.leave(o)
	o.among.mu.Unlock()
	return o.Conn.Close()
}

// addressOf is the address of the other end, without its port.
func addressOf(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}
