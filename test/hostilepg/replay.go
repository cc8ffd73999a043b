package hostilepg

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Recording is what a real server answered, connection by connection, in the order in which they were opened. A turn ends where the
// client has to say something. How the client logged in is left out.
type Recording struct {
	mu          sync.Mutex
	connections []*connection
}

type connection struct {
	ready bool
	turns [][]Message
	turn  []Message
}

// Record stands before the real server of a URL, and returns the URL that leads through it.
func Record(t Test, database string) (through string, recording *Recording) {
	t.Helper()
	recording = &Recording{}
	return proxy(t, database, func() Change {
		c := &connection{}
		recording.mu.Lock()
		recording.connections = append(recording.connections, c)
		recording.mu.Unlock()
		return func(_ string, m Message, send func(Message) error) error {
			recording.mu.Lock()
			c.note(m)
			recording.mu.Unlock()
			return send(m)
		}
	}), recording
}

func (c *connection) note(m Message) {
	if c.ready {
		c.turn = append(c.turn, m)
	}
	if m.Kind == ready || m.Kind == copyIn {
		if c.ready {
			c.turns = append(c.turns, c.turn)
		}
		c.ready, c.turn = true, nil
	}
}

// Types of messages after which the client has to say something, and of those by which it does.
const (
	ready, copyIn                        = 'Z', 'G'
	query, synchronize, copied, uncopied = 'Q', 'S', 'c', 'f'
)

// Replay is a server that says again what was recorded, as far as it is not changed.
type Replay struct {
	Recording *Recording
	// Change returns what is sent instead of a message: which of all it is, counted over all connections, and the message.
	Change func(place int, m Message) []byte
	// Patience is how long it waits for a client that says nothing, before it hangs up.
	Patience time.Duration

	mu     sync.Mutex
	opened int
	place  int
}

// Dial connects to the server without a network.
func (r *Replay) Dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		r.serve(server)
	}()
	return client, nil
}

func (r *Replay) serve(server net.Conn) {
	startup, err := ReadStartup(server)
	if err != nil || IsCancel(startup) {
		return
	}
	r.mu.Lock()
	number := r.opened
	r.opened++
	r.mu.Unlock()
	turns := [][]Message{{
		Of(&pgproto3.AuthenticationOk{}), Of(&pgproto3.ParameterStatus{Name: "server_version", Value: "17.0"}),
		Of(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"}), Of(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"}),
		Of(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)}), Of(&pgproto3.ReadyForQuery{TxStatus: 'I'}),
	}}
	if number < len(r.Recording.connections) {
		turns = append(turns, r.Recording.connections[number].turns...)
	}
	asked := make(chan struct{}, 1000)
	asked <- struct{}{}
	go func() {
		defer close(asked)
		for {
			m, err := ReadMessage(server)
			if err != nil {
				return
			}
			if m.Kind == query || m.Kind == synchronize || m.Kind == copied || m.Kind == uncopied {
				select {
				case asked <- struct{}{}:
				default: // it asks without an end
					return
				}
			}
		}
	}()
	for _, turn := range append(turns, nil) { // and then it waits until the client hangs up
		select {
		case _, more := <-asked:
			if !more || !r.send(server, turn) {
				return
			}
		case <-time.After(r.Patience):
			return
		}
	}
}

func (r *Replay) send(server net.Conn, turn []Message) bool {
	for _, m := range turn {
		r.mu.Lock()
		place := r.place
		r.place++
		r.mu.Unlock()
		if _, err := server.Write(r.Change(place, m)); err != nil {
			return false
		}
	}
	return true
}
