// Package schedule finds the slots of a cron expression in a time zone. It is pure: the time is always an argument.
//
// A slot is a wall-clock time. Where a zone skips it (clocks go forward) the slot is the instant of the change; where a
// zone has it twice (clocks go back) the slot is the first of the two. Slots that fall on the same instant are one.
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a schedule means the same on every image

	"github.com/netresearch/go-cron"
)

// parser reads the five fields of a Kubernetes CronJob and its @daily and the like. As there, a day matches where the
// day of the month or the day of the week does.
var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)

// Schedule is a cron expression in a time zone.
type Schedule struct {
	cron     *cron.SpecSchedule
	location *time.Location
}

// Parse reads an expression such as "0 6 1 * *" or "@monthly".
func Parse(expression string, location *time.Location) (*Schedule, error) {
	if strings.Contains(expression, "TZ=") {
		return nil, errors.New("the time zone goes into spec.timeZone, not into the schedule")
	}
	plain, err := unambiguous(expression)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(plain)
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression of five fields (minute, hour, day of month, month and day of week): %w", expression, err)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q has no fixed times of day; write it with five fields, such as \"*/10 * * * *\"", expression)
	}
	return &Schedule{cron: fields, location: location}, nil
}

// part is one part of a field: *, a value or a range, and a step. The library takes other things for one of these: "+5" for 5, and
// "*-5" for *.
var part = regexp.MustCompile(`^(?:([*?])|([0-9]{1,2}|[A-Za-z]{3})(?:-([0-9]{1,2}|[A-Za-z]{3}))?)(?:/([0-9]{1,2}))?$`)

// dayOfWeek is the position of that field.
const dayOfWeek = 4

// last is the highest value of each field.
var last = [...]int{59, 23, 31, 12, 7}

// unambiguous returns an expression whose parts the library reads as people do. The library counts the days of the week from 0 to
// 7, with Sunday at both ends: it would take 1/2 for 1-7/2, which has Sunday in it.
func unambiguous(expression string) (string, error) {
	fields := strings.Fields(expression)
	if strings.HasPrefix(expression, "@") || len(fields) != dayOfWeek+1 {
		return expression, nil // the library says what is wrong
	}
	for i, field := range fields {
		parts := strings.Split(field, ",")
		for j, text := range parts {
			found := part.FindStringSubmatch(text)
			if found == nil {
				return "", fmt.Errorf("%q has %q, which is not *, a value or a range, such as 1, 1-5 or MON-FRI, with or without a step, such as */2 or 1-5/2", expression, text)
			}
			from, to, step := found[2], found[3], found[4]
			switch {
			case i == dayOfWeek && to == "" && number(from) == last[i] && step != "":
				return "", fmt.Errorf("%q has %q in the day of week, where Sunday is both 0 and 7; write 0-6/%s", expression, text, step)
			case number(from) > last[i]: // the library looks at the end of a range alone
				return "", fmt.Errorf("%q has %q, which begins after %d, the last value of the field", expression, text, last[i])
			case i != dayOfWeek || from == "" || step == "":
			case to == "":
				parts[j] = from + "-6/" + step
			case weekday(from) > weekday(to):
				return "", fmt.Errorf("%q has %q in the day of week; list the days instead, because a week may begin on Sunday or on Monday", expression, text)
			}
		}
		fields[i] = strings.Join(parts, ",")
	}
	return strings.Join(fields, " "), nil
}

// weekday is the number of a day of the week; one that the library refuses is none.
func weekday(text string) int {
	if at := strings.Index("sunmontuewedthufrisat", strings.ToLower(text)); len(text) == 3 && at >= 0 && at%3 == 0 {
		return at / 3
	}
	return number(text)
}

// number of a text; that of a name is 0.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// LoadZone returns a zone of the tz database; an empty name is UTC. Names that mean the machine's own zone, or that only some
// copies of the database have, are refused.
func LoadZone(name string) (*time.Location, error) {
	if !isZone(name) {
		return nil, fmt.Errorf("%.64q is not a time zone; write its name in the tz database, such as Europe/Berlin", name)
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%.64q is not a time zone of the tz database, such as Europe/Berlin", name)
	}
	return location, nil
}

func isZone(name string) bool {
	switch first, _, _ := strings.Cut(strings.ToLower(name), "/"); first {
	case "local", "localtime", "posix", "posixrules", "right":
		return false
	}
	return true
}

// Next returns the first slot after an instant, or the zero time where the expression has none (31 February).
func (s *Schedule) Next(after time.Time) time.Time {
	for wall := s.cron.Next(wallClock(after.In(s.location))); !wall.IsZero(); wall = s.cron.Next(wall) {
		if slot := s.instant(wall); slot.After(after) {
			return slot
		}
	}
	return time.Time{}
}

// Latest returns the newest slot after one instant and not after another, or the zero time if there is none. It takes
// the same time however many slots lie between.
func (s *Schedule) Latest(after, until time.Time) time.Time {
	from := s.newestWallClock(until).Add(time.Second)
	for wall := s.cron.Prev(from); !wall.IsZero(); wall = s.cron.Prev(wall) {
		slot := s.instant(wall)
		if !slot.After(after) {
			return time.Time{}
		}
		if !slot.After(until) {
			return slot
		}
	}
	return time.Time{}
}

// Interval bounds for ShortestInterval: so many slots, or so long, are looked at. All days of a year are among those of an
// expression that falls due a few times a day at most, and some weeks of one that does so all the time.
const (
	intervalSlots  = 2000
	intervalPeriod = 400 * 24 * time.Hour
)

// ShortestInterval returns the shortest time between two slots after an instant that follow each other, as far as can be seen, or
// 0 if there are none. It stops as soon as one is shorter than enough.
func (s *Schedule) ShortestInterval(after time.Time, enough time.Duration) (shortest time.Duration) {
	last := s.Next(after)
	for range intervalSlots {
		if last.IsZero() || last.Sub(after) > intervalPeriod {
			break
		}
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		if between := next.Sub(last); shortest == 0 || between < shortest {
			shortest = between
		}
		if shortest < enough {
			break
		}
		last = next
	}
	return shortest
}

// newestWallClock is the latest reading of the clock at any instant up to the given one: where clocks went back, the
// reading just before that is later than the one now.
func (s *Schedule) newestWallClock(at time.Time) time.Time {
	at = at.In(s.location)
	newest := wallClock(at)
	if start, _ := at.ZoneBounds(); !start.IsZero() {
		if before := wallClock(start.Add(-time.Second)); before.After(newest) {
			return before
		}
	}
	return newest
}

// wallClock returns what the clock shows, as if in UTC: a time line without gaps, on which cron expressions are simple.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant returns the first instant at which the clock shows at least the wall-clock time.
func (s *Schedule) instant(wall time.Time) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, s.location)
	start, end := t.ZoneBounds()
	switch shown := wallClock(t); {
	case shown.After(wall): // skipped; t was found with the offset before the change
		return start
	case shown.Before(wall): // skipped; t was found with the offset after the change
		return end
	case start.IsZero():
		return t
	}
	_, before := start.Add(-time.Second).Zone()
	if first := wall.Add(-time.Duration(before) * time.Second); first.Before(start) {
		return first.In(s.location) // shown twice
	}
	return t
}
