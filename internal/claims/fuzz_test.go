package claims_test

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// exportOnce does what an attempt does in a database.
func exportOnce(ctx context.Context, options claims.Options) (taken int, err error) {
	database, err := claims.Open(ctx, options)
	if err != nil {
		return 0, err
	}
	defer database.Close()
	if _, err := database.Inspect(ctx); err != nil {
		return 0, err
	}
	run, err := database.StartAttempt(ctx, attemptOf("1"))
	if err != nil {
		return 0, err
	}
	reservation, err := database.Reserve(ctx, run.Fence(), claims.Selection{})
	if err != nil {
		return 0, err
	}
	defer reservation.Rollback()
	for claim, err := reservation.Next(ctx); claim != nil; claim, err = reservation.Next(ctx) {
		if err != nil {
			return taken, err
		}
		if err := reservation.Take(ctx, one(voucher(claim, 2026, reservation.NextNumber(2026)))); err != nil {
			return taken, err
		}
		taken++
	}
	totals, err := reservation.Totals(ctx)
	if err != nil || totals.Claims != int64(taken) {
		return taken, err
	}
	if err := reservation.Commit(ctx, rendered(nil, 0)); err != nil {
		return taken, err
	}
	reservation.Rollback()
	_, _, err = database.Run(ctx, run.ID)
	return taken, err
}

// mutation changes messages of a server by the bytes of an input: six for each change.
type mutation []byte

func (changes mutation) apply(place int, m hostilepg.Message) []byte {
	encoded := m.Encoded()
	for ; len(changes) >= 6; changes = changes[6:] {
		at, how, argument, where := int(binary.BigEndian.Uint16(changes)), changes[2], changes[3], int(binary.BigEndian.Uint16(changes[4:]))
		if at != place {
			continue
		}
		where %= len(encoded)
		switch how % 8 {
		case 0: // leave it out
			return nil
		case 1: // say it again and again
			once := encoded
			for range int(argument) * 16 {
				encoded = append(encoded, once...)
			}
		case 2: // another byte
			encoded[where] ^= argument | 1
		case 3: // another type
			encoded[0] = argument
		case 4: // cut off, with a length that is true
			encoded = hostilepg.Message{Kind: m.Kind, Body: m.Body[:min(where, len(m.Body))]}.Encoded()
		case 5: // cut off, with a length that is not
			encoded = encoded[:where]
		case 6: // something else before it
			encoded = append(hostilepg.Message{Kind: argument, Body: make([]byte, where)}.Encoded(), encoded...)
		case 7: // longer than it says
			encoded = append(encoded, make([]byte, where)...)
		}
		if len(encoded) == 0 {
			return nil
		}
	}
	return encoded
}

// FuzzServer finds out that nothing that a server of PostgreSQL may answer makes an attempt panic, hang, or take much memory.
func FuzzServer(f *testing.F) {
	fixture := newFixture(f, applicationTables)
	for n := range 3 {
		fixture.claim(n+1, 2)
	}
	url, recording := hostilepg.Record(f, fixture.url)
	if taken, err := exportOnce(f.Context(), claims.Options{Allowed: insecure, URL: url}); err != nil || taken != 3 {
		f.Fatalf("%d claims were taken: %v", taken, err)
	}
	f.Add([]byte{})
	for how := range byte(8) {
		for _, place := range []uint16{0, 5, 9, 40, 80} {
			f.Add(append(binary.BigEndian.AppendUint16(nil, place), how, 'D', 0, 7))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		replay := &hostilepg.Replay{Recording: recording, Change: mutation(input).apply, Patience: 20 * time.Millisecond}
		if len(input) == 0 {
			replay.Patience = time.Minute
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		taken, err := exportOnce(ctx, claims.Options{Allowed: insecure, URL: "postgres://app:s3cret@server/app?sslmode=disable", Dial: replay.Dial})
		runtime.ReadMemStats(&after)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 300 {
			t.Errorf("it made %d MiB", made)
		}
		if len(input) == 0 && (err != nil || taken != 3) {
			t.Errorf("what was recorded does not do: %d, %v", taken, err)
		}
	})
}
