package businesscentral

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                     usualWait,
		"soon":                 usualWait,
		"-1":                   usualWait,
		"0":                    leastWait,
		"1":                    time.Second,
		"120":                  2 * time.Minute,
		"9223372037":           mostWait, // of which the nanoseconds are negative
		"18446744073":          mostWait, // of which they are few
		"9223372036854775807":  mostWait,
		"99999999999999999999": usualWait,
		now.Add(time.Hour).Format(http.TimeFormat):                                       time.Hour,
		now.Add(-time.Hour).Format(http.TimeFormat):                                      leastWait,
		time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC).Format(http.TimeFormat): mostWait,
		time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC).Format(http.TimeFormat):      leastWait,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
