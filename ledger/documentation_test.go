package ledger_test

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestTheExampleInTheDocumentationMaps(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/kinds/chart-of-accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	var chart v1alpha1.ChartOfAccounts
	if err := yaml.UnmarshalStrict([]byte(example), &chart); err != nil {
		t.Fatal(err)
	}
	voucherOf(t, &chart.Spec, ledger.VoucherPolicy{}, expense())
}

func TestTheDocumentationNamesEveryReason(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/kinds/chart-of-accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("hold.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range strings.Split(string(source), `HoldReason = "`)[1:] {
		reason, _, _ := strings.Cut(declared, `"`)
		if !strings.Contains(string(page), "| `"+reason+"` |") {
			t.Errorf("the page does not say what to do about %s", reason)
		}
	}
}
