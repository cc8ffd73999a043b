package s3

import (
	"context"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Open implements destinations.Store.
func (b *bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	got, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
	if status(err) == http.StatusNotFound {
		return nil, b.notFound(ctx, key)
	}
	if err != nil {
		return nil, b.failure(ctx, err)
	}
	return got.Body, nil
}

// Size implements destinations.Store.
func (b *bucket) Size(ctx context.Context, key string) (int64, error) {
	head, err := b.head(ctx, key)
	if status(err) == http.StatusNotFound {
		return 0, b.notFound(ctx, key)
	}
	if err != nil {
		return 0, b.failure(ctx, err)
	}
	return aws.ToInt64(head.ContentLength), nil
}
