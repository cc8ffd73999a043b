package destinations_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// harmlessly calls everything of a destination, and insists that it ends, and takes little.
func harmlessly(t *testing.T, d destinations.Destination) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := d.Check(ctx, "acme/monthly"); return err },
		func(ctx context.Context) error { return d.Put(ctx, key, describe("x"), strings.NewReader("x")) },
		func(ctx context.Context) error { _, err := d.Stat(ctx, key); return err },
		func(ctx context.Context) error { return d.Remove(ctx, key, describe("x")) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = call(ctx)
		cancel()
	}
	runtime.ReadMemStats(&after)
	if took, made := time.Since(began), (after.TotalAlloc-before.TotalAlloc)>>20; took > 30*time.Second || made > 500 {
		t.Errorf("it took %s and made %d MiB", took, made)
	}
}

// FuzzS3Answers finds out that nothing that a server of S3 answers makes a destination panic, hang or take much memory.
func FuzzS3Answers(f *testing.F) {
	const head = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	for _, answer := range []string{
		head + "\r\n", head + "Content-Length: 1\r\nX-Amz-Meta-Ledgerport-Sha256: 00\r\n\r\nx",
		head + "\r\n<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken><Contents><Key>x</Key></Contents></ListBucketResult>",
		"HTTP/1.1 403 No\r\nConnection: close\r\n\r\n<Error><Code>AccessDenied</Code></Error>",
		"HTTP/1.1 404 No\r\nConnection: close\r\n\r\n", "HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	} {
		f.Add([]byte(answer + "\n\n\n\n" + answer))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		answers := bytes.Split(input, []byte("\n\n\n\n"))
		var asked atomic.Int32
		listener := listen(t)
		go acceptAll(listener, func(connection net.Conn) {
			request, err := http.ReadRequest(bufio.NewReader(connection))
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, request.Body); err == nil {
				_, _ = connection.Write(answers[int(asked.Add(1)-1)%len(answers)])
			}
			_ = connection.Close()
		})
		harmlessly(t, openAt(t, "http://"+listener.Addr().String()))
	})
}

// FuzzSFTPPackets finds out the same of what an SFTP server answers to one request after another: a type, a length and a body each.
func FuzzSFTPPackets(f *testing.F) {
	status, handle := "\x65\x04\x00\x00\x00\x00", "\x66\x05\x00\x00\x00\x01h"
	f.Add([]byte(status + handle))
	f.Add([]byte("\x69\x08\x00\x00\x00\x04\x00\x00\x41\xed" + handle + status))
	f.Add([]byte("\x68\x04\x00\xff\xff\xff"))
	f.Add([]byte("\x67\x08\x00\x00\x00\x04data" + status))
	f.Fuzz(func(t *testing.T, input []byte) {
		spec := serveSFTP(t, &ssh.ServerConfig{NoClientAuth: true}, func(channel ssh.Channel) { answerPackets(channel, input) })
		harmlessly(t, open(t, spec, destinations.Keys{SFTP: destinations.SFTPKeys{Password: []byte("hunter2")}}, ""))
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
