package schedule

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDaysOfTheWeek names the weekdays of an expression, Sunday first, in a year that has every weekday; "-" is refused.
func TestDaysOfTheWeek(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"*": "0123456", "?": "0123456", "*/1": "0123456", "*/2": "0246", "*/3": "036", "*/7": "0", "0-7": "0123456", "1-7": "0123456",
		"1/2": "135", "2/4": "26", "2/5": "-", "MON/2": "135", "0/6": "06", "sun/3": "036", "5/2": "-", "1/6": "-", "6/1": "6",
		"7": "0", "0": "0", "0,7": "0", "6-7": "06", "1-7/2": "0135", "0-7/2": "0246", "5-2": "01256", "FRI-TUE": "01256", "7-2": "012", "SAT-SUN": "06",
		"MON-FRI": "12345", "mon,Wed,FRI": "135", "1-5/2": "135", "MON-FRI/2": "135",
		"7/2": "-", "8/1": "-", "8/2": "-", "8-2": "-", "07/1": "-", "5-2/2": "-", "FRI-TUE/2": "-", "*/0": "-", "1/0": "-", "8": "-", "1-8": "-", "-1": "-", "+1": "-", "1-": "-", "*-5": "-", "?-5": "-", "1-5-6": "-",
		"1//2": "-", "1/2/3": "-", "": "-", ",": "-", "1,": "-", ",1": "-", "1,,2": "-", "L": "-", "5L": "-", "FRI#2": "-", "5#L": "-", "15W": "-", "H": "-", "H/2": "-",
		"monday": "-", "MO": "-", "JAN": "-", "1.5": "-", "0x1": "-", "１": "-", "*/2,1": "01246", "**": "-", "*2": "-", "1-*": "-",
	} {
		s, err := Parse("0 6 * * "+field, time.UTC)
		got := "-"
		if err == nil {
			got = ""
			for day := range 7 { // 4 January 2026 is a Sunday
				at := time.Date(2026, 1, 4+day, 6, 0, 0, 0, time.UTC)
				if s.Next(at.Add(-time.Second)).Equal(at) {
					got += strconv.Itoa(day)
				}
			}
		}
		if got != want {
			t.Errorf("%q runs on %s, want %s (%v)", field, got, want, err)
		}
	}
}

func TestNoFieldBeginsAfterItsLastValue(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"60/1 0 * * *", "60-5 0 * * *", "0 24/2 * * *", "0 24-2 * * *", "0 0 32/1 * *", "0 0 32-5 * *", "0 0 * 13/1 *", "0 0 * 13-2 *", "0 0 * * 8/1", "0 0 * * 8-2"} {
		if _, err := Parse(expression, time.UTC); err == nil || !strings.Contains(err.Error(), "begins after") {
			t.Errorf("%q: %v", expression, err)
		}
	}
}

// reference reads one field as the manual of cron does, and says which of the values from least to most it has.
func reference(field string, least, most int, names []string) (values []int, ok bool) {
	number := func(text string) int {
		if at := slices.Index(names, strings.ToLower(text)); at >= 0 {
			return at + least
		}
		n, err := strconv.Atoi(text)
		if err != nil || len(text) > 2 || strings.Trim(text, "0123456789") != "" {
			return -1
		}
		return n
	}
	for _, part := range strings.Split(field, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(span, "-")
		first, last, step := number(from), number(to), 1
		switch {
		case span == "*" || span == "?":
			first, last = least, most
		case !ranged && stepped:
			last = most
		case !ranged:
			last = first
		}
		if stepped {
			step = number(stepText)
		}
		if first < least || last < least || first > last || last > max(most, 7*btoi(most == 6)) || step < 1 {
			return nil, false
		}
		for value := first; value <= last; value += step {
			if most == 6 {
				values = append(values, value%7)
			} else {
				values = append(values, value)
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values), true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

var (
	monthNames = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	dayNames   = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	fieldParts = []string{"*", "?", "0", "1", "2", "5", "6", "7", "8", "12", "23", "24", "31", "32", "59", "60", "/", "-", ",", "L", "W", "#", "H", "+", " ", "mon", "SUN", "jan", "Dec", "07", "100"}
)

// TestFieldsMeanWhatTheManualSays compares each field with the reference: one that is accepted has exactly the reference's values.
// The library refuses more: steps that are longer than their range. It accepts ranges over the end, which the reference does not.
func TestFieldsMeanWhatTheManualSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		field := strings.Join(rapid.SliceOfN(rapid.SampledFrom(fieldParts), 1, 6).Draw(t, "field"), "")
		compareField(t, field)
	})
}

func FuzzFieldsMeanWhatTheManualSays(f *testing.F) {
	for _, field := range append(fieldParts, "1/2", "*/0", "5-2", "FRI#2", "1,3-5/2", "*-5", "MON-FRI") {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) { compareField(t, field) })
}

func compareField(t interface {
	Fatalf(format string, args ...any)
}, field string) {
	if strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r > '~' || r == ' ' || r == '=' || r == '@' }) {
		return
	}
	s, err := Parse("0 0 * * "+field, time.UTC)
	if err == nil && !strings.Contains(field, "-") {
		want, ok := reference(field, 0, 6, dayNames)
		var got []int
		for day := range 7 {
			if s.cron.Dow&(1<<uint(day)) != 0 {
				got = append(got, day)
			}
		}
		if !ok || !slices.Equal(got, want) {
			t.Fatalf("%q in the day of week has %v, want %v, %t", field, got, want, ok)
		}
	}
	for i, of := range []struct {
		least, most int
		names       []string
		bits        func(*Schedule) uint64
	}{
		{0, 59, nil, func(s *Schedule) uint64 { return s.cron.Minute }},
		{0, 23, nil, func(s *Schedule) uint64 { return s.cron.Hour }},
		{1, 31, nil, func(s *Schedule) uint64 { return s.cron.Dom }},
		{1, 12, monthNames, func(s *Schedule) uint64 { return s.cron.Month }},
	} {
		fields := []string{"0", "0", "1", "1", "*"}
		fields[i] = field
		s, err := Parse(strings.Join(fields, " "), time.UTC)
		want, ok := reference(field, of.least, of.most, of.names)
		if err != nil || !ok && strings.Contains(field, "-") {
			continue
		}
		var got []int
		for value := of.least; value <= of.most; value++ {
			if of.bits(s)&(1<<uint(value)) != 0 {
				got = append(got, value)
			}
		}
		if !ok || !slices.Equal(got, want) {
			t.Fatalf("%q in field %d has %v, want %v, %t", field, i+1, got, want, ok)
		}
	}
}
