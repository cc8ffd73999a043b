package sftp

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
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

// TestAPasswordIsGivenToNoMoreQuestionsThanAnybodyAsks has a server ask as often as a packet has room for.
func TestAPasswordIsGivenToNoMoreQuestionsThanAnybodyAsks(t *testing.T) {
	t.Parallel()
	for questions, answered := range map[int]bool{0: true, 1: true, 2: true, mostQuestions + 1: false, 50_000: false} {
		l := &login{server: &fileServer{password: "emergency-password"}}
		if answers, err := l.answer("", "", make([]string, questions), make([]bool, questions)); (err == nil) != answered || answered && len(answers) != questions {
			t.Errorf("%d questions have %d answers (%v)", questions, len(answers), err)
		}
	}
	long := secrets{password: bytes.Repeat([]byte("p"), longestPassword+1)}
	if _, err := parsePrivateKey(long); failure.From(err).Reason != v1alpha1.ReasonMalformedKey {
		t.Errorf("a password of %d bytes: %v", len(long.password), err)
	}
}
