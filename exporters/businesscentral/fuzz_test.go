package businesscentral_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/businesscentral"
)

// endOfAnswer separates the answers in an input.
const endOfAnswer = "\n\n\n\n"

// FuzzAnswers finds out that nothing that is answered instead of Business Central, or of the endpoint that gives tokens, makes a
// session panic, hang or take much memory, and that what is accepted comes without an error.
func FuzzAnswers(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
	token := ok + `{"access_token":"t","token_type":"Bearer","expires_in":3600}`
	for _, answers := range []string{
		token, token + endOfAnswer + ok + `{"value":[]}`,
		token + endOfAnswer + ok + `{"value":[{"id":"5d115c9c-44e3-ea11-bb43-000d3a2feca1"}]}` + endOfAnswer + ok + `{"responses":[{"id":"0","status":201,"body":{"id":"l"}},{"id":"1","status":201,"body":{}}]}`,
		token + endOfAnswer + "HTTP/1.1 429 Too Many\r\nRetry-After: 9223372037\r\n\r\n",
		token + endOfAnswer + "HTTP/1.1 401 No\r\n\r\n",
		token + endOfAnswer + "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
		token + endOfAnswer + strings.Join([]string{
			ok + `{"value":[{"id":"5d115c9c-44e3-ea11-bb43-000d3a2feca1"}]}`,
			ok + `{"responses":[{"id":"0","status":200,"body":{"value":[]}},{"id":"1","status":200,"body":{"value":[{"id":"0a077d18-45e3-ea11-bb43-000d3a2feca1"}]}}]}`,
			ok + `{"responses":[{"id":"0","status":200,"body":{"value":[]}}]}`,
			"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n" + `{"id":"b282a6f1-bfe3-ea11-aa60-000d3ad7cacb","parentId":"00000000-0000-0000-0000-000000000000"}`,
			"HTTP/1.1 204 No Content\r\n\r\n",
		}, endOfAnswer),
		"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",
	} {
		f.Add([]byte(answers))
	}
	request := exporters.Request{Voucher: "E/2026/1", ClaimID: "c-1", Body: []byte(`{"voucher":"E/2026/1","lines":[{"amount":1},{"amount":-1}]}`)}
	f.Fuzz(func(t *testing.T, input []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		transport := answering(bytes.Split(input, []byte(endOfAnswer)))
		defer transport.CloseIdleConnections()
		began := time.Now()
		session, err := businesscentral.New().Open(ctx, exporters.Batch{
			RunID: "r", Run: "monthly-1", HTTPClient: &http.Client{Transport: transport},
			Options:     []byte(`{"tenantID":"t","companyID":"5d115c9c-44e3-ea11-bb43-000d3a2feca1","post":true}`),
			Credentials: map[string][]byte{"clientID": []byte("id"), "clientSecret": []byte("hunter2")},
		})
		if err != nil {
			t.Fatal(err)
		}
		answers, err := session.Send(ctx, []exporters.Request{request})
		if err == nil && len(answers) != 1 || err != nil && len(answers) > 0 && answers[0].Verdict == exporters.Accepted {
			t.Errorf("%+v, %v", answers, err)
		}
		if found, err := session.LookUp(ctx, []exporters.Request{request}); err == nil && len(found) != 1 {
			t.Errorf("%+v", found)
		}
		_ = session.Finish(ctx, request)
		_ = session.(exporters.Attacher).Attach(ctx, []exporters.Attachment{{
			Voucher: request, Name: "E-2026-1-1.pdf", Size: 7, Content: func() io.Reader { return strings.NewReader("receipt") },
		}})
		runtime.ReadMemStats(&after)
		if took, made := time.Since(began), (after.TotalAlloc-before.TotalAlloc)>>20; took > 10*time.Second || made > 200 {
			t.Errorf("it took %s and made %d MiB", took, made)
		}
	})
}

// answering answers one connection after another with what it is given, whatever is asked, and encrypts nothing.
func answering(answers [][]byte) *http.Transport {
	var asked atomic.Int32
	dial := func(context.Context, string, string) (net.Conn, error) {
		next := int(asked.Add(1)) - 1
		if next >= len(answers) {
			return nil, errors.New("nobody is there")
		}
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			request, err := http.ReadRequest(bufio.NewReader(server))
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, request.Body); err == nil {
				_, _ = server.Write(answers[next])
			}
		}()
		return client, nil
	}
	return &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true, DisableCompression: true}
}
