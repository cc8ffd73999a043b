package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// splitVouchers lets the chart make several vouchers of a claim.
func splitVouchers(ctx context.Context, objects client.Client, by []v1alpha1.VoucherSplit) error {
	if len(by) == 0 {
		return nil
	}
	var chart v1alpha1.ChartOfAccounts
	if err := objects.Get(ctx, types.NamespacedName{Namespace: "acme", Name: "monthly"}, &chart); err != nil {
		return err
	}
	chart.Spec.Vouchers.SplitBy = by
	return objects.Update(ctx, &chart)
}

// newSplitStage has claims that become a voucher for each line.
func newSplitStage(t *testing.T) *stage {
	s := newStage(t)
	s.splitBy = []v1alpha1.VoucherSplit{v1alpha1.SplitByLine}
	return s
}

// vouchers is how many a run has, and of how many claims.
func (s *stage) vouchers(run string) string {
	s.Helper()
	return s.text(`select count(*) || ' of ' || count(distinct claim_id) from ledgerport.vouchers where run = $1`, run)
}

func TestClaimsOfSeveralVouchersArePreviewedExportedAndReversedAsAWhole(t *testing.T) {
	t.Parallel()
	s := newSplitStage(t)
	lines := s.text(`select count(*)::text from claim_lines`)
	previewed, err := s.attempt(preview(1), nil)
	s.must(err)
	before := s.files()
	exported, err := s.attempt(task(1), nil)
	s.must(err)
	if exported.Result.Claims != claimCount || fmt.Sprint(exported.Result.Lines) != lines || s.vouchers("monthly-1") != lines+" of "+fmt.Sprint(claimCount) || exported.LastVoucher != "E/2026/"+lines {
		t.Errorf("the run ended with %+v and has %s vouchers, want %s", exported, s.vouchers("monthly-1"), lines)
	}
	if previewed.Result.Claims != exported.Result.Claims || previewed.Result.Lines != exported.Result.Lines {
		t.Errorf("the preview ended with %+v, and the run with %+v", previewed.Result, exported.Result)
	}
	csv := s.files()["acme/books/acme/monthly/monthly-1/monthly-1.csv"].content
	for name, file := range before {
		if strings.HasSuffix(name, ".csv") && file.content != csv || csv == "" {
			t.Errorf("the preview %s has other bytes than the run", name)
		}
	}
	back := reversal(1)
	reversed, err := s.attempt(back, nil)
	s.must(err)
	if reversed.Result.Claims != claimCount || s.vouchers(back.Name) != s.vouchers("monthly-1") {
		t.Errorf("the reversal ended with %+v and has %s vouchers", reversed, s.vouchers(back.Name))
	}
	if again, err := s.attempt(run(2), nil); err != nil || again.Result.Claims != claimCount {
		t.Errorf("the next run ended with %+v (%v)", again, err)
	}
}

func TestARunWithClaimsOfSeveralVouchersThatDiesIsResumedWithTheSameBytes(t *testing.T) {
	t.Parallel()
	undisturbed := newSplitStage(t)
	_, err := undisturbed.attempt(task(1), nil)
	undisturbed.must(err)
	want, wantVouchers := undisturbed.files(), undisturbed.reserved()+undisturbed.reversing()
	for _, point := range []failpoint.Point{failpoint.Render.During(), failpoint.Record.Before(), failpoint.Record.After(), failpoint.Put.During(), failpoint.Commit.Before()} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newSplitStage(t)
			s.crash(task(1), point)
			if outcome, err := s.attempt(task(2), nil); err != nil || !outcome.Committed || outcome.Result.Claims != claimCount {
				t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
			}
			if vouchers := s.reserved() + s.reversing(); vouchers != wantVouchers {
				t.Errorf("vouchers are %s, want %s", vouchers, wantVouchers)
			}
			sameContent(t, s.files(), want)
		})
	}
	t.Run("or gives all of its claims back", func(t *testing.T) {
		t.Parallel()
		s := newSplitStage(t)
		s.crash(task(1), failpoint.Put.Before())
		_, err := s.attempt(released(task(2)), nil)
		s.must(err)
		if lines := s.text(`select count(*)::text from claim_lines`); s.voided() != lines || s.vouchers("monthly-1") != "0 of 0" {
			t.Errorf("%s numbers are voided, and %s vouchers are left", s.voided(), s.vouchers("monthly-1"))
		}
	})
}

// TestAFormatThatLacksOneVoucherOfAClaimHoldsTheClaim: the vouchers before that one must not be in the file.
func TestAFormatThatLacksOneVoucherOfAClaimHoldsTheClaim(t *testing.T) {
	t.Parallel()
	s := newSplitStage(t)
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `update claim_lines l set description = 'before the one' from (select claim_id from claim_lines where line_no = 2 order by 1 limit 1) c where l.claim_id = c.claim_id`)
		if err == nil {
			_, err = conn.Exec(ctx, `update claim_lines set description = '日本' where line_no = 2 and description = 'before the one'`)
		}
		return err
	})
	p := newPipeline(s.database, s.exports, "living", nil)
	objects := p.Resolver.Objects.(client.Client)
	var export v1alpha1.AccountingExport
	s.must(errors.Join(splitVouchers(t.Context(), objects, s.splitBy), objects.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &export)))
	export.Spec.Exporter.Options = &runtime.RawExtension{Raw: []byte(`{"encoding": "windows-1252"}`)}
	s.must(objects.Update(t.Context(), &export))
	outcome, err := p.Run(t.Context(), task(1), &pipeline.Progress{})
	s.must(err)
	if outcome.Result.Claims != claimCount-1 || s.text(`select string_agg(reason, ',') from ledgerport.held_claims`) != "UnsupportedByFormat" {
		t.Errorf("the run ended with %+v", outcome)
	}
	for name, file := range s.files() {
		if strings.Contains(file.content, "before the one") {
			t.Errorf("%s has a voucher of the claim that is held", name)
		}
	}
}

// TestAClaimOfSeveralVouchersIsNotSent: the system could take one of them, and refuse another.
func TestAClaimOfSeveralVouchersIsNotSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, nil)
	o.claims(2)
	o.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `delete from claim_lines where line_no > 1 and claim_id = (select id from claims order by approved_at limit 1)`)
		return err
	})
	o.must(splitVouchers(t.Context(), o.objects, []v1alpha1.VoucherSplit{v1alpha1.SplitByLine}))
	outcome, err, _ := o.attempt(task(1))
	o.must(err)
	if outcome.Result.Claims != 1 || outcome.Result.Held != 1 || len(o.documents()) != 1 {
		t.Errorf("the run ended with %+v, and the system has %v", outcome, o.documents())
	}
	if message := o.text(`select reason || ': ' || message from ledgerport.held_claims`); !strings.Contains(message, "UnsupportedByFormat") || !strings.Contains(message, "splitBy") {
		t.Errorf("the other claim is held: %s", message)
	}
}
