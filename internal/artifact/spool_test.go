package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestSpoolKeepsFilesInOrderWithTheirHashesAndWithoutNames(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	for _, name := range []string{"b.csv", "a.csv"} {
		file, err := s.Create(t.Context(), name, "text/csv")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(file, "content of "+name); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(s.directory); err != nil || len(left) > 0 {
		t.Errorf("the directory has %v (%v): a crash would leave it", left, err)
	}
	sum := sha256.Sum256([]byte("content of b.csv"))
	want := File{Name: "b.csv", MediaType: "text/csv", Size: 16, SHA256: hex.EncodeToString(sum[:])}
	if records := s.Files(); len(records) != 2 || records[0] != want {
		t.Errorf("records %+v, want first %+v", records, want)
	}
	for range 2 { // a file can be read again
		content, err := io.ReadAll(s.files[0].Reader())
		if err != nil || string(content) != "content of b.csv" {
			t.Errorf("read %q (%v)", content, err)
		}
	}
}

func TestScratchIsCopiedWholeAndIsNoFileOfTheArtifact(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	scratch, err := s.Scratch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"one, ", "two"} {
		if _, err := io.WriteString(scratch, part); err != nil {
			t.Fatal(err)
		}
	}
	file, err := s.Create(t.Context(), "a.csv", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := scratch.WriteTo(file); n != 8 || err != nil {
		t.Fatalf("%d bytes were copied (%v), want 8", n, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(s.files[0].Reader()); err != nil || string(content) != "one, two" {
		t.Errorf("the file has %q (%v)", content, err)
	}
	if records := s.Files(); len(records) != 1 {
		t.Errorf("the artifact has %d files, want 1", len(records))
	}
	if left, err := os.ReadDir(s.directory); err != nil || len(left) > 0 {
		t.Errorf("the directory has %v (%v): a crash would leave it", left, err)
	}
}

func TestSpoolTakesAFractionOfTheDiskThatItsContentHas(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	file, err := s.Create(t.Context(), "a.csv", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("4670;1740;\"\";\"\";\"\";\"\"\r\n"), 4*blockSize/27)
	if _, err := file.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if have, err := io.ReadAll(s.files[0].Reader()); err != nil || !bytes.Equal(have, want) {
		t.Errorf("%d bytes were read back (%v) of %d", len(have), err, len(want))
	}
	if info, err := s.files[0].file.Stat(); err != nil || info.Size() > int64(len(want)/10) {
		t.Errorf("%d bytes take %d bytes of the disk (%v)", len(want), info.Size(), err)
	}
}

// TestContentThatIsCompleteTakesNoMemory runs alone, because it measures the whole process.
func TestContentThatIsCompleteTakesNoMemory(t *testing.T) {
	const files, most = 200, 4 << 20
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	before := heap()
	for i := range files { // as an exporter does that writes one file after the other
		scratch, err := s.Scratch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file, err := s.Create(t.Context(), fmt.Sprint(i), "text/csv")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := scratch.Write(make([]byte, 2*blockSize)); err != nil {
			t.Fatal(err)
		}
		if _, err := scratch.WriteTo(file); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if used := heap() - before; used > most {
		t.Errorf("%d files take %d KiB of the heap", files, used>>10)
	}
}

// heap is what is in use, without what is only not yet collected.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what was pooled is kept once
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestAFileWithoutContentIsEmpty(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	file, err := s.Create(t.Context(), "a.csv", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if have, err := io.ReadAll(s.files[0].Reader()); err != nil || len(have) > 0 {
		t.Errorf("read %q (%v)", have, err)
	}
}

func TestSpoolRefusesNamesThatAreNoPlainFileNames(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir()}
	defer s.Discard()
	if _, err := s.Create(t.Context(), "once.csv", "text/csv"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a/b", "../x", `a\b`, ".hidden", "a\x00b", "manifest.json", "once.csv"} {
		if _, err := s.Create(t.Context(), name, "text/csv"); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
}

func TestSpool_TakesNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	space := &Space{Attempt: 1 << 20, Total: 3 << 19}
	random := make([]byte, 1<<18)
	fill := func(s *Spool) (written int, err error) {
		file, err := s.Create(t.Context(), fmt.Sprintf("%d.csv", len(s.files)), "text/csv")
		for err == nil {
			_, _ = rand.Read(random)
			var n int
			n, err = file.Write(random)
			written += n
		}
		return written, err
	}
	of := func(namespace string) *Spool {
		s := &Spool{directory: t.TempDir(), space: space, namespace: namespace}
		t.Cleanup(s.Discard)
		return s
	}
	first, second := of("acme"), of("other")
	written, err := fill(first)
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonSpoolFull || !failed.Stalled || written > 2<<20 {
		t.Errorf("%d bytes, %+v", written, failed)
	}
	written, err = fill(second)
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonSpoolFull || failed.Stalled || written > 1<<20 {
		t.Errorf("%d bytes, %+v", written, failed)
	}
	first.Discard()
	if _, err := fill(second); !failure.From(err).Stalled {
		t.Errorf("what was given back cannot be taken: %v", err)
	}
	second.Discard()
	if len(space.used) != 0 {
		t.Errorf("there is still taken %v", space.used)
	}
}

func TestSpool_LeavesRoomForOtherNamespaces(t *testing.T) {
	t.Parallel()
	space := &Space{Attempt: 1 << 20, Total: 4 << 20}
	for range 2 {
		if err := space.take("hog", 1<<20, 0); err != nil {
			t.Fatal(err)
		}
	}
	if failed := failure.From(space.take("hog", 1, 0)); failed == nil || failed.Reason != v1alpha1.ReasonSpoolFull || failed.Stalled {
		t.Errorf("beyond its share a namespace is told %+v", failed)
	}
	if err := space.take("other", 1<<20, 0); err != nil {
		t.Errorf("another namespace is told %v", err)
	}
	space.give("hog", 1<<20)
	if err := space.take("hog", 1<<20, 0); err != nil {
		t.Errorf("of what was given back it is told %v", err)
	}
}

func TestSpool_GivesNothingBackWhereNothingWasTaken(t *testing.T) {
	t.Parallel()
	s := &Spool{directory: t.TempDir(), space: &Space{Attempt: 1, Total: 1}, namespace: "acme"}
	s.Discard() // of an operator's first attempt, which found its artifact delivered
}

func TestSpool_TakesNothingAfterTheAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &Spool{directory: t.TempDir(), ended: ctx.Err}
	defer s.Discard()
	file, err := s.Create(ctx, "a.csv", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("1")); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := file.Write([]byte("2")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the attempt has ended", err)
	}
}
