package destinations

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Unreached says why a server was not reached, or did not answer, and what to look at. Field names what says where the server is.
func Unreached(err error, field string) string {
	var name *net.DNSError
	var timeout net.Error
	var dialled *net.OpError
	var untrusted *tls.CertificateVerificationError
	connecting := errors.As(err, &dialled) && dialled.Op == "dial"
	switch {
	case errors.As(err, &untrusted):
		return "its certificate is not trusted; correct the host in " + field + ", or let the operator trust the authority that signed it"
	case errors.As(err, &name):
		return "its host name cannot be resolved; correct " + field + ", or see what the cluster's DNS has"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; correct " + field + ", or start the server"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way leads there; correct " + field + ", or look at the network"
	case connecting && errors.As(err, &timeout) && timeout.Timeout():
		return "no connection came about in time; correct " + field + ", or look at firewalls and network policies"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it was reached, and did not answer in time; look at the server's load and its log"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it was reached, and the connection ended in the middle; look at the server's log"
	}
	return "there is no connection; look at " + field + ", at the network and at the server"
}
