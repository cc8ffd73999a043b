package ledger_test

import (
	"slices"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/ledger"
)

// withCards lets a chart have a company card, a cash box that a text finds, and advances.
func withCards(chart *v1alpha1.ChartOfAccountsSpec) {
	chart.Accounts = append(chart.Accounts, v1alpha1.Account{Number: "2920", Name: "Company cards"}, v1alpha1.Account{Number: "1900", Name: "Cash"},
		v1alpha1.Account{Number: "1570", Name: "Advances"})
	chart.Offsets = []v1alpha1.PaidPosting{
		{
			Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"card"}}, Account: "2920", Subledger: v1alpha1.SubledgerPaymentReference,
			Dimensions: map[string]string{"merchant": "line.merchant", "country": "line.country"},
		},
		{Match: v1alpha1.PaymentMatch{Expression: "line.payment_method == 'cash' && line.document_number != ''"}, Account: "1900"},
		{Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"cash"}, Expression: "line.gross_minor < 0"}, Account: "1900", Subledger: v1alpha1.SubledgerClaimant},
	}
	chart.Advances = &v1alpha1.AdvancePosting{Account: "1570", Subledger: v1alpha1.SubledgerClaimant}
}

// onCard is a line that was paid with a company card.
func onCard(line ledger.Line) ledger.Line {
	line.PaymentMethod, line.PaymentReference, line.Merchant, line.Country = "card", "4571 1234", "Grand Hotel", "NO"
	return line
}

func TestWhatOthersHavePaidIsNotOwed(t *testing.T) {
	t.Parallel()
	advance := func(amount, base string, claim *ledger.Claim) *ledger.Claim {
		claim.Advance, claim.BaseAdvance = amount, base
		return claim
	}
	foreign := abroad("1150.00", "57.505", "57.505")
	foreign.Lines[1] = onCard(foreign.Lines[1])
	for name, claim := range map[string]*ledger.Claim{
		"a company card beside own money": lines(
			onCard(ledger.Line{Category: "hotel", Gross: "1250.00", Tax: "250.00"}),
			ledger.Line{Category: "meals", Gross: "100.00", PaymentMethod: "own"},
			onCard(ledger.Line{Category: "meals", Gross: "-30.00"}),
		),
		"nothing but a company card": lines(onCard(ledger.Line{Category: "hotel", Gross: "1250.00", Tax: "250.00"})),
		"the first offset that matches": lines(
			ledger.Line{Category: "meals", Gross: "10", PaymentMethod: "cash", DocumentNumber: "17"},
			ledger.Line{Category: "meals", Gross: "-20", PaymentMethod: "cash"},
			ledger.Line{Category: "meals", Gross: "30", PaymentMethod: "cash"},
		),
		"a company card abroad":                       foreign,
		"a company card and a claim of nothing":       lines(onCard(ledger.Line{Category: "hotel", Gross: "0"}), ledger.Line{Category: "meals", Gross: "0"}),
		"an advance":                                  advance("50.00", "", expense()),
		"an advance of all":                           advance("125.00", "125", expense()),
		"an advance of more":                          advance("200.00", "", expense()),
		"an advance of nothing":                       advance("0.00", "", expense()),
		"an advance abroad":                           advance("5.00", "27.504", abroad("57.505")),
		"an advance of all abroad, at another rate":   advance("10.00", "57.00", abroad("57.505")),
		"an advance of more than is owed for a card":  advance("10.00", "", lines(onCard(ledger.Line{Category: "meals", Gross: "100"}))),
		"an advance beside a residue of what is owed": advance("10.00", "1.00", abroad("1.004", "1.004", "1.004")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chart := books()
			withCards(chart)
			golden(t, name, voucherOf(t, chart, ledger.VoucherPolicy{Series: "E"}, claim))
		})
	}
}

