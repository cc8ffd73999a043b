package outbound_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/outbound"
)

func TestHTTPClient_InflatesNothing(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, err := io.Copy(writer, io.LimitReader(zeros{}, 64<<20))
	must(t, err)
	must(t, writer.Close())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	t.Cleanup(server.Close)
	answer, err := policy(t, "127.0.0.1").HTTPClient().Get(server.URL) //nolint:noctx // it is answered at once
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	n, err := io.Copy(io.Discard, answer.Body)
	must(t, err)
	if n != int64(packed.Len()) {
		t.Errorf("%d bytes became %d", packed.Len(), n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestHTTPClient_RefusesALongHeader(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	}))
	t.Cleanup(server.Close)
	if _, err := get(t, policy(t, "127.0.0.1").HTTPClient(), server.URL); err == nil {
		t.Error("a header of a megabyte was taken")
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	const most = 1000
	for size, fits := range map[int]bool{0: true, most - 1: true, most: true, most + 1: false, 50 * most: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }))
		t.Cleanup(server.Close)
		client := policy(t, "127.0.0.1").HTTPClient()
		client.Transport = outbound.Bounded(client.Transport, most)
		answer, err := client.Get(server.URL) //nolint:noctx // it is answered at once
		must(t, err)
		content, err := io.ReadAll(answer.Body)
		var much *outbound.AnswerTooLargeError
		if errors.As(err, &much) == fits || len(content) != min(size, most) {
			t.Errorf("of %d bytes came %d: %v", size, len(content), err)
		}
		if _, again := answer.Body.Read(make([]byte, 10)); again == nil {
			t.Error("it goes on after its end")
		}
		must(t, answer.Body.Close())
		client.CloseIdleConnections()
	}
}

// TestHTTPClient_SpeaksNoHTTP2 asks a server that offers it.
func TestHTTPClient_SpeaksNoHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	client := policy.HTTPClient()
	client.Transport.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.ProtoMajor != 1 {
		t.Errorf("it speaks %s", answer.Proto)
	}
}
