// Package transfer has how a file of a run is announced over HTTP: all of it, or the rest of one whose beginning was sent before.
package transfer

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/texts"
)

// File is what is known of one: its record may be of a database that anybody has written to.
type File struct {
	Name, MediaType, SHA256 string
	Size                    int64
}

// ErrBeyond says that a client wants what is behind the end of a file.
var ErrBeyond = errors.New("the file has no such part")

// From reads where a client wants a file from, in the header Range: only the rest of one is served. Every other range is the whole file, as
// RFC 9110, section 14.2, lets a server choose.
func From(header string, size int64) (int64, error) {
	text, is := strings.CutPrefix(header, "bytes=")
	text, open := strings.CutSuffix(text, "-")
	if !is || !open {
		return 0, nil
	}
	from, err := strconv.ParseInt(text, 10, 64)
	if err != nil || from < 0 || from > 0 && from >= size {
		return 0, ErrBeyond
	}
	return from, nil
}

// Describe writes the headers and the status of an answer that has a file from a place on. No browser runs it.
func Describe(w http.ResponseWriter, file File, from int64) {
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	if _, _, err := mime.ParseMediaType(file.MediaType); err == nil {
		header.Set("Content-Type", file.MediaType)
	}
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": file.Name})
	if disposition == "" {
		disposition = "attachment"
	}
	header.Set("Content-Disposition", disposition)
	header.Set("Content-Length", strconv.FormatInt(file.Size-from, 10))
	header.Set("Accept-Ranges", "bytes")
	header.Set("ETag", `"`+texts.Printable(file.SHA256, texts.Quote)+`"`)
	code := http.StatusOK
	if from > 0 {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, file.Size-1, file.Size))
		code = http.StatusPartialContent
	}
	w.WriteHeader(code)
}
