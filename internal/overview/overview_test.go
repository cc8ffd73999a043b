package overview

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestRemedy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, kind, reason, has string }{
		{"is that of the page of the kind", exportDestination, v1alpha1.ReasonLoginRefused, "CredentialsReady is False too"},
		{"is that of the page of all reasons otherwise", exportRun, v1alpha1.ReasonUnmappedClaim, "add a rule"},
		{"is that of the row before where it is the same", exportRun, v1alpha1.ReasonLedgerChanged, "A database that was restored"},
		{"of credentials is that of their page where a kind refers to it", claimSource, v1alpha1.ReasonSecretKeyMissing, "key"},
		{"of a held claim is that of the chart", chartOfAccounts, "Unmapped", "correct the line's category"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if do := Remedy(test.kind, test.reason); !strings.Contains(do, test.has) || strings.ContainsAny(do, "`[|") {
				t.Errorf("for %s it is %q, without %q", test.reason, do, test.has)
			}
		})
	}
	t.Run("is nothing where there is nothing to do", func(t *testing.T) {
		t.Parallel()
		for _, reason := range []string{v1alpha1.ReasonReady, v1alpha1.ReasonRunning, "NoSuchReason"} {
			if do := Remedy(exportRun, reason); do != "" {
				t.Errorf("for %s it is %q", reason, do)
			}
		}
	})
}

func conditions(kind string, status metav1.ConditionStatus, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: kind, Status: status, Reason: reason, Message: message}}
}

func TestNext(t *testing.T) {
	t.Parallel()
	slot := metav1.NewTime(time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC))
	for _, test := range []struct {
		name   string
		change func(*parts)
		has    string
	}{
		{"is to be asked for without a schedule", func(*parts) {}, `"ledgerport run monthly"`},
		{"is the slot in the zone of the export", func(p *parts) { p.export.Status.NextScheduleTime = &slot }, "2026-12-01 06:00 CET"},
		{"is to resume where the export is suspended", func(p *parts) {
			p.export.Spec.Suspend, p.export.Status.NextScheduleTime = true, &slot
		}, `"ledgerport resume monthly"`},
		{"is the run that was requested", func(p *parts) {
			p.export.Annotations = map[string]string{v1alpha1.RequestedAtAnnotation: "now"}
		}, v1alpha1.RequestedAtAnnotation},
		{"is the end of the run that is under way", func(p *parts) {
			p.runs = []v1alpha1.ExportRun{{ObjectMeta: metav1.ObjectMeta{Name: "slow"}}}
		}, "slow has to end first"},
		{"does not wait for a preview", func(p *parts) {
			p.runs = []v1alpha1.ExportRun{{Spec: v1alpha1.ExportRunSpec{Type: v1alpha1.RunPreview}}}
		}, `"ledgerport run monthly"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := &parts{export: &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Name: "monthly"}, Spec: v1alpha1.AccountingExportSpec{TimeZone: "Europe/Berlin"}}}
			test.change(p)
			if next := p.next(); !strings.Contains(next, test.has) {
				t.Errorf("it is %q, without %q", next, test.has)
			}
		})
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	export := &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly", Generation: 2},
		Status: v1alpha1.AccountingExportStatus{
			ObservedGeneration: 2,
			Conditions: append(conditions(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "not admitted\x1b[2J"),
				conditions(v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "not admitted")...),
		},
	}
	source := &v1alpha1.ClaimSource{Status: v1alpha1.ClaimSourceStatus{
		Conditions: conditions(v1alpha1.ConditionIndexed, metav1.ConditionFalse, v1alpha1.ReasonIndexMissing, "CREATE INDEX …"),
	}}
	run := v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "slow"}, Status: v1alpha1.ExportRunStatus{
		Phase: v1alpha1.RunRunning, Stage: v1alpha1.StageRender, Progress: &v1alpha1.RunProgress{Claims: 7},
	}}
	write := func(p *parts) string {
		var text strings.Builder
		if err := p.tree().Write(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	t.Run("has each resource once, why it is not ready, and what to do", func(t *testing.T) {
		t.Parallel()
		text := write(&parts{export: export, source: source, runs: []v1alpha1.ExportRun{run}})
		for _, words := range []string{
			"AccountingExport acme/monthly: NotReady (AccessDenied)\n│  not admitted\\x1b[2J\n", "├─ ClaimSource acme/: NotReady (AccessDenied)\n│     not admitted\n",
			"│     Indexed: IndexMissing: CREATE INDEX …\n│       do: run the statement in the message", "└─ ExportRun acme/slow: Running\n      next: stage Render, 7 claims\n",
		} {
			if !strings.Contains(text, words) {
				t.Errorf("it lacks\n%s\nand is\n%s", words, text)
			}
		}
	})
	t.Run("says that the operator has not looked since a change", func(t *testing.T) {
		t.Parallel()
		changed := export.DeepCopy()
		changed.Generation = 3
		if text := write(&parts{export: changed}); !strings.HasPrefix(text, "AccountingExport acme/monthly: Unknown\n") || !strings.Contains(text, "look whether the operator runs") {
			t.Errorf("it is\n%s", text)
		}
	})
}
