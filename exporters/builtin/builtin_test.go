package builtin

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEveryExporterHasItsPage(t *testing.T) {
	t.Parallel()
	types := Registry().Types()
	if len(types) == 0 {
		t.Error("there are no exporters")
	}
	for _, exporter := range types {
		if _, err := os.Stat(filepath.Join("..", "..", "docs", "exporters", exporter+".md")); err != nil {
			t.Error(err)
		}
	}
}
