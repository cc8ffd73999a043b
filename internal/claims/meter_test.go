package claims

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// TestASessionIsNotKeptOnceItHasSeenMuchDescribed has a server describe statements at length: each description is short enough, and the
// library remembers them all.
func TestASessionIsNotKeptOnceItHasSeenMuchDescribed(t *testing.T) {
	t.Parallel()
	const body = 2 << 10
	description := binary.BigEndian.AppendUint32([]byte{'T'}, body+4)
	description = append(description, make([]byte, body)...)
	for statements, usual := range map[int]bool{1: true, mostDescribed / body: true, mostDescribed/body + 1: false} {
		m := newMeter(bytes.NewReader(bytes.Repeat(description, statements)))
		if _, err := io.Copy(io.Discard, m); err != nil {
			t.Fatal(err)
		}
		if m.usual() != usual {
			t.Errorf("%d descriptions of %d bytes are usual: %t", statements, body, m.usual())
		}
	}
}
