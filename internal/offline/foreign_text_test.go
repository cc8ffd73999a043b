package offline_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
)

// TestValidate_FindingsMoveNoCursor has the texts of somebody else's resource in what is found about it.
func TestValidate_FindingsMoveNoCursor(t *testing.T) {
	t.Parallel()
	registry, err := exporters.NewRegistry(builtin.Exporters()...)
	if err != nil {
		t.Fatal(err)
	}
	const manifest = `{"apiVersion": "accounting.ledgerport.dev/v1alpha1", "kind": "AccountingExport", "metadata": {"name": "a\u001b[2J\u202eb"},
		"spec": {"exporter": {"type": "\u009b31m"}, "\u001b]0;title\u0007": 1}}`
	found, err := offline.Validate(t.Context(), registry, destinationtypes.Registry(destinationtypes.Settings{}), []string{offline.Stdin}, strings.NewReader(manifest), false)
	if err != nil || len(found.Findings) == 0 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, finding := range found.Findings {
		if strings.ContainsFunc(finding.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("it says %q", finding)
		}
	}
}
