package footprint

import (
	"strings"
	"sync"
)

// What is shared, so that texts of which there are very many, or long ones, take no memory here.
const (
	mostTexts   = 1024
	longestText = 256
)

// Texts have each text that many objects have in memory once. Where there are too many different ones, those that come are shared from then on.
type Texts struct {
	mu    sync.Mutex
	known map[string]string
}

// Share has variables hold the text that is in memory already, if they have the same.
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
