package submission

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// TestTimeoutOfAnAccountingSystem causes every timeout of net/http: errors.Is finds context.DeadlineExceeded in most of them,
// though the attempt has time left.
func TestTimeoutOfAnAccountingSystem(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-never }))
	halfway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-never
	}))
	plain, err := net.Listen("tcp", "127.0.0.1:0") // completes no TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(never); silent.Close(); halfway.Close(); _ = plain.Close() })
	const soon = 20 * time.Millisecond
	get := func(client *http.Client, url string) error {
		response, err := client.Get(url)
		if err == nil {
			_, err = response.Body.Read(make([]byte, 1))
			_ = response.Body.Close()
		}
		return err
	}
	dialing := &http.Transport{DialContext: (&net.Dialer{Timeout: 1}).DialContext}
	waiting := &http.Transport{ResponseHeaderTimeout: soon}
	handshake := &http.Transport{TLSHandshakeTimeout: soon}
	for name, cause := range map[string]error{
		"dial":          get(&http.Client{Transport: dialing}, silent.URL),
		"TLS handshake": get(&http.Client{Transport: handshake}, "https://"+plain.Addr().String()),
		"header":        get(&http.Client{Transport: waiting}, silent.URL),
		"body":          get(&http.Client{Timeout: soon}, halfway.URL),
		"token": func() error {
			config := clientcredentials.Config{TokenURL: silent.URL}
			_, err := config.Token(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: waiting}))
			return err
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if cause == nil {
				t.Fatal("there was no timeout")
			}
			system := System{Exporter: "csv"}
			for want, err := range map[v1alpha1.Reason]error{
				v1alpha1.ReasonSystemTimeout:  &exporters.SystemError{Problem: exporters.Unreachable, Cause: cause, Message: "no answer"},
				v1alpha1.ReasonOutcomeUnknown: &exporters.SystemError{Problem: exporters.OutcomeUnknown, Cause: cause, Message: "no answer"},
			} {
				if got := failure.From(system.Failure(t.Context(), err)); got.Reason != want || got.Stalled {
					t.Errorf("%v is %s, want %s", cause, got.Reason, want)
				}
			}
			if got := failure.From(system.Failure(t.Context(), cause)); got.Reason != v1alpha1.ReasonSystemTimeout {
				t.Errorf("%v of an exporter that does not classify it is %s", cause, got.Reason)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := system.Failure(ended, cause); !errors.Is(err, cause) {
				t.Errorf("at the end of the attempt it is %v", err)
			}
		})
	}
}
