package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/closedport"
	"github.com/ledgerport/ledgerport/test/tests3"
)

func TestFaultsOfAnS3ServerAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*testing.T, *v1alpha1.S3Destination, *keys)
		reason string
		says   string
	}{
		{"the bucket does not exist", func(_ *testing.T, s *v1alpha1.S3Destination, _ *keys) { s.Bucket = "nowhere" }, v1alpha1.ReasonBucketNotFound, "correct spec.s3.bucket"},
		{"the access key does not exist", func(_ *testing.T, _ *v1alpha1.S3Destination, k *keys) { k.AccessKeyID = "nobody" }, v1alpha1.ReasonLoginRefused, `does not know the access key's id (XAdminUserNotFound); correct the key "id" of Secret `},
		{"the secret is wrong", func(_ *testing.T, _ *v1alpha1.S3Destination, k *keys) { k.SecretAccessKey = "hunter2" }, v1alpha1.ReasonLoginRefused, `correct the key "secret" of Secret `},
		{"nobody listens", func(t *testing.T, s *v1alpha1.S3Destination, _ *keys) {
			s.Endpoint = "http://" + closedport.New(t).String()
		}, v1alpha1.ReasonDestinationUnreachable, "nothing listens there; correct spec.s3.endpoint"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bucket := tests3.New(t)
			spec, given := s3Spec(bucket), keysOf(bucket)
			test.change(t, spec.S3, &given)
			d := open(t, spec, given)
			checked := check(t.Context(), d)
			expectFailure(t, checked, test.reason)
			if checked != nil && (!strings.Contains(checked.Error(), test.says) || strings.Contains(checked.Error(), "hunter2")) {
				t.Errorf("%q does not say %q", checked, test.says)
			}
			expectFailure(t, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")), test.reason)
			_, err := d.Stat(t.Context(), key)
			if err == nil || errors.Is(err, destinations.ErrNotFound) {
				t.Errorf("Stat says %v, which is not known", err)
			}
		})
	}
}

func TestAnswersOfAnS3ServerAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		reason v1alpha1.Reason
	}{
		{"its disks are full", http.StatusInsufficientStorage, errorBody("XMinioStorageFull"), v1alpha1.ReasonDestinationFull},
		{"its disks are full, says its front", http.StatusInsufficientStorage, "<html>", v1alpha1.ReasonDestinationFull},
		{"a quota is used up", http.StatusForbidden, errorBody("QuotaExceeded"), v1alpha1.ReasonDestinationFull},
		{"the key may not write", http.StatusForbidden, errorBody("AccessDenied"), v1alpha1.ReasonNotWritable},
		{"the token has expired", http.StatusBadRequest, errorBody("ExpiredToken"), v1alpha1.ReasonLoginRefused},
		{"the bucket is in another region", http.StatusMovedPermanently, errorBody("PermanentRedirect"), v1alpha1.ReasonBucketNotFound},
		{"it is overloaded", http.StatusServiceUnavailable, errorBody("SlowDown"), v1alpha1.ReasonDestinationUnreachable},
		{"its code is not known here", http.StatusConflict, errorBody("OperationAborted"), v1alpha1.ReasonNotWritable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			t.Cleanup(server.Close)
			d := openAt(t, server.URL)
			expectFailure(t, check(t.Context(), d), test.reason)
			expectFailure(t, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")), test.reason)
		})
	}
}

func errorBody(code string) string {
	return "<Error><Code>" + code + "</Code><Message>hunter2</Message></Error>"
}

func TestTheWayToAnS3ServerIsNamedWhereItIsWrong(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, test := range []struct{ name, endpoint, says string }{
		{"a certificate that nobody signed", secure.URL, "certificate"},
		{"HTTPS to a server of HTTP", strings.Replace(plain.URL, "http:", "https:", 1), "speaks HTTP"},
		{"a server that is not S3", plain.URL, "spec.s3.endpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := check(t.Context(), openAt(t, test.endpoint))
			expectFailure(t, err, v1alpha1.ReasonDestinationUnreachable)
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not mention %q", err, test.says)
			}
		})
	}
}

