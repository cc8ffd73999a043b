package footprint

import (
	"strings"
	"sync"
)

// A longer text is not shared, and after so many different ones all are forgotten: Texts itself must stay small.
const (
	mostTexts   = 1024
	longestText = 256
)

// Texts keeps one copy of each text that many objects have.
type Texts struct {
	mu    sync.Mutex
	known map[string]string
}

// Share replaces the text of each variable by the copy that is kept of the same text.
func Share[text ~string](t *Texts, variables ...*text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, variable := range variables {
		*variable = text(t.share(string(*variable)))
	}
}

func (t *Texts) share(text string) string {
	if text == "" || len(text) > longestText {
		return text
	}
	shared, known := t.known[text]
	if !known {
		if t.known == nil || len(t.known) == mostTexts {
			t.known = map[string]string{}
		}
		shared = strings.Clone(text)
		t.known[shared] = shared
	}
	return shared
}
