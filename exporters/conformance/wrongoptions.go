package conformance

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
)

// testOptions spoils the options one at a time.
func (s *suite) testOptions(t *testing.T) {
	if err := s.exporter.Validate(s.options); err != nil {
		t.Errorf("the options are refused: %v", err)
	}
	options := map[string]any{}
	if len(s.options) > 0 {
		if err := json.Unmarshal(s.options, &options); err != nil {
			t.Fatal(err)
		}
	}
	s.refuses(t, options, "noSuchOption", 1)
	for name, value := range options {
		s.refuses(t, options, strings.ToUpper(name), value)
		s.refuses(t, options, name, otherType(value))
	}
	for _, malformed := range []string{"{", "[]", "1", `"text"`, "\xff"} {
		var refused *exporters.OptionError
		if err := s.exporter.Validate([]byte(malformed)); !errors.As(err, &refused) {
			t.Errorf("the options %q: %v, want an OptionError", malformed, err)
		}
	}
}

// refuses changes one option, which must be the one that the error names.
func (s *suite) refuses(t *testing.T, options map[string]any, name string, value any) {
	changed := maps.Clone(options)
	changed[name] = value
	raw, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	var refused *exporters.OptionError
	if err := s.exporter.Validate(raw); !errors.As(err, &refused) || strings.FieldsFunc(refused.Field, pathSeparator)[0] != name {
		t.Errorf("the option %s with the value %v: %v, want an OptionError that names it", name, value, err)
	}
}

func pathSeparator(r rune) bool { return r == '.' || r == '[' }

// otherType is a value of another JSON type.
func otherType(value any) any {
	if _, object := value.(map[string]any); object {
		return slices.Repeat([]any{1}, 2)
	}
	return map[string]any{"text": value}
}
