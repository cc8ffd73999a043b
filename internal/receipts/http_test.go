package receipts_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/receipts"
)

const token = "a-token-of-a-test"

// serve has one receipt, and answers to other paths as their names say.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.EscapedPath(); {
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(http.StatusUnauthorized)
		case path == "/receipts/2026/a%20%3Fb.pdf":
			_, _ = io.WriteString(w, "a receipt")
		case path == "/receipts/without-head" && r.Method == http.MethodHead:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case path == "/receipts/without-head":
			_, _ = io.WriteString(w, "a receipt")
		case path == "/receipts/elsewhere":
			http.Redirect(w, r, "/receipts/2026/a%20%3Fb.pdf", http.StatusFound)
		case path == "/receipts/broken":
			w.WriteHeader(http.StatusBadGateway)
		case !strings.HasPrefix(path, "/receipts/"):
			t.Errorf("%s was asked for, which is not below the URL", path)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func openHTTP(t *testing.T, at, token string, plain bool, hosts ...string) (destinations.Store, error) {
	t.Helper()
	policy, err := outbound.New(hosts)
	if err != nil {
		t.Fatal(err)
	}
	store, err := receipts.OpenHTTP(at, token, plain, policy)
	if err == nil {
		t.Cleanup(func() { _ = store.Close() })
	}
	return store, err
}

func TestReceiptsOfAServerAreBelowItsURL(t *testing.T) {
	t.Parallel()
	server := serve(t)
	store, err := openHTTP(t, server.URL+"/receipts", token, true, "127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	content, err := store.Open(t.Context(), "2026/a ?b.pdf")
	if err != nil {
		t.Fatal(err)
	}
	if read, err := io.ReadAll(content); string(read) != "a receipt" || err != nil {
		t.Errorf("it reads %q (%v)", read, err)
	}
	_ = content.Close()
	for _, key := range []string{"2026/a ?b.pdf", "without-head"} {
		if size, err := store.Size(t.Context(), key); size != int64(len("a receipt")) || err != nil {
			t.Errorf("the size of %s is %d (%v)", key, size, err)
		}
	}
	for _, key := range []string{"2026/other.pdf", "../secrets", "/etc/passwd", "a/../../b", "http://127.0.0.1/x", "a\nb", ""} {
		if _, err := store.Open(t.Context(), key); !errors.Is(err, destinations.ErrNotFound) {
			t.Errorf("the key %q: %v, want that it is not found", key, err)
		}
	}
}

func TestAServerThatReturnsNoReceiptSaysWhy(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for name, test := range map[string]struct {
		key, token, host string
		plain            bool
		reason           v1alpha1.Reason
	}{
		"it leads elsewhere":     {"elsewhere", token, "127.0.0.0/8", true, v1alpha1.ReasonReceiptsUnreadable},
		"it is broken":           {"broken", token, "127.0.0.0/8", true, v1alpha1.ReasonReceiptsUnreadable},
		"it refuses the token":   {"x", "another", "127.0.0.0/8", true, v1alpha1.ReasonLoginRefused},
		"its host is not listed": {"x", token, "*", true, v1alpha1.ReasonHostNotAllowed},
		"nothing is encrypted":   {"x", token, "127.0.0.0/8", false, v1alpha1.ReasonNotEncrypted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := openHTTP(t, server.URL+"/receipts", test.token, test.plain, test.host)
			if err == nil {
				_, err = store.Open(t.Context(), test.key)
			}
			if failed := failure.From(err); failed.Reason != test.reason || strings.Contains(failed.Message, test.token) {
				t.Errorf("%+v, want %s", failed, test.reason)
			}
		})
	}
}

// TestAServerMayRefuseAKeyThatIsNotPlain has servers that look at a key before they look for anything.
func TestAServerMayRefuseAKeyThatIsNotPlain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  int
		key     string
		missing bool
	}{
		"a long element":                {http.StatusBadRequest, strings.Repeat("x", 300), true},
		"an ampersand":                  {http.StatusBadRequest, "2026/Hotel & Restaurant.pdf", true},
		"a plain key":                   {http.StatusBadRequest, "2026/receipt.pdf", false},
		"too long for the server":       {http.StatusRequestHeaderFieldsTooLarge, "2026/receipt.pdf", true},
		"a fault of the server":         {http.StatusInternalServerError, "2026/Hotel & Restaurant.pdf", false},
		"a server that refuses a token": {http.StatusUnauthorized, "2026/Hotel & Restaurant.pdf", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) }))
			t.Cleanup(server.Close)
			store, err := openHTTP(t, server.URL, token, true, "127.0.0.0/8")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Size(t.Context(), test.key); err == nil || errors.Is(err, destinations.ErrNotFound) != test.missing {
				t.Errorf("it is missing: %t (%v)", !test.missing, err)
			}
		})
	}
}
