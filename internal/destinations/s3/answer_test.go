package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestAnAnswerOfManyElementsIsNotReadToItsEnd measures what is allocated, so that it is not parallel.
func TestAnAnswerOfManyElementsIsNotReadToItsEnd(t *testing.T) { //nolint:paralleltest // see above
	const length, most = 2<<20 - 200, 40 << 20
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"elements within each other": {http.StatusOK, "<ListBucketResult>" + strings.Repeat("<a>", length/3)},
		"attributes":                 {http.StatusOK, "<ListBucketResult " + strings.Repeat(`a="" `, length/5) + "></ListBucketResult>"},
		"objects":                    {http.StatusOK, "<ListBucketResult>" + strings.Repeat("<Contents/>", length/11) + "</ListBucketResult>"},
		"attributes of an error":     {http.StatusNotFound, "<Error " + strings.Repeat(`a="" `, length/5) + "></Error>"},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := listed(t, test.status, test.body)
			runtime.ReadMemStats(&after)
			if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || allocated > most {
				t.Errorf("%d MiB were allocated (%.100v)", allocated>>20, err)
			}
		})
	}
}

func TestTheLargestListingIsRead(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	body.WriteString(`<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated>`)
	for i := range 1000 {
		_, _ = fmt.Fprintf(&body, "<Contents><Key>%04d%s</Key><LastModified>2026-11-29T00:00:00Z</LastModified><ETag>&quot;a&quot;</ETag><Size>1</Size>"+
			"<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><StorageClass>STANDARD</StorageClass>"+
			"<Owner><ID>a</ID><DisplayName>b</DisplayName></Owner><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>", i, strings.Repeat("=", 20))
	}
	body.WriteString("</ListBucketResult>")
	if found, err := listed(t, http.StatusOK, body.String()); err != nil || len(found.Contents) != 1000 {
		t.Errorf("%d objects are listed (%v)", len(found.Contents), err)
	}
}

func listed(t *testing.T, status int, body string) (*s3.ListObjectsV2Output, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // until nobody reads
	}))
	t.Cleanup(server.Close)
	settings := aws.Config{Region: "x", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: boundedAnswers{http.DefaultClient}}
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.UsePathStyle, o.BaseEndpoint, o.RetryMaxAttempts = true, aws.String(server.URL), 1
	})
	return client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")})
}
