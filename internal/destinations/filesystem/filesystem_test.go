package filesystem_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
)

func TestWhatADeadWriterLeftIsWrittenOver(t *testing.T) {
	t.Parallel()
	s := onFilesystem(t)
	leave(t, s, strings.Repeat("half a file", 1000))
	s.PutText(t, key, "content")
	if found, err := s.Stat(t.Context(), key); err != nil || found.SHA256 != describe("content").SHA256 {
		t.Errorf("found %+v (%v), want the new content alone", found, err)
	}
	s.Holds(t, key)
}

func TestWhatADeadWriterLeftIsRemovedWithItsObject(t *testing.T) {
	t.Parallel()
	s := onFilesystem(t)
	leave(t, s, "half a file")
	if err := s.Remove(t.Context(), key, describe("content")); err != nil {
		t.Fatal(err)
	}
	s.Holds(t)
}

func TestALivingWriterIsWaitedForAsLongAsTheContextLasts(t *testing.T) {
	t.Parallel()
	s := onFilesystem(t)
	other := leave(t, s, "half a file")
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Put(ctx, key, describe("content"), strings.NewReader("content")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put: got %v, want the context's error", err)
	}
	if err := s.Remove(ctx, key, describe("content")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Remove: got %v, want the context's error", err)
	}
	if left, err := os.ReadFile(other.Name()); err != nil || string(left) != "half a file" {
		t.Errorf("the other writer's file holds %q (%v)", left, err)
	}
}

func TestAWriterThatWasStoppedInTheMiddlePublishesNothingLater(t *testing.T) {
	t.Parallel()
	conformance.TestStopped(t, onFilesystem(t))
}

// leave makes what a writer that died would have left of the object.
func leave(t *testing.T, s conformance.Subject, content string) *os.File {
	t.Helper()
	directory := filepath.Dir(strings.TrimPrefix(s.Location(key), "file://"))
	if err := os.MkdirAll(directory, 0o750); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(directory, "."+filepath.Base(key)+".OTHER"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if _, err := file.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return file
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
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	for _, through := range []string{"absolute/x.csv", "relative/x.csv", "absolute/deep/x.csv"} {
		if err := d.Put(t.Context(), through, describe("x"), strings.NewReader("x")); err == nil {
			t.Errorf("%s was written", through)
		}
	}
	for _, path := range []string{"absolute", "relative", "..", "../x", "/tmp", "a/../../b"} {
		_, err := tryOpen(t, "acme", v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: path}}, root)
		if err == nil {
			t.Errorf("the path %q was opened", path)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the root there is %v (%v)", left, err)
	}
}

