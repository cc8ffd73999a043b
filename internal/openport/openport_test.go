package openport_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/ledgerport/ledgerport/internal/openport"
)

// serve serves a word at an address of this machine, and returns it.
func serve(t *testing.T) string {
	t.Helper()
	listener, err := openport.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := openport.Server(t.Context(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), logr.Discard())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// from is a client at another address of this machine than the tests' own connections.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func ask(t *testing.T, client *http.Client, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatalf("somebody else: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if content, err := io.ReadAll(answer.Body); err != nil || string(content) != "ok" {
		t.Fatalf("somebody else is answered %q, %v", content, err)
	}
}

// TestConnectionsThatNeverAskTakeNoMemory has one address open a thousand connections, and send a header of half a megabyte on each that does
// not end. All that the process holds of them is bounded, and somebody else is answered.
func TestConnectionsThatNeverAskTakeNoMemory(t *testing.T) { //nolint:paralleltest // it measures memory
	address := serve(t)
	other := from(t, "127.0.0.2")
	ask(t, other, address)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	header := "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 512<<10)
	for range 1000 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, header) // most are cut off meanwhile
	}
	ask(t, other, address) // on a connection that was open before
	other.CloseIdleConnections()
	ask(t, other, address) // and on one more
	runtime.GC()
	runtime.ReadMemStats(&during)
	if more := int64(during.HeapInuse) - int64(before.HeapInuse); more > 16<<20 {
		t.Errorf("they take %d MiB", more>>20)
	}
}

func TestAHeaderIsBounded(t *testing.T) {
	t.Parallel()
	address := serve(t)
	for size, want := range map[int]int{15 << 10: http.StatusOK, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.Repeat("a", size))
		answer, err := from(t, "127.0.0.1").Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("a header of %d bytes is answered with %s, want %d", size, answer.Status, want)
		}
	}
}

// TestAConnectionGivesItsPlaceBack opens more connections one after the other than there may be at once, and none of another address is ended.
func TestAConnectionGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	address := serve(t)
	kept := from(t, "127.0.0.3")
	ask(t, kept, address)
	for range 200 {
		client := from(t, "127.0.0.1")
		ask(t, client, address)
		client.CloseIdleConnections()
	}
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := kept.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if !reused {
		t.Error("the oldest connection was ended")
	}
}
