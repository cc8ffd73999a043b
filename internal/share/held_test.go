package share_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/internal/share"
)

func TestHeldPlacesArePassedOn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.November, 30, 12, 0, 0, 0, time.UTC)
	var held share.Held
	var ended []string
	places := map[string]*share.Place{}
	keep := func(owner, name string) {
		places[name] = held.Add(owner, now, func() { ended = append(ended, name) })
		now = now.Add(time.Second)
	}
	for _, name := range []string{"b1", "a1", "a2", "c1"} {
		keep(name[:1], name)
	}
	held.Add("d", now, nil)
	passes := func(to string, want bool, last string) {
		t.Helper()
		if is := held.PassOn(to, now); is != want || last != "" && ended[len(ended)-1] != last {
			t.Errorf("a place is passed on to %s: %t; %v are ended", to, is, ended)
		}
	}
	passes("other", false, "") // none is kept for long
	now = now.Add(share.PassesOnAfter)
	passes("c", false, "") // it keeps one
	passes("other", true, "a1")
	passes("other", true, "b1")
	passes("other", true, "a2")
	passes("other", true, "c1")
	passes("other", false, "") // what is left does not end before its time
	if held.Remove(places["a1"]) || held.Len() != 1 || held.Of("a") != 0 || fmt.Sprint(ended) != "[a1 b1 a2 c1]" {
		t.Errorf("%d are kept, %v are ended", held.Len(), ended)
	}
}
