package claims_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// peak returns by how much the heap grows while something is done, at most.
func peak(t *testing.T, work func()) uint64 {
	t.Helper()
	heap := func() uint64 {
		runtime.GC() // not what is only not yet collected
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, highest := heap(), uint64(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work()
	}()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-ended:
			return max(highest, before) - before
		case <-tick.C:
			highest = max(highest, min(heap(), heap())) // what is made while garbage is collected stays until the next time
		}
	}
}

const megabyte = 1 << 20

// repeated sends a message instead of the first row of the answer to a statement that has some words, until nobody listens.
func repeated(words string, next func(i int, row hostilepg.Message) hostilepg.Message) hostilepg.Change {
	return func(statement string, m hostilepg.Message, send func(hostilepg.Message) error) error {
		if m.Kind != 'D' || !strings.Contains(statement, words) {
			return send(m)
		}
		for i := 0; ; i++ {
			if err := send(next(i, m)); err != nil {
				return err
			}
		}
	}
}

func same(_ int, row hostilepg.Message) hostilepg.Message { return row }

// TestInspect_IsBounded runs alone, because it measures the whole process.
func TestInspect_IsBounded(t *testing.T) {
	f := newFixture(t, applicationTables)
	long := strings.Repeat("x", 40_000)
	largeRow := hostilepg.Message{Kind: 'D', Body: make([]byte, 10*megabyte)}
	largeError := hostilepg.Of(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: strings.Repeat(long, 100)})
	for name, change := range map[string]hostilepg.Change{
		"columns without an end": repeated("pg_attribute", same),
		"columns of other names without an end": repeated("pg_attribute", func(i int, row hostilepg.Message) hostilepg.Message {
			fields := row.Fields()
			fields[0] = fmt.Appendf(nil, "column_%d", i)
			return hostilepg.Row(fields...)
		}),
		"indexes without an end": repeated("pg_index", same),
		"settings without an end": repeated("pg_attribute", func(i int, _ hostilepg.Message) hostilepg.Message {
			return hostilepg.Of(&pgproto3.ParameterStatus{Name: fmt.Sprintf("setting_%d", i), Value: long})
		}),
		"notices without an end": repeated("pg_attribute", func(int, hostilepg.Message) hostilepg.Message {
			return hostilepg.Of(&pgproto3.NoticeResponse{Severity: "NOTICE", Message: long})
		}),
		"notifications without an end": repeated("pg_attribute", func(int, hostilepg.Message) hostilepg.Message {
			return hostilepg.Of(&pgproto3.NotificationResponse{Channel: "c", Payload: long})
		}),
		"a row of 10 megabytes":   repeated("pg_attribute", func(int, hostilepg.Message) hostilepg.Message { return largeRow }),
		"an error of 4 megabytes": repeated("pg_attribute", func(int, hostilepg.Message) hostilepg.Message { return largeError }),
	} {
		t.Run(name, func(t *testing.T) {
			server := hostilepg.Proxy(t, f.url, change)
			database, err := claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: server})
			f.must(err)
			defer database.Close()
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			used := peak(t, func() { _, err = database.Inspect(ctx) })
			mustFail(t, err, v1alpha1.ReasonAnswerTooLarge)
			if used > 64*megabyte || time.Since(began) > 30*time.Second { // garbage, and what the server makes of a message included
				t.Errorf("it took %d MiB and %s", used/megabyte, time.Since(began))
			}
		})
	}
}

func TestOpen_ServerThatSpeaksWithoutAnEndBeforeItIsAsked(t *testing.T) {
	f := newFixture(t, applicationTables)
	for name, message := range map[string]pgproto3.BackendMessage{
		"settings":           &pgproto3.ParameterStatus{Name: "TimeZone", Value: strings.Repeat("x", 1000)},
		"notices":            &pgproto3.NoticeResponse{Message: strings.Repeat("x", 10_000)},
		"keys":               &pgproto3.BackendKeyData{SecretKey: make([]byte, 200)},
		"other capabilities": &pgproto3.NegotiateProtocolVersion{UnrecognizedOptions: []string{strings.Repeat("x", 10_000)}},
	} {
		t.Run(name, func(t *testing.T) {
			server := hostilepg.Proxy(t, f.url, func(_ string, m hostilepg.Message, send func(hostilepg.Message) error) error {
				for m.Kind == 'K' {
					if err := send(hostilepg.Of(message)); err != nil {
						return err
					}
				}
				return send(m)
			})
			var err error
			used := peak(t, func() {
				_, err = claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: server, ConnectTimeout: time.Minute})
			})
			mustFail(t, err, v1alpha1.ReasonAnswerTooLarge)
			if used > 60*megabyte {
				t.Errorf("it took %d MiB", used/megabyte)
			}
		})
	}
}

