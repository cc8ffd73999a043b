package ledger_test

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/ledgerport/ledgerport/ledger"
)

var balanced = flag.Int("vouchers", 200_000, "random vouchers of TestRandomVouchersSumToZero (make balance)")

// TestRandomVouchersSumToZero makes vouchers of random claims by a chart that uses everything: cards, advances, reverse charge, partial
// deduction and divided lines, with books and claims in currencies of no, two and three decimals. Each sums to zero in both of its
// currencies, spends what its receipts say, and so do all of them together.
func TestRandomVouchersSumToZero(t *testing.T) {
	t.Parallel()
	const seed = 17
	random := rand.New(rand.NewPCG(seed, seed)) // #nosec G404 -- test data
	currencies := []string{"NOK", "JPY", "KWD"}
	mappers := map[string]*ledger.Mapper{}
	for _, base := range currencies {
		chart := books()
		withTaxes(chart)
		chart.Currency, chart.TaxTolerance, chart.Rounding.Limit = base, "1000000", "1000"
		mappers[base] = mapper(t, chart, ledger.VoucherPolicy{Series: "E"})
	}
	var voucher ledger.Voucher
	kinds, held := map[ledger.PostingKind]int{}, 0
	total := map[string]ledger.Amount{}
	for number := range *balanced {
		base := currencies[random.IntN(len(currencies))]
		claim, gross := randomClaim(t, random, currencies[random.IntN(len(currencies))], base)
		err := mappers[base].Map(t.Context(), claim, &voucher)
		if hold := (*ledger.Hold)(nil); errors.As(err, &hold) {
			held++
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var sum, baseSum, spent ledger.Amount
		for i := range voucher.Postings {
			p := &voucher.Postings[i]
			sum, baseSum = sum+p.Amount, baseSum+p.BaseAmount
			if p.Kind == ledger.ExpensePosting || p.Kind == ledger.TaxPosting || p.Kind == ledger.NonDeductiblePosting {
				spent += p.Amount
			}
			kinds[p.Kind]++
		}
		total[voucher.Currency.Code()] += sum
		total[base] += baseSum
		if sum != 0 || baseSum != 0 || spent != gross {
			t.Fatalf("voucher %d of seed %d sums to %d and %d, and spends %d of %d:\n%s", number, seed, sum, baseSum, spent, gross, text(&voucher))
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
	if held > *balanced/4 {
		t.Errorf("%d of %d claims are held", held, *balanced)
	}
	t.Logf("%d vouchers, %d claims held, postings %v", *balanced-held, held, kinds)
}

// randomClaim draws a claim, and returns what its lines sum up to.
func randomClaim(t *testing.T, random *rand.Rand, code, base string) (claim *ledger.Claim, sum ledger.Amount) {
	c := currency(t, code)
	claim = expense()
	claim.Currency, claim.Lines = code, claim.Lines[:0]
	rate := 1 + random.Int64N(99_999) // in thousandths
	for number := range 1 + random.IntN(4) {
		gross := random.Int64N(2_000_000) - 200_000
		line := ledger.Line{
			Number: number + 1, ExpenseDate: day("2026-10-12"), Gross: ledger.Amount(gross).Decimal(c),
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
		advance := random.Int64N(100_000)
		claim.Advance = ledger.Amount(advance).Decimal(c)
		if code != base {
			claim.BaseAdvance = converted(advance, rate, c)
		}
	}
	return claim, sum
}
