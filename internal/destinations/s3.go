package destinations

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// hashMetadata is the key of an object's metadata that holds its SHA-256 in hexadecimal.
	hashMetadata = "ledgerport-sha256"
	// uploadPart is the memory that an upload needs at a time, in bytes; parts travel one after another.
	uploadPart = 8 << 20
	// abortGrace is how long aborting an upload may take.
	abortGrace = 3 * time.Second
	// answerTimeout is how long a server may take to begin its answer.
	answerTimeout = 10 * time.Second
)

// bucket keeps objects in a bucket of a server that speaks the S3 protocol.
type bucket struct {
	blobs *blob.Bucket
	spec  v1alpha1.S3Destination
}

func openS3(ctx context.Context, spec v1alpha1.S3Destination, keys S3Keys) (*bucket, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(spec.Region),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
			transport.ResponseHeaderTimeout = answerTimeout
		})),
	}
	if keys.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, "")))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, failure.Transient(v1alpha1.ReasonInternal, err, "the operator's own AWS settings can not be read")
	}
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.UsePathStyle = spec.ForcePathStyle
		if spec.Endpoint != "" {
			o.BaseEndpoint = aws.String(spec.Endpoint)
			// Many servers refuse the trailing checksums that are Amazon's default; the hash is verified here anyway.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	blobs, err := s3blob.OpenBucket(ctx, client, spec.Bucket, nil)
	if err != nil {
		return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "the bucket %q can not be opened", spec.Bucket)
	}
	if spec.Prefix != "" {
		blobs = blob.PrefixedBucket(blobs, spec.Prefix+"/")
	}
	return &bucket{blobs: blobs, spec: spec}, nil
}

// Check implements Destination.
func (b *bucket) Check(ctx context.Context) error {
	probe := ".ledgerport-probe-" + rand.Text()
	err := b.blobs.WriteAll(ctx, probe, []byte(probe), nil)
	if err == nil {
		var content []byte
		if content, err = b.blobs.ReadAll(ctx, probe); err == nil && !bytes.Equal(content, []byte(probe)) {
			err = errors.New("what was written is not what was read")
		}
		err = errors.Join(err, b.blobs.Delete(ctx, probe))
	}
	return b.failure(ctx, err)
}

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

// afterGrace gives a context that outlives another by the time that aborting an upload may take.
func afterGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(abortGrace, cancel) })
	return longer, cancel
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
	_, err := b.blobs.List(&blob.ListOptions{Prefix: key}).Next(ctx)
	if err == nil || errors.Is(err, io.EOF) {
		return ErrNotFound
	}
	return b.failure(ctx, err)
}

// Remove implements Destination.
func (b *bucket) Remove(ctx context.Context, key string) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	if err := b.blobs.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return b.failure(ctx, err)
	}
	return nil
}

// Location implements Destination.
func (b *bucket) Location(key string) string {
	return (&url.URL{Scheme: "s3", Host: b.spec.Bucket, Path: path.Join("/", b.spec.Prefix, key)}).String()
}

// Close implements Destination.
func (b *bucket) Close() error { return b.blobs.Close() }

// where names the bucket and the server, for people.
func (b *bucket) where() string {
	server := "Amazon S3, " + b.spec.Region
	if endpoint, err := url.Parse(b.spec.Endpoint); err == nil && endpoint.Host != "" {
		server = endpoint.Host
	}
	return fmt.Sprintf("the bucket %s (%s)", b.spec.Bucket, server)
}

// code is the error code of the S3 protocol, or nothing.
func (b *bucket) code(err error) string {
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return refused.ErrorCode()
	}
	return ""
}

// failure says what a person can do about an error of the server.
func (b *bucket) failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	switch code := b.code(err); code {
	case "NoSuchBucket":
		return failure.Transient(v1alpha1.ReasonBucketNotFound, err, "%s does not exist; create it, or correct spec.s3.bucket", b.where())
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound":
		return failure.Transient(v1alpha1.ReasonLoginRefused, err, "the server of %s refuses the access key (%s)", b.where(), code)
	case "AccessDenied", "Forbidden", "MethodNotAllowed":
		return failure.Transient(v1alpha1.ReasonNotWritable, err, "the access key may not read, write and delete in %s (%s)", b.where(), code)
	case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull":
		return failure.Transient(v1alpha1.ReasonDestinationFull, err, "%s is full (%s); make room, and the run goes on", b.where(), code)
	case "":
		return failure.Transient(v1alpha1.ReasonDestinationUnreachable, err, "%s can not be reached, or does not answer in time", b.where())
	default:
		return failure.Transient(v1alpha1.ReasonNotWritable, err, "the server of %s refuses the request (%s)", b.where(), code)
	}
}
