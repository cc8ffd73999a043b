package s3

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
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

const (
	// hashMetadata is the key of an object's metadata that holds its SHA-256 in hexadecimal.
	hashMetadata = "ledgerport-sha256"
	// answerTimeout is how long a server may take to begin its answer.
	answerTimeout = 10 * time.Second
)

// accessKey is what a bucket is written with. Without an id that is the operator's own identity.
type accessKey struct{ id, secret string }

// bucket keeps objects in a bucket of a server that speaks the S3 protocol.
type bucket struct {
	api    *s3.Client
	client *http.Client
	spec   v1alpha1.S3Destination
	// checksum that parts are sent with; empty for servers that may not know it.
	checksum types.ChecksumAlgorithm
	// removes is true where artifacts are to be removed with their runs.
	removes bool
}

func open(ctx context.Context, spec v1alpha1.S3Destination, retention v1alpha1.RetentionPolicy, key accessKey, policy *outbound.Policy) (*bucket, error) {
	settings, err := settingsFor(ctx, spec.Region, key)
	if err != nil {
		return nil, failure.OnDestination.Transient(v1alpha1.ReasonInternal, err, "the operator's own AWS settings cannot be read")
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
		if spec.Endpoint != "" { // whatever endpoint the operator's own settings name
			o.BaseEndpoint = aws.String(spec.Endpoint)
			o.APIOptions = append(o.APIOptions, addContentMD5)
		}
	})
	opened := &bucket{api: client, client: reached, spec: spec, removes: retention.Artifacts == v1alpha1.DeleteArtifacts}
	if settings.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		opened.checksum = types.ChecksumAlgorithmCrc32
	}
	return opened, nil
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

// settingsFor takes nothing from the operator's environment, files and identity for a bucket that has an access key of its own.
func settingsFor(ctx context.Context, region string, key accessKey) (aws.Config, error) {
	if key.id == "" {
		return config.LoadDefaultConfig(ctx, config.WithRegion(region))
	}
	return aws.Config{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider(key.id, key.secret, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, nil
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

// Put implements Destination. Content that ends with an error, be it that of a context that has ended, ends the upload.
func (b *bucket) Put(ctx context.Context, key string, object destinations.Object, content io.Reader) error {
	uploading, cancel := destinations.AfterGrace(ctx)
	defer cancel()
	sending := &upload{
		bucket: b, key: b.whole(key), contentType: aws.String(cmp.Or(object.MediaType, "application/octet-stream")),
		metadata: map[string]string{hashMetadata: object.SHA256}, content: content, buffer: make([]byte, partOf(object.Size)),
	}
	return b.failure(ctx, sending.send(uploading))
}

// Stat implements Destination: the hash is the one that Put recorded, or is made from the content if there is none.
func (b *bucket) Stat(ctx context.Context, key string) (destinations.Object, error) {
	head, err := b.head(ctx, key)
	if status(err) == http.StatusNotFound {
		return destinations.Object{}, b.notFound(ctx, key)
	}
	if err != nil {
		return destinations.Object{}, b.failure(ctx, err)
	}
	object := destinations.Object{Size: aws.ToInt64(head.ContentLength), SHA256: head.Metadata[hashMetadata], MediaType: aws.ToString(head.ContentType)}
	if object.SHA256 != "" {
		return object, nil
	}
	got, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
	if err != nil {
		return destinations.Object{}, b.failure(ctx, err)
	}
	defer func() { _ = got.Body.Close() }() // only read
	found, err := destinations.Describe(ctx, got.Body)
	found.MediaType = object.MediaType
	return found, b.failure(ctx, err)
}

func (b *bucket) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	return b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
}

// notFound makes sure that it is the object that is missing: the answer to a HEAD request has no room to say that it is
// the bucket, or the access key.
func (b *bucket) notFound(ctx context.Context, key string) error {
	_, err := b.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &b.spec.Bucket, Prefix: b.whole(key), MaxKeys: aws.Int32(1)})
	if err == nil {
		return destinations.ErrNotFound
	}
	return b.failure(ctx, err)
}

// Remove implements Destination. It asks for nothing if the object does not exist: in a bucket with versions that would leave a mark.
func (b *bucket) Remove(ctx context.Context, key string, object destinations.Object) error {
	found, err := b.Stat(ctx, key)
	if errors.Is(err, destinations.ErrNotFound) {
		return nil
	}
	if err != nil || !found.Same(object) {
		return err
	}
	if err = b.remove(ctx, key); refusedToRemove(err) {
		return failure.OnDestination.Transient(v1alpha1.ReasonNotRemovable, err,
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
	return nil
}
