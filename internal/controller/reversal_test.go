package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
)

// reversal is a run that reverses another.
func (w *world) reversal(name, of string) *v1alpha1.ExportRun {
	run := w.run(name)
	run.Spec.Type, run.Spec.Reverses = v1alpha1.RunReversal, &v1alpha1.RunReference{Name: of}
	return run
}

// exported returns the first run of a world with claims, which has succeeded.
func (w *world) exported(claims int) *v1alpha1.ExportRun {
	w.Helper()
	w.fill(claims)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("first"))
	return eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
}

// fillVolume leaves room for a check on the test's tiny volume, and not for an artifact.
func (w *world) fillVolume() {
	w.Helper()
	filler := w.exports + "/filler"
	if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		w.Fatalf("the volume is not full: %v", err)
	}
	written, err := os.Stat(filler)
	w.must(err)
	w.must(os.Truncate(filler, written.Size()-8<<10))
}

// file returns the content of the CSV file of a run.
func (w *world) file(run string) []byte {
	w.Helper()
	content, err := os.ReadFile(w.delivered("monthly", run, run+".csv"))
	w.must(err)
	return content
}

func TestReversalCancelsARunOutWhateverItsClaimsHaveBecome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.exported(50)
	// The claims were wrong and have been corrected, two were withdrawn, and the chart has changed.
	w.exec(`update claim_lines set gross_amount = gross_amount + 7 * sign(gross_amount), description = 'corrected'`)
	w.exec(`update claims set status = 'withdrawn' where id in (select id from claims order by id limit 2)`)
	chart := w.chart()
	chart.Namespace = w.namespace
	w.must(api.client.Patch(t.Context(), chart, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"rules":[{"account":"2150","taxCode":"9"}]}}`))))

	w.create(w.reversal("back", "first"))
	back := eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	if problem := condition(back.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReversed, "50 vouchers of ExportRun first", "go to the next run"); problem != "" {
		t.Error(problem)
	}
	if back.Status.Claims != 50 || back.Status.Lines != first.Status.Lines || back.Status.FirstVoucher != "E/2026/51" || back.Status.LastVoucher != "E/2026/100" {
		t.Errorf("status %+v", back.Status)
	}
	w.cancelOut(first.Name, back.Name)
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 0 {
		t.Errorf("%d claims are still bound to a run", n)
	}
	if told := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun.Name; told != "first" {
		t.Errorf("the last run of the export is %s, want the one that exported", told)
	}

	w.create(w.run("second"))
	second := eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded))
	if second.Status.Claims != 48 || second.Status.FirstVoucher != "E/2026/101" || !strings.Contains(string(w.file("second")), "corrected") {
		t.Errorf("the next run %+v, want the 48 claims that are still approved, as they are now", second.Status)
	}
	w.auditable(first, back, second)
}

// cancelOut sums two files and compares debit with credit.
func (w *world) cancelOut(run, reversal string) {
	w.Helper()
	was, is := w.file(run), w.file(reversal)
	debit, credit := sumCSV(w, was, "base_debit"), sumCSV(w, was, "base_credit")
	if sumCSV(w, is, "base_debit") != credit || sumCSV(w, is, "base_credit") != debit || debit == "0" {
		w.Errorf("debit %s and credit %s were exported, and %s and %s reversed", debit, credit, sumCSV(w, is, "base_debit"), sumCSV(w, is, "base_credit"))
	}
	raw, err := os.ReadFile(w.delivered("monthly", reversal, "manifest.json"))
	w.must(err)
	var manifest struct {
		Type     string
		Reverses struct{ Name, UID string }
	}
	w.must(json.Unmarshal(raw, &manifest))
	if manifest.Type != "Reversal" || manifest.Reverses.Name != run || manifest.Reverses.UID == "" {
		w.Errorf("the manifest says %+v", manifest)
	}
}

// auditable checks by SQL that every voucher leads to its claim and its run, and a reversing one to the one it reverses.
func (w *world) auditable(first, back, second *v1alpha1.ExportRun) {
	w.Helper()
	for query, want := range map[string]int64{
		fmt.Sprintf(`select count(*) from ledgerport.vouchers where run_id = '%s' and reverses is null and reversed_by = 'back' and voucher_number between 1 and 50`, first.UID): 50,
		fmt.Sprintf(`select count(*) from ledgerport.vouchers b join ledgerport.vouchers f on f.claim_id = b.claim_id and f.run_id = '%s'
			where b.run_id = '%s' and b.reverses = 'E/2026/' || f.voucher_number and b.voucher_number = f.voucher_number + 50 and b.type = 'reversal'`, first.UID, back.UID): 50,
		fmt.Sprintf(`select count(*) from ledgerport.vouchers where run_id = '%s' and reverses is null and reversed_by is null`, second.UID): 48,
		`select max(voucher_number) - count(distinct voucher_number) from ledgerport.vouchers`:                                               0,
		`select count(*) from (select claim_id from ledgerport.vouchers group by 1 having count(*) not in (2, 3)) as odd`:                    0,
	} {
		if n := w.count(query); n != want {
			w.Errorf("%d rows, want %d: %s", n, want, query)
		}
	}
}

func TestReversalOfNamedClaimsFreesThemAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exported(5)
	named := []string{w.claimAt(2), w.claimAt(4)}
	back := w.reversal("back", "first")
	back.Spec.Claims = &v1alpha1.NamedClaims{IDs: named}
	w.create(back)
	eventually(w, back, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReversed, "2 vouchers of ExportRun first")
	})
	again := w.reversal("again", "first")
	again.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{w.claimAt(1), named[0]}}
	foreign := w.reversal("foreign", "first")
	foreign.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{w.claimAt(1), "nobody-s"}}
	w.create(again, foreign)
	for run, want := range map[*v1alpha1.ExportRun][]string{
		again: {v1alpha1.ReasonAlreadyReversed, named[0] + " (by run back)"}, foreign: {v1alpha1.ReasonClaimNotExported, "nobody-s"},
	} {
		refused := eventually(w, run, runIs(v1alpha1.RunFailed))
		if problem := condition(refused.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, want[0], want[1]); problem != "" {
			t.Error(problem)
		}
	}
	eventually(w, w.run("first"), reversedIs(v1alpha1.PartlyReversed, v1alpha1.Reversing{Name: "back", Claims: 2}))
	w.create(w.run("second"))
	if second := eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded)); second.Status.Claims != 2 || second.Status.Reversed != "" {
		t.Errorf("the next run exported %d claims and is reversed %q, want the two that were freed", second.Status.Claims, second.Status.Reversed)
	}
	// The rest is reversed while nobody looks: what is told of it is found in the runs.
	w.create(w.reversal("rest", "first"))
	eventually(w, w.run("rest"), runIs(v1alpha1.RunSucceeded))
	first := eventually(w, w.run("first"), reversedIs(v1alpha1.WhollyReversed, v1alpha1.Reversing{Name: "back", Claims: 2}, v1alpha1.Reversing{Name: "rest", Claims: 3}))
	w.stopOperator()
	first.Status.Reversed, first.Status.ReversedClaims, first.Status.ReversedBy = "", 0, nil
	w.must(api.client.Status().Update(t.Context(), first))
	w.must(api.client.Delete(t.Context(), w.run("back")))
	w.startOperator(w.namespace)
	eventually(w, w.run("first"), reversedIs(v1alpha1.PartlyReversed, v1alpha1.Reversing{Name: "rest", Claims: 3}))
}

// reversedIs reports what is missing of what a run tells of its reversals.
func reversedIs(want v1alpha1.RunReversed, by ...v1alpha1.Reversing) func(*v1alpha1.ExportRun) string {
	return func(run *v1alpha1.ExportRun) string {
		if status := run.Status; status.Reversed != want || !slices.Equal(status.ReversedBy, by) {
			return fmt.Sprintf("it is reversed %q, by %v, want %q by %v", status.Reversed, status.ReversedBy, want, by)
		}
		return ""
	}
}

// claimAt is the claim at a place of the first run.
func (w *world) claimAt(place int) (claim string) {
	w.Helper()
	w.sql(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select claim_id from ledgerport.vouchers where run = 'first' and position = $1`, place).Scan(&claim)
	})
	return claim
}

