package exporters

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// named is an exporter that has nothing but a type.
type named string

func (n named) Type() string                                     { return string(n) }
func (named) Version() string                                    { return "1" }
func (named) Validate([]byte) error                              { return nil }
func (named) Begin(context.Context, Batch, Sink) (Writer, error) { return nil, nil }

func TestARegistryFindsExportersByType(t *testing.T) {
	t.Parallel()
	registry, err := NewRegistry(named("sie"), named("csv"), named("gbat10"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := registry.Types(), []string{"csv", "gbat10", "sie"}; !slices.Equal(got, want) {
		t.Errorf("types %q, want %q", got, want)
	}
	if found, ok := registry.Get("csv"); !ok || found.Type() != "csv" {
		t.Errorf("csv is %v (%t)", found, ok)
	}
	if _, ok := registry.Get("CSV"); ok {
		t.Error("there is a type CSV")
	}
}

func TestARegistryRefusesTypesThatAreTwiceOrUnfit(t *testing.T) {
	t.Parallel()
	for want, exporters := range map[string][]Exporter{
		`two exporters of type "csv"`:      {named("csv"), named("sie"), named("csv")},
		`the exporter type ""`:             {named("")},
		`the exporter type "CSV"`:          {named("CSV")},
		`the exporter type "business cen"`: {named("business cen")},
		`the exporter type "4i"`:           {named("4i")},
		`the exporter type "aaaaaaaaaaaa`:  {named(strings.Repeat("a", 64))},
	} {
		if _, err := NewRegistry(exporters...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
