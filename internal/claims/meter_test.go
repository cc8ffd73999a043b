package claims

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// TestASessionIsNotKeptOnceItHasSeenMuchDescribed has a server describe statements at length: each description is short enough, and the
// library remembers them all.
func TestASessionIsNotKeptOnceItHasSeenMuchDescribed(t *testing.T) {
	t.Parallel()
	const body = 2 << 10
	message := func(kind byte, size uint32) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, size+4), make([]byte, size)...)
	}
	statement := append(message('t', 0), message('T', body)...)
	execution := message('T', body) // of which the columns are described again, and forgotten
	for statements, usual := range map[int]bool{1: true, mostDescribed / body: true, mostDescribed/body + 1: false} {
		m := newMeter(bytes.NewReader(append(bytes.Repeat(statement, statements), bytes.Repeat(execution, 1000)...)))
		if _, err := io.Copy(io.Discard, m); err != nil {
			t.Fatal(err)
		}
		if m.usual() != usual {
			t.Errorf("%d descriptions of %d bytes are usual: %t", statements, body, m.usual())
		}
	}
}

// TestAServerAsksForOneLoginInAConnection has a server that knows the password, and so can begin another login after each.
func TestAServerAsksForOneLoginInAConnection(t *testing.T) {
	t.Parallel()
	challenge, err := (&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x,s=c2FsdA==,i=4096")}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	final, err := (&pgproto3.AuthenticationSASLFinal{Data: []byte("v=x")}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	login := slices.Concat(challenge, final)
	came, err := io.ReadAll(newMeter(bytes.NewReader(slices.Concat(login, login))))
	if !errors.Is(err, errCostlyLogin) || !bytes.Equal(came, login) {
		t.Errorf("%d bytes came, and %v; want one login", len(came), err)
	}
}
