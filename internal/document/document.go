// Package document writes values as JSON or YAML that no terminal obeys, whatever is in their texts.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// JSON returns a value as indented JSON, in which each character that does not print is escaped.
func JSON(value any) ([]byte, error) {
	plain, err := marshal(value)
	return escaped(plain, func(to []byte, character rune) []byte {
		for _, unit := range utf16.AppendRune(nil, character) {
			to = fmt.Appendf(to, `\u%04x`, unit)
		}
		return to
	}), err
}

// YAML returns a value as YAML. If it has a character that does not print, all of it is written in the flow style, which is that of JSON:
// the other styles have no escapes.
func YAML(value any) ([]byte, error) {
	plain, err := marshal(value)
	if err != nil {
		return nil, err
	}
	if block, err := yaml.JSONToYAML(plain); err == nil && !bytes.ContainsFunc(block, unprintable) {
		return block, nil
	}
	return explicit(escaped(plain, func(to []byte, character rune) []byte { return fmt.Appendf(to, `\U%08x`, character) })), nil
}

// longestKey of the flow style, in bytes as it is written, that needs no sign of being one.
const longestKey = 1000

// explicit marks the long keys of an indented document of JSON as what they are: YAML looks for the colon no further than 1,024
// characters. A key begins its line.
func explicit(document []byte) []byte {
	marked := make([]byte, 0, len(document))
	for line := range bytes.Lines(document) {
		text := bytes.TrimLeft(line, " ")
		if end := closing(text); end > longestKey && bytes.HasPrefix(text[end:], []byte(`": `)) {
			marked = append(append(marked, line[:len(line)-len(text)]...), "? "...)
			line = text
		}
		marked = append(marked, line...)
	}
	return marked
}

// closing returns where the text ends that a line begins with; 0 if it begins with none.
func closing(line []byte) int {
	if len(line) == 0 || line[0] != '"' {
		return 0
	}
	for at := 1; at < len(line); at++ {
		switch line[at] {
		case '\\':
			at++
		case '"':
			return at
		}
	}
	return 0
}

func marshal(value any) ([]byte, error) {
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return document.Bytes(), err
}

// escaped replaces each character that does not print. In JSON such characters are within texts.
func escaped(document []byte, escape func(to []byte, character rune) []byte) []byte {
	kept := make([]byte, 0, len(document))
	for at := 0; at < len(document); {
		character, size := utf8.DecodeRune(document[at:])
		if unprintable(character) {
			kept = escape(kept, character)
		} else {
			kept = append(kept, document[at:at+size]...)
		}
		at += size
	}
	return kept
}

func unprintable(character rune) bool { return character != '\n' && !unicode.IsPrint(character) }
