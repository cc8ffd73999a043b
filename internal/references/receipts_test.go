package references_test

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Exporters that deliver files, link them to receipts, send vouchers, and attach receipts to those, where they have options.
type (
	files    struct{ exporters.Exporter }
	links    struct{ files }
	sends    struct{ exporters.Submitter }
	attaches struct{ sends }
)

func (files) Type() string                         { return "files" }
func (links) NeedsReceipts(options []byte) bool    { return len(options) > 0 }
func (sends) Type() string                         { return "sends" }
func (attaches) AttachesReceipts(some []byte) bool { return len(some) > 0 }

func TestReceiptsAreAskedForWhereTheExporterHasThem(t *testing.T) {
	t.Parallel()
	const ignore, include, require = v1alpha1.IgnoreReceipts, v1alpha1.IncludeReceipts, v1alpha1.RequireReceipts
	for _, test := range []struct {
		exporter exporters.Exporter
		options  string
		policy   v1alpha1.ReceiptPolicy
		refused  string
	}{
		{files{}, "", ignore, ""},
		{files{}, "", require, ""},
		{links{}, "yes", include, "say spec.receipts: Require"},
		{links{}, "yes", require, ""},
		{links{}, "", "", ""},
		{sends{}, "", ignore, ""},
		{sends{}, "yes", include, "do not let the exporter sends attach receipts"},
		{attaches{}, "", require, "do not let the exporter sends attach receipts"},
		{attaches{}, "", "", ""},
		{attaches{}, "yes", include, ""},
		{attaches{}, "yes", require, ""},
		{attaches{}, "yes", ignore, "say spec.receipts: Include or Require"},
		{attaches{}, "yes", "", "say spec.receipts: Include or Require"},
	} {
		err := references.ReceiptsWith(test.exporter, []byte(test.options), test.policy)
		if (err == nil) != (test.refused == "") || err != nil && (failure.From(err).Reason != v1alpha1.ReasonInvalidSpec || !strings.Contains(err.Error(), test.refused)) {
			t.Errorf("%T with options %q and receipts %q: %v, want %q", test.exporter, test.options, test.policy, err, test.refused)
		}
	}
}
