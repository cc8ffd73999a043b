package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestApprovalIsAskedFor(t *testing.T) {
	t.Parallel()
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "october"}, Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}}}
	run.Status = v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunAwaitingApproval, RequestedBy: "alice\x1b[2J", FirstVoucher: "E/2026/1", LastVoucher: "E/2026/3",
		RunResult: v1alpha1.RunResult{Claims: 3, Held: 1, Total: "12.00 EUR"}, Files: []v1alpha1.RunFile{{Name: "october.csv", Size: 1, SHA256: "ab12"}},
		Approval: &v1alpha1.RunApproval{Digest: "d1", Until: &metav1.Time{Time: time.Date(2026, time.December, 7, 6, 0, 0, 0, time.UTC)}},
	}
	ask := func(answer string) (shown string, err error) {
		var out bytes.Buffer
		command := &cobra.Command{}
		command.SetIn(strings.NewReader(answer))
		command.SetErr(&out)
		err = confirm(command, run)
		return out.String(), err
	}
	for answer, yes := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		t.Run("the answer "+strings.TrimSpace(answer), func(t *testing.T) {
			t.Parallel()
			if _, err := ask(answer); (err == nil) != yes {
				t.Errorf("%q: %v", answer, err)
			}
		})
	}
	t.Run("totals, hashes and who asked are shown before, and no terminal obeys them", func(t *testing.T) {
		t.Parallel()
		shown, _ := ask("n\n")
		for _, part := range []string{"acme/october", "3, 1 held", "E/2026/1 to E/2026/3", "12.00 EUR", "october.csv, 1 byte, SHA-256 ab12", `alice\x1b[2J`, "2026-12-07T06:00:00Z", "[y/N]"} {
			if !strings.Contains(shown, part) {
				t.Errorf("%q is not in\n%s", part, shown)
			}
		}
		if strings.Contains(shown, "\x1b") {
			t.Error("what is shown has an escape sequence")
		}
	})
}
