package pages

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/internal/console/identity"
)

// elsewhere is an API server at an address at which nobody listens.
type elsewhere struct{ address string }

// As implements identity.Clusters.
func (e elsewhere) As(context.Context) (*rest.Config, error) {
	return &rest.Config{Host: "https://" + e.address, BearerToken: "the-token-of-somebody"}, nil
}

func TestAnAPIServerThatIsAwayIsSaidOnEveryPage(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	handler := Handler(Options{Clusters: elsewhere{address}, Namespaces: []string{"acme"}, Log: logr.Discard()})
	for _, path := range []string{
		"/namespaces/acme", "/namespaces/acme/exports/monthly", "/namespaces/acme/runs/october", "/namespaces/acme/exports/monthly/held", "/namespaces/acme/audit",
		"/namespaces/acme/runs/october/voucher?number=E%2F2026%2F1", "/namespaces/acme/runs/october/files/october.csv", "/namespaces/acme/exports/monthly/request/export",
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		request.Header.Set("Accept-Language", "de")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request.WithContext(identity.With(request.Context(), identity.Caller{Name: "anna", Session: true})))
		text := answer.Body.String()
		if answer.Code != http.StatusServiceUnavailable || !strings.Contains(text, newLocale("de", "DE").T("refusal.away")) {
			t.Errorf("%s: %d %.600s", path, answer.Code, text)
		}
		if strings.Contains(text, address) || strings.Contains(text, "the-token-of-somebody") || strings.Contains(text, "refused") {
			t.Errorf("%s says where the API server is, or more: %s", path, text)
		}
	}
}
