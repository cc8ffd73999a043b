package destinations_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/test/tests3"
)

func TestFaultsOfAnS3ServerAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*testing.T, *v1alpha1.S3Destination, *destinations.S3Keys)
		reason string
	}{
		{"the bucket does not exist", func(_ *testing.T, s *v1alpha1.S3Destination, _ *destinations.S3Keys) { s.Bucket = "nowhere" }, v1alpha1.ReasonBucketNotFound},
		{"the access key does not exist", func(_ *testing.T, _ *v1alpha1.S3Destination, k *destinations.S3Keys) { k.AccessKeyID = "nobody" }, v1alpha1.ReasonLoginRefused},
		{"the secret is wrong", func(_ *testing.T, _ *v1alpha1.S3Destination, k *destinations.S3Keys) { k.SecretAccessKey = "hunter2" }, v1alpha1.ReasonLoginRefused},
		{"nobody listens", func(t *testing.T, s *v1alpha1.S3Destination, _ *destinations.S3Keys) {
			listener := listen(t)
			s.Endpoint = "http://" + listener.Addr().String()
			_ = listener.Close()
		}, v1alpha1.ReasonDestinationUnreachable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bucket := tests3.New(t)
			spec, keys := s3Spec(bucket), keysOf(bucket)
			test.change(t, spec.S3, &keys)
			d := open(t, spec, keys, "")
			expectFailure(t, d.Check(t.Context()), test.reason)
			expectFailure(t, d.Put(t.Context(), key, describe("x"), strings.NewReader("x")), test.reason)
			_, err := d.Stat(t.Context(), key)
			if err == nil || errors.Is(err, destinations.ErrNotFound) {
				t.Errorf("Stat says %v, which is not known", err)
			}
		})
	}
}

func TestAServerThatNeverAnswersIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	spec := s3Spec(tests3.Bucket{Name: "nowhere", Region: "us-east-1", Endpoint: "http://" + listen(t).Addr().String()})
	d := open(t, spec, destinations.S3Keys{AccessKeyID: "a", SecretAccessKey: "b"}, "")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := d.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestAFilesystemCanNotBeLeft(t *testing.T) {
	t.Parallel()
	outside, root := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "acme"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"absolute": outside, "relative": "../../" + filepath.Base(outside)} {
		if err := os.Symlink(target, filepath.Join(root, "acme", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(root, "linked")); err != nil {
		t.Fatal(err)
	}
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "acme"}}, destinations.S3Keys{}, root)
	for _, through := range []string{"absolute/x.csv", "relative/x.csv", "absolute/deep/x.csv"} {
		if err := d.Put(t.Context(), through, describe("x"), strings.NewReader("x")); err == nil {
			t.Errorf("%s was written", through)
		}
	}
	for _, path := range []string{"linked", "..", "../x", "/tmp", "a/../../b"} {
		_, err := destinations.Open(t.Context(), v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: path}},
			destinations.S3Keys{}, destinations.Settings{FilesystemRoot: root})
		if err == nil {
			t.Errorf("the path %q was opened", path)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the root there is %v (%v)", left, err)
	}
}

func TestAMissingRootSaysWhatToMount(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := destinations.Open(t.Context(), v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}},
		destinations.S3Keys{}, destinations.Settings{FilesystemRoot: missing})
	expectFailure(t, err, v1alpha1.ReasonNotWritable)
	if !strings.Contains(err.Error(), "--filesystem-root") {
		t.Errorf("%q does not say what to do", err)
	}
}

func TestAFullFilesystemIsNamedAndKeepsNothing(t *testing.T) {
	t.Parallel()
	root := tinyVolume(t, 0)
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, destinations.S3Keys{}, root)
	content := strings.Repeat("x", 1<<20)
	expectFailure(t, d.Put(t.Context(), "a/b.csv", describe(content), strings.NewReader(content)), v1alpha1.ReasonDestinationFull)
	if left, err := os.ReadDir(filepath.Join(root, "a")); err != nil || len(left) > 0 {
		t.Errorf("there is %v (%v), want nothing", left, err)
	}
	if err := d.Put(t.Context(), "a/b.csv", describe("small"), strings.NewReader("small")); err != nil {
		t.Errorf("what fits was refused: %s", err)
	}
}

func TestAReadOnlyFilesystemIsNamed(t *testing.T) {
	t.Parallel()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, destinations.S3Keys{}, tinyVolume(t, syscall.MS_RDONLY))
	expectFailure(t, d.Check(t.Context()), v1alpha1.ReasonNotWritable)
}

// tinyVolume mounts 64 KiB, where the test may.
func tinyVolume(t *testing.T, flags uintptr) string {
	t.Helper()
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", flags, "size=64k"); err != nil {
		t.Skipf("mounting a small volume needs root: %s", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(root, syscall.MNT_DETACH) })
	return root
}

func expectFailure(t *testing.T, err error, reason string) {
	t.Helper()
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != reason {
		t.Errorf("got %v, want a failure with reason %s", err, reason)
		return
	}
	if strings.Contains(failed.Message, "hunter2") {
		t.Errorf("the message holds the secret: %s", failed.Message)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