// TestNothingThatIsPutInTheWayLeadsOutOfAFilesystem has what another pod with the volume can make of a name: links, and
// pipes that nobody writes to. What is outside stays as it was and is not read, and nobody waits.
func TestNothingThatIsPutInTheWayLeadsOutOfAFilesystem(t *testing.T) {
	t.Parallel()
	const name, directory = "monthly-1/monthly-1.csv", "monthly-1"
	tests := map[string]func(at func(string) string, outside string) error{
		"a link under the name":            func(at func(string) string, outside string) error { return os.Symlink(outside, at(name)) },
		"a link of its own under the name": func(at func(string) string, _ string) error { return os.Symlink(filepath.Base(name), at(name)) },
		"a link to nothing under the name": func(at func(string) string, outside string) error { return os.Symlink(outside+".new", at(name)) },
		"another name of a file outside":   func(at func(string) string, outside string) error { return os.Link(outside, at(name)) },
		"a pipe under the name":            func(at func(string) string, _ string) error { return syscall.Mkfifo(at(name), 0o666) },
		"a directory under the name":       func(at func(string) string, _ string) error { return os.Mkdir(at(name), 0o777) },
		"a link under the name of a part": func(at func(string) string, outside string) error {
			return os.Symlink(outside, at(directory+"/.monthly-1.csv.X"))
		},
		"a pipe under the name of a part": func(at func(string) string, _ string) error {
			return syscall.Mkfifo(at(directory+"/.monthly-1.csv.X"), 0o666)
		},
		"a pipe under the name of a probe": func(at func(string) string, _ string) error { return syscall.Mkfifo(at(".probe.X"), 0o666) },
		"a directory under the name of a part": func(at func(string) string, _ string) error {
			return os.MkdirAll(at(directory+"/.monthly-1.csv.X/y"), 0o777)
		},
		"a link in the place of the directory": func(at func(string) string, outside string) error {
			return errors.Join(os.Remove(at(directory)), os.Symlink(filepath.Dir(outside), at(directory)))
		},
		"a file in the place of the directory": func(at func(string) string, _ string) error {
			return errors.Join(os.Remove(at(directory)), os.WriteFile(at(directory), nil, 0o600))
		},
		"a pipe in the place of the directory": func(at func(string) string, _ string) error {
			return errors.Join(os.Remove(at(directory)), syscall.Mkfifo(at(directory), 0o666))
		},
		"a link under the name to another name": func(at func(string) string, _ string) error { return os.Symlink("../others.csv", at(name)) },
	}
	for what, putInTheWay := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			root, outside := t.TempDir(), filepath.Join(t.TempDir(), "monthly-1.csv")
			must(t, os.WriteFile(outside, []byte("theirs"), 0o600))
			must(t, os.MkdirAll(filepath.Join(root, "acme", directory), 0o750))
			must(t, os.WriteFile(filepath.Join(root, "acme", "others.csv"), []byte("others"), 0o600))
			must(t, putInTheWay(func(name string) string { return filepath.Join(root, "acme", name) }, outside))
			d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
			_ = check(t.Context(), d)
			if found, err := d.Stat(t.Context(), name); err == nil && found.SHA256 == describe("theirs").SHA256 && what != "another name of a file outside" {
				t.Error("what is outside was read")
			}
			err := d.Put(t.Context(), name, describe("ours"), strings.NewReader("ours"))
			if err == nil {
				found, err := d.Stat(t.Context(), name)
				if err != nil || found.SHA256 != describe("ours").SHA256 {
					t.Errorf("after it was written there is %+v (%v)", found, err)
				}
			}
			_ = d.Remove(t.Context(), name, describe("ours"))
			for file, want := range map[string]string{outside: "theirs", filepath.Join(root, "acme", "others.csv"): "others"} {
				if left, err := os.ReadFile(file); err != nil || string(left) != want {
					t.Errorf("%s holds %q (%v)", file, left, err)
				}
			}
			if left, err := os.ReadDir(filepath.Dir(outside)); err != nil || len(left) != 1 {
				t.Errorf("outside there is %v (%v)", left, err)
			}
		})
	}
}

// TestADirectoryThatBecomesALinkLeadsNowhere has a directory and a link out of the root take each other's name while files are
// written below it: none to six times a file. Where they stay, every second time it is the directory, so that some files are
// written however slow the machine is.
func TestADirectoryThatBecomesALinkLeadsNowhere(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	within := func(name string) string { return filepath.Join(root, "acme", name) }
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	must(t, os.Mkdir(within("a"), 0o750))
	must(t, os.Symlink(outside, within("b")))
	exchanges, ended := make(chan int), make(chan error, 1)
	go func() {
		var failed error
		for times := range exchanges {
			for range times {
				failed = errors.Join(failed, unix.Renameat2(unix.AT_FDCWD, within("a"), unix.AT_FDCWD, within("b"), unix.RENAME_EXCHANGE))
			}
		}
		ended <- failed
	}()
	written, refused := 0, 0
	for n := range 140 {
		exchanges <- n % 7
		if d.Put(t.Context(), "a/x.csv", describe("x"), strings.NewReader("x")) == nil {
			written++
		} else {
			refused++
		}
		_, _ = d.Stat(t.Context(), "a/x.csv")
		_ = d.Remove(t.Context(), "a/x.csv", describe("x"))
	}
	close(exchanges)
	must(t, <-ended)
	if written < 10 || refused < 10 {
		t.Errorf("%d files were written and %d refused, want 10 of each at least", written, refused)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the root there is %v (%v)", left, err)
	}
}

