// Package tests3 gives each test a bucket of its own on a real S3 server.
package tests3

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// Names of the environment variables that describe a server to use.
const (
	endpointVariable  = "LEDGERPORT_TEST_S3_ENDPOINT"
	accessKeyVariable = "LEDGERPORT_TEST_S3_ACCESS_KEY"
	secretKeyVariable = "LEDGERPORT_TEST_S3_SECRET_KEY" // #nosec G101 -- a name
)

// Bucket is an empty bucket on a server.
type Bucket struct {
	Name, Endpoint, Region, AccessKey, SecretKey string
}

// Variables describe a server to tests that run in other processes.
func Variables(server *environment.S3) []string {
	return []string{
		endpointVariable + "=" + server.Endpoint, accessKeyVariable + "=" + server.AccessKey, secretKeyVariable + "=" + server.SecretKey,
	}
}

// server is the one that the environment names, or one started once and ended with the process.
var server = sync.OnceValues(func() (Bucket, error) {
	named := Bucket{
		Region: "us-east-1", Endpoint: os.Getenv(endpointVariable),
		AccessKey: os.Getenv(accessKeyVariable), SecretKey: os.Getenv(secretKeyVariable),
	}
	if named.Endpoint != "" {
		return named, nil
	}
	directory, err := os.MkdirTemp("", "ledgerport-tests3-")
	if err != nil {
		return named, err
	}
	started, err := environment.StartS3(context.Background(), directory, os.Stderr)
	if err != nil {
		return named, errors.Join(err, os.RemoveAll(directory))
	}
	named.Endpoint, named.AccessKey, named.SecretKey = started.Endpoint, started.AccessKey, started.SecretKey
	return named, nil
})

// New makes a bucket. It stays until its server ends; when the test ends its objects are looked through for secrets.
func New(t testing.TB) Bucket {
	t.Helper()
	bucket, err := server()
	if err != nil {
		t.Fatal(err)
	}
	bucket.Name = "test-" + strings.ToLower(rand.Text())
	if _, err := bucket.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket.Name}); err != nil {
		t.Fatal(err)
	}
	leaks.AtEnd(t, func(ctx context.Context, scan *leaks.Scan) error {
		return scan.Bucket(ctx, bucket.Client(), bucket.Name)
	})
	return bucket
}

// Client speaks to the server as a test would that wants to see what is really there.
func (b Bucket) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &b.Endpoint, Region: b.Region, UsePathStyle: true,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(b.AccessKey, b.SecretKey, "")),
	})
}

// Keys of everything in the bucket, in order.
func (b Bucket) Keys(t testing.TB) (keys []string) {
	t.Helper()
	page, err := b.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &b.Name})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range page.Contents {
		keys = append(keys, *object.Key)
	}
	return keys
}
