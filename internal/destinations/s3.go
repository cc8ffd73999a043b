package destinations

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

const (
	// hashMetadata is the key of an object's metadata that holds its SHA-256 in hexadecimal.
	hashMetadata = "ledgerport-sha256"
	// uploadPart is the size in bytes of what is sent at a time: the least that S3 allows. Of an object, the first 16 MiB
	// are in memory, because they decide whether it is sent in parts at all, and then two parts. It may have 10,000: 48 GiB.
	uploadPart = 5 << 20
	// largestAnswer bounds an answer that is not an object, in bytes. The largest is a list of 1,000 keys.
	largestAnswer = 2 << 20
	// answerTimeout is how long a server may take to begin its answer.
	answerTimeout = 10 * time.Second
)

// bucket keeps objects in a bucket of a server that speaks the S3 protocol.
type bucket struct {
	blobs  *blob.Bucket
	api    *s3.Client
	client *http.Client
	spec   v1alpha1.S3Destination
	// removes is true where artifacts are to be removed with their runs.
	removes bool
}

func openS3(ctx context.Context, spec v1alpha1.S3Destination, retention v1alpha1.RetentionPolicy, keys S3Keys, policy *outbound.Policy) (*bucket, error) {
	settings, err := s3Settings(ctx, spec.Region, keys)
	if err != nil {
		return nil, failure.Transient(v1alpha1.ReasonInternal, err, "the operator's own AWS settings cannot be read")
	}
	// From here on: the operator's own identity may well come from a metadata service.
	reached := policy.HTTPClient()
	reached.Transport.(*http.Transport).ResponseHeaderTimeout = answerTimeout
	settings.HTTPClient = boundedAnswers{reached}
	settings.Credentials = identity{settings.Credentials}
	if spec.Endpoint != "" {
		// Many servers refuse the trailing checksums that are Amazon's default; the hash is verified here anyway.
		settings.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		settings.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.UsePathStyle = spec.ForcePathStyle
		o.APIOptions = append(o.APIOptions, checkAnswers)
		if spec.Endpoint != "" { // whatever endpoint the operator's own settings name
			o.BaseEndpoint = aws.String(spec.Endpoint)
			o.APIOptions = append(o.APIOptions, addContentMD5)
		}
	})
	blobs, err := s3blob.OpenBucket(ctx, client, spec.Bucket, &s3blob.Options{
		RequestChecksumCalculation: settings.RequestChecksumCalculation, // uploads do not ask the client
	})
	if err != nil {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "the bucket %q cannot be opened", spec.Bucket)
	}
	if spec.Prefix != "" {
		blobs = blob.PrefixedBucket(blobs, spec.Prefix+"/")
	}
	return &bucket{blobs: blobs, api: client, client: reached, spec: spec, removes: retention.Artifacts == v1alpha1.DeleteArtifacts}, nil
}

// addContentMD5 gives every upload the checksum that each server knows, and without which a bucket with Object Lock takes
// nothing. Amazon's gets a newer one.
func addContentMD5(stack *middleware.Stack) error {
	switch stack.ID() {
	case "PutObject", "UploadPart":
		return smithyhttp.AddContentChecksumMiddleware(stack)
	}
	return nil
}

// s3Settings takes nothing from the operator's environment, files and identity for a bucket that has an access key of its own.
func s3Settings(ctx context.Context, region string, keys S3Keys) (aws.Config, error) {
	if keys.AccessKeyID == "" {
		return config.LoadDefaultConfig(ctx, config.WithRegion(region))
	}
	return aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, nil
}

// boundedAnswers ends an answer with an error where it is longer than any that is not an object: the client keeps all of it
// in memory, and who answers is of a tenant's choice.
type boundedAnswers struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c boundedAnswers) Do(request *http.Request) (*http.Response, error) {
	answer, err := c.HTTPClient.Do(request)
	isObject := request.URL.Query().Get("x-id") == "GetObject" && err == nil && answer.StatusCode < http.StatusMultipleChoices
	if err == nil && !isObject {
		answer.Body = http.MaxBytesReader(nil, answer.Body, largestAnswer)
	}
	return answer, err
}

// identity marks errors of finding an access key, which are no answers of the server.
type identity struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (i identity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := i.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &identityError{err}
	}
	return found, nil
}

type identityError struct{ error }

func (e *identityError) Unwrap() error { return e.error }

// Put implements Destination. An object of S3 appears when its upload is completed. Content that ends with an error, be
// it that of a context that has ended, lets the upload be aborted, so that not even invisible parts remain.
func (b *bucket) Put(ctx context.Context, key string, object Object, content io.Reader) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	uploading, cancel := afterGrace(ctx)
	defer cancel()
	verified := newVerifier(contextReader{ctx, content}, object)
	err := b.blobs.Upload(uploading, key, verified, &blob.WriterOptions{
		ContentType: cmp.Or(object.MediaType, "application/octet-stream"), DisableContentTypeDetection: true,
		Metadata:   map[string]string{hashMetadata: object.SHA256},
		BufferSize: uploadPart, MaxConcurrency: 1,
	})
	if verified.err != nil {
		return verified.err
	}
	return b.failure(ctx, err)
}

// Stat implements Destination: the hash is the one that Put recorded, or is made from the content where there is none.
func (b *bucket) Stat(ctx context.Context, key string) (Object, error) {
	if err := ValidateKey(key); err != nil {
		return Object{}, err
	}
	attributes, err := b.blobs.Attributes(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return Object{}, b.notFound(ctx, key)
	}
	if err != nil {
		return Object{}, b.failure(ctx, err)
	}
	object := Object{Size: attributes.Size, SHA256: attributes.Metadata[hashMetadata], MediaType: attributes.ContentType}
	if object.SHA256 != "" {
		return object, nil
	}
	reader, err := b.blobs.NewReader(ctx, key, nil)
	if err != nil {
		return Object{}, b.failure(ctx, err)
	}
	defer func() { _ = reader.Close() }() // only read
	found, err := describe(reader)
	found.MediaType = object.MediaType
	return found, b.failure(ctx, err)
}

// notFound makes sure that it is the object that is missing: the answer to a HEAD request has no room to say that it is
// the bucket, or the access key.
func (b *bucket) notFound(ctx context.Context, key string) error {
	_, err := b.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.spec.Bucket, Prefix: b.whole(key), MaxKeys: aws.Int32(1)})
	if err == nil {
		return ErrNotFound
	}
	return b.failure(ctx, err)
}

// Remove implements Destination. It asks for nothing if the object does not exist: in a bucket with versions that would leave a mark.
func (b *bucket) Remove(ctx context.Context, key string, object Object) error {
	found, err := b.Stat(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || !found.Same(object) {
		return err
	}
	if err = b.remove(ctx, key); refusedToRemove(err) {
		return failure.Transient(v1alpha1.ReasonNotRemovable, err,
			"%s does not let %s be removed: the access key lacks s3:DeleteObject, or a rule of the bucket keeps it", b.where(), key)
	}
	return b.failure(ctx, err)
}

// Location implements Destination.
func (b *bucket) Location(key string) string {
	return (&url.URL{Scheme: "s3", Host: b.spec.Bucket, Path: path.Join("/", b.spec.Prefix, key)}).String()
}

// Close implements Destination.
func (b *bucket) Close() error {
	b.client.CloseIdleConnections()
	return b.blobs.Close()
}