// TestAnOperatorWithoutIdentityIsTold is alone because it changes the environment.
func TestAnOperatorWithoutIdentityIsTold(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("HOME", t.TempDir())
	d := open(t, v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: "books", Region: "us-east-1", Endpoint: "http://127.0.0.1:9"}}, keys{})
	expectFailure(t, check(t.Context(), d), v1alpha1.ReasonLoginRefused)
}

// TestAServerThatKnowsNoTrailersIsSentNone stands a proxy before the server that refuses what older servers refuse.
func TestAServerThatKnowsNoTrailersIsSentNone(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(endpoint)
		r.Out.Host = r.In.Host // which the signature covers
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Trailer") != "" || r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" {
			t.Errorf("%s %s has a checksum that not every server knows", r.Method, r.URL.Path)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	spec := s3Spec(bucket)
	spec.S3.Endpoint = proxy.URL
	d := open(t, spec, keysOf(bucket))
	if err := check(t.Context(), d); err != nil {
		t.Error(err)
	}
	for _, size := range []int{1, 10 << 20} {
		content := strings.Repeat("x", size)
		if err := d.Put(t.Context(), key, describe(content), strings.NewReader(content)); err != nil {
			t.Error(err)
		}
	}
}

// TestACheckRemovesWhatADeadOneLeft stands a proxy before the server in which every object is a year older.
func TestACheckRemovesWhatADeadOneLeft(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	lastModified := regexp.MustCompile(`<LastModified>\d{4}`)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(endpoint)
			r.Out.Host = r.In.Host // which the signature covers
		},
		ModifyResponse: func(r *http.Response) error {
			content, err := io.ReadAll(r.Body)
			content = lastModified.ReplaceAll(content, []byte("<LastModified>2001"))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
			r.Header.Set("Content-Length", strconv.Itoa(len(content)))
			return err
		},
	})
	t.Cleanup(proxy.Close)
	leave := func(name string) {
		_, err := bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket.Name, Key: &name, Body: strings.NewReader("x")})
		if err != nil {
			t.Fatal(err)
		}
	}
	leave("books/.ledgerport-probe-OLD")
	leave("books/a.csv")
	young, old := s3Spec(bucket), s3Spec(bucket)
	old.S3.Endpoint = proxy.URL
	for _, looked := range []struct {
		spec v1alpha1.ExportDestinationSpec
		left []string
	}{{young, []string{"books/.ledgerport-destination", "books/.ledgerport-probe-OLD", "books/a.csv"}}, {old, []string{"books/.ledgerport-destination", "books/a.csv"}}} {
		if err := check(t.Context(), open(t, looked.spec, keysOf(bucket))); err != nil {
			t.Fatal(err)
		}
		if left := bucket.Keys(t); !slices.Equal(left, looked.left) {
			t.Errorf("the bucket has %q, want %q", left, looked.left)
		}
	}
}

// openAt opens a bucket at an endpoint where none needs to be.
func openAt(t *testing.T, endpoint string) destinations.Destination {
	t.Helper()
	return open(t, s3Spec(tests3.Bucket{Name: "books", Region: "us-east-1", Endpoint: endpoint}), keys{AccessKeyID: "a", SecretAccessKey: "hunter2"})
}

func TestAServerThatNeverAnswersIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	d := openAt(t, "http://"+listen(t).Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := check(ctx, d)
	expectFailure(t, err, v1alpha1.ReasonDestinationUnreachable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not the context's error", err)
	}
}

// TestTheMediaTypeOfAReceiptIsAHeader puts receipts with media types as browsers and their users send them.
func TestTheMediaTypeOfAReceiptIsAHeader(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	d := open(t, s3Spec(bucket), keysOf(bucket))
	for _, media := range []string{"application/pdf", "a\nb", "application/pdf\n", "image/jpeg\x00", "é", "image/\u20ac", "-1/a", strings.Repeat("x", 127), strings.Repeat("x", 9000), strings.Repeat("x", 60000), "application/pdf; name=" + strings.Repeat("x", 9000)} {
		receipt := ledger.Receipt{MediaType: media}
		receipt.Bound()
		object := describe("x")
		object.MediaType = receipt.MediaType
		if err := d.Put(t.Context(), key, object, strings.NewReader("x")); err != nil {
			t.Errorf("%.20q: %v", media, err)
		}
	}
}