// TestReserve_HoldsAClaimThatIsTooLarge runs alone, because it measures the whole process. Each claim stands before one that is
// exported.
func TestReserve_HoldsAClaimThatIsTooLarge(t *testing.T) {
	for name, enlarge := range map[string]string{
		"100,000 lines": `INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount)
			SELECT '` + id(1) + `', i, '2026-10-20', 'travel', 1, 0 FROM generate_series(10, 100010) i`,
		"lines of 12 megabytes": `UPDATE claim_lines SET dimensions = jsonb_build_object('project', repeat('x', 12000000)) WHERE claim_id = '` + id(1) + `'`,
		"lines of a megabyte in 100,000 names": `UPDATE claim_lines SET dimensions = (SELECT jsonb_object_agg(i::text, 1) FROM generate_series(1, 100000) i)
			WHERE claim_id = '` + id(1) + `'`,
		"more dimensions than can be":   `UPDATE claim_lines SET dimensions = (SELECT jsonb_object_agg(i::text, 1) FROM generate_series(1, 101) i) WHERE claim_id = '` + id(1) + `'`,
		"a description of 30 megabytes": `UPDATE claims SET description = repeat('x', 30000000) WHERE id = '` + id(1) + `'`,
		"a megabyte of every line": `INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount, description)
			SELECT '` + id(1) + `', i, '2026-10-20', 'travel', 1, 0, repeat('x', 60000) FROM generate_series(10, 1000) i`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, applicationTables)
			f.claim(1, 4)
			f.claim(2, 1)
			f.sql(enlarge)
			database := f.open(v1alpha1.PostgresSource{})
			run := f.start(database, attemptOf("1"))
			reservation := f.reserve(database, run)
			var taken []string
			var held int64
			var why string
			used := peak(t, func() {
				taken, held = f.takeAll(reservation, func(claim *ledger.Claim) int {
					if claim.Held != nil {
						why = claim.Held.Message
						return 0
					}
					return 2026
				})
			})
			totals, err := reservation.Totals(f.ctx)
			f.must(err)
			f.must(reservation.Commit(f.ctx, rendered(taken, held)))
			if len(taken) != 1 || taken[0] != id(2) || held != 1 || totals.Claims != 1 || why == "" {
				t.Errorf("taken %v, held %d, %q, totals %+v", taken, held, why, totals)
			}
			if used > 64*megabyte {
				t.Errorf("it took %d MiB", used/megabyte)
			}
		})
	}
}

func TestReserve_EndsAClaimWhoseLinesNeverEnd(t *testing.T) {
	f := newFixture(t, applicationTables)
	f.claim(1, 2)
	var large hostilepg.Message
	next := func(_ int, row hostilepg.Message) hostilepg.Message {
		if fields := row.Fields(); large.Body == nil {
			fields[len(fields)-1] = make([]byte, 64*megabyte)
			large = hostilepg.Row(fields...)
		}
		return large
	}
	direct := f.open(v1alpha1.PostgresSource{})
	run := f.start(direct, attemptOf("1"))
	database, err := claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: hostilepg.Proxy(t, f.url, repeated("WITH approved AS", next))})
	f.must(err)
	defer database.Close()
	reservation, err := database.Reserve(t.Context(), run.Fence(), claims.Selection{})
	f.must(err)
	defer reservation.Rollback()
	used := peak(t, func() {
		for err == nil {
			_, err = reservation.Next(t.Context())
		}
	})
	mustFail(t, err, v1alpha1.ReasonAnswerTooLarge)
	if used > 256*megabyte { // what the server makes included
		t.Errorf("it took %d MiB", used/megabyte)
	}
}

