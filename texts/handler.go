package texts

import (
	"context"
	"log/slog"
)

// Handler returns a log handler that writes messages and the texts of attributes as Printable does.
func Handler(next slog.Handler) slog.Handler { return handler{next} }

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, record.Level, Printable(record.Message, Message), record.PC)
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
		return slog.String(attribute.Key, Printable(value.String(), Message))
	case slog.KindGroup:
		members := make([]any, 0, len(value.Group()))
		for _, member := range value.Group() {
			members = append(members, harmless(member))
		}
		return slog.Group(attribute.Key, members...)
	case slog.KindAny:
		if err, ok := value.Any().(error); ok {
			return slog.String(attribute.Key, Printable(err.Error(), Message))
		}
	default:
	}
	return attribute
}
