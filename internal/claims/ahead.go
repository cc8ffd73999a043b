package claims

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// ahead is a connection to a server. While something is written the client library reads in the background and keeps what comes,
// so that neither side waits for the other, and a server that takes nothing and goes on sending would fill the memory before the
// meter sees a byte. So it is counted here, by whom the bytes pass first: what came while something was being written, less what
// the meter was given since.
type ahead struct {
	net.Conn
	writing atomic.Bool
	kept    atomic.Int64 // bytes, with what TLS adds to them
	refused atomic.Bool
}

// mostAhead is what may come during a write, in bytes: answers to what was sent before.
const mostAhead = largestAnswer

// errAhead ends such a connection.
var errAhead = &tooMuchError{"on and on while it takes nothing"}

// countAhead lets a function dial connections that are bounded.
func countAhead(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &ahead{Conn: conn}, nil
	}
}

// Read implements net.Conn.
func (a *ahead) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if a.writing.Load() && a.kept.Add(int64(n)) > mostAhead {
		a.refused.Store(true)
		return 0, errors.Join(errAhead, a.Close()) // which ends the write, too
	}
	return n, err
}

// Write implements net.Conn.
func (a *ahead) Write(p []byte) (int, error) {
	a.writing.Store(true)
	defer a.writing.Store(false)
	n, err := a.Conn.Write(p)
	if a.refused.Load() {
		err = errAhead
	}
	return n, err
}

// given is a reader that tells a connection what is not kept any more.
type given struct {
	io.Reader
	of *ahead
}

// Read implements io.Reader.
func (g given) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if g.of.kept.Add(-int64(n)) < 0 {
		g.of.kept.Store(0)
	}
	return n, err
}

// giving is what the meter reads: the library's reader, with the connection told below what is written to.
func giving(reader io.Reader, writer io.Writer) io.Reader {
	if encrypted, is := writer.(*tls.Conn); is {
		writer = encrypted.NetConn()
	}
	if conn, is := writer.(*ahead); is {
		return given{reader, conn}
	}
	return reader
}
