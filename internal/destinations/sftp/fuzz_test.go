package sftp_test

import (
	"encoding/binary"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
)

// FuzzSFTPPackets finds out that nothing that an SFTP server answers makes a destination panic, hang or take much memory: to one
// request after another a type, a length and a body each.
func FuzzSFTPPackets(f *testing.F) {
	status, handle := "\x65\x04\x00\x00\x00\x00", "\x66\x05\x00\x00\x00\x01h"
	f.Add([]byte(status + handle))
	f.Add([]byte("\x69\x08\x00\x00\x00\x04\x00\x00\x41\xed" + handle + status))
	f.Add([]byte("\x68\x04\x00\xff\xff\xff"))
	f.Add([]byte("\x67\x08\x00\x00\x00\x04data" + status))
	f.Fuzz(func(t *testing.T, input []byte) {
		spec := serveSFTP(t, &ssh.ServerConfig{NoClientAuth: true}, func(channel ssh.Channel) { answerPackets(channel, input) })
		conformance.TestHarmless(t, open(t, spec, keys{Password: []byte("hunter2")}))
	})
}

// answerPackets gives each request the next answer of an input, over and over, under the request's number.
func answerPackets(channel ssh.Channel, input []byte) {
	for rest := input; ; {
		var head [5]byte // length and type
		if _, err := io.ReadFull(channel, head[:]); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(head[:])
		if length < 5 || length > 1<<20 {
			return
		}
		body := make([]byte, length-1)
		if _, err := io.ReadFull(channel, body); err != nil {
			return
		}
		packet := []byte{packetVersion, 0, 0, 0, 3}
		if head[4] != packetInit {
			if len(rest) < 2 {
				rest = input
			}
			if len(rest) < 2 {
				return
			}
			size := min(int(rest[1]), len(rest)-2)
			packet = append(append([]byte{rest[0]}, body[:4]...), rest[2:2+size]...)
			rest = rest[2+size:]
		}
		if _, err := channel.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)); err != nil {
			return
		}
	}
}
