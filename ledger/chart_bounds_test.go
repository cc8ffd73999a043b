package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// TestNewMapper_ChartIsBounded runs alone, because it measures the whole process. Each chart has 400 rules of some kilobytes.
func TestNewMapper_ChartIsBounded(t *testing.T) {
	nested := func(open, middle, end string, deep int) func(int) string {
		return func(i int) string {
			return fmt.Sprintf("'%d' == '1' || ", i) + strings.Repeat(open, deep) + middle + strings.Repeat(end, deep) + ".size() > 0"
		}
	}
	for name, source := range map[string]func(int) string{
		"lists in lists":   nested("[", "1", "]", 240),
		"maps in maps":     nested("{'a': ", "1", "}", 240),
		"macros in macros": nested("[1].map(x, ", "1", ")", 200),
		"questions in a row": func(i int) string {
			return strings.Repeat("line.unit == 'x' || ", 190) + fmt.Sprint("line.unit == '", i, "'")
		},
		"repetitions of a pattern": func(i int) string {
			return "line.unit.matches('" + strings.Repeat("a{1000}", 550) + fmt.Sprint(i) + "')"
		},
		"a pattern of a claim": func(i int) string { return fmt.Sprint("line.unit.matches(line.description + '", i, "')") },
	} {
		t.Run(name, func(t *testing.T) {
			chart := books()
			chart.Rules = nil
			for i := range 400 {
				chart.Rules = append(chart.Rules, v1alpha1.MappingRule{Account: chart.Offset.Account, Match: v1alpha1.RuleMatch{Expression: source(i)}})
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			began := time.Now()
			mapper, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Series: "E", Location: time.UTC})
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if err == nil || mapper != nil {
				t.Error("the chart was taken")
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 600 || took > time.Minute {
				t.Errorf("%d MiB were made in %s", made, took)
			}
		})
	}
}

// TestNewMapper_ChartTakesNoMoreMemoryThanItIsLong runs alone, because it measures the whole process. The chart is the largest that the
// API server takes: rules for many categories, and rules for all.
func TestNewMapper_ChartTakesNoMoreMemoryThanItIsLong(t *testing.T) {
	chart := books()
	chart.Rules = nil
	for i := range 500 {
		rule := v1alpha1.MappingRule{Account: chart.Offset.Account}
		for j := range 200 * (i % 2) {
			rule.Match.Categories = append(rule.Match.Categories, fmt.Sprint(i, "/", j))
		}
		chart.Rules = append(chart.Rules, rule)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Series: "E", Location: time.UTC})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 32 {
		t.Errorf("%d MiB were made", made)
	}
}

func TestNewMapper_LargeChartsOfPeopleAreTaken(t *testing.T) {
	t.Parallel()
	chart := books()
	chart.Rules = nil
	for i := range 500 {
		chart.Rules = append(chart.Rules, v1alpha1.MappingRule{
			Account: chart.Offset.Account, Match: v1alpha1.RuleMatch{Expression: fmt.Sprintf("line.category == 'category-%d' && line.gross_minor > 10000", i)},
			Dimensions: map[string]string{"project": "line.dimensions['project']", "department": "line.dimensions['cost_center'].upperAscii()", "claimant": "claim.claimant_id"},
		})
	}
	if _, err := ledger.NewMapper(chart, ledger.VoucherPolicy{Series: "E", Location: time.UTC}); err != nil {
		t.Error(err)
	}
}

func TestMap_HoldsAClaimThatTheChartMakesLarge(t *testing.T) {
	t.Parallel()
	chart := books()
	chart.Rules = []v1alpha1.MappingRule{{Account: "7140", Dimensions: map[string]string{}}}
	for i := range 20 {
		chart.Rules[0].Dimensions[fmt.Sprint("d", i)] = fmt.Sprintf("'%d' + line.description", i)
	}
	claim := expense()
	claim.Lines[0].Description = strings.Repeat("x", 9000)
	repeatLine(claim, 100)
	wantHold(t, chart, claim, ledger.HoldTooLarge, "dimensions")
}

func TestMap_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	claim := expense()
	repeatLine(claim, ledger.MaxLines)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := mapInto(ctx, mapper(t, books(), ledger.VoucherPolicy{}), claim, &ledger.Voucher{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context has ended", err)
	}
}

// repeatLine lets a claim have so many lines that are as its first.
func repeatLine(claim *ledger.Claim, lines int) {
	for len(claim.Lines) < lines {
		line := claim.Lines[0]
		line.Number = len(claim.Lines) + 1
		claim.Lines = append(claim.Lines, line)
	}
}
