package destinations_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

func TestUnreachedSaysWhichOfTheTwoItIs(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://x", Err: &net.OpError{Op: "dial", Err: err}}
	}
	for name, test := range map[string]struct {
		err  error
		says string
	}{
		"a name without an address":    {dial(&net.DNSError{IsTimeout: true}), "its host name cannot be resolved; correct spec.x"},
		"a stranger's certificate":     {&tls.CertificateVerificationError{Err: errors.New("hunter2")}, "its certificate is not trusted; correct the host in spec.x, or let"},
		"a port that is closed":        {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "nothing listens there; correct spec.x"},
		"a network that is not there":  {dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "no way leads there"},
		"a firewall that says nothing": {dial(os.ErrDeadlineExceeded), "firewalls"},
		"a server that says nothing":   {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "did not answer in time"},
		"the end of the context":       {fmt.Errorf("waiting: %w", context.DeadlineExceeded), "did not answer in time"},
		"a connection that ended":      {&net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}, "the connection ended"},
		"anything else":                {errors.New("hunter2"), "there is no connection; look at spec.x"},
	} {
		if got := destinations.Unreached(test.err, "spec.x"); !strings.Contains(got, test.says) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
