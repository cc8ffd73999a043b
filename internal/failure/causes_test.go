package failure_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestCausesAreBounded(t *testing.T) {
	t.Parallel()
	many := make([]error, 5000)
	for i := range many {
		many[i] = errors.New("a mistake")
	}
	got := failure.Causes(errors.Join(append(many, &pgconn.PgError{Code: "40P01"})...))
	if len(got) != 31 || got[30] != "…" {
		t.Errorf("%d causes are named, the last one %q", len(got), got[len(got)-1])
	}
	if got := failure.Causes(&pgconn.PgError{Code: strings.Repeat("x", 1<<16)}); len(got) != 1 || len(got[0]) > 40 {
		t.Errorf("a state of 64 KiB is named in %d characters", len(got[0]))
	}
}

func TestCausesOfAnError(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError(secret, syscall.ECONNREFUSED)}
	for name, test := range map[string]struct {
		err  error
		want []string
	}{
		"none":                          {nil, nil},
		"a failure without a cause":     {failure.Stalled(v1alpha1.ReasonCancelled, nil, "cancelled"), nil},
		"an error of the database":      {failure.Transient(v1alpha1.ReasonInternal, &pgconn.PgError{Code: "40P01", Message: secret}, "x"), []string{"*pgconn.PgError SQLSTATE 40P01"}},
		"one of the operating system":   {failure.Transient(v1alpha1.ReasonInternal, refused, "x"), []string{"*net.OpError", "*os.SyscallError", "syscall.Errno connection refused"}},
		"a failure within another text": {fmt.Errorf("%s: %w", secret, failure.Transient(v1alpha1.ReasonInternal, errors.New(secret), "x")), []string{"*fmt.wrapError", "*errors.errorString"}},
		"two at once":                   {errors.Join(errors.New(secret), syscall.ENOSPC), []string{"*errors.joinError", "*errors.errorString", "syscall.Errno no space left on device"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := failure.Causes(test.err)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if strings.Contains(strings.Join(got, " "), secret) {
				t.Errorf("%q quotes a text", got)
			}
		})
	}
}
