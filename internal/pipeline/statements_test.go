package pipeline_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
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

// TestARunReadsWhatTheCatalogHasOfItsOwnTables has an application with hundreds of tables besides, as one has that keeps each of its customers
// in a schema of their own.
func TestARunReadsWhatTheCatalogHasOfItsOwnTables(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keepsNone = true // what a session has read is counted when it ends
	read := func(n int) int64 {
		before := s.readOfCatalog()
		p := newPipeline(s.database, s.exports, "alone", nil)
		p.Resolver.Sessions = nil
		_, err := p.Run(t.Context(), run(n), &pipeline.Progress{})
		s.must(err)
		return s.readOfCatalog() - before
	}
	read(1) // makes the schema
	few := read(2)
	s.do(`DO $$ BEGIN FOR i IN 1..400 LOOP
		EXECUTE format('CREATE TABLE public.other_%s (id bigint PRIMARY KEY, a int DEFAULT 1, b text CHECK (length(b) > 1), c text, d text, e text, f text, g text)', i);
		EXECUTE format('CREATE FUNCTION public.other_%s() RETURNS int LANGUAGE sql AS ''SELECT 1''', i);
	END LOOP; END $$`)
	if many := read(3); few == 0 || many > few+few/2 {
		t.Errorf("a run reads %d rows of the catalog, and with 400 other tables %d", few, many)
	}
}

// readOfCatalog is how many rows and index entries of the catalog all sessions have read that have ended.
func (s *stage) readOfCatalog() (rows int64) {
	s.Helper()
	s.untilNoBackendWorks()
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `WITH catalog AS (
				SELECT unnest('{pg_attrdef,pg_attribute,pg_class,pg_constraint,pg_depend,pg_index,pg_policy,pg_proc,pg_rewrite,pg_trigger,pg_type}'::regclass[])::oid AS oid)
			SELECT sum(pg_stat_get_tuples_returned(oid))::bigint FROM (
				SELECT oid FROM catalog UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM catalog)) part`).Scan(&rows)
	})
	return rows
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
