package main

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/ianaindex"

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
		if types := exportersOf(objects); !slices.Contains(types, exporter) || slices.ContainsFunc(types, func(other string) bool { return other != exporter }) {
			t.Errorf("%s: the exports have %q", exporter, types)
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
