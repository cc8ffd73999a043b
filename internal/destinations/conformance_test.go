package destinations_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/test/tests3"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// subject is a destination under test, with a view of what is really there.
type subject struct {
	destinations.Destination
	listing func() []string // every key, hidden ones and unfinished uploads included
}

func onFilesystem(t *testing.T) subject {
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, destinations.Keys{}, root)
	return subject{d, func() []string {
		var files []string
		err := filepath.WalkDir(filepath.Join(root, "acme"), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				relative, _ := filepath.Rel(filepath.Join(root, "acme"), path)
				files = append(files, relative)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}}
}

func onS3(t *testing.T) subject {
	bucket := tests3.New(t)
	d := open(t, s3Spec(bucket), keysOf(bucket), "")
	return subject{d, func() []string {
		var keys []string
		for _, key := range bucket.Keys(t) {
			keys = append(keys, strings.TrimPrefix(key, "books/"))
		}
		uploads, err := bucket.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket.Name})
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

func keysOf(bucket tests3.Bucket) destinations.Keys {
	return destinations.Keys{S3: destinations.S3Keys{AccessKeyID: bucket.AccessKey, SecretAccessKey: bucket.SecretKey}}
}

// onSFTP is on a server that has every extension.
func onSFTP(t *testing.T) subject { return subjectOf(t, testsftp.New(t)) }

// onPlainSFTP is on a server that has none that are used: it renames over nothing, and makes nothing durable on request.
func onPlainSFTP(t *testing.T) subject {
	return subjectOf(t, testsftp.New(t, "-P", "posix-rename,fsync,statvfs"))
}

func onChrootedSFTP(t *testing.T) subject { return subjectOf(t, testsftp.NewChrooted(t)) }

func subjectOf(t *testing.T, account testsftp.Account) subject {
	return subject{open(t, sftpSpec(account), destinations.Keys{SFTP: destinations.SFTPKeys{PrivateKey: account.PrivateKey}}, ""),
		func() []string { return account.Files(t) }}
}

func sftpSpec(account testsftp.Account) v1alpha1.ExportDestinationSpec {
	return v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{
		Host: account.Host, Port: account.Port, User: account.User, Path: account.Path, KnownHosts: account.KnownHosts,
	}}
}

