package exporters

import (
	"bufio"
	"context"
	"io"
)

// bufferSize gathers what is written voucher by voucher, in bytes.
const bufferSize = 64 << 10

// File is a file of an artifact, behind a buffer.
type File struct {
	*bufio.Writer
	content io.WriteCloser
}

// CreateFile begins a file of an artifact. Name and media type are those of Sink.Create.
func CreateFile(ctx context.Context, sink Sink, name, mediaType string) (*File, error) {
	content, err := sink.Create(ctx, name, mediaType)
	if err != nil {
		return nil, err
	}
	return &File{bufio.NewWriterSize(content, bufferSize), content}, nil
}

// Close completes the file.
func (f *File) Close() error {
	if err := f.Flush(); err != nil {
		return err
	}
	return f.content.Close()
}

// Body is what a file has behind a head that only the end knows. It is in scratch space, behind a buffer.
type Body struct {
	*bufio.Writer
	scratch Scratch
}

// NewBody begins a body.
func NewBody(ctx context.Context, sink Sink) (*Body, error) {
	scratch, err := sink.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	return &Body{bufio.NewWriterSize(scratch, bufferSize), scratch}, nil
}

// WriteTo copies the body behind its head. Nothing may be written any more then.
func (b *Body) WriteTo(to io.Writer) (int64, error) {
	if err := b.Flush(); err != nil {
		return 0, err
	}
	return b.scratch.WriteTo(to)
}
