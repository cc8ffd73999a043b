package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/panics"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// endless is so long that nobody means to read all of it, and bearable where one does.
const endless = 256 << 20

// hostileServer stands for a server of S3 that a tenant has made: it takes everything that is put, has nothing, and answers the
// rest in its own way.
type hostileServer struct {
	sent   atomic.Int64
	answer func(s *hostileServer, w http.ResponseWriter, r *http.Request)
}

// ServeHTTP implements http.Handler.
func (s *hostileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPut, http.MethodDelete:
	case http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	default:
		s.answer(s, w, r)
	}
}

// goOn repeats a text until nobody listens any more.
func (s *hostileServer) goOn(w http.ResponseWriter, text string) {
	text = strings.Repeat(text, 1+(64<<10)/len(text))
	for range endless / len(text) {
		n, err := w.Write([]byte(text))
		s.sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// TestAServerOfATenantDoesNoHarm has servers that answer for ever, with what a terminal obeys, and with a way to the metadata
// service.
func TestAServerOfATenantDoesNoHarm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer func(s *hostileServer, w http.ResponseWriter, r *http.Request)
		reason v1alpha1.Reason
	}{
		{"an error without an end", func(s *hostileServer, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			s.goOn(w, "x")
		}, v1alpha1.ReasonDestinationUnreachable},
		{"an object without an end", func(s *hostileServer, w http.ResponseWriter, _ *http.Request) { s.goOn(w, "x") }, v1alpha1.ReasonNotWritable},
		{"a list without an end", func(s *hostileServer, w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("list-type") == "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_, _ = fmt.Fprint(w, "<ListBucketResult>")
			s.goOn(w, "<Contents><Key>x</Key></Contents>")
		}, v1alpha1.ReasonDestinationUnreachable},
		{"a code of a megabyte", func(_ *hostileServer, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, errorBody(strings.Repeat("x", 1<<20)))
		}, v1alpha1.ReasonNotWritable},
		{"a code that a terminal obeys", func(_ *hostileServer, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprint(w, errorBody("\u009b31mRED hunter2"))
		}, v1alpha1.ReasonNotWritable},
		{"a way to the metadata service", func(_ *hostileServer, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/iam/security-credentials/", http.StatusTemporaryRedirect)
		}, v1alpha1.ReasonBucketNotFound},
		{"a way round in a circle", func(_ *hostileServer, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		}, v1alpha1.ReasonBucketNotFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hostile := &hostileServer{answer: test.answer}
			server := httptest.NewServer(hostile)
			t.Cleanup(server.Close)
			d := openAt(t, server.URL)
			_, missing := d.Stat(t.Context(), key)
			for i, err := range []error{check(t.Context(), d), missing} {
				var failed *failure.Error
				if i == 0 {
					expectFailure(t, err, test.reason)
				}
				if errors.As(err, &failed) && (len(failed.Message) > 500 || strings.ContainsFunc(failed.Message, unicode.IsControl) || strings.Contains(failed.Message, "hunter2")) {
					t.Errorf("the message is %.600q", failed.Message)
				}
			}
			if n := hostile.sent.Load(); n >= endless {
				t.Errorf("%d bytes were read", n)
			}
		})
	}
}

// TestAListingWithoutAnEndIsLeft has pages of nothing, each with another one behind it.
func TestAListingWithoutAnEndIsLeft(t *testing.T) {
	t.Parallel()
	var pages atomic.Int64
	server := httptest.NewServer(&hostileServer{answer: func(_ *hostileServer, w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("list-type") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, errorBody("NoSuchKey"))
			return
		}
		next := pages.Add(1)
		_, _ = fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>%d</NextContinuationToken></ListBucketResult>", next < 5000, next)
	}})
	t.Cleanup(server.Close)
	d := openAt(t, server.URL)
	_ = check(t.Context(), d)
	_, missing := d.Stat(t.Context(), key)
	if n := pages.Load(); n == 0 || n > 200 || !errors.Is(missing, destinations.ErrNotFound) {
		t.Errorf("%d pages were asked for, and of an object it says %v", n, missing)
	}
}

