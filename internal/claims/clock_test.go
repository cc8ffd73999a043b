package claims_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// atClock does something in a process whose clock is off by so much.
func atClock(t *testing.T, off time.Duration, do func(*testing.T)) {
	t.Helper()
	now := time.Now().Round(0)
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(now.Add(off)))
		do(t)
	})
}

// TestOnlyTheClockOfTheDatabaseDecides has operators whose clocks are 20 minutes behind and ahead, and an attempt that may take ten.
func TestOnlyTheClockOfTheDatabaseDecides(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": -20 * time.Minute, "ahead": 20 * time.Minute} {
		t.Run("over the attempt of an operator whose clock is "+name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, applicationTables)
			onTime := func(step string) {
				if n := f.count(`SELECT count(*) FROM ledgerport.runs WHERE deadline - clock_timestamp() BETWEEN interval '8 minutes' AND interval '10 minutes'`); n != 1 {
					t.Errorf("after the run was %s its deadline is not in ten minutes, by the clock of the database", step)
				}
			}
			busy := func(t *testing.T) {
				_, err := open(t, f.url).StartAttempt(t.Context(), attemptOf("2"))
				mustFail(t, err, v1alpha1.ReasonSeriesBusy)
			}
			long := attemptOf("1")
			long.Deadline = 10 * time.Minute
			atClock(t, off, func(t *testing.T) {
				if _, err := open(t, f.url).StartAttempt(t.Context(), long); err != nil {
					t.Error(err)
				}
			})
			onTime("begun")
			busy(t)
			atClock(t, -off, busy)
			atClock(t, off, func(t *testing.T) {
				if _, err := open(t, f.url).TakeOver(t.Context(), "1", "pod-2", "here", long.Deadline); err != nil {
					t.Error(err)
				}
			})
			onTime("taken over")
			busy(t)
			atClock(t, -off, busy)
		})
	}
}

func open(t *testing.T, url string) *claims.Database {
	t.Helper()
	database, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: insecure})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	return database
}
