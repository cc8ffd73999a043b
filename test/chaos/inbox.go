package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledgerport/ledgerport/test/leaks"
)

// inboxKey signs what the inbox takes.
const inboxKey = "whsec_c2VjcmV0LW9mLXdlYmhvb2tzLWluLWNoYW9z"

// inbox takes the notifications of all exports, and fails at times.
type inbox struct {
	server *httptest.Server
	calm   atomic.Bool
	asked  atomic.Int64

	mu    sync.Mutex
	taken []arrival
	texts [][]byte
}

// arrival is an event that was taken.
type arrival struct {
	id, kind string
	data     arrivedData
}

type arrivedData struct{ Namespace, Export, Run string }

// newInbox returns one that listens at an address of this machine.
func newInbox(host string) (*inbox, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	in := &inbox{}
	in.server = httptest.NewUnstartedServer(in)
	if err := in.server.Listener.Close(); err != nil {
		return nil, err
	}
	in.server.Listener = listener
	in.server.Start()
	return in, nil
}

// ServeHTTP implements http.Handler: of the requests some are refused, some hang, and some are taken without an answer.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := in.asked.Add(1)
	if in.calm.Load() {
		asked = 1
	}
	switch {
	case asked%5 == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case asked%17 == 0:
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
			w.WriteHeader(http.StatusGatewayTimeout)
		}
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var event struct {
		ID, Type string
		Data     arrivedData
	}
	if err != nil || json.Unmarshal(body, &event) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in.mu.Lock()
	in.taken, in.texts = append(in.taken, arrival{event.ID, event.Type, event.Data}), append(in.texts, body)
	in.mu.Unlock()
	if asked%7 == 0 {
		panic(http.ErrAbortHandler) // it has it, and nobody knows
	}
}

// arrivals are all that was taken, in the order in which it came.
func (in *inbox) arrivals() []arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.taken
}

// look lets a scan see what was taken.
func (in *inbox) look(scan *leaks.Scan) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, text := range in.texts {
		scan.Text("notification", in.taken[i].id, text, leaks.BankAccount, leaks.Name)
	}
}
