package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	// absentName is asked to be removed, and is never there: the answer reports whether the access key may remove objects.
	absentName = destinations.ProbePrefix + "absent"
	// unremovable is the note of a bucket in which the access key may not remove anything.
	unremovable = "the access key may not remove objects (s3:DeleteObject), so that files of a run that was given back stay, without their manifest"
	// versioned is the note of a bucket that keeps what is removed.
	versioned = "the bucket keeps versions, so that whether objects can be removed was not tried: each try would leave one"
)

// Check implements Destination. A bucket with versions, with Object Lock, or whose objects may not be removed is not written to
// by each check: what was written would stay.
func (b *bucket) Check(ctx context.Context, directory string) (checked destinations.Checked, err error) {
	marked, err := b.mark(ctx)
	if err != nil {
		return checked, b.failure(ctx, err)
	}
	b.lookAtLock(ctx, &marked)
	if checked.Marker = marked.id; marked.id == "" {
		checked.Notes = append(checked.Notes, destinations.Unmarked)
	}
	probe := path.Join(directory, destinations.ProbePrefix+rand.Text())
	switch {
	case marked.locked: // and a marker that is there may not even be asked to be written
		checked.Notes = append(checked.Notes, versioned)
	case marked.versioned:
		checked.Notes = append(checked.Notes, versioned)
		err = b.putMarker(ctx, destinations.MarkerOf(marked.id))
	default:
		err = b.tryOut(ctx, probe)
	}
	var kept *removalError
	if errors.As(err, &kept) {
		if err = nil; !kept.written && marked.id != "" {
			err = b.putMarker(ctx, destinations.MarkerOf(marked.id))
		}
		if err == nil && b.removes {
			err = failure.OnDestination.Transient(v1alpha1.ReasonNotRemovable, kept,
				"the access key may not remove objects in %s, or a rule of the bucket keeps them, and spec.retention.artifacts is Delete; allow s3:DeleteObject, or say Keep", b.where())
		}
		checked.Notes = append(checked.Notes, unremovable)
	}
	if err == nil { // which some policies forbid, and Stat needs
		if _, err = b.head(ctx, probe+"-absent"); status(err) == http.StatusNotFound {
			err = nil
		}
	}
	return checked, b.failure(ctx, err)
}

// removalError says that an object is not removed.
type removalError struct {
	error
	written bool // by this check
}

func (e *removalError) Unwrap() error { return e.error }

// refusedToRemove reports whether what a check asked to be removed is kept.
func refusedToRemove(err error) bool {
	var kept *removalError
	return errors.As(err, &kept)
}

// remove removes an object; that it is kept is a removalError.
func (b *bucket) remove(ctx context.Context, key string) error {
	_, err := b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.ErrorCode() {
	case "NoSuchKey", "NotFound":
		return nil
	case "AccessDenied", "Forbidden", "MethodNotAllowed", "ObjectLocked", "InvalidRequest", "NotImplemented":
		return &removalError{error: err}
	}
	return err
}

// whole is a key with the prefix of the spec.
func (b *bucket) whole(key string) *string {
	if b.spec.Prefix == "" {
		return &key
	}
	return aws.String(b.spec.Prefix + "/" + key)
}

// tryOut writes an object, reads it back and removes it, with those that earlier checks left. It writes nothing if nothing may be
// removed: what it asks for first is not there.
func (b *bucket) tryOut(ctx context.Context, probe string) error {
	if err := b.remove(ctx, absentName); err != nil {
		return err
	}
	if err := b.removeStaleProbes(ctx, path.Join(path.Dir(probe), destinations.ProbePrefix)); err != nil {
		return err
	}
	_, err := b.api.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(probe), Body: strings.NewReader(probe)})
	if err != nil {
		return err
	}
	content, err := b.begin(ctx, probe, len(probe)+1)
	if err == nil && content != probe {
		err = failure.OnDestination.Transient(v1alpha1.ReasonNotWritable, nil, "%s returns other content than it was given", b.where())
	}
	cleaning, cancel := destinations.AfterGrace(ctx)
	defer cancel()
	removed := b.remove(cleaning, probe)
	if kept, is := errors.AsType[*removalError](removed); is {
		kept.written = true
	}
	return errors.Join(err, removed)
}

