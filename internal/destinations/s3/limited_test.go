package s3_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// refusing stands before a bucket and refuses some requests, as the policy of an access key does.
func refusing(t *testing.T, bucket tests3.Bucket, code string, refuse func(*http.Request) bool) v1alpha1.ExportDestinationSpec {
	t.Helper()
	endpoint, err := url.Parse(bucket.Endpoint)
	must(t, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(endpoint)
		r.Out.Host = r.In.Host // which the signature covers
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !refuse(r) {
			forward.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // or the connection may end before the answer is read
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(errorBody(code)))
	}))
	t.Cleanup(proxy.Close)
	spec := s3Spec(bucket)
	spec.S3.Endpoint = proxy.URL
	return spec
}

func removals(r *http.Request) bool {
	return r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId")
}

func markers(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/"+markerName) }

// TestABucketWithoutTheRightToRemoveWorks leaves nothing with its checks, and says that what is removed stays.
func TestABucketWithoutTheRightToRemoveWorks(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	spec := refusing(t, bucket, "AccessDenied", removals)
	d := open(t, spec, keysOf(bucket))
	for range 2 {
		checked, err := d.Check(t.Context(), "acme/monthly")
		if err != nil || len(checked.Notes) != 1 || !strings.Contains(checked.Notes[0], "s3:DeleteObject") {
			t.Errorf("the check ended with %+v (%v)", checked, err)
		}
	}
	if keys := bucket.Keys(t); !slices.Equal(keys, []string{"books/" + markerName}) {
		t.Errorf("the checks left %q", keys)
	}
	must(t, d.Put(t.Context(), key, describe("content"), strings.NewReader("content")))
	expectFailure(t, d.Remove(t.Context(), key, describe("content")), v1alpha1.ReasonNotRemovable)
	must(t, d.Remove(t.Context(), key+".absent", describe("content")))

	spec.Retention.Artifacts = v1alpha1.DeleteArtifacts
	_, err := open(t, spec, keysOf(bucket)).Check(t.Context(), "")
	expectFailure(t, err, v1alpha1.ReasonNotRemovable)
}

// TestRightsThatARunNeedsAreNamed takes each of them from the access key.
func TestRightsThatARunNeedsAreNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code   string
		refuse func(*http.Request) bool
		says   string
	}{
		"listing": {"AccessDenied", func(r *http.Request) bool {
			return r.URL.Query().Has("list-type") || r.Method == http.MethodHead
		}, "s3:ListBucket"},
		"writing":                       {"AccessDenied", func(r *http.Request) bool { return r.Method == http.MethodPut }, "PutObject"},
		"writing where the marker is":   {"AccessDenied", func(r *http.Request) bool { return r.Method == http.MethodPut && !markers(r) }, "PutObject"},
		"the key that it encrypts with": {"KMS.DisabledException", func(r *http.Request) bool { return r.Method == http.MethodPut && !markers(r) }, "kms:GenerateDataKey"},
		"reading":                       {"AccessDenied", func(r *http.Request) bool { return r.Method == http.MethodGet && !r.URL.Query().Has("list-type") }, "GetObject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := tests3.New(t)
			_, err := open(t, refusing(t, bucket, test.code, test.refuse), keysOf(bucket)).Check(t.Context(), "acme/monthly")
			expectFailure(t, err, v1alpha1.ReasonNotWritable)
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q does not name %s", err, test.says)
			}
		})
	}
}

// TestABucketThatTakesNoMarkerIsKnownByItsNameAlone has an access key whose policy knows the keys of artifacts alone.
func TestABucketThatTakesNoMarkerIsKnownByItsNameAlone(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	d := open(t, refusing(t, bucket, "AccessDenied", markers), keysOf(bucket))
	checked, err := d.Check(t.Context(), "acme/monthly")
	if err != nil || checked.Marker != "" || len(checked.Notes) != 1 || !strings.Contains(checked.Notes[0], markerName) {
		t.Errorf("the check ended with %+v (%v)", checked, err)
	}
}

// TestABucketWithObjectLockWorks: each version stays for a day, and the checks make none.
func TestABucketWithObjectLockWorks(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	bucket.Name += "-locked"
	client := bucket.Client()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket.Name, ObjectLockEnabledForBucket: aws.Bool(true)})
	must(t, err)
	_, err = client.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &bucket.Name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}},
	}})
	must(t, err)
	d := open(t, s3Spec(bucket), keysOf(bucket))
	var first destinations.Checked
	for i := range 3 {
		checked, err := d.Check(t.Context(), "acme/monthly")
		must(t, err)
		if i == 0 {
			first = checked
		}
		if checked.Marker == "" || checked.Marker != first.Marker {
			t.Errorf("check %d found the marker %q after %q", i, checked.Marker, first.Marker)
		}
	}
	for key, content := range map[string]string{key: "content", key + ".large": strings.Repeat("x", 20<<20)} {
		must(t, d.Put(t.Context(), key, describe(content), strings.NewReader(content)))
		if found, err := d.Stat(t.Context(), key); err != nil || !found.Same(describe(content)) {
			t.Errorf("found %+v (%v)", found, err)
		}
	}
	if keys := bucket.Keys(t); !slices.Equal(keys, []string{"books/" + markerName, "books/" + key, "books/" + key + ".large"}) {
		t.Errorf("the bucket has %q", keys)
	}
}

// TestUploadsHaveTheChecksumThatObjectLockDemands stands before a server that does not demand it.
func TestUploadsHaveTheChecksumThatObjectLockDemands(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	spec := refusing(t, bucket, "InvalidRequest", func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.Header.Get("Content-Md5") == ""
	})
	d := open(t, spec, keysOf(bucket))
	must(t, check(t.Context(), d))
	for _, size := range []int{1, 20 << 20} {
		content := strings.Repeat("x", size)
		must(t, d.Put(t.Context(), key, describe(content), strings.NewReader(content)))
	}
}

func TestABucketWithoutTLSIsRefusedUnlessAnAdministratorAllowsIt(t *testing.T) {
	t.Parallel()
	for endpoint, refused := range map[string]bool{"http://minio.storage:9000": true, "HTTP://minio.storage": true, "https://minio.storage:9000": false, "": false} {
		spec := v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: "books", Region: "us-east-1", Endpoint: endpoint}}
		for _, allowed := range []bool{false, true} {
			d, err := tryOpen(t, spec, keys{AccessKeyID: "a", SecretAccessKey: "b"}, allowed)
			if refused && !allowed {
				expectFailure(t, err, v1alpha1.ReasonNotEncrypted)
				continue
			}
			must(t, err)
			must(t, d.Close())
		}
	}
}