func TestReserve_RowsThatAreNotWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, applicationTables)
	f.claim(1, 2)
	const stream, totals = "WITH approved AS", "WITH taken"
	nulls := make([][]byte, 24)
	for name, test := range map[string]struct {
		words string
		row   hostilepg.Message
	}{
		"no column":                   {stream, hostilepg.Row()},
		"one column":                  {stream, hostilepg.Row([]byte("1"))},
		"all columns are NULL":        {stream, hostilepg.Row(nulls...)},
		"a thousand columns":          {stream, hostilepg.Row(make([][]byte, 1000)...)},
		"columns without their texts": {stream, hostilepg.Message{Kind: 'D', Body: []byte{0, 24, 0, 0, 1, 0}}},
		"no column of a sum":          {totals, hostilepg.Row()},
		"a sum of NULL":               {totals, hostilepg.Row(nil, nil, nil, nil)},
		"a sum that is no number":     {totals, hostilepg.Row([]byte("NOK"), []byte("1"), []byte("2"), []byte("\x1b[31m"))},
		"a currency that is none":     {totals, hostilepg.Row([]byte("\x1b[31m"), []byte("1"), []byte("2"), []byte("3"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := f.open(v1alpha1.PostgresSource{})
			attempt := attemptOf(name)
			attempt.Series = name
			run := f.start(direct, attempt)
			database, err := claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: hostilepg.Proxy(t, f.url, func(statement string, m hostilepg.Message, send func(hostilepg.Message) error) error {
				if m.Kind == 'D' && strings.Contains(statement, test.words) {
					m = test.row
				}
				return send(m)
			})})
			f.must(err)
			defer database.Close()
			reservation, err := database.Reserve(t.Context(), run.Fence(), claims.Selection{})
			f.must(err)
			defer reservation.Rollback()
			var claim *ledger.Claim
			for err == nil {
				if claim, err = reservation.Next(t.Context()); err == nil {
					err = reservation.Take(t.Context(), one(voucher(claim, 2026, reservation.NextNumber(2026))))
				}
			}
			if errors.Is(err, io.EOF) {
				_, err = reservation.Totals(t.Context())
			}
			if err == nil || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %v, want an error without what a terminal obeys", err)
			}
		})
	}
}

func TestReserve_ASumWithEndlessZeros(t *testing.T) {
	t.Parallel()
	f := newFixture(t, strings.Replace(applicationTables, "gross_amount numeric(14,4)", "gross_amount numeric", 1))
	f.claim(1, 1)
	f.sql(`UPDATE claim_lines SET gross_amount = round(125, 16000)`)
	database := f.open(v1alpha1.PostgresSource{})
	reservation := f.reserve(database, f.start(database, attemptOf("1")))
	f.takeAll(reservation, year2026)
	began := time.Now()
	totals, err := reservation.Totals(f.ctx)
	f.must(err)
	if len(totals.Currencies) != 1 || totals.Currencies[0].Gross != 12500 || time.Since(began) > 5*time.Second {
		t.Errorf("%+v after %s", totals, time.Since(began))
	}
}

// TestStartAttempt_ServerThatTakesNothingAndGoesOnSending has a server that stops reading in the middle of a statement: while the
// library waits for it to go on, it keeps in the background what comes.
func TestStartAttempt_ServerThatTakesNothingAndGoesOnSending(t *testing.T) {
	f := newFixture(t, applicationTables)
	at, err := url.Parse(f.url)
	f.must(err)
	notice := hostilepg.Of(&pgproto3.NoticeResponse{Message: strings.Repeat("x", 30_000)}).Encoded()
	const most = 256 * megabyte
	var sent atomic.Int64
	listening := hostilepg.Serve(t, func(client net.Conn) {
		_ = client.(*net.TCPConn).SetReadBuffer(4096)
		server, err := net.Dial("tcp", at.Host)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(client, server) }()
		if _, err := io.CopyN(server, client, megabyte/2); err != nil {
			return
		}
		for err == nil && sent.Load() < most {
			var n int
			n, err = client.Write(notice)
			sent.Add(int64(n))
		}
	})
	hostile := *at
	hostile.Host, hostile.RawQuery = listening, "sslmode=disable"
	database, err := claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: hostile.String()})
	f.must(err)
	defer database.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	attempt := attemptOf("1")
	attempt.Inputs = []byte(`{"chart": "` + strings.Repeat("x", 16*megabyte) + `"}`)
	_, err = database.StartAttempt(ctx, attempt)
	mustFail(t, err, v1alpha1.ReasonAnswerTooLarge)
	if sent.Load() > 64*megabyte { // buffers of the operating system included
		t.Errorf("%d MiB were taken", sent.Load()/megabyte)
	}
}
