package server

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// mostForms are read at the same time of those who have not logged in yet.
const mostForms = 64

// forms are those that are being read. For one more the oldest is given up: an honest one is there at once.
type forms struct {
	mu   sync.Mutex
	open list.List // of *http.ResponseController, the oldest first
}

// read reads the form of a request in its body, of so many bytes at most.
func (f *forms) read(w http.ResponseWriter, r *http.Request, most int64) error {
	connection := http.NewResponseController(w)
	f.mu.Lock()
	if oldest := f.open.Front(); f.open.Len() >= mostForms {
		_ = oldest.Value.(*http.ResponseController).SetReadDeadline(time.Unix(1, 0)) // every connection can
		f.open.Remove(oldest)
	}
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	own := f.open.PushBack(connection)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open.Remove(own) // nothing, if it was given up
	}()
	r.Body = http.MaxBytesReader(w, r.Body, most)
	return r.ParseForm()
}
