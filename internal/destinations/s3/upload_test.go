package s3_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// TestUploadsToAmazonHaveItsChecksum lets the operator's own settings name a server, as those of Amazon's would be. It is alone,
// because it changes the environment.
func TestUploadsToAmazonHaveItsChecksum(t *testing.T) {
	bucket := tests3.New(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": bucket.Endpoint, "AWS_ACCESS_KEY_ID": bucket.AccessKey, "AWS_SECRET_ACCESS_KEY": bucket.SecretKey, "AWS_PROFILE": "", "HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	spec := v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{Bucket: bucket.Name, Region: bucket.Region, ForcePathStyle: true}}
	d := open(t, spec, keys{})
	must(t, check(t.Context(), d))
	for name, size := range map[string]int{"at once": 1 << 10, "in parts": 12 << 20, "in parts of which the last is full": 10 << 20} {
		t.Run(name, func(t *testing.T) {
			content := strings.Repeat("x", size)
			must(t, d.Put(t.Context(), key, describe(content), strings.NewReader(content)))
			key := key
			found, err := bucket.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket.Name, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			must(t, err)
			if found.ChecksumCRC32 == nil || *found.ContentLength != int64(size) {
				t.Errorf("the object has %d bytes and the checksum %v", *found.ContentLength, found.ChecksumCRC32)
			}
		})
	}
}

// TestAnUploadThatFailsIsAborted has each request of an upload in parts refused.
func TestAnUploadThatFailsIsAborted(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("x", 12<<20)
	for name, refuse := range map[string]func(*http.Request) bool{
		"at its beginning":    func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") },
		"at the first part":   func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "1" },
		"at the last part":    func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" },
		"at its completion":   func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
		"and aborting it too": func(r *http.Request) bool { return r.URL.Query().Has("uploadId") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := tests3.New(t)
			var aborted atomic.Int32
			d := open(t, refusing(t, bucket, "AccessDenied", func(r *http.Request) bool {
				if r.Method == http.MethodDelete {
					aborted.Add(1)
				}
				return refuse(r)
			}), keysOf(bucket))
			expectFailure(t, d.Put(t.Context(), key, describe(content), strings.NewReader(content)), v1alpha1.ReasonNotWritable)
			uploads, err := bucket.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket.Name})
			must(t, err)
			if left := len(uploads.Uploads); left != 0 && name != "and aborting it too" || aborted.Load() == 0 && name != "at its beginning" {
				t.Errorf("%d uploads are left, and %d were aborted", left, aborted.Load())
			}
			if keys := bucket.Keys(t); len(keys) > 0 {
				t.Errorf("the bucket has %q", keys)
			}
		})
	}
}
