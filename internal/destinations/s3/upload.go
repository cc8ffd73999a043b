package s3

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

const (
	// smallestPart is the least that S3 takes as a part of an object, in bytes. One part at a time is in memory.
	smallestPart = 5 << 20
	// mostParts is how many parts an object may have.
	mostParts = 10_000
)

// upload is an object on its way into a bucket.
type upload struct {
	*bucket
	key         *string
	contentType *string
	metadata    map[string]string
	content     io.Reader
	buffer      []byte // of one part
}

// partOf returns the size of the parts of an object, in bytes. An object that is smaller than a part needs no more memory than it has
// bytes.
func partOf(size int64) int64 {
	if size < smallestPart {
		return max(size, 0) + 1 // so that its end is seen
	}
	return max(smallestPart, size/mostParts+1)
}

// send sends the content: at once if it fits one part, and in parts otherwise.
func (u *upload) send(ctx context.Context) error {
	first, ended, err := u.next()
	if err != nil {
		return err
	}
	if !ended {
		return u.sendInParts(ctx, first)
	}
	_, err = u.api.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.spec.Bucket, Key: u.key, ContentType: u.contentType, Metadata: u.metadata, Body: bytes.NewReader(first),
	})
	return err
}

// next reads the next part of the content, and reports whether it is the last one.
func (u *upload) next() (part []byte, ended bool, err error) {
	n, err := io.ReadFull(u.content, u.buffer)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return u.buffer[:n], true, nil
	}
	return u.buffer[:n], false, err
}

// sendInParts sends one part after another. The object appears when the upload is completed; an upload that fails is aborted, so that
// not even invisible parts remain.
func (u *upload) sendInParts(ctx context.Context, part []byte) error {
	begun, err := u.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.spec.Bucket, Key: u.key, ContentType: u.contentType, Metadata: u.metadata, ChecksumAlgorithm: u.checksum,
	})
	if err != nil {
		return err
	}
	if aws.ToString(begun.UploadId) == "" {
		return errIncomplete
	}
	parts, err := u.sendParts(ctx, begun.UploadId, part)
	if err == nil {
		_, err = u.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &u.spec.Bucket, Key: u.key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
	}
	if err != nil {
		aborting, cancel := context.WithTimeout(context.WithoutCancel(ctx), destinations.AbortGrace)
		defer cancel()
		// What comes of that is not told: it would hide why the upload failed, and is often that there is no such upload any more.
		_, _ = u.api.AbortMultipartUpload(aborting, &s3.AbortMultipartUploadInput{Bucket: &u.spec.Bucket, Key: u.key, UploadId: begun.UploadId})
	}
	return err
}

func (u *upload) sendParts(ctx context.Context, id *string, part []byte) (sent []types.CompletedPart, err error) {
	for ended := false; ; {
		number := aws.Int32(int32(len(sent) + 1))
		taken, err := u.api.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &u.spec.Bucket, Key: u.key, UploadId: id, PartNumber: number, Body: bytes.NewReader(part), ChecksumAlgorithm: u.checksum,
		})
		if err != nil {
			return nil, err
		}
		sent = append(sent, types.CompletedPart{PartNumber: number, ETag: taken.ETag, ChecksumCRC32: taken.ChecksumCRC32})
		if ended {
			return sent, nil
		}
		if part, ended, err = u.next(); err != nil {
			return nil, err
		}
		if len(part) == 0 { // the one before was the last, and full
			return sent, nil
		}
	}
}