func TestSettledByFindsTheOtherSideOfEachPosting(t *testing.T) {
	t.Parallel()
	chart := books()
	withCards(chart)
	claim := lines(onCard(ledger.Line{Category: "hotel", Gross: "1250.00", Tax: "250.00"}), ledger.Line{Category: "meals", Gross: "100"})
	claim.Lines[1].Number = 0 // a number like others
	claim.Lines[0], claim.Lines[1] = claim.Lines[1], claim.Lines[0]
	claim.Advance = "1"
	v := voucherOf(t, chart, ledger.VoucherPolicy{}, claim)
	var got []string
	for i, posting := range v.Postings {
		account := ""
		if paid := v.SettledBy(i); paid != nil {
			account = paid.Account
		}
		got = append(got, string(posting.Kind)+" "+account)
	}
	want := []string{"Expense ", "Expense 2920", "Tax 2920", "Paid 2920", "Advance ", "Offset "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if amount, base := v.Payable(); amount != 9900 || base != 9900 {
		t.Errorf("%d and %d are payable, want 9900", amount, base)
	}
}

func TestAClaimIsHeldForHowItWasPaid(t *testing.T) {
	t.Parallel()
	anAdvance := func(amount, base string) func(*ledger.Claim, *v1alpha1.ChartOfAccountsSpec) {
		return func(c *ledger.Claim, _ *v1alpha1.ChartOfAccountsSpec) { c.Advance, c.BaseAdvance = amount, base }
	}
	abroadWith := func(amount, base string) func(*ledger.Claim, *v1alpha1.ChartOfAccountsSpec) {
		return func(c *ledger.Claim, _ *v1alpha1.ChartOfAccountsSpec) {
			*c = *abroad("57.50")
			c.Advance, c.BaseAdvance = amount, base
		}
	}
	tests := []struct {
		name   string
		change func(*ledger.Claim, *v1alpha1.ChartOfAccountsSpec)
		reason ledger.HoldReason
		words  string
	}{
		{"without the number of the card", func(c *ledger.Claim, _ *v1alpha1.ChartOfAccountsSpec) {
			c.Lines[0].PaymentMethod, c.Lines[0].PaymentReference = "card", " "
		}, ledger.HoldNoPaymentReference, "payment_reference of line 1 is empty, and spec.offsets[0]"},
		{"with a number of a card on two lines", func(c *ledger.Claim, _ *v1alpha1.ChartOfAccountsSpec) {
			c.Lines[0].PaymentMethod, c.Lines[0].PaymentReference = "card", "4571\n1234"
		}, ledger.HoldInvalidText, "payment_reference of line 1"},
		{"without the claimant of an offset", func(c *ledger.Claim, chart *v1alpha1.ChartOfAccountsSpec) {
			chart.Offset.Subledger, c.ClaimantID = v1alpha1.SubledgerNone, ""
			c.Lines[0].PaymentMethod, c.Lines[0].Gross = "cash", "-1"
		}, ledger.HoldNoClaimant, "spec.offsets[2]"},
		{"without the claimant of an advance", func(c *ledger.Claim, chart *v1alpha1.ChartOfAccountsSpec) {
			chart.Offset.Subledger, c.ClaimantID, c.Advance = v1alpha1.SubledgerNone, "", "1"
		}, ledger.HoldNoClaimant, "spec.advances"},
		{"with an offset that fails", func(c *ledger.Claim, chart *v1alpha1.ChartOfAccountsSpec) {
			chart.Offsets[0].Match = v1alpha1.PaymentMatch{Expression: "int(line.merchant) > 0"}
		}, ledger.HoldExpressionFailed, "spec.offsets[0].match.expression"},
		{"with control characters for a merchant", func(c *ledger.Claim, _ *v1alpha1.ChartOfAccountsSpec) { c.Lines[0].Merchant = "\x00" }, ledger.HoldInvalidText, "merchant of line 1"},
		{"with an advance that the chart has no account for", func(c *ledger.Claim, chart *v1alpha1.ChartOfAccountsSpec) {
			c.Advance, chart.Advances = "1", nil
		}, ledger.HoldNoAdvanceAccount, "spec.advances"},
		{"with an advance below zero", anAdvance("-1", ""), ledger.HoldInvalidAmount, "advance_amount of the claim is missing or wrong: it is negative"},
		{"with an advance that is no number", anAdvance("NaN", ""), ledger.HoldInvalidAmount, "advance_amount of the claim"},
		{"with an advance finer than its currency", anAdvance("1.005", ""), ledger.HoldAmountTooPrecise, "advance_amount of the claim"},
		{"with a base advance alone", anAdvance("", "1"), ledger.HoldInvalidAmount, "advance_amount of the claim"},
		{"whose base advance differs in the same currency", anAdvance("1", "2"), ledger.HoldMixedCurrencies, "base_advance_amount"},
		{"whose advance abroad lacks a base amount", abroadWith("1", ""), ledger.HoldMissingBaseAmount, "base_advance_amount"},
		{"whose advance abroad has another sign", abroadWith("1", "-5"), ledger.HoldMixedCurrencies, "base_advance_amount"},
		{"whose advance abroad is nothing at a price", abroadWith("0", "5"), ledger.HoldMixedCurrencies, "base_advance_amount"},
		{"whose advance abroad is worth more than all, and less", abroadWith("9", "58"), ledger.HoldMixedCurrencies, "1.00 EUR and -0.50 NOK"},
		{"whose advance was converted at quite another rate", abroadWith("10", "50"), ledger.HoldRoundingExceeded, "-7.50"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chart, claim := books(), expense()
			withCards(chart)
			test.change(claim, chart)
			wantHold(t, chart, claim, test.reason, test.words)
		})
	}
}

func TestAClaimThatMovesMoreThanCanBeSummedIsHeld(t *testing.T) {
	t.Parallel()
	chart := books()
	withCards(chart)
	claim := lines(onCard(ledger.Line{Category: "meals", Gross: "10000000000000.00"}))
	repeatLine(claim, ledger.MaxLines)
	wantHold(t, chart, claim, ledger.HoldInvalidAmount, "what the claim's postings move")
}

func TestAClaimOfTheMostLinesOnACardIsTaken(t *testing.T) {
	t.Parallel()
	chart := books()
	withCards(chart)
	claim := lines(onCard(ledger.Line{Category: "hotel", Gross: "1250.00", Tax: "250.00"}))
	repeatLine(claim, ledger.MaxLines)
	if v := voucherOf(t, chart, ledger.VoucherPolicy{}, claim); len(v.Postings) != ledger.MaxPostings {
		t.Errorf("%d postings, want %d", len(v.Postings), ledger.MaxPostings)
	}
}