// TestAServerThatLeavesOutWhatIsTakenForGrantedDoesNotEndTheProcess has answers that are well, and empty: to a listing, and to the
// beginning of a large upload, which the client library reads in a goroutine of its own.
func TestAServerThatLeavesOutWhatIsTakenForGrantedDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&hostileServer{answer: func(_ *hostileServer, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			_, _ = fmt.Fprint(w, "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>")
		case r.URL.Query().Has("list-type"):
			_, _ = fmt.Fprint(w, "<ListBucketResult><Contents></Contents></ListBucketResult>")
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, errorBody("NoSuchKey"))
		}
	}})
	t.Cleanup(server.Close)
	d := openAt(t, server.URL)
	large := strings.Repeat("x", 17<<20)
	expectFailure(t, d.Put(t.Context(), key, describe(large), strings.NewReader(large)), v1alpha1.ReasonNotWritable)
	if _, err := d.Stat(t.Context(), key); !errors.Is(err, destinations.ErrNotFound) {
		t.Errorf("of an object that is not there it says %v", err)
	}
	_ = check(t.Context(), d) // whatever it says
}

// TestContentThatPanicsEndsItsCallAlone has content that is read in a goroutine of a client library.
func TestContentThatPanicsEndsItsCallAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&hostileServer{answer: func(_ *hostileServer, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }})
	t.Cleanup(server.Close)
	err := openAt(t, server.URL).Put(t.Context(), key, describe("x"), callReader(func() { panic("of a row of a database") }))
	var fault *panics.Error
	if !errors.As(err, &fault) {
		t.Errorf("it ended with %v", err)
	}
}

// TestABucketWithAnAccessKeyTakesNothingFromTheOperator has an identity, endpoints and a proxy wherever the client library looks
// for them. It is alone, because it changes the environment.
func TestABucketWithAnAccessKeyTakesNothingFromTheOperator(t *testing.T) {
	bucket := tests3.New(t) // before its server loses the environment
	var reached atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(trap.Close)
	home := t.TempDir()
	must(t, os.Mkdir(filepath.Join(home, ".aws"), 0o700))
	must(t, os.WriteFile(filepath.Join(home, ".aws", "config"), []byte("[default]\nendpoint_url = "+trap.URL+"\nca_bundle = /missing\nrole_arn = arn:aws:iam::1:role/operator\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(home, ".aws", "credentials"), []byte("[default]\naws_access_key_id = operator\naws_secret_access_key = hunter2\n"), 0o600))
	for name, value := range map[string]string{
		"HOME": home, "AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "hunter2",
		"AWS_ENDPOINT_URL": trap.URL, "AWS_ENDPOINT_URL_S3": trap.URL, "AWS_EC2_METADATA_SERVICE_ENDPOINT": trap.URL, "AWS_CONTAINER_CREDENTIALS_FULL_URI": trap.URL,
		"AWS_PROFILE": "missing", "AWS_CA_BUNDLE": "/missing", "AWS_REGION": "operators-region", "AWS_ROLE_ARN": "arn:aws:iam::1:role/operator", "AWS_WEB_IDENTITY_TOKEN_FILE": "/missing",
	} {
		t.Setenv(name, value)
	}
	if err := check(t.Context(), open(t, s3Spec(bucket), keysOf(bucket))); err != nil {
		t.Errorf("the bucket's own access key does not do: %v", err)
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("what the operator's environment names was reached %d times", n)
	}
}

// TestABucketIsReachedWithoutAProxy asks in a process of its own, because a process looks at its proxies once.
func TestABucketIsReachedWithoutAProxy(t *testing.T) {
	t.Parallel()
	if os.Getenv("HTTP_PROXY") != "" {
		for _, endpoint := range []string{"http://no-such-host.invalid", "https://no-such-host.invalid"} {
			expectFailure(t, check(t.Context(), openAt(t, endpoint)), v1alpha1.ReasonDestinationUnreachable)
		}
		return
	}
	var reached atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(proxy.Close)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1") // #nosec G204 G702 -- the test itself
	command.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "ALL_PROXY="+proxy.URL, "NO_PROXY=")
	if output, err := command.CombinedOutput(); err != nil || reached.Load() > 0 {
		t.Errorf("the proxy was reached %d times: %v\n%s", reached.Load(), err, output)
	}
}
