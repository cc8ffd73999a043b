package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	apibooks "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/internal/console/problem"
	"github.com/ledgerport/ledgerport/internal/transfer"
	"github.com/ledgerport/ledgerport/texts"
)

// transferTime is how long a download may take.
const transferTime = 30 * time.Minute

// fileList is how the files of a run are told.
type fileList struct {
	// RemovedAt is when they were removed from their destination.
	RemovedAt *time.Time `json:"removedAt,omitempty"`
	Items     []file     `json:"items"`
}

// file is one of them.
type file struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	SHA256    string `json:"sha256"`
	// Link is a path of this server.
	Link string `json:"link"`
}

// delivered lists the files of a run of the export that is asked about.
func (r *asked) delivered(ctx context.Context) (*apibooks.FileList, error) {
	if _, err := r.find(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, bookTime)
	defer cancel()
	return r.books.Files(ctx, r.run())
}

// files lists those of a run.
func (a *api) files(w http.ResponseWriter, r *asked) error {
	list, err := r.delivered(r.Context())
	if err != nil {
		return err
	}
	told := fileList{Items: []file{}}
	if list.RemovedAt != nil {
		told.RemovedAt = new(list.RemovedAt.UTC())
	}
	for _, one := range list.Items {
		link := (&url.URL{Path: strings.TrimSuffix(r.URL.Path, "/")}).JoinPath(url.PathEscape(one.Name)).EscapedPath()
		told.Items = append(told.Items, file{Name: one.Name, Size: one.Size, MediaType: one.MediaType, SHA256: one.SHA256, Link: link})
	}
	return write(w, r, http.StatusOK, told)
}

// download sends a file, of which every byte is compared with its record on the way.
func (a *api) download(w http.ResponseWriter, r *asked) error {
	ctx, cancel := context.WithTimeout(r.Context(), transferTime)
	defer cancel()
	giveBack, taken := a.transfers.take(r.caller.Share(), cancel)
	if !taken {
		return problem.Busy("as many files are being downloaded as may be, by you or by all; ask again when one is done")
	}
	defer giveBack()
	list, err := r.delivered(ctx)
	if err != nil {
		return err
	}
	name := r.PathValue("file")
	at := slices.IndexFunc(list.Items, func(one apibooks.File) bool { return one.Name == name })
	switch {
	case at < 0 || strings.ContainsAny(name, `/\`) || name == "." || name == "..":
		return problem.New(http.StatusNotFound, problem.NotFound, "the run has delivered no file of this name")
	case list.RemovedAt != nil:
		return problem.New(http.StatusGone, problem.NotFound, "the files were removed from their destination; ask for a redelivery of the run")
	}
	return a.transfer(ctx, w, r, list.Items[at])
}

// transfer sends a file, or the rest of one.
func (a *api) transfer(ctx context.Context, w http.ResponseWriter, r *asked, one apibooks.File) error {
	from, err := transfer.From(r.Header.Get("Range"), one.Size)
	if err != nil {
		return problem.New(http.StatusRequestedRangeNotSatisfiable, problem.BadRequest, "the file has %d bytes", one.Size)
	}
	sending := &sending{w: w, skip: from, begin: func() { describe(w, one, from) }}
	err = r.books.Download(ctx, r.run(), one, sending)
	switch {
	case err == nil:
		return sending.started() // of a file of nothing, too
	case !sending.begun:
		return err
	}
	panic(http.ErrAbortHandler) // the connection ends before the file does, so that nobody takes it for whole
}

// describe writes the headers.
func describe(w http.ResponseWriter, one apibooks.File, from int64) {
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'")
	transfer.Describe(w, transfer.File{Name: one.Name, MediaType: one.MediaType, SHA256: one.SHA256, Size: one.Size}, from)
}

// sending writes what a client does not have. It begins with the first byte, so that what goes wrong before is answered.
type sending struct {
	w     io.Writer
	skip  int64
	begin func()
	begun bool
}

func (s *sending) started() error {
	if !s.begun {
		s.begun = true
		s.begin()
	}
	return nil
}

// Write implements io.Writer.
func (s *sending) Write(p []byte) (int, error) {
	all := len(p)
	_ = s.started() // it does not fail
	skipped := min(s.skip, int64(all))
	s.skip -= skipped
	if p = p[skipped:]; len(p) > 0 {
		if n, err := s.w.Write(p); err != nil {
			return int(skipped) + n, err
		}
	}
	return all, nil
}

// bookTime is how long a list may take.
const bookTime = 40 * time.Second

// heldList is a page of held claims.
type heldList struct {
	// Groups count all of them by reason; only the first page has them.
	Groups []apibooks.HeldGroup `json:"groups,omitempty"`
	Items  []apibooks.HeldClaim `json:"items"`
	// Next is the path of the next page.
	Next string `json:"next,omitempty"`
}

// held lists the claims that wait for a person.
func (a *api) held(w http.ResponseWriter, r *asked) error {
	ctx, cancel := context.WithTimeout(r.Context(), bookTime)
	defer cancel()
	query := r.URL.Query()
	page, err := r.books.HeldPage(ctx, r.export(), books.Page{Limit: query.Get("limit"), Continue: query.Get("continue"), Reason: query.Get("reason"), Claim: query.Get("claim")})
	if err != nil {
		return err
	}
	told := heldList{Groups: page.Groups, Items: page.Items}
	if told.Items == nil {
		told.Items = []apibooks.HeldClaim{}
	}
	if page.Continue != "" {
		query.Set("continue", page.Continue)
		told.Next = r.URL.EscapedPath() + "?" + query.Encode()
	}
	return write(w, r, http.StatusOK, told)
}

// claimStatus is what became of a claim.
type claimStatus struct {
	Claim string                 `json:"claim"`
	Items []apibooks.ClaimStatus `json:"items"`
}

// claim says what runs of the export have made of a claim.
func (a *api) claim(w http.ResponseWriter, r *asked) error {
	ctx, cancel := context.WithTimeout(r.Context(), bookTime)
	defer cancel()
	id := r.PathValue("claim")
	list, err := r.books.Claim(ctx, r.export(), id)
	if err != nil {
		return err
	}
	told := claimStatus{Claim: texts.Printable(id, texts.Quote), Items: list.Items}
	if told.Items == nil {
		told.Items = []apibooks.ClaimStatus{}
	}
	return write(w, r, http.StatusOK, told)
}
