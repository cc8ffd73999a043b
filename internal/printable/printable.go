// Package printable makes text harmless that comes from a tenant, a server or a database, before it reaches a status, an event, a
// log or a terminal.
package printable

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// Message is the longest message of a condition, an event or a log line, in bytes.
	Message = 4096
	// Quote is the longest text that a message quotes: an id, a name, a few words of a server.
	Quote = 300

	ellipsis = "…"
)

// Line returns a text as one line of at most so many bytes that shows everything in it and that no terminal obeys. Space of any
// kind becomes spaces, and every other character that does not print is written as in source code: \x1b, \u202e, \xff. So two
// texts that differ look different. What is too long ends with an ellipsis, at the end of a character.
func Line(text string, most int) string {
	if len(text) <= most && plain(text) {
		return text
	}
	var line strings.Builder
	end := 0 // of what leaves room for the ellipsis
	for at := 0; at < len(text); {
		character, size := utf8.DecodeRuneInString(text[at:])
		line.WriteString(shown(character, text[at:at+size]))
		at += size
		if line.Len() > most {
			return line.String()[:end] + ellipsis
		}
		if line.Len() <= most-len(ellipsis) {
			end = line.Len()
		}
	}
	return line.String()
}

// plain reports whether a text has printing characters of ASCII alone, as most have.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// shown writes one character, which has the bytes raw.
func shown(character rune, raw string) string {
	switch {
	case character == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case unicode.IsSpace(character):
		return " "
	case unicode.IsPrint(character) && !invisible(character):
		return raw
	}
	quoted := strconv.QuoteRuneToASCII(character)
	return quoted[1 : len(quoted)-1]
}

// invisible reports whether a character counts as one that prints, and shows nothing.
func invisible(character rune) bool {
	const brailleBlank = '\u2800'
	return character == brailleBlank || unicode.In(character, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// Handler returns a log handler that writes messages and the texts of attributes as Line does.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, record.Level, Line(record.Message, Message), record.PC)
	record.Attrs(func(attribute slog.Attr) bool {
		clean.AddAttrs(harmless(attribute))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attributes []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attributes))
	for i, attribute := range attributes {
		clean[i] = harmless(attribute)
	}
	return handler{h.Handler.WithAttrs(clean)}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

// harmless cleans texts and errors, which may quote any text. Other values are numbers, or objects of Kubernetes, which have
// names of a few characters.
func harmless(attribute slog.Attr) slog.Attr {
	value := attribute.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		return slog.String(attribute.Key, Line(value.String(), Message))
	case slog.KindGroup:
		members := make([]any, 0, len(value.Group()))
		for _, member := range value.Group() {
			members = append(members, harmless(member))
		}
		return slog.Group(attribute.Key, members...)
	case slog.KindAny:
		if err, ok := value.Any().(error); ok {
			return slog.String(attribute.Key, Line(err.Error(), Message))
		}
	default:
	}
	return attribute
}
