package footprint

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

type reason string

// at is where a text is in memory.
func at(text string) *byte { return unsafe.StringData(text) }

func TestTexts(t *testing.T) {
	t.Parallel()
	again := strings.Clone
	t.Run("that are the same are in memory once", func(t *testing.T) {
		t.Parallel()
		var texts Texts
		one, other, different := again("ready"), again("ready"), again("checking")
		Share(&texts, &one, &other, &different)
		typed := reason(again("ready"))
		Share(&texts, &typed)
		if at(one) != at(other) || at(string(typed)) != at(one) {
			t.Error("each has its own")
		}
		if one != "ready" || other != "ready" || different != "checking" || typed != "ready" {
			t.Errorf("they have become %q, %q, %q and %q", one, other, different, typed)
		}
	})
	t.Run("that are long are left as they are", func(t *testing.T) {
		t.Parallel()
		var texts Texts
		long := strings.Repeat("x", longestText+1)
		was := at(long)
		Share(&texts, &long)
		if at(long) != was || len(texts.known) > 0 {
			t.Error("it is kept")
		}
	})
	t.Run("of which there are very many are forgotten", func(t *testing.T) {
		t.Parallel()
		var texts Texts
		for i := range 5 * mostTexts / 2 {
			text := strconv.Itoa(i)
			Share(&texts, &text)
			if text != strconv.Itoa(i) {
				t.Fatalf("%d has become %q", i, text)
			}
		}
		if known := len(texts.known); known != mostTexts/2 {
			t.Errorf("%d are kept", known)
		}
		first, second := again("ready"), again("ready")
		Share(&texts, &first, &second)
		if at(first) != at(second) {
			t.Error("what comes then is not shared")
		}
	})
}
