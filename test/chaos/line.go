package main

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// line is the network between the operators and a server: a proxy that can do what a bad network does.
type line struct {
	upstream []string // the first that accepts a connection has it, from another on each time
	listen   string   // address

	mu          sync.Mutex
	listener    net.Listener // nil while it is cut
	connections map[net.Conn]bool
	trouble     trouble
}

// trouble is what happens to what travels. The zero value is none.
type trouble struct {
	// delay of what comes from the server, give or take the jitter.
	delay, jitter time.Duration
	// lost is true where nothing reaches the server.
	lost bool
	// reset ends a connection after so many bytes to the server; 0 is never.
	reset int64
}

// newLine returns a line to upstreams that begins at an address of this machine.
func newLine(host string, upstream ...string) (*line, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	l := &line{upstream: upstream, listen: listener.Addr().String(), listener: listener, connections: map[net.Conn]bool{}}
	go l.accept(listener)
	return l, nil
}

func (l *line) address() string { return l.listen }

// cut ends every connection, and refuses new ones until repair.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	l.reset()
}

// repair lets connections through again, at the same address.
func (l *line) repair() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", l.listen)
	if err != nil {
		return err
	}
	l.listener = listener
	go l.accept(listener)
	return nil
}

// disturb does something to what travels until calm, on the connections that there are as well.
func (l *line) disturb(how trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = how
}

// calm ends what disturb began. Connections on which something was lost end with it.
func (l *line) calm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble.lost {
		l.reset()
	}
	l.trouble = trouble{}
}

// reset ends every connection. The caller holds the lock.
func (l *line) reset() {
	for connection := range l.connections {
		_ = connection.Close()
	}
}

func (l *line) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // it is cut
		}
		go l.carry(listener, client)
	}
}

// carry copies in both directions until one of them ends.
func (l *line) carry(through net.Listener, client net.Conn) {
	server, err := l.connect()
	if err != nil {
		_ = client.Close()
		return
	}
	defer l.forget(client, server)
	if !l.remember(through, client, server) {
		return
	}
	ended := make(chan struct{}, 2)
	go func() { l.copy(server, client, l.toServer); ended <- struct{}{} }()
	go func() { l.copy(client, server, l.fromServer); ended <- struct{}{} }()
	<-ended
}

// connect reaches one of the servers.
func (l *line) connect() (server net.Conn, err error) {
	first := rand.IntN(len(l.upstream)) // #nosec G404 -- which one it is, is no secret
	for i := range l.upstream {
		if server, err = net.Dial("tcp", l.upstream[(first+i)%len(l.upstream)]); err == nil {
			break
		}
	}
	return server, err
}

// remember is false where the line was cut meanwhile.
func (l *line) remember(through net.Listener, connections ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, connection := range connections {
		l.connections[connection] = true
	}
	return l.listener == through
}

func (l *line) forget(connections ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, connection := range connections {
		_ = connection.Close()
		delete(l.connections, connection)
	}
}

// copy passes on what arrives, after what the network does to it.
func (l *line) copy(to io.Writer, from io.Reader, suffer func(trouble, []byte, *int64) (pass []byte, goesOn bool)) {
	buffer := make([]byte, 32<<10)
	for carried := int64(0); ; {
		n, err := from.Read(buffer)
		l.mu.Lock()
		how := l.trouble
		l.mu.Unlock()
		pass, goesOn := suffer(how, buffer[:n], &carried)
		if _, unwritten := to.Write(pass); err != nil || unwritten != nil || !goesOn {
			return
		}
	}
}

// toServer counts the bytes that reach the server while connections are being reset.
func (l *line) toServer(how trouble, content []byte, carried *int64) (pass []byte, goesOn bool) {
	switch {
	case how.lost:
		return nil, true
	case how.reset == 0:
		*carried = 0
		return content, true
	}
	left := how.reset - *carried
	if int64(len(content)) >= left {
		return content[:max(left, 0)], false
	}
	*carried += int64(len(content))
	return content, true
}

func (l *line) fromServer(how trouble, content []byte, _ *int64) (pass []byte, goesOn bool) {
	if how.delay > 0 {
		<-time.After(how.delay - how.jitter + rand.N(2*how.jitter+1))
	}
	return content, true
}
