package pipeline_test

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestAnAttemptThatDiesAmongReceiptsIsResumedAndDeliversNoneAgain(t *testing.T) {
	t.Parallel()
	undisturbed := newReceipts(t, v1alpha1.IncludeReceipts)
	_, err := undisturbed.attempt(task(1), nil)
	undisturbed.must(err)
	want := undisturbed.files()
	for _, point := range append(failpoint.ReceiptPoints(), failpoint.Record.After(), failpoint.Put.Before(), failpoint.Put.After(), failpoint.MarkDelivered.After()) {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newReceipts(t, v1alpha1.IncludeReceipts)
			s.crash(task(1), point)
			left := s.files()
			outcome, err := s.attempt(task(2), nil)
			if err != nil || !outcome.Committed || outcome.Result.Claims != claimCount || outcome.Result.ReceiptsMissing != 0 {
				t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
			}
			sameContent(t, s.files(), want)
			s.untouched(left)
		})
	}
}

func TestAReleaseTakesItsReceiptsAway(t *testing.T) {
	t.Parallel()
	for _, point := range append(failpoint.ReceiptPoints(), failpoint.Put.Before()) {
		t.Run("delivered until "+string(point), func(t *testing.T) {
			t.Parallel()
			s := newReceipts(t, v1alpha1.IncludeReceipts)
			s.crash(task(1), point)
			if outcome, err := s.attempt(released(task(2)), nil); err != nil || outcome.Committed {
				t.Fatalf("the release ended with %+v (%v)", outcome, err)
			}
			if files := s.files(); len(files) > 0 || s.text(`SELECT count(*)::text FROM ledgerport.run_receipts`) != "0" {
				t.Errorf("%d files are left: %v", len(files), files)
			}
		})
	}
	t.Run("and so does an attempt that wakes up late", func(t *testing.T) {
		t.Parallel()
		newReceipts(t, v1alpha1.IncludeReceipts).wakesUpLate(task(1), failpoint.CopyReceipts.After(), released(task(2)))
	})
	t.Run("and the removal of an artifact", func(t *testing.T) {
		t.Parallel()
		s := newReceipts(t, v1alpha1.IncludeReceipts)
		_, err := s.attempt(task(1), nil)
		s.must(err)
		removal := task(1)
		removal.RemoveArtifact = true
		_, err = s.attempt(removal, nil)
		s.must(err)
		if files := s.files(); len(files) > 0 {
			t.Errorf("%d files are left: %v", len(files), files)
		}
	})
}

func TestARedeliveryDeliversTheReceiptsToo(t *testing.T) {
	t.Parallel()
	const to = "acme/elsewhere/acme/monthly/again/"
	exported := func(t *testing.T) *stage {
		t.Helper()
		s := newReceipts(t, v1alpha1.IncludeReceipts)
		s.must(os.Remove(s.store(s.text(`SELECT key FROM public.receipts WHERE line_no = 1 ORDER BY key LIMIT 1`)))) // which is listed as missing, both times
		_, err := s.attempt(task(1), nil)
		s.must(err)
		return s
	}
	for _, point := range []failpoint.Point{"", failpoint.CopyReceipts.Before(), failpoint.CopyReceipts.After(), failpoint.Put.Before(), failpoint.MarkDelivered.Before()} {
		t.Run(cmp.Or(string(point), "undisturbed"), func(t *testing.T) {
			t.Parallel()
			s := exported(t)
			files := s.files()
			attempt := int32(1)
			if point != "" {
				s.crash(redelivery(1), point)
				attempt++
			}
			left := s.files()
			outcome, err := s.attempt(redelivery(attempt), nil)
			if err != nil || !outcome.Committed || outcome.Result.ReceiptsMissing != 1 {
				t.Fatalf("it ended with %+v (%v)", outcome, err)
			}
			s.twice(files, to)
			s.untouched(left)
		})
	}
	t.Run("and takes them back when it is cancelled", func(t *testing.T) {
		t.Parallel()
		s := exported(t)
		files := s.files()
		s.crash(redelivery(1), failpoint.CopyReceipts.After())
		if len(s.files()) == len(files) {
			t.Fatal("it has delivered nothing")
		}
		if outcome, err := s.attempt(released(redelivery(2)), nil); err != nil || outcome.Committed {
			t.Fatalf("the release ended with %+v (%v)", outcome, err)
		}
		sameContent(t, s.files(), files)
	})
	t.Run("and none that is another by now", func(t *testing.T) {
		t.Parallel()
		s := exported(t)
		key := s.text(`SELECT key FROM public.receipts WHERE line_no = 1 ORDER BY key DESC LIMIT 1`)
		s.receipt(key, "another receipt")
		_, err := s.attempt(redelivery(1), nil)
		if failed := failure.From(err); failed.Reason != v1alpha1.ReasonReceiptMissing || !strings.Contains(failed.Message, "monthly-1 delivered it") {
			t.Fatalf("it ended with %v", err)
		}
		s.receipt(key, "receipt "+key)
		if outcome, err := s.attempt(redelivery(2), nil); err != nil || !outcome.Committed {
			t.Errorf("with the receipt back it ended with %+v (%v)", outcome, err)
		}
	})
}
