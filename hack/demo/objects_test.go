package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/ianaindex"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ledgerport/ledgerport/exporters/builtin"
)

func TestEveryExporterHasASampleThatTheDemoShows(t *testing.T) {
	t.Parallel()
	for _, exporter := range builtin.Registry().Types() {
		objects, err := readObjects("../../config/samples", exporter)
		if err != nil {
			t.Error(err)
			continue
		}
		shows := map[string]bool{} // by namespace: a sample of several books has several exporters
		for _, object := range objects {
			types := exportersOf([]*unstructured.Unstructured{object})
			if len(types) > 0 {
				shows[object.GetNamespace()] = shows[object.GetNamespace()] || types[0] == exporter
			}
		}
		if len(shows) == 0 || slices.Contains(slices.Collect(maps.Values(shows)), false) {
			t.Errorf("%s: the namespaces that have it: %v", exporter, shows)
		}
	}
	if _, err := readObjects("../../config/samples", "no-such"); err == nil || !strings.Contains(err.Error(), `"no-such"`) {
		t.Errorf("an exporter without a sample: %v", err)
	}
}

func TestAFewExportsAreShownWhereNoneIsAskedFor(t *testing.T) {
	t.Parallel()
	objects, err := readObjects("../../config/samples", "")
	if err != nil || len(exportersOf(objects)) != shownAtOnce {
		t.Errorf("exporters %q (%v), want %d", exportersOf(objects), err, shownAtOnce)
	}
}

func TestCharsetsOfMediaTypesAreKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"utf-8", "utf-16le", "windows-1252", "iso-8859-15", "cp437"} {
		if charset, err := ianaindex.IANA.Encoding(name); err != nil || charset == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
