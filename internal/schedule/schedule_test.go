package schedule

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestShortestInterval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression, zone string
		want             time.Duration
	}{
		{"* * * * *", "UTC", time.Minute},
		{"0 6 1 * *", "UTC", 28 * 24 * time.Hour},
		{"0,1 6 1 1 *", "UTC", time.Minute},
		{"*/15 * * * *", "Europe/Berlin", 15 * time.Minute},
		{"0 6,18 * * *", "Europe/Berlin", 11 * time.Hour}, // of the night in which clocks go forward
		{"59 23 * * 1,3", "UTC", 2 * 24 * time.Hour},
		{"0 0 31 2 *", "UTC", 0},
	} {
		if got := parse(t, test.expression, test.zone).ShortestInterval(instant(t, "2026-01-02T00:00:00Z"), 0); got != test.want {
			t.Errorf("%s: %s, want %s", test.expression, got, test.want)
		}
	}
}

func TestSlotsAreWallClockTimesOfTheZone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, expression, zone, after, next string
	}{
		{"monthly at six in Berlin", "0 6 1 * *", "Europe/Berlin", "2026-11-02T00:00:00Z", "2026-12-01T05:00:00Z"},
		{"a slot is after the instant, not at it", "0 6 * * *", "UTC", "2026-11-02T06:00:00Z", "2026-11-03T06:00:00Z"},
		{"a descriptor", "@daily", "Asia/Tokyo", "2026-11-02T00:00:00Z", "2026-11-02T15:00:00Z"},
		{"29 February waits for a leap year", "0 0 29 2 *", "UTC", "2026-11-02T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"the 31st passes over short months", "0 0 31 * *", "UTC", "2026-04-01T00:00:00Z", "2026-05-31T00:00:00Z"},
		{"day of month or day of week, as in CronJob", "0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z"},
		{"skipped by the clock: the instant of the change", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"two skipped slots are one", "*/30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
		{"shown twice: the first", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"shown twice: the second is no slot", "30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"a change at midnight", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"},
		{"a whole day that a zone skipped", "0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-30T10:00:00Z"},
		{"a half-hour change", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		{"never", "0 0 31 2 *", "UTC", "2026-01-01T00:00:00Z", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			next := parse(t, test.expression, test.zone).Next(instant(t, test.after))
			if got := format(next); got != test.next {
				t.Errorf("Next(%s) = %s, want %s", test.after, got, test.next)
			}
		})
	}
}

func TestNewestMissedSlotIsFoundWithoutWalking(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, expression, zone, after, until, latest string
	}{
		{"ten years of minutes", "* * * * *", "Europe/Berlin", "2016-01-01T00:00:00Z", "2026-01-01T00:00:30Z", "2026-01-01T00:00:00Z"},
		{"a slot at the instant counts", "0 6 * * *", "UTC", "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z", "2026-01-02T06:00:00Z"},
		{"nothing between", "0 6 * * *", "UTC", "2026-01-01T06:00:00Z", "2026-01-02T05:59:59Z", ""},
		{"the clock went back past the slot", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T01:10:00Z", "2026-10-25T00:30:00Z"},
		{"the clock went forward over the slot", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"},
		{"the present before the past", "* * * * *", "UTC", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			latest := parse(t, test.expression, test.zone).Latest(instant(t, test.after), instant(t, test.until))
			if got := format(latest); got != test.latest {
				t.Errorf("Latest(%s, %s) = %s, want %s", test.after, test.until, got, test.latest)
			}
		})
	}
}

func TestLatestIsTheLastThatNextFinds(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "Asia/Tehran"}
	expressions := []string{"*/30 * * * *", "30 2 * * *", "0 6 1 * *", "15 1-3 * * 0", "0 0 * * *", "59 23 31 12 *"}
	rapid.Check(t, func(t *rapid.T) {
		s := parse(t, rapid.SampledFrom(expressions).Draw(t, "expression"), rapid.SampledFrom(zones).Draw(t, "zone"))
		after := time.Unix(rapid.Int64Range(946684800, 1893456000).Draw(t, "after"), 0).UTC()
		until := after.Add(time.Duration(rapid.Int64Range(0, 40*24*3600).Draw(t, "seconds")) * time.Second)
		var want time.Time
		for slot := s.Next(after); !slot.IsZero() && !slot.After(until); slot = s.Next(slot) {
			if !slot.After(want) {
				t.Fatalf("Next went back: %s after %s", slot, want)
			}
			want = slot
		}
		if got := s.Latest(after, until); !got.Equal(want) {
			t.Fatalf("Latest(%s, %s) = %s, want %s", after, until, got, want)
		}
	})
}

func TestExpressionsAndZonesThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", "every day", "61 * * * *", "* * * *", "0 0 6 1 * *", "@every 1h", "TZ=UTC 0 6 * * *", "CRON_TZ=UTC 0 6 * * *"} {
		if _, err := Parse(expression, time.UTC); err == nil {
			t.Errorf("Parse(%q) succeeded", expression)
		}
	}
	for _, zone := range []string{
		"Berlin", "Local", "local", "LOCAL", "localtime", "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "Europe/Atlantis",
		"../etc/passwd", "Europe/../Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", "europe/", "Europe", "zone.tab", "Europe/Berlin\x00",
	} {
		if _, err := LoadZone(zone); err == nil {
			t.Errorf("LoadZone(%q) succeeded", zone)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := instant(t, "2026-11-23T12:00:00Z")
	tests := []struct {
		name               string
		in                 Inputs
		due, skipped, next string
	}{
		{"on request only", Inputs{Now: now}, "", "", ""},
		{"nothing missed", Inputs{Now: now, Handled: instant(t, "2026-11-23T06:00:00Z")}, "", "", "2026-11-24T06:00:00Z"},
		{"a slot is due", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z")}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"of many missed slots the newest is due", Inputs{Now: now, Handled: instant(t, "2020-11-22T06:00:00Z")}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"missed for longer than the deadline", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), StartingDeadline: time.Hour}, "", "2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"},
		{"missed, within the deadline", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), StartingDeadline: 6 * time.Hour}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"suspended", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), Suspended: true}, "", "", ""},
		{"created a moment ago", Inputs{Now: now, Handled: now}, "", "", "2026-11-24T06:00:00Z"},
		{"the clock stepped back: no slot is due again", Inputs{Now: now, Handled: instant(t, "2026-11-24T06:00:00Z")}, "", "", "2026-11-25T06:00:00Z"},
		{"the clock stepped back by years", Inputs{Now: now, Handled: instant(t, "2036-11-24T06:00:00Z")}, "", "", "2036-11-25T06:00:00Z"},
		{"resumed after years: the newest alone", Inputs{Now: now, Handled: instant(t, "2016-02-29T06:00:00Z"), StartingDeadline: 24 * time.Hour}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"delayed: the slot waits", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), Delay: 7 * time.Hour}, "", "", "2026-11-23T06:00:00Z"},
		{"delayed: the slot before it is due meanwhile", Inputs{Now: now, Handled: instant(t, "2026-11-21T06:00:00Z"), Delay: 7 * time.Hour}, "2026-11-22T06:00:00Z", "", "2026-11-23T06:00:00Z"},
		{"delayed: due at the delayed start", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), Delay: 6 * time.Hour}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"delayed: the deadline counts from the delayed start", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), Delay: 5*time.Hour + time.Minute, StartingDeadline: time.Hour}, "2026-11-23T06:00:00Z", "", "2026-11-24T06:00:00Z"},
		{"delayed: missed for longer than the deadline", Inputs{Now: now, Handled: instant(t, "2026-11-22T06:00:00Z"), Delay: 4 * time.Hour, StartingDeadline: time.Hour}, "", "2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z"},
		{"the delay has grown after the slot was run", Inputs{Now: now, Handled: instant(t, "2026-11-23T06:00:00Z"), Delay: 23 * time.Hour}, "", "", "2026-11-24T06:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.name != "on request only" {
				test.in.Schedule = parse(t, "0 6 * * *", "UTC")
			}
			got := Decide(test.in)
			if format(got.Due) != test.due || format(got.Skipped) != test.skipped || format(got.Next) != test.next {
				t.Errorf("due %s, skipped %s, next %s; want %s, %s, %s",
					format(got.Due), format(got.Skipped), format(got.Next), test.due, test.skipped, test.next)
			}
		})
	}
}