func open(t *testing.T, spec v1alpha1.ExportDestinationSpec, keys destinations.Keys, root string) destinations.Destination {
	t.Helper()
	policy := policyOf(t)
	d, err := destinations.Open(t.Context(), "acme", spec, keys, destinations.Settings{FilesystemRoot: root, AllowPlainHTTP: true}, policy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func policyOf(t *testing.T) *outbound.Policy {
	t.Helper()
	policy, err := outbound.New([]string{"127.0.0.0/8", "no-such-host.invalid"})
	must(t, err)
	return policy
}

// check checks the destination itself.
func check(ctx context.Context, d destinations.Destination) error {
	_, err := d.Check(ctx, "")
	return err
}

// markerName is what the first check leaves at a destination.
const markerName = ".ledgerport-destination"

const key = "acme/monthly/monthly-1/monthly-1.csv"

// TestEveryDestination is what each kind of destination must do.
func TestEveryDestination(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(*testing.T) subject{
		"filesystem": onFilesystem, "s3": onS3, "sftp": onSFTP, "sftp without extensions": onPlainSFTP, "sftp in a chroot": onChrootedSFTP,
	}
	behaviours := map[string]func(*testing.T, subject){
		"a check leaves nothing":                          checkLeavesNothing,
		"an object is there with its hash":                objectIsThere,
		"an object is replaced":                           objectIsReplaced,
		"what is not there is not found":                  nothingIsNotFound,
		"removing what is not there is no error":          removing,
		"content that fails in the middle leaves nothing": failingContent,
		"content that fails at once leaves nothing":       contentFailingAtOnce,
		"content that is not as announced leaves nothing": otherContent,
		"a cancelled upload leaves nothing":               cancelledUpload,
		"a cancelled upload leaves what was there before": cancelledReplacement,
		"two writers at once leave one whole object":      twoWriters,
		"a large object arrives whole":                    largeObject,
		"an empty object is an object":                    emptyObject,
		"a key that could mean another place is refused":  badKeys,
		"a location names the key":                        location,
		"an object that is another's is not removed":      foreignObject,
		"a check marks a destination once":                marking,
		"checks at once agree on a marker":                markingAtOnce,
		"a check in a directory leaves nothing":           checkInADirectory,
	}
	for kind, make := range kinds {
		for name, behaviour := range behaviours {
			t.Run(kind+": "+name, func(t *testing.T) {
				t.Parallel()
				behaviour(t, make(t))
			})
		}
	}
}

func checkLeavesNothing(t *testing.T, s subject) {
	if err := check(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.holds(t)
}

func objectIsThere(t *testing.T, s subject) {
	put(t, s, key, "content")
	found, err := s.Stat(t.Context(), key)
	if err != nil || found.SHA256 != describe("content").SHA256 || found.Size != 7 {
		t.Errorf("found %+v (%v)", found, err)
	}
	s.holds(t, key)
}

func objectIsReplaced(t *testing.T, s subject) {
	put(t, s, key, "old")
	put(t, s, key, "new content")
	if found, err := s.Stat(t.Context(), key); err != nil || found.SHA256 != describe("new content").SHA256 {
		t.Errorf("found %+v (%v), want the new content", found, err)
	}
	s.holds(t, key)
}

func nothingIsNotFound(t *testing.T, s subject) {
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, destinations.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func removing(t *testing.T, s subject) {
	put(t, s, key, "content")
	for range 2 {
		if err := s.Remove(t.Context(), key, describe("content")); err != nil {
			t.Fatal(err)
		}
	}
	s.holds(t)
}

func failingContent(t *testing.T, s subject) {
	broken := errors.New("the disk is on fire")
	content := io.MultiReader(bytes.NewReader(make([]byte, 10<<20)), failingReader{broken})
	if err := s.Put(t.Context(), key, destinations.Object{Size: 11 << 20}, content); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	s.holds(t)
}

// contentFailingAtOnce fails as a database may that is asked before the first byte, and whose connection has ended.
func contentFailingAtOnce(t *testing.T, s subject) {
	refused := fmt.Errorf("asking the database: %w", io.EOF)
	for _, content := range []string{"", "content"} {
		if err := s.Put(t.Context(), key, describe(content), failingReader{refused}); !errors.Is(err, refused) {
			t.Errorf("got %v, want the reader's error", err)
		}
	}
	s.holds(t)
}

func otherContent(t *testing.T, s subject) {
	for _, announced := range []destinations.Object{{Size: 7, SHA256: describe("another").SHA256}, {Size: 8, SHA256: describe("content").SHA256}} {
		if err := s.Put(t.Context(), key, announced, strings.NewReader("content")); err == nil {
			t.Errorf("content that is not %+v was taken", announced)
		}
	}
	s.holds(t)
}

func cancelledUpload(t *testing.T, s subject) {
	cancelInTheMiddle(t, s)
	s.holds(t)
}

func cancelledReplacement(t *testing.T, s subject) {
	put(t, s, key, "before")
	cancelInTheMiddle(t, s)
	s.holds(t, key)
	if found, err := s.Stat(t.Context(), key); err != nil || found.SHA256 != describe("before").SHA256 {
		t.Errorf("found %+v (%v), want what was there before", found, err)
	}
}

func cancelInTheMiddle(t *testing.T, s subject) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	content := make([]byte, 30<<20)
	reader := io.MultiReader(bytes.NewReader(content[:20<<20]), callReader(cancel), bytes.NewReader(content[20<<20:]))
	if err := s.Put(ctx, key, describe(string(content)), reader); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func twoWriters(t *testing.T, s subject) {
	contents := []string{strings.Repeat("a", 6<<20), strings.Repeat("b", 6<<20)}
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			if err := s.Put(t.Context(), key, describe(content), strings.NewReader(content)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	found, err := s.Stat(t.Context(), key)
	if err != nil || found.SHA256 != describe(contents[0]).SHA256 && found.SHA256 != describe(contents[1]).SHA256 {
		t.Errorf("found %+v (%v), want one of the two", found, err)
	}
	s.holds(t, key)
}

func largeObject(t *testing.T, s subject) {
	content := strings.Repeat("0123456789abcdef", 40<<16)
	put(t, s, key, content)
	if found, err := s.Stat(t.Context(), key); err != nil || found.Size != int64(len(content)) {
		t.Errorf("found %+v (%v), want %d bytes", found, err, len(content))
	}
}

func emptyObject(t *testing.T, s subject) {
	put(t, s, key, "")
	if found, err := s.Stat(t.Context(), key); err != nil || found.Size != 0 || found.SHA256 != describe("").SHA256 {
		t.Errorf("found %+v (%v)", found, err)
	}
}

func badKeys(t *testing.T, s subject) {
	for _, bad := range []string{"", "/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", ".hidden", "a\\b", "a\nb", strings.Repeat("x", 1025), "a/\xff"} {
		if err := s.Put(t.Context(), bad, describe("x"), strings.NewReader("x")); err == nil {
			t.Errorf("the key %.20q was taken", bad)
		}
		if _, err := s.Stat(t.Context(), bad); err == nil || errors.Is(err, destinations.ErrNotFound) {
			t.Errorf("the key %.20q was looked up: %v", bad, err)
		}
		if err := s.Remove(t.Context(), bad, describe("x")); err == nil {
			t.Errorf("the key %.20q was removed", bad)
		}
	}
	s.holds(t)
}

// foreignObject is under a name that a run has, and has other content than is on record.
func foreignObject(t *testing.T, s subject) {
	put(t, s, key, "another's")
	for _, object := range []destinations.Object{describe("content"), {Size: describe("another's").Size}, {SHA256: describe("another's").SHA256}, {}} {
		must(t, s.Remove(t.Context(), key, object))
		s.holds(t, key)
	}
	must(t, s.Remove(t.Context(), key, describe("another's")))
	s.holds(t)
}

func marking(t *testing.T, s subject) {
	if id, err := s.Marker(t.Context()); id != "" || err != nil {
		t.Fatalf("before the first check the marker is %q (%v)", id, err)
	}
	s.holds(t)
	first, err := s.Check(t.Context(), "")
	must(t, err)
	put(t, s, key, "content")
	again, err := s.Check(t.Context(), "acme/monthly")
	must(t, err)
	id, err := s.Marker(t.Context())
	if len(id) != 26 || first.Marker != id || again.Marker != id || err != nil {
		t.Errorf("the checks found %q and %q, and there is %q (%v)", first.Marker, again.Marker, id, err)
	}
	if have := s.listing(); !slices.Contains(have, markerName) {
		t.Errorf("there are %q", have)
	}
}

func markingAtOnce(t *testing.T, s subject) {
	var checks sync.WaitGroup
	markers := make([]string, 4)
	for i := range markers {
		checks.Go(func() {
			checked, err := s.Check(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			markers[i] = checked.Marker
		})
	}
	checks.Wait()
	if different := slices.Compact(slices.Sorted(slices.Values(markers))); len(different) != 1 || different[0] == "" {
		t.Errorf("the checks found %q", markers)
	}
	s.holds(t)
}

func checkInADirectory(t *testing.T, s subject) {
	_, err := s.Check(t.Context(), "acme/monthly")
	must(t, err)
	s.holds(t)
	for _, bad := range []string{"..", "/", "a/../../b", ".hidden", "a//b"} {
		if _, err := s.Check(t.Context(), bad); err == nil {
			t.Errorf("the directory %q was checked", bad)
		}
	}
}

func location(t *testing.T, s subject) {
	if at := s.Location(key); !strings.HasSuffix(at, key) || !strings.Contains(at, "://") {
		t.Errorf("location %q", at)
	}
}

// holds compares what is really there with what should be.
func (s subject) holds(t *testing.T, want ...string) {
	t.Helper()
	have := slices.DeleteFunc(s.listing(), func(key string) bool { return key == markerName })
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("the destination holds %q, want %q", have, want)
	}
}

func put(t *testing.T, s subject, key, content string) {
	t.Helper()
	if err := s.Put(t.Context(), key, describe(content), strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func describe(content string) destinations.Object {
	sum := sha256.Sum256([]byte(content))
	return destinations.Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), MediaType: "text/csv"}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// callReader calls a function when it is read, and is empty.
type callReader func()

func (call callReader) Read([]byte) (int, error) {
	call()
	return 0, io.EOF
}
