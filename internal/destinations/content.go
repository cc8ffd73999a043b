package destinations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/ledgerport/ledgerport/internal/panics"
)

// verifier passes content on, and ends it with an error instead of its end if it is not what was announced. Why it ended is in
// err: what reads it may take an error for the end that was made by one, such as that of a connection.
type verifier struct {
	content io.Reader
	want    Object
	hash    hash.Hash
	size    int64
	err     error // what the content ended with, where that is not its end
}

// errContent ends content before its end.
var errContent = errors.New("the content cannot be read, or is not what was announced")

// otherContent says that content has come to its end, or beyond, and is not what was announced.
type otherContent struct{ error }

// IsOther reports whether content has ended with an error because it is not that of its object.
func IsOther(err error) bool { return errors.As(err, new(*otherContent)) }

func newVerifier(content io.Reader, want Object) *verifier {
	return &verifier{content: content, want: want, hash: sha256.New()}
}

// Read implements io.Reader.
func (v *verifier) Read(p []byte) (int, error) {
	n, err := caught(v.content, p)
	v.hash.Write(p[:n])
	v.size += int64(n)
	if v.size > v.want.Size && (err == nil || err == io.EOF) { //nolint:errorlint // one that wraps it is no end
		v.err = &otherContent{fmt.Errorf("the content has more than the %d bytes that were announced", v.want.Size)}
		return n, errContent
	}
	if err == nil {
		return n, nil
	}
	if err != io.EOF { //nolint:errorlint // one that wraps it is no end
		v.err = err
		return n, errContent
	}
	if have := hex.EncodeToString(v.hash.Sum(nil)); v.size != v.want.Size || have != v.want.SHA256 {
		v.err = &otherContent{fmt.Errorf("the content has %d bytes with hash %s; %d bytes with hash %s were announced", v.size, have, v.want.Size, v.want.SHA256)}
		return n, errContent
	}
	return n, io.EOF
}

// caught makes an error of a panic: client libraries read content in goroutines of their own, where one would end the process.
func caught(content io.Reader, p []byte) (n int, err error) {
	defer panics.Catch(&err)
	return content.Read(p)
}

// Describe reads content to its end, or until the context ends, and returns its size and hash.
func Describe(ctx context.Context, content io.Reader) (Object, error) {
	sum := sha256.New()
	size, err := io.Copy(sum, contextReader{ctx, content})
	return Object{Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// contextReader ends reading when the context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no room for it
	io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Guarded returns content that asks a guard before its first byte is read: the destination is ready to take it then.
func Guarded(content io.Reader, guard func() error) io.Reader {
	return &guardedContent{content, guard}
}

type guardedContent struct {
	io.Reader
	guard func() error // nil once it was asked
}

// Read implements io.Reader.
func (g *guardedContent) Read(p []byte) (int, error) {
	if g.guard != nil {
		if err := g.guard(); err != nil {
			return 0, err
		}
		g.guard = nil
	}
	return g.Reader.Read(p)
}
