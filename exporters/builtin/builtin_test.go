package builtin

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEveryExporterHasItsPage(t *testing.T) {
	t.Parallel()
	types := Registry().Types()
	if want := []string{"csv", "datev", "hledger", "sie"}; !slices.Equal(types, want) {
		t.Errorf("types %q, want %q", types, want)
	}
	for _, exporter := range types {
		if _, err := os.Stat(filepath.Join("..", "..", "docs", "exporters", exporter+".md")); err != nil {
			t.Error(err)
		}
	}
}
