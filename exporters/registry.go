package exporters

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Registry finds exporters by type. It does not change, and is safe for concurrent use.
type Registry struct {
	byType map[string]Exporter
}

var validType = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// NewRegistry makes a registry. A type that occurs twice, or that is not lower case letters, digits and hyphens, is an
// error.
func NewRegistry(exporters ...Exporter) (*Registry, error) {
	r := &Registry{byType: make(map[string]Exporter, len(exporters))}
	for _, exporter := range exporters {
		name := exporter.Type()
		if !validType.MatchString(name) {
			return nil, fmt.Errorf("the exporter type %q is not of the form %s", name, validType)
		}
		if _, exists := r.byType[name]; exists {
			return nil, fmt.Errorf("there are two exporters of type %q", name)
		}
		r.byType[name] = exporter
	}
	return r, nil
}

// Get returns the exporter of a type.
func (r *Registry) Get(exporterType string) (Exporter, bool) {
	exporter, ok := r.byType[exporterType]
	return exporter, ok
}

// Types lists the types, sorted.
func (r *Registry) Types() []string {
	return slices.Sorted(maps.Keys(r.byType))
}