// begin returns no more than so many bytes of an object.
func (b *bucket) begin(ctx context.Context, key string, most int) (string, error) {
	got, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(key)})
	if err != nil {
		return "", err
	}
	defer func() { _ = got.Body.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(got.Body, int64(most)))
	return string(content), err
}

// mostPages of a listing are asked for. What is behind so much else stays, and is hidden.
const mostPages = 100

// removeStaleProbes removes what checks left behind that ended with their operator.
func (b *bucket) removeStaleProbes(ctx context.Context, prefix string) error {
	pages := s3.NewListObjectsV2Paginator(b.api, &s3.ListObjectsV2Input{Bucket: &b.spec.Bucket, Prefix: b.whole(prefix)})
	for asked := 0; pages.HasMorePages() && asked < mostPages; asked++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, probe := range page.Contents {
			name, ours := strings.CutPrefix(aws.ToString(probe.Key), *b.whole(prefix))
			if !ours || probe.LastModified == nil || time.Since(*probe.LastModified) < destinations.ProbeAge {
				continue
			}
			if err := b.remove(ctx, prefix+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// mark is what is known of the marker of a bucket.
type mark struct {
	id        string // empty if there is none
	versioned bool   // the bucket keeps versions of it
	locked    bool   // it may not be replaced for some time
}

// Place implements Destination.
func (b *bucket) Place() string {
	server := b.spec.Endpoint
	if server == "" {
		server = "Amazon S3"
	}
	return b.Location("") + " at " + server + " (region " + b.spec.Region + ")"
}

// Marker implements Destination.
func (b *bucket) Marker(ctx context.Context) (string, error) {
	found, err := b.readMarker(ctx)
	return found.id, b.failure(ctx, err)
}

func (b *bucket) readMarker(ctx context.Context) (mark, error) {
	object, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(destinations.MarkerName)})
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "NoSuchKey" {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	defer func() { _ = object.Body.Close() }() // only read
	id, err := destinations.ReadMarker(object.Body, b.where())
	version := aws.ToString(object.VersionId)
	return mark{id: id, versioned: version != "" && version != "null"}, err
}

// lookAtLock finds out whether a rule of the bucket keeps objects, where no version tells it. Who may not ask, and servers that know
// no rules, are not told.
func (b *bucket) lookAtLock(ctx context.Context, found *mark) {
	if found.id == "" || found.versioned {
		return
	}
	rules, err := b.api.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b.spec.Bucket})
	found.locked = err == nil && rules.ObjectLockConfiguration != nil && rules.ObjectLockConfiguration.Rule != nil
}

// mark gives the bucket an id if it has none. Of several that do so at once one is first, at servers that know conditions; at
// others the last is, which all find out that look again. The id is empty where the access key may not do this.
func (b *bucket) mark(ctx context.Context) (mark, error) {
	found, err := b.readMarker(ctx)
	if found.id != "" || err != nil && status(err) != http.StatusForbidden {
		return found, err
	}
	err = b.putMarker(ctx, destinations.NewMarker())
	if status(err) == http.StatusForbidden {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	if found, err = b.readMarker(ctx); status(err) == http.StatusForbidden {
		return mark{}, nil
	}
	return found, err
}

// putMarker writes the marker if there is none; it is no error if there is one. So it also tells, without writing anything,
// whether the access key may write: it is refused otherwise.
func (b *bucket) putMarker(ctx context.Context, content string) error {
	input := &s3.PutObjectInput{Bucket: &b.spec.Bucket, Key: b.whole(destinations.MarkerName), Body: bytes.NewReader([]byte(content)), ContentType: aws.String("text/plain"), IfNoneMatch: aws.String("*")}
	_, err := b.api.PutObject(ctx, input)
	switch status(err) {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return nil
	case http.StatusNotImplemented, http.StatusBadRequest: // it knows no conditions
		input.IfNoneMatch = nil
		_, err = b.api.PutObject(ctx, input)
	}
	return err
}
