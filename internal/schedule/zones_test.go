package schedule

import (
	"archive/zip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSlotsEqualAWalkOverEveryMinuteAroundEveryChange compares Next with an independent calculation: Go's time package
// walks every minute of the days around each change of offset since 2000, in every zone of the tz database that had one,
// and a slot is the first minute at which the clock shows its time or, where it is skipped, has passed it.
func TestSlotsEqualAWalkOverEveryMinuteAroundEveryChange(t *testing.T) {
	t.Parallel()
	zones := zonesOfTheDatabase(t)
	changed := 0
	for _, name := range zones {
		location, err := LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		changes := changesSince2000(location)
		if len(changes) == 0 {
			continue
		}
		changed++
		if testing.Short() {
			changes = changes[:1]
		}
		for _, change := range changes {
			walkAround(t, name, location, change)
		}
	}
	if changed < 250 {
		t.Errorf("only %d of %d zones changed an offset, which cannot be", changed, len(zones))
	}
}

// walkAround compares one change. A slot every half hour meets every kind of gap and overlap.
func walkAround(t *testing.T, name string, location *time.Location, change time.Time) {
	t.Helper()
	s, err := Parse("*/30 * * * *", location)
	if err != nil {
		t.Fatal(err)
	}
	from, to := change.Add(-26*time.Hour).Truncate(time.Minute), change.Add(26*time.Hour)
	var newest time.Time // the latest reading of the clock so far
	slot := s.Next(from)
	for minute := from; minute.Before(to); minute = minute.Add(time.Minute) {
		shown := wallClock(minute.In(location))
		due := minute.After(from) && passes(newest, shown)
		if shown.After(newest) {
			newest = shown
		}
		if due != slot.Equal(minute) {
			t.Fatalf("%s: at %s the walk says due=%t, and the next slot is %s", name, minute.In(location), due, slot.In(location))
		}
		if due {
			slot = s.Next(slot)
		}
	}
}

// passes reports whether the clock, on its way from its latest reading so far to what it shows now, comes to a half hour.
func passes(newest, shown time.Time) bool {
	return shown.After(newest) && shown.Truncate(30*time.Minute).After(newest)
}

// changesSince2000 finds the instants at which the zone's offset changed, from the zone's own bounds.
func changesSince2000(location *time.Location) (changes []time.Time) {
	for at := time.Date(2000, 1, 1, 0, 0, 0, 0, location); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Year() > 2030 {
			return changes
		}
		_, before := end.Add(-time.Second).Zone()
		if _, after := end.Zone(); before != after {
			changes = append(changes, end)
		}
		at = end
	}
}

// zonesOfTheDatabase lists the zones that the Go distribution ships, links left out.
func zonesOfTheDatabase(t *testing.T) (names []string) {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join(goRoot(t), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, "/") && strings.Contains(file.Name, "/") && !strings.HasPrefix(file.Name, "Etc/") {
			names = append(names, file.Name)
		}
	}
	return names
}

func goRoot(t *testing.T) string {
	t.Helper()
	if root := os.Getenv("GOROOT"); root != "" {
		return root
	}
	if root := runtime.GOROOT(); root != "" { //nolint:staticcheck // the tests run where they were built
		return root
	}
	t.Skip("there is no GOROOT with a tz database")
	return ""
}
