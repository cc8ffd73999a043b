package s3_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
)

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
		conformance.TestHarmless(t, openAt(t, "http://"+listener.Addr().String()))
	})
}
