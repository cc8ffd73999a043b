package s3

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

// longestKey of an object, in bytes of UTF-8 (Amazon S3 User Guide, Naming Amazon S3 objects).
const longestKey = 1024

// canHave reports whether a bucket can have a key, which a claim may name.
func (b *bucket) canHave(key string) bool { return len(*b.whole(key)) <= longestKey }

// Open implements destinations.Store.
func (b *bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if !b.canHave(key) {
		return nil, destinations.ErrNotFound
	}
	got, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
	var refused smithy.APIError
	switch {
	case err == nil:
		return got.Body, nil
	case status(err) == http.StatusNotFound:
		return nil, b.notFound(ctx, key)
	case errors.As(err, &refused) && refused.ErrorCode() == "KeyTooLongError": // where the server keeps objects as files
		return nil, destinations.ErrNotFound
	}
	return nil, b.failure(ctx, err)
}

// Size implements destinations.Store.
func (b *bucket) Size(ctx context.Context, key string) (int64, error) {
	if !b.canHave(key) {
		return 0, destinations.ErrNotFound
	}
	head, err := b.head(ctx, key)
	switch {
	case err == nil:
		return aws.ToInt64(head.ContentLength), nil
	case status(err) == http.StatusNotFound:
		return 0, b.notFound(ctx, key)
	case status(err) == http.StatusBadRequest: // only the answer to GET has room to say why
		if content, err := b.Open(ctx, key); err != nil {
			return 0, err
		} else if err := content.Close(); err != nil {
			return 0, b.failure(ctx, err)
		}
	}
	return 0, b.failure(ctx, err)
}
