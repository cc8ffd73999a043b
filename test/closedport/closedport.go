// Package closedport has addresses at which nobody listens.
package closedport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// New returns an address of this machine that refuses connections until the test ends. Its port is taken, so that no other
// process comes to listen there meanwhile.
func New(t testing.TB) *net.TCPAddr {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*unix.SockaddrInet4).Port}
}