func TestReversalIsPostedInTheOpenPeriod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exported(5)
	w.must(api.client.Patch(t.Context(), w.export(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"posting":{"openFrom":"2026-11-20"}}}`))))
	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	w.cancelOut("first", "back")
	rows := strings.Split(strings.TrimSpace(string(w.file("back"))), "\n")
	for _, row := range rows[1:] {
		if !strings.Contains(row, "2026-11-20") {
			t.Errorf("a posting has another date: %s", row)
		}
	}
}

// retryingReversal returns the reversal of a run of 40 claims whose destination is full: it has rendered its vouchers, and is
// tried again many times.
func (w *world) retryingReversal() *v1alpha1.ExportRun {
	w.Helper()
	w.tinyVolume()
	w.exported(40)
	w.fillVolume()
	w.merge(w.export(), `{"spec":{"retry":{"limit":20}}}`)
	w.create(w.reversal("back", "first"))
	return eventually(w, w.run("back"), runIs(v1alpha1.RunRetrying))
}

func TestReversalThatIsInterruptedGoesOnAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	back := w.retryingReversal()
	digest := func() int64 {
		return w.count(`select hashtext(string_agg(claim_id || voucher_number, ',' order by position)) # hashtext(r.files::text)
			from ledgerport.reversal_vouchers e join ledgerport.runs r on r.id = e.run_id where r.id = $1 group by r.files`, string(back.UID))
	}
	recorded := digest()
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 40 {
		t.Errorf("%d claims are bound to their run before its reversal is committed, want 40", n)
	}
	w.exec(`update claim_lines set gross_amount = gross_amount + 7 * sign(gross_amount)`)
	w.stopOperator()
	w.enlargeVolume()
	w.startOperator(w.namespace)
	eventually(w, back, runIs(v1alpha1.RunSucceeded))
	if digest() != recorded {
		t.Error("vouchers, numbers or hash changed between the attempts")
	}
	w.cancelOut("first", "back")
}

func TestReversalThatIsCancelledLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	back := w.retryingReversal()
	w.must(api.client.Patch(t.Context(), back, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"cancel":true}}`))))
	eventually(w, back, runIs(v1alpha1.RunCancelled))
	for query, want := range map[string]int64{
		`select count(*) from ledgerport.exported_claims`:                  40,
		`select count(*) from ledgerport.reversal_vouchers`:                0,
		`select sum(last - first + 1) from ledgerport.voided_vouchers`:     40,
		`select count(distinct run_id) from ledgerport.run_vouchers`:       1,
		`select count(*) from ledgerport.vouchers where reversed_by <> ''`: 0,
		`select count(*) from ledgerport.runs where state = 'released'`:    1,
		`select min(next) from ledgerport.voucher_numbers where next > 80`: 81,
	} {
		if n := w.count(query); n != want {
			t.Errorf("%d, want %d: %s", n, want, query)
		}
	}
	w.enlargeVolume()
	w.create(w.reversal("back-again", "first"))
	eventually(w, w.run("back-again"), runIs(v1alpha1.RunSucceeded))
	w.cancelOut("first", "back-again")
}

func TestReversalThatCanNotBeIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tinyVolume()
	w.exported(3)
	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	w.insertClaim(application.Claim{})
	other := w.export()
	other.Name = "other"
	foreign := w.run("foreign")
	foreign.Spec.ExportRef.Name = "other"
	w.create(other, foreign)
	eventually(w, foreign, runIs(v1alpha1.RunSucceeded))
	w.create(w.run("empty"))
	eventually(w, w.run("empty"), runIs(v1alpha1.RunSucceeded))
	cancelled := w.run("cancelled")
	w.fillVolume()
	for range 80 {
		w.insertClaim(application.Claim{})
	}
	w.create(cancelled)
	eventually(w, cancelled, runIs(v1alpha1.RunFailed))
	w.enlargeVolume()

	for name, test := range map[string]struct {
		of     string
		reason v1alpha1.Reason
		words  string
	}{
		"of-a-reversal":             {"back", v1alpha1.ReasonReversesReversal, "is a reversal itself"},
		"of-another-export":         {"foreign", v1alpha1.ReasonReversesOtherExport, "of the export other"},
		"of-an-uncommitted-run":     {"cancelled", v1alpha1.ReasonRunNotCommitted, "is released"},
		"of-one-reversed-already":   {"first", v1alpha1.ReasonAlreadyReversed, "is reversed by run back"},
		"of-nothing":                {"empty", v1alpha1.ReasonNothingToReverse, "exported nothing"},
		"of-one-that-never-existed": {"nobody", v1alpha1.ReasonRunNotFound, "no run"},
	} {
		w.create(w.reversal(name, test.of))
		refused := eventually(w, w.run(name), runIs(v1alpha1.RunFailed))
		if problem := condition(refused.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, test.reason, test.words); problem != "" {
			t.Error(problem)
		}
		if refused.Status.Failures != 1 {
			t.Errorf("%s was tried %d times", name, refused.Status.Failures)
		}
		if n := w.count(`select count(*) from ledgerport.runs where id = $1`, string(refused.UID)); n != 0 {
			t.Errorf("%s is recorded", name)
		}
	}
}

func TestRunTypesAreCheckedByTheAPIServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := func(edit func(*v1alpha1.ExportRunSpec)) *v1alpha1.ExportRun {
		run := w.reversal("wrong", "first")
		edit(&run.Spec)
		return run
	}
	for want, run := range map[string]*v1alpha1.ExportRun{
		"a run of type Reversal needs it": change(func(s *v1alpha1.ExportRunSpec) { s.Reverses = nil }),
		"no other may have it":            change(func(s *v1alpha1.ExportRunSpec) { s.Type = v1alpha1.RunPreview }),
		"has no cutoff":                   change(func(s *v1alpha1.ExportRunSpec) { s.Cutoff = &metav1.Time{Time: time.Now()} }),
		"only a run of type Export":       change(func(s *v1alpha1.ExportRunSpec) { s.Slot = &metav1.Time{Time: time.Now()} }),
		"Unsupported value":               change(func(s *v1alpha1.ExportRunSpec) { s.Type = "Undo" }),
	} {
		if err := api.client.Create(t.Context(), run); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that says %q", run.Spec, err, want)
		}
	}
	run := w.reversal("right", "first")
	w.create(run)
	for _, patch := range []string{`{"spec":{"type":"Export","reverses":null}}`, `{"spec":{"reverses":{"name":"second"}}}`} {
		if err := api.client.Patch(t.Context(), run, client.RawPatch("application/merge-patch+json", []byte(patch))); err == nil || !strings.Contains(err.Error(), "cannot be changed") {
			t.Errorf("%s: %v, want that the spec cannot be changed", patch, err)
		}
	}
}

func TestAReversalPostsWithTheTaxCodesThatItsRunHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.insertClaim(application.Claim{Lines: []application.Line{{Gross: "119.00", Tax: "19.00"}}})
	export := w.export()
	withVATCode := func(code string) *runtime.RawExtension {
		return &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"vatCodes":{"9":%q},"subledger":"none"}`, code)}
	}
	export.Spec.Exporter = v1alpha1.ExporterSpec{Type: "gbat10", Options: withVATCode("99")}
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export, w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))

	patch := client.MergeFrom(export.DeepCopy())
	export.Spec.Exporter.Options = withVATCode("1") // what was wrong is corrected, as the page says, and the run reversed
	w.must(api.client.Patch(t.Context(), export, patch))
	w.create(w.reversal("back", "first"))
	eventually(w, w.run("back"), runIs(v1alpha1.RunSucceeded))
	w.create(w.run("second"))
	eventually(w, w.run("second"), runIs(v1alpha1.RunSucceeded))
	for run, want := range map[string]string{"first": ";4000;99;100.00;", "back": ";4000;99;-100.00;", "second": ";4000;1;100.00;"} {
		if content := w.file(run); !strings.Contains(string(content), want) {
			t.Errorf("the file of the run %s lacks %s:\n%s", run, want, content)
		}
	}
}