func TestAMissingRootSaysWhatToMount(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := tryOpen(t, "acme", v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, missing)
	expectFailure(t, err, v1alpha1.ReasonNotWritable)
	if !strings.Contains(err.Error(), "--filesystem-root") {
		t.Errorf("%q does not say what to do", err)
	}
	store := v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}}
	_, err = filesystem.New(filesystem.Settings{Root: missing, Existing: true}).Open(t.Context(), &store, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "--receipts-root") {
		t.Errorf("of a store of receipts %v does not say what to do", err)
	}
}

func TestAFullFilesystemIsNamedAndKeepsNothing(t *testing.T) {
	t.Parallel()
	root := tinyVolume(t, 0)
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	content := strings.Repeat("x", 1<<20)
	expectFailure(t, d.Put(t.Context(), "a/b.csv", describe(content), strings.NewReader(content)), v1alpha1.ReasonDestinationFull)
	if left, err := os.ReadDir(filepath.Join(root, "acme", "a")); err != nil || len(left) > 0 {
		t.Errorf("there is %v (%v), want nothing", left, err)
	}
	if err := d.Put(t.Context(), "a/b.csv", describe("small"), strings.NewReader("small")); err != nil {
		t.Errorf("what fits was refused: %s", err)
	}
	_ = os.WriteFile(filepath.Join(root, "rest"), make([]byte, 64<<10), 0o600) // takes all the room that is left
	expectFailure(t, check(t.Context(), d), v1alpha1.ReasonDestinationFull)
	if err := d.Remove(t.Context(), "a/b.csv", describe("small")); err != nil {
		t.Errorf("nothing can be removed from the full volume: %s", err)
	}
}

// TestAVolumeOfOneNamespaceIsFullForThatAlone has a volume of its own mounted for one namespace, which fills it.
func TestAVolumeOfOneNamespaceIsFullForThatAlone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	own := filepath.Join(root, "acme")
	must(t, os.Mkdir(own, 0o750))
	mountTiny(t, own, 0)
	spec := v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}
	full := open(t, spec, root)
	other, err := tryOpen(t, "globex", spec, root)
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })

	content := strings.Repeat("x", 1<<20)
	expectFailure(t, full.Put(t.Context(), "a/b.csv", describe(content), strings.NewReader(content)), v1alpha1.ReasonDestinationFull)
	_ = os.WriteFile(filepath.Join(own, "rest"), make([]byte, 64<<10), 0o600) // takes all the room that is left
	expectFailure(t, check(t.Context(), full), v1alpha1.ReasonDestinationFull)
	must(t, check(t.Context(), other))
	must(t, other.Put(t.Context(), "a/b.csv", describe(content), strings.NewReader(content)))
}

func TestAReadOnlyFilesystemIsNamed(t *testing.T) {
	t.Parallel()
	root := tinyVolume(t, 0)
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	must(t, syscall.Mount("tmpfs", root, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	expectFailure(t, check(t.Context(), d), v1alpha1.ReasonNotWritable)
}

// TestTheDirectoryThatRefusesIsNamed has the directory of one export be one that cannot be written, below others that can.
func TestTheDirectoryThatRefusesIsNamed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "finance"}}, root)
	refusing := filepath.Join(root, "acme", "finance", "elbtal", "monthly")
	must(t, os.MkdirAll(refusing, 0o750))
	mountTiny(t, refusing, 0)
	must(t, syscall.Mount("tmpfs", refusing, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	must(t, check(t.Context(), d))
	_, checked := d.Check(t.Context(), "elbtal/monthly")
	for what, err := range map[string]error{"a check": checked, "a run": d.Put(t.Context(), "elbtal/monthly/monthly-1/monthly.csv", describe("x"), strings.NewReader("x"))} {
		expectFailure(t, err, v1alpha1.ReasonNotWritable)
		if err != nil && !strings.Contains(err.Error(), "the directory "+refusing+";") {
			t.Errorf("%s: %q does not name the directory", what, err)
		}
	}
}

// tinyVolume mounts 64 KiB, where the test may.
func tinyVolume(t *testing.T, flags uintptr) string {
	t.Helper()
	root := t.TempDir()
	mountTiny(t, root, flags)
	return root
}

func mountTiny(t *testing.T, at string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", at, "tmpfs", flags, "size=64k"); err != nil {
		t.Skipf("mounting a small volume needs root: %s", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
}