// TestEverySlotIsAnsweredOnceAndInOrder looks at a schedule at any times, the clock stepping back now and then, and the
// delay, the schedule and its zone edited between the looks.
func TestEverySlotIsAnsweredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"}
	expressions := []string{"*/30 * * * *", "30 2 * * *", "0 0 29 2 *", "0 6 31 * *", "15 1-3 * * 0"}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(946684800, 1893456000).Draw(t, "start"), 0).UTC()
		handled := now
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.Int64Range(-3*3600, 40*3600).Draw(t, "seconds")) * time.Second)
			in := Inputs{
				Schedule: parse(t, rapid.SampledFrom(expressions).Draw(t, "expression"), rapid.SampledFrom(zones).Draw(t, "zone")),
				Now:      now, Handled: handled,
				Delay:            time.Duration(rapid.Int64Range(0, 7200).Draw(t, "delay")) * time.Second,
				StartingDeadline: time.Duration(rapid.SampledFrom([]int64{0, 60, 7200}).Draw(t, "deadline")) * time.Second,
				Suspended:        rapid.Bool().Draw(t, "suspended"),
			}
			got := Decide(in)
			if !got.Due.IsZero() && !got.Skipped.IsZero() {
				t.Fatalf("a slot is due (%s) and one is skipped (%s)", got.Due, got.Skipped)
			}
			answered := got.Due
			if answered.IsZero() {
				answered = got.Skipped
			}
			if answered.IsZero() {
				continue
			}
			if !answered.After(handled) || answered.Add(in.Delay).After(now) {
				t.Fatalf("at %s with delay %s the answer is %s, and %s was handled before", now, in.Delay, answered, handled)
			}
			if next := in.Schedule.Next(answered); !next.IsZero() && !next.Add(in.Delay).After(now) {
				t.Fatalf("%s is answered, and %s is newer and due", answered, next)
			}
			if !got.Next.After(answered) || !got.Start.Equal(got.Next.Add(in.Delay)) || !got.Start.After(now) {
				t.Fatalf("after %s the next slot is %s at %s", answered, got.Next, got.Start)
			}
			handled = answered
		}
	})
}

func TestDelayIsAShareOfTheJitterAndTheSameForEverySlot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		namespace, name := rapid.String().Draw(t, "namespace"), rapid.String().Draw(t, "name")
		jitter := time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "jitter"))
		delay := Delay(namespace, name, jitter)
		if delay < 0 || delay > 0 && delay >= jitter {
			t.Fatalf("the delay is %s of a jitter of %s", delay, jitter)
		}
		if again := Delay(namespace, name, jitter); again != delay {
			t.Fatalf("the delay is %s and then %s", delay, again)
		}
	})
}

func TestAThousandTenantsDoNotStartTogether(t *testing.T) {
	t.Parallel()
	inMinute := map[int]int{}
	for tenant := range 1000 {
		inMinute[int(Delay(fmt.Sprintf("tenant-%d", tenant), "monthly", 10*time.Minute)/time.Minute)]++
	}
	for minute := range 10 { // 100 each on average
		if n := inMinute[minute]; n < 55 || n > 150 {
			t.Errorf("%d of 1000 tenants start in minute %d of ten", n, minute)
		}
	}
}

func TestTenYearsOfMissedSlotsTakeMicroseconds(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"* * * * *", "0 6 1 * *", "0 0 29 2 *", "59 23 31 12 *"} {
		s := parse(t, expression, "Europe/Berlin")
		after, until := instant(t, "2016-01-01T00:00:00Z"), instant(t, "2026-01-01T00:00:30Z")
		fastest := time.Hour // of many, because the machine may have other things to do
		for range 100 {
			start := time.Now()
			s.Latest(after, until)
			fastest = min(fastest, time.Since(start))
		}
		if fastest > time.Millisecond {
			t.Errorf("%q: the newest of ten years of slots takes %s", expression, fastest)
		}
	}
}

func BenchmarkLatestOverTenYears(b *testing.B) {
	s := parse(b, "* * * * *", "Europe/Berlin")
	after, until := instant(b, "2016-01-01T00:00:00Z"), instant(b, "2026-01-01T00:00:30Z")
	for b.Loop() {
		s.Latest(after, until)
	}
}

type fataler interface{ Fatal(args ...any) }

func parse(t fataler, expression, zone string) *Schedule {
	location, err := LoadZone(zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(expression, location)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instant(t fataler, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func format(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
