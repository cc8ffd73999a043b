package exporters_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
)

// disk is a sink that keeps one file and one body, and is full if that is set.
type disk struct {
	file, scratch bytes.Buffer
	closed        bool
	full          error
}

type diskFile struct{ *disk }

func (d *disk) Create(context.Context, string, string) (io.WriteCloser, error) {
	return diskFile{d}, d.full
}
func (d *disk) Scratch(context.Context) (exporters.Scratch, error) { return &d.scratch, d.full }

func (f diskFile) Write(p []byte) (int, error) {
	if f.full != nil {
		return 0, f.full
	}
	return f.file.Write(p)
}

func (f diskFile) Close() error {
	f.closed = true
	return nil
}

func TestABodyGoesBehindItsHead(t *testing.T) {
	t.Parallel()
	d := &disk{}
	body, err := exporters.NewBody(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("vouchers\n", 20_000)
	_, _ = body.WriteString(long) // the buffer remembers an error
	file, err := exporters.CreateFile(t.Context(), d, "gl.txt", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString("head\n")
	if n, err := body.WriteTo(file); err != nil || n != int64(len(long)) {
		t.Fatalf("%d bytes: %v", n, err)
	}
	if err := file.Close(); err != nil || !d.closed || d.file.String() != "head\n"+long {
		t.Errorf("closed is %t, and %d bytes are in the file: %v", d.closed, d.file.Len(), err)
	}
}

func TestAFileThatCanNotBeWrittenIsNotComplete(t *testing.T) {
	t.Parallel()
	d := &disk{}
	file, err := exporters.CreateFile(t.Context(), d, "gl.txt", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString("in the buffer")
	d.full = errors.New("no room")
	if err := file.Close(); !errors.Is(err, d.full) || d.closed {
		t.Errorf("closed is %t: %v", d.closed, err)
	}
	if _, err := exporters.CreateFile(t.Context(), d, "gl.txt", "text/plain"); !errors.Is(err, d.full) {
		t.Errorf("a file on a full disk: %v", err)
	}
	if _, err := exporters.NewBody(t.Context(), d); !errors.Is(err, d.full) {
		t.Errorf("a body on a full disk: %v", err)
	}
}
