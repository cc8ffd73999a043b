package door

import (
	"context"
	"io"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	books "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/transfer"
)

// files lists those of a run.
func (h *hall) files(ctx context.Context, r *asked) (any, error) {
	reading, err := h.run(ctx, r)
	if err != nil {
		return nil, err
	}
	defer reading.Close()
	run := reading.Run()
	list := &books.FileList{TypeMeta: kind("FileList"), Items: []books.File{}}
	if at := run.ArtifactRemovedAt; at != nil && sane(*at) {
		list.RemovedAt = &metav1.Time{Time: *at}
	}
	for _, file := range run.Files {
		list.Items = append(list.Items, books.File{Name: file.Name, Size: file.Size, MediaType: file.MediaType, SHA256: file.SHA256})
	}
	return list, nil
}

func kind(name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: books.GroupVersion.String(), Kind: name}
}

// sane reports whether a time can be written as one.
func sane(t time.Time) bool { return t.Year() > 0 && t.Year() < 10000 }

// chunk is how much of a file is held, twice.
const chunk = 128 << 10

// transfer sends one file of a run.
func (h *hall) transfer(w http.ResponseWriter, r *asked) error {
	ctx, cancel := context.WithTimeout(r.Context(), h.Limits.Transfer)
	defer cancel()
	giveBack, taken := h.transfers.take(ctx, r.Namespace, cancel)
	if !taken {
		return busy
	}
	defer giveBack()
	file, end, err := h.delivered(ctx, cancel, r)
	if err != nil {
		return err
	}
	defer end()
	content, err := file.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // only read
	from, err := transfer.From(r.Header.Get("Range"), file.Size)
	if err != nil {
		return refused(http.StatusRequestedRangeNotSatisfiable, metav1.StatusReasonBadRequest, "the file has %d bytes", file.Size)
	}
	sending := &sending{ResponseWriter: w, connection: http.NewResponseController(w), stall: h.Limits.Stall, skip: from}
	defer sending.end()
	err = sending.send(content, func() {
		transfer.Describe(w, transfer.File{Name: file.Name, MediaType: file.MediaType, SHA256: file.SHA256, Size: file.Size}, from)
	})
	if err == nil {
		return nil
	}
	if destinations.IsOther(err) {
		h.Log.Error(err, "a file at its destination is not what the run delivered", "namespace", r.Namespace, "run", r.Name, "file", file.Name)
	}
	if !sending.begun {
		return ofContent(err)
	}
	panic(http.ErrAbortHandler) // the connection ends before the file does, so that nobody takes it for whole
}

// delivered finds a file in the record of its run, which takes a page's place: the record may be large, and is read and dropped here.
func (h *hall) delivered(ctx context.Context, giveUp func(), r *asked) (file *pipeline.Delivered, end func(), err error) {
	giveBack, taken := h.pages.take(ctx, r.Namespace, nil)
	if !taken {
		return nil, nil, busy
	}
	defer giveBack()
	late := time.AfterFunc(h.Limits.Page, giveUp)
	defer late.Stop()
	reading, err := h.run(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	if file, err = reading.File(r.Parts[3]); err != nil {
		reading.Close()
		return nil, nil, err
	}
	return file, reading.Close, nil
}

// ofContent is the answer if content has failed before a byte of it was sent.
func ofContent(err error) error {
	if !destinations.IsOther(err) {
		return err
	}
	answer := refused(http.StatusConflict, metav1.StatusReasonConflict, "the file at its destination is not what the run delivered; ask for a redelivery of the run, and find out who has changed it")
	answer.cause = v1alpha1.ReasonArtifactConflict
	return answer
}

// sending sends a content whose last chunk is sent only when all of it is known to be what was delivered.
type sending struct {
	http.ResponseWriter
	connection *http.ResponseController
	stall      time.Duration
	skip       int64 // bytes that the client has
	begun      bool
}

// send copies the content. Nothing is written before its first chunk is there, and nothing of a chunk before the next one is.
func (s *sending) send(content io.Reader, begin func()) error {
	ready, next := make([]byte, chunk), make([]byte, chunk)
	n, err := fill(content, ready)
	for {
		if err != nil && err != io.EOF { //nolint:errorlint // one that wraps it is no end
			return err
		}
		ended := err != nil
		var m int
		if !ended {
			if m, err = fill(content, next); err != nil && err != io.EOF { //nolint:errorlint // as above
				return err
			}
		}
		if !s.begun {
			s.begun = true
			begin()
		}
		if err := s.write(ready[:n]); err != nil {
			return err
		}
		if ended {
			return nil //nolint:nilerr // that was the end of the content
		}
		ready, next, n = next, ready, m
	}
}

// write writes what the client does not have. It has to take it in time.
func (s *sending) write(p []byte) error {
	skipped := min(s.skip, int64(len(p)))
	s.skip -= skipped
	if p = p[skipped:]; len(p) == 0 {
		return nil
	}
	_ = s.connection.SetWriteDeadline(time.Now().Add(s.stall)) // every connection can
	_, err := s.Write(p)
	return err
}

func (s *sending) end() { _ = s.connection.SetWriteDeadline(time.Time{}) }

// fill reads until a buffer is full, or the content ends. Its error is io.EOF alone if that was the end.
func fill(content io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = content.Read(buffer[n:])
		n += more
	}
	return n, err
}
