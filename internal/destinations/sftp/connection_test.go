package sftp

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
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

// TestAPrivateKeyCanBeUsedInTime has keys of RSA in the format of PKCS #1, for which the client library has no bound. What they are made of
// need not be primes to be computed with.
func TestAPrivateKeyCanBeUsedInTime(t *testing.T) {
	t.Parallel()
	for bits, reason := range map[int]v1alpha1.Reason{16384: "", 16386: v1alpha1.ReasonMalformedKey, 20000: v1alpha1.ReasonMalformedKey} {
		private := privateKeyOfRSA(t, bits)
		if len(private) > longestPrivateKey {
			t.Fatalf("the key of %d bits has %d bytes", bits, len(private))
		}
		_, err := parsePrivateKey(secrets{privateKey: private})
		if reason == "" && err != nil || reason != "" && failure.From(err).Reason != reason {
			t.Errorf("of a key of %d bits it says %v, want %q", bits, err, reason)
		}
	}
}

// privateKeyOfRSA makes a key that is consistent, and worth nothing: its factors are odd and relatively prime.
func privateKeyOfRSA(t *testing.T, bits int) []byte {
	t.Helper()
	const exponent = 3
	var p, q, belowP, belowQ, d, inverse *big.Int
	for d == nil || inverse == nil {
		p, belowP = oddNumber(t, bits/2)
		q, belowQ = oddNumber(t, bits/2)
		d = new(big.Int).ModInverse(big.NewInt(exponent), new(big.Int).Mul(belowP, belowQ))
		inverse = new(big.Int).ModInverse(q, p)
	}
	encoded, err := asn1.Marshal(struct {
		Version                int
		N                      *big.Int
		E                      int
		D, P, Q, OfP, OfQ, Inv *big.Int
	}{0, new(big.Int).Mul(p, q), exponent, d, p, q, new(big.Int).Mod(d, belowP), new(big.Int).Mod(d, belowQ), inverse})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: encoded})
}

// oddNumber returns one of so many bits, of which the two highest are set, and the number before it.
func oddNumber(t *testing.T, bits int) (number, before *big.Int) {
	t.Helper()
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	if err != nil {
		t.Fatal(err)
	}
	number.SetBit(number, bits-1, 1).SetBit(number, bits-2, 1).SetBit(number, 0, 1)
	return number, new(big.Int).Sub(number, big.NewInt(1))
}
