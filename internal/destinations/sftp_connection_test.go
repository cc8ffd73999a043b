package destinations

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionEndsWhereNothingComesForTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		connection, answer := &impatient{Conn: near}, make([]byte, 1)
		go func() {
			_, _ = far.Read(make([]byte, 1))
			<-time.After(silence - time.Second) // slow, and not too slow
			_, _ = far.Write([]byte("a"))
		}()
		begun := time.Now()
		if _, err := connection.Write([]byte("q")); err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Read(answer); err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want that a deadline has passed", err)
		}
		if waited := time.Since(begun); waited != 2*silence-time.Second {
			t.Errorf("waited for %s", waited)
		}
	})
}
