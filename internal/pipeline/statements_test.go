package pipeline_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// TestGroupOfVouchersIsSent counts the ways to the database and back: a far database bounds how fast vouchers are sent.
func TestGroupOfVouchersIsSent(t *testing.T) {
	t.Parallel()
	t.Run("in at most seven ways to the database and back", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t, bc.Settings{}, map[string]any{})
		o.claims(30)
		database := countRoundTrips(t, o.database)
		books := newPipeline(database.url, o.exports, "office", nil)
		o.must(sendVouchers(t.Context(), books.Resolver.Objects.(client.Client), o.options))
		books.Resolver.Exporters = o.books.Resolver.Exporters
		var began int64
		var groups []int64
		books.Failpoints = func(point failpoint.Point) {
			switch point {
			case failpoint.MarkSent.Before():
				began = database.trips.Load()
			case failpoint.Answer.After():
				groups = append(groups, database.trips.Load()-began)
			}
		}
		if outcome, err := books.Run(t.Context(), run(1), &pipeline.Progress{}); err != nil || outcome.Result.Claims != 30 {
			t.Fatalf("the run ended with %+v (%v)", outcome, err)
		}
		// The first group also has its statements described.
		if len(groups) < 3 || slices.Min(groups) == 0 || slices.Max(groups[1:]) > 7 {
			t.Errorf("the groups took %d round trips", groups)
		}
	})
}

// roundTrips is a way to a database that counts how often a client waits for an answer.
type roundTrips struct {
	url   string
	trips atomic.Int64
}

func countRoundTrips(t *testing.T, database string) *roundTrips {
	t.Helper()
	to, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	server := to.Host
	to.Host = listener.Addr().String()
	r := &roundTrips{url: to.String()}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(connection, server)
		}
	}()
	return r
}

func (r *roundTrips) serve(from net.Conn, address string) {
	defer func() { _ = from.Close() }()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(from, server) // ends with either connection
		_ = from.Close()
	}()
	messages := bufio.NewReader(from)
	for headless := true; ; headless = false { // the first message has no type
		size := 5
		if headless {
			size = 4
		}
		header := make([]byte, size)
		if _, err := io.ReadFull(messages, header); err != nil {
			return
		}
		if kind := header[0]; !headless && (kind == 'Q' || kind == 'S') { // Query, Sync
			r.trips.Add(1)
		}
		if _, err := server.Write(header); err != nil {
			return
		}
		if _, err := io.CopyN(server, messages, int64(binary.BigEndian.Uint32(header[size-4:]))-4); err != nil {
			return
		}
	}
}
