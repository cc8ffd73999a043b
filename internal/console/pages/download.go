package pages

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	api "github.com/ledgerport/ledgerport/api/books/v1alpha1"
)

// transferTime is what a download may take.
const transferTime = 30 * time.Minute

// download sends a file of a run. If what comes is not the file that is recorded, the connection ends before the file does.
func (v *visit) download() error {
	key := types.NamespacedName{Namespace: v.namespace(), Name: v.r.PathValue("run")}
	list, err := v.books.Files(v.ctx, key)
	if err != nil {
		return err
	}
	for _, file := range list.Items {
		if file.Name == v.r.PathValue("file") {
			return v.send(key, file)
		}
	}
	return errNoPage
}

func (v *visit) send(run types.NamespacedName, file api.File) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), transferTime)
	defer cancel()
	sending := &sending{w: v.w, file: file}
	err := v.books.Download(ctx, run, file, sending)
	switch {
	case err == nil && !sending.begun: // it is empty
		sending.begin()
		return nil
	case err == nil:
		return nil
	case !sending.begun:
		return err
	}
	if !errors.Is(v.r.Context().Err(), context.Canceled) {
		v.Log.Error(err, "a download ended before the file did", "namespace", run.Namespace, "run", run.Name, "file", file.Name)
	}
	panic(http.ErrAbortHandler) // so that nobody takes it for whole
}

// sending writes the headers before the first byte.
type sending struct {
	w     http.ResponseWriter
	file  api.File
	begun bool
}

func (s *sending) begin() {
	s.begun = true
	header := s.w.Header()
	header.Set("Content-Type", "application/octet-stream") // no browser shows it
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": s.file.Name})
	if disposition == "" {
		disposition = "attachment"
	}
	header.Set("Content-Disposition", disposition)
	header.Set("Content-Length", strconv.FormatInt(s.file.Size, 10))
	s.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer. Nothing is written behind the size that was announced.
func (s *sending) Write(p []byte) (int, error) {
	if !s.begun {
		s.begin()
	}
	return s.w.Write(p)
}
