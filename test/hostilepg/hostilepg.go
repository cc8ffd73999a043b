// Package hostilepg is a server of PostgreSQL that a tenant has made to do harm: one of its own, or a real one whose answers it
// changes on their way.
package hostilepg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Test is a testing.TB, which a program has not.
type Test interface {
	Helper()
	Fatal(arguments ...any)
	Cleanup(end func())
}

// Serve listens, lets a function answer each connection, and returns the address. It ends with the test.
func Serve(t Test, serve func(net.Conn)) (address string) {
	t.Helper()
	address, stop, err := Listen(serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

// Listen listens on the loopback interface, lets a function answer each connection, and returns the address, and what ends it.
func Listen(serve func(net.Conn)) (address string, stop func(), err error) {
	return ListenAt("127.0.0.1", serve)
}

// ListenAt is Listen on an address of this machine that others can reach.
func ListenAt(host string, serve func(net.Conn)) (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // it was stopped
			}
			go func() {
				defer func() { _ = connection.Close() }()
				serve(connection)
			}()
		}
	}()
	return listener.Addr().String(), func() { _ = listener.Close() }, nil
}

// Message is one message of a server: its type, and what follows its length.
type Message struct {
	Kind byte
	Body []byte
}

// Of encodes a message.
func Of(message pgproto3.BackendMessage) Message {
	encoded, err := message.Encode(nil)
	if err != nil {
		panic(err) // a test has made it
	}
	return Message{encoded[0], encoded[headLength:]}
}

// Row makes a row of texts; nil is NULL.
func Row(fields ...[]byte) Message { return Of(&pgproto3.DataRow{Values: fields}) }

// Fields are those of a row.
func (m Message) Fields() [][]byte {
	var row pgproto3.DataRow
	if row.Decode(m.Body) != nil {
		return nil
	}
	return row.Values
}

// Encoded is the message as it travels.
func (m Message) Encoded() []byte {
	return append(binary.BigEndian.AppendUint32([]byte{m.Kind}, uint32(len(m.Body))+lengthLength), m.Body...)
}

const (
	lengthLength = 4
	headLength   = 1 + lengthLength
)

// ReadMessage reads one message.
func ReadMessage(from io.Reader) (Message, error) {
	var head [headLength]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return Message{}, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < lengthLength || length > 1<<30 {
		return Message{}, errors.New("a message of a strange length")
	}
	m := Message{head[0], make([]byte, length-lengthLength)}
	_, err := io.ReadFull(from, m.Body)
	return m, err
}

// Change is called with each message of the real server, and the statement that it probably answers; it sends what the client
// gets instead. Its error ends the connection.
type Change func(statement string, message Message, send func(Message) error) error

// Proxy stands before the real server of a URL, and returns the URL that leads through it.
func Proxy(t Test, database string, change Change) string {
	t.Helper()
	return proxy(t, database, func() Change { return change })
}

// proxy makes a change for each connection.
func proxy(t Test, database string, begin func() Change) string {
	t.Helper()
	at, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server := at.Host
	at.Host = Serve(t, func(client net.Conn) { Relay(client, server, begin()) })
	at.RawQuery = "sslmode=disable"
	return at.String()
}

// Relay stands between a client and the server of an address.
func Relay(client net.Conn, address string, change Change) {
	startup, err := ReadStartup(client)
	if err != nil {
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if _, err := server.Write(startup); err != nil || IsCancel(startup) {
		_, _ = io.Copy(io.Discard, server) // it confirms by hanging up
		return
	}
	var statement atomic.Value
	statement.Store("")
	go func() {
		defer func() { _ = server.Close() }()
		follow(client, server, &statement)
	}()
	send := func(m Message) error {
		_, err := client.Write(m.Encoded())
		return err
	}
	for {
		message, err := ReadMessage(server)
		if err != nil || change(statement.Load().(string), message, send) != nil {
			return
		}
	}
}

// Codes of the messages that may begin a connection.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	codeCancel  = 80877102
	codeTLS     = 80877103
	codeGSSAPI  = 80877104
	longestHead = 10_000
)

// ReadStartup reads the message that begins a session or cancels one. It refuses to encrypt.
func ReadStartup(client io.ReadWriter) ([]byte, error) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(client, head); err != nil {
			return nil, err
		}
		length, code := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		if code == codeTLS || code == codeGSSAPI {
			if _, err := client.Write([]byte("N")); err != nil {
				return nil, err
			}
			continue
		}
		if length < 8 || length > longestHead {
			return nil, errors.New("a startup message of a strange length")
		}
		rest := make([]byte, length-8)
		_, err := io.ReadFull(client, rest)
		return append(head, rest...), err
	}
}

// IsCancel reports whether a message that begins a connection cancels a statement of another.
func IsCancel(startup []byte) bool { return binary.BigEndian.Uint32(startup[4:]) == codeCancel }

// follow passes on what the client sends, and notes the statement.
func follow(client io.Reader, server io.Writer, statement *atomic.Value) {
	prepared := map[string]string{}
	for {
		message, err := ReadMessage(client)
		if err != nil {
			return
		}
		parts := bytes.SplitN(message.Body, []byte{0}, 3)
		switch {
		case message.Kind == 'Q':
			statement.Store(string(parts[0]))
		case message.Kind == 'P' && len(parts) > 1:
			prepared[string(parts[0])] = string(parts[1])
			statement.Store(string(parts[1]))
		case message.Kind == 'B' && len(parts) > 1:
			statement.Store(prepared[string(parts[1])])
		}
		if _, err := server.Write(message.Encoded()); err != nil {
			return
		}
	}
}
