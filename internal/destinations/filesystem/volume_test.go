package filesystem_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/destinations/conformance"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
)

// What the owner of one namespace's volume can do to the operator, and to the volumes of others.

func TestALinkInTheVolumeOfANamespaceDoesNotLeadToThatOfAnother(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	theirs := filepath.Join(root, "acme", "scans")
	must(t, errors.Join(
		os.MkdirAll(theirs, 0o750), os.Mkdir(filepath.Join(root, "globex"), 0o750),
		os.Symlink("../acme/scans", filepath.Join(root, "globex", "scans")), os.Symlink("..", filepath.Join(root, "globex", "up")),
		os.Symlink(theirs, filepath.Join(root, "globex", "absolute"))))
	for _, path := range []string{"scans", "absolute", "up", "up/acme", "up/acme/scans", "up/acme/new"} {
		destination := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: path}}}
		destination.Namespace = "globex"
		for kind, settings := range map[string]filesystem.Settings{"destination": {Root: root}, "store of receipts": {Root: root, Existing: true}} {
			types, err := destinations.NewRegistry(filesystem.New(settings))
			must(t, err)
			if opened, err := types.Open(t.Context(), destination, nil, nil); err == nil {
				t.Errorf("a %s of globex was opened at %s by the path %q", kind, opened.Place(), path)
			}
		}
	}
	if entries, err := os.ReadDir(filepath.Join(root, "acme")); err != nil || len(entries) != 1 {
		t.Errorf("acme has %v (%v)", entries, err)
	}
}

// replace puts something in the place of the file of a check, as soon as that appears.
func replace(t *testing.T, root string, makeAt func(name string) error) (replaced *atomic.Int32) {
	t.Helper()
	replaced = &atomic.Int32{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		for number := 0; ctx.Err() == nil; {
			found, _ := filepath.Glob(filepath.Join(root, "acme/.ledgerport-probe-*/probe"))
			for _, probe := range found {
				number++
				name := filepath.Join(root, fmt.Sprint("made-", number))
				if makeAt(name) == nil && os.Rename(name, probe) == nil {
					replaced.Add(1)
				}
			}
		}
	}()
	return replaced
}

func TestACheckReadsNoMoreThanItHasWritten(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	const large, most = 200 << 20, 16 << 20
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	replaced := replace(t, root, func(name string) error {
		return errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, large))
	})
	for range 50 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = conformance.Check(t.Context(), d) // which fails where the file is another one by then
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
			t.Fatalf("a check has allocated %d MiB, when %d files were replaced", allocated>>20, replaced.Load())
		}
	}
}

func TestACheckDoesNotWaitForThePipeThatHasReplacedItsFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	replaced := replace(t, root, func(name string) error { return syscall.Mkfifo(name, 0o600) })
	for range 50 {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = conformance.Check(t.Context(), d) // which fails where the file is another one by then
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("a check waits, when %d files were replaced", replaced.Load())
		}
	}
}

func TestADirectoryOfVeryManyNamesIsReadInParts(t *testing.T) { //nolint:paralleltest // it counts what is allocated
	const count, most = 150_000, 24 << 20
	root := t.TempDir()
	directory := filepath.Join(root, "acme/acme/monthly/monthly-1")
	must(t, os.MkdirAll(directory, 0o750))
	first := ""
	for i := range count {
		name := filepath.Join(directory, fmt.Sprintf("%0200d", i))
		if i%30_000 == 0 { // a file may not have many more names
			first = name
			must(t, os.WriteFile(name, nil, 0o600))
		} else {
			must(t, os.Link(first, name))
		}
	}
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	put := make(chan error, 1)
	go func() {
		put <- d.Put(t.Context(), "acme/monthly/monthly-1/a.csv", conformance.Describe("x"), strings.NewReader("x"))
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-put:
			must(t, err)
			return
		case <-look.C:
		}
		runtime.ReadMemStats(&now)
		if now.HeapAlloc > before.HeapAlloc+most {
			t.Fatalf("%d names take %d MiB", count, (now.HeapAlloc-before.HeapAlloc)>>20)
		}
	}
}

// TestAllPartsThatAreLeftAreRemoved has more of them than one look takes.
func TestAllPartsThatAreLeftAreRemoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := open(t, v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}}, root)
	directory := filepath.Join(root, "acme/monthly-1")
	must(t, os.MkdirAll(directory, 0o750))
	for i := range 600 {
		must(t, os.WriteFile(filepath.Join(directory, fmt.Sprint(".a.csv.X", i)), nil, 0o600))
	}
	must(t, d.Put(t.Context(), "monthly-1/a.csv", conformance.Describe("x"), strings.NewReader("x")))
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 || entries[0].Name() != "a.csv" {
		t.Errorf("%d entries are there (%v)", len(entries), err)
	}
}
