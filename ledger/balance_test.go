package ledger_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

var balanced = flag.Int("vouchers", 200_000, "random vouchers of TestRandomVouchersSumToZero (make balance)")

// TestRandomVouchersSumToZero makes vouchers of random claims by a chart that uses everything: cards, advances, reverse charge, partial
// deduction and divided lines, with books and claims in currencies of no, two and three decimals, and each claim as one voucher or as
// several. Each sums to zero in both of its currencies; those of a claim together spend what its receipts say, and settle its advance.
func TestRandomVouchersSumToZero(t *testing.T) {
	t.Parallel()
	const seed = 17
	random := rand.New(rand.NewPCG(seed, seed)) // #nosec G404 -- test data
	currencies := []string{"NOK", "JPY", "KWD"}
	mappers := map[string][]*ledger.Mapper{}
	for _, base := range currencies {
		for _, by := range [][]v1alpha1.VoucherSplit{
			nil, {v1alpha1.SplitByPaymentMethod}, {v1alpha1.SplitByFiscalYear}, {v1alpha1.SplitByMonth}, {v1alpha1.SplitByLine},
			{v1alpha1.SplitByPaymentMethod, v1alpha1.SplitByFiscalYear}, {v1alpha1.SplitByMonth, v1alpha1.SplitByPaymentMethod},
		} {
			chart := books()
			withTaxes(chart)
			chart.Currency, chart.TaxTolerance, chart.Rounding.Limit = base, "1000000", "1000"
			chart.Vouchers = v1alpha1.ClaimVouchers{SplitBy: by, AcrossFiscalYears: v1alpha1.FiscalYearsPost}
			mappers[base] = append(mappers[base], mapper(t, chart, ledger.VoucherPolicy{Series: "E"}))
		}
	}
	kinds, held, made := map[ledger.PostingKind]int{}, 0, 0
	total := map[string]ledger.Amount{}
	for made < *balanced {
		base := currencies[random.IntN(len(currencies))]
		claim, gross, advance := randomClaim(t, random, currencies[random.IntN(len(currencies))], base)
		by := random.IntN(len(mappers[base]))
		vouchers, err := mappers[base][by].Map(t.Context(), claim)
		if hold := (*ledger.Hold)(nil); errors.As(err, &hold) {
			held++
			if held > *balanced/4 {
				t.Fatalf("%d claims are held, and %d vouchers are made", held, made)
			}
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		made += len(vouchers)
		var spent, settled ledger.Amount
		for v := range vouchers {
			var sum, baseSum ledger.Amount
			for i := range vouchers[v].Postings {
				p := &vouchers[v].Postings[i]
				sum, baseSum = sum+p.Amount, baseSum+p.BaseAmount
				switch p.Kind {
				case ledger.ExpensePosting, ledger.TaxPosting, ledger.NonDeductiblePosting:
					spent += p.Amount
				case ledger.AdvancePosting:
					settled -= p.Amount
				case ledger.ReverseChargePosting, ledger.PaidPosting, ledger.RoundingPosting, ledger.OffsetPosting:
				}
				kinds[p.Kind]++
			}
			total[claim.Currency] += sum
			total[base] += baseSum
			if sum != 0 || baseSum != 0 {
				t.Fatalf("voucher %d of seed %d sums to %d and %d:\n%s", made, seed, sum, baseSum, text(&vouchers[v]))
			}
		}
		if spent != gross || settled != advance {
			t.Fatalf("the vouchers up to %d of seed %d spend %d of %d, and settle %d of %d:\n%s", made, seed, spent, gross, settled, advance, text(&vouchers[0]))
		}
	}
	for currency, sum := range total {
		if sum != 0 {
			t.Errorf("all vouchers sum to %d in %s", sum, currency)
		}
	}
	for _, kind := range []ledger.PostingKind{
		ledger.ExpensePosting, ledger.TaxPosting, ledger.NonDeductiblePosting, ledger.ReverseChargePosting,
		ledger.PaidPosting, ledger.RoundingPosting, ledger.AdvancePosting, ledger.OffsetPosting,
	} {
		if kinds[kind] < *balanced/100 {
			t.Errorf("there are %d postings of the kind %s in %d vouchers: the sums say little", kinds[kind], kind, *balanced)
		}
	}
	t.Logf("%d vouchers, %d claims held, postings %v", made, held, kinds)
}

// randomClaim draws a claim, and returns what its lines sum up to, and its advance.
func randomClaim(t *testing.T, random *rand.Rand, code, base string) (claim *ledger.Claim, sum, advance ledger.Amount) {
	c := currency(t, code)
	claim = expense()
	claim.Currency, claim.Lines = code, claim.Lines[:0]
	rate := 1 + random.Int64N(99_999) // in thousandths
	for number := range 1 + random.IntN(4) {
		gross := random.Int64N(2_000_000) - 200_000
		line := ledger.Line{
			Number: number + 1, ExpenseDate: day("2026-10-12").AddDate(0, 0, random.IntN(120)), Gross: ledger.Amount(gross).Decimal(c),
			Category: []string{"dinner", "thirds", "hotel", "software"}[random.IntN(4)],
			TaxCode:  []string{"", "0", "1", "11", "86", "86/2", "87", "1/2", "1/3"}[random.IntN(9)],
		}
		tax := gross * random.Int64N(26) / 125
		if line.Category != "hotel" && line.Category != "dinner" && (line.TaxCode == "86" || line.TaxCode == "86/2" || line.TaxCode == "87") {
			tax = 0
		}
		line.Tax = ledger.Amount(tax).Decimal(c)
		if code != base {
			line.BaseGross, line.BaseTax = converted(gross, rate, c), converted(tax, rate, c)
		}
		if random.IntN(3) == 0 {
			line = onCard(line)
		}
		sum += ledger.Amount(gross)
		claim.Lines = append(claim.Lines, line)
	}
	if random.IntN(4) == 0 {
		advance = ledger.Amount(random.Int64N(100_000))
		claim.Advance = advance.Decimal(c)
		if code != base {
			claim.BaseAdvance = converted(int64(advance), rate, c)
		}
	}
	return claim, sum, advance
}
