package s3_test

import (
	"net"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/test/tests3"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Test(t, s3.New(s3.Settings{}), onS3)
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, onS3(t)) }

// What the tests call.
var (
	check         = conformance.Check
	describe      = conformance.Describe
	expectFailure = conformance.CheckFailure
)

const key, markerName = conformance.Key, destinations.MarkerName

type callReader = conformance.CallReader

func onS3(t *testing.T) conformance.Subject {
	bucket := tests3.New(t)
	return conformance.Subject{Destination: open(t, s3Spec(bucket), keysOf(bucket)), Listing: func() []string {
		var keys []string
		for _, key := range bucket.Keys(t) {
			keys = append(keys, strings.TrimPrefix(key, "books/"))
		}
		uploads, err := bucket.Client().ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &bucket.Name})
		if err != nil {
			t.Fatal(err)
		}
		for _, upload := range uploads.Uploads {
			keys = append(keys, "unfinished upload of "+*upload.Key)
		}
		return keys
	}}
}

func s3Spec(bucket tests3.Bucket) v1alpha1.ExportDestinationSpec {
	return v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: bucket.Endpoint, ForcePathStyle: true, Prefix: "books",
	}}
}

// keys are an access key. Without an id the bucket names none.
type keys struct{ AccessKeyID, SecretAccessKey string }

func keysOf(bucket tests3.Bucket) keys {
	return keys{AccessKeyID: bucket.AccessKey, SecretAccessKey: bucket.SecretKey}
}

func open(t *testing.T, spec v1alpha1.ExportDestinationSpec, given keys) destinations.Destination {
	t.Helper()
	spec, login := withSecret(spec, given)
	return conformance.Open(t, s3.New(s3.Settings{AllowPlainHTTP: true}), spec, login)
}

// tryOpen opens a bucket that may be refused.
func tryOpen(t *testing.T, spec v1alpha1.ExportDestinationSpec, given keys, plainHTTP bool) (destinations.Destination, error) {
	t.Helper()
	spec, login := withSecret(spec, given)
	return conformance.TryOpen(t, s3.New(s3.Settings{AllowPlainHTTP: plainHTTP}), spec, login, conformance.Policy(t))
}

// withSecret names a Secret in a spec, and returns what it holds.
func withSecret(spec v1alpha1.ExportDestinationSpec, given keys) (v1alpha1.ExportDestinationSpec, map[string][]byte) {
	if given.AccessKeyID == "" {
		return spec, nil
	}
	bucket := *spec.S3
	bucket.CredentialsSecretRef = &v1alpha1.S3Credentials{S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "id", SecretAccessKeyKey: "secret"}}
	spec.S3 = &bucket
	return spec, map[string][]byte{"id": []byte(given.AccessKeyID), "secret": []byte(given.SecretAccessKey)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func acceptAll(listener net.Listener, serve func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return // the test has ended
		}
		go serve(connection)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	bucket := tests3.New(t)
	spec, login := withSecret(s3Spec(bucket), keysOf(bucket))
	conformance.TestStore(t, s3.New(s3.Settings{AllowPlainHTTP: true}), spec, login)
}
