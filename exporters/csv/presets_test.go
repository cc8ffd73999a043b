package csv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/exporters/conformance"
)

// Every set of options on the page is one that works.
func TestThePresetsOnThePageWork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "exporters", "csv.md"))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		var whole struct {
			Spec struct {
				Exporter struct {
					Options map[string]any `json:"options"`
				} `json:"exporter"`
			} `json:"spec"`
		}
		options := map[string]any{}
		if strings.HasPrefix(text, "apiVersion:") {
			err = yaml.Unmarshal([]byte(text), &whole)
			options = whole.Spec.Exporter.Options
		} else {
			err = yaml.Unmarshal([]byte(text), &options)
		}
		if err != nil || len(options) == 0 {
			t.Fatalf("block %d: %v", i+1, err)
		}
		raw, err := json.Marshal(options)
		if err != nil {
			t.Fatal(err)
		}
		books := conformance.Books("SEK")
		artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, raw), conformance.Readable(conformance.Vouchers(t, books)))
		if err != nil || len(artifact.Written) < 10 {
			t.Errorf("block %d: %d vouchers (%v), held %v", i+1, len(artifact.Written), err, artifact.Held)
		}
		tried++
	}
	if tried < 5 {
		t.Errorf("the page has %d sets of options", tried)
	}
}
