package transfer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ledgerport/ledgerport/internal/transfer"
)

func TestTheRestOfAFileIsServedAndNoOtherPart(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int64{
		"": 0, "bytes=0-": 0, "bytes=7-": 7, "bytes=9-": 9, "bytes=0-3": 0, "bytes=-3": -1, "bytes=10-": -1, "bytes=9223372036854775808-": -1, "lines=7-": 0, "bytes=x-": -1, "bytes=1-2,4-": -1,
	} {
		from, err := transfer.From(header, 10)
		if header == "bytes=-3" { // the last three bytes: the whole file is as good
			want = 0
		}
		if (want < 0) != errors.Is(err, transfer.ErrBeyond) || want >= 0 && from != want {
			t.Errorf("%q begins at %d (%v), want %d", header, from, err, want)
		}
	}
}

func TestAFileIsAnnouncedSoThatNoBrowserRunsIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file transfer.File
		from int64
		code int
		want map[string]string
	}{
		"all of it": {transfer.File{Name: "a.csv", MediaType: "text/csv", SHA256: "ab", Size: 10}, 0, http.StatusOK,
			map[string]string{"Content-Type": "text/csv", "Content-Disposition": "attachment; filename=a.csv", "Content-Length": "10", "ETag": `"ab"`, "Content-Range": ""}},
		"the rest": {transfer.File{Name: "a.csv", MediaType: "text/csv", Size: 10}, 7, http.StatusPartialContent,
			map[string]string{"Content-Length": "3", "Content-Range": "bytes 7-9/10", "Accept-Ranges": "bytes"}},
		"a type that is none": {transfer.File{Name: "a", MediaType: "text/html\r\nX: y"}, 0, http.StatusOK, map[string]string{"Content-Type": "application/octet-stream"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			transfer.Describe(w, test.file, test.from)
			if w.Code != test.code {
				t.Errorf("the status is %d, want %d", w.Code, test.code)
			}
			for header, want := range test.want {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
		})
	}
}
