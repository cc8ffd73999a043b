package document_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/internal/document"
)

// forTerminals are what a terminal obeys, turns or hides, and what it does not.
var forTerminals = map[string]string{
	"a": "\u009b2J", "b": "\x1b]0;x\x07", "c": "all is well\u202e", "d": "\x7f", "e": "line\nbreak", "f": "\u2028", "g": "\U000e0041", "h": "\ufeff", "i": "Tåg, Malmö – 100 €", "j": `\u0041`,
}

func TestADocumentHasAllOfItsTextsAndNothingThatATerminalObeys(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]struct {
		write func(any) ([]byte, error)
		read  func([]byte, any) error
	}{
		"JSON": {document.JSON, json.Unmarshal},
		"YAML": {document.YAML, func(data []byte, into any) error { return yaml.Unmarshal(data, into) }},
	} {
		for key, text := range forTerminals {
			written, err := format.write(map[string]string{key: text})
			if err != nil {
				t.Fatalf("%s: %q: %s", name, text, err)
			}
			if at := strings.IndexFunc(string(written), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
				t.Errorf("%s: %q is written as %q", name, text, written)
			}
			var read map[string]string
			if err := format.read(written, &read); err != nil || read[key] != text {
				t.Errorf("%s: %q is read from %q as %q (%v)", name, text, written, read[key], err)
			}
		}
	}
}

func TestYAMLIsForPeopleWhereItCanBe(t *testing.T) {
	t.Parallel()
	written, err := document.YAML(map[string]any{"spec": map[string]any{"text": "Tåg <x>\nMalmö"}})
	const want = "spec:\n  text: |-\n    Tåg <x>\n    Malmö\n"
	if err != nil || string(written) != want {
		t.Errorf("%q (%v), want %q", written, err, want)
	}
}

// TestALongKeyIsReadFromTheFlowStyle has keys beyond what YAML takes for one without a sign.
func TestALongKeyIsReadFromTheFlowStyle(t *testing.T) {
	t.Parallel()
	for _, key := range []string{strings.Repeat("k", 999), strings.Repeat("k", 5000), strings.Repeat(`"\`, 2000), strings.Repeat("\u009b", 1000), strings.Repeat("é", 1001)} {
		value := map[string]any{"a": map[string]any{key: []any{map[string]any{key: "\u009b"}, key}, "b": key + `": `}}
		written, err := document.YAML(value)
		if err != nil {
			t.Fatal(err)
		}
		var read map[string]any
		if err := yaml.Unmarshal(written, &read); err != nil || !reflect.DeepEqual(read, value) {
			t.Errorf("%.20q of %d bytes: %v", key, len(key), err)
		}
	}
}
