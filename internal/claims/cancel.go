package claims

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelling asks the server to end the query of a context that has ended, and gives it cancelGrace for that. Other than the
// library's own handler it never closes the connection of such a request before the other side does: PgBouncer 1.18, which
// Debian 12 has, ends its whole process where a client leaves while its request is passed on.
type cancelling struct {
	conn  *pgconn.PgConn
	asked chan struct{} // closed when the request has ended; nil if there was none
}

// cancellingKey is under what a connection has its handler.
const cancellingKey = "ledgerport.cancelling"

// HandleCancel implements ctxwatch.Handler.
func (c *cancelling) HandleCancel(ctx context.Context) {
	c.asked = make(chan struct{})
	deadline := time.Now().Add(cancelGrace) //nolint:forbidigo // of a socket of this process
	_ = c.conn.Conn().SetDeadline(deadline) // a connection that has none is closed
	go func() {
		defer close(c.asked)
		limited, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		_ = c.conn.CancelRequest(limited) // else the deadline ends the query
	}()
}

// settled is how long a request that the server has taken may need to reach the query, so that it does not meet the next one.
const settled = 100 * time.Millisecond

// HandleUnwatchAfterCancel implements ctxwatch.Handler.
func (c *cancelling) HandleUnwatchAfterCancel() {
	<-c.asked
	<-time.After(settled)
	_ = c.conn.Conn().SetDeadline(time.Time{}) // as above
}
