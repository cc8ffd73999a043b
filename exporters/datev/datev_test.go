package datev

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	plain = `{"consultantNumber": 1001, "clientNumber": 42}`
	full  = `{"consultantNumber": 29098, "clientNumber": 55003, "fiscalYearStart": "2026-05-01", "chart": "03", "label": "Spesen 11/2026",
		"initials": "LP", "taxKeys": {"01": "9", "06": "0008"}}`
	strict = `{"consultantNumber": 1001, "clientNumber": 42, "locked": true, "taxKeys": {"01": "9"}, "automaticAccounts": ["5800"], "automaticTaxCodes": {"6071": "01"},
		"employeeAccounts": 70000, "costCenter": "", "fileName": "EXTF_Spesen.csv"}`
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, options := range []string{plain, full, strict} {
		t.Run(options, func(t *testing.T) {
			conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack), conformance.Lacks(lacking(options)...))
		})
	}
	t.Run("documents", func(t *testing.T) {
		conformance.TestReceipts(t, New(), []byte(withDocuments), conformance.NamesReceipts())
	})
}

// lacking are the kinds of vouchers that DATEV cannot have: reverse charge without a BU key, and such that is deducted in part.
func lacking(options string) []string {
	if strings.Contains(options, `"86": "801"`) {
		return []string{"reverse charge, half"}
	}
	return []string{"reverse charge", "reverse charge, card", "reverse charge abroad", "reverse charge, half", "reverse charge, none"}
}

// withReverseCharge has BU keys for codes that only conformance.EveryKind has. The keys are inventions.
const withReverseCharge = `{"consultantNumber": 1001, "clientNumber": 42, "taxKeys": {"01": "9", "86": "801", "87": "802"}}`

func TestConformance_ReverseCharge(t *testing.T) {
	t.Parallel()
	conformance.TestKinds(t, New(), []byte(withReverseCharge), conformance.ReadBack(readBack), conformance.Lacks(lacking(withReverseCharge)...))
}

// TestSoftwareFromAbroadHasItsBUKey has the receipt of a case from practice: 100.00 without VAT on the invoice. The recipient owes the
// tax (UStG § 13b); DATEV books it by a BU key on the net amount: with the input tax, or without, as the key says.
func TestSoftwareFromAbroadHasItsBUKey(t *testing.T) {
	t.Parallel()
	books := &v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR",
		Accounts: []v1alpha1.Account{{Number: "4930", Name: "Bürobedarf"}, {Number: "1577", Name: "Vorsteuer § 13b"}, {Number: "1787", Name: "Umsatzsteuer § 13b"}, {Number: "1740", Name: "Verbindlichkeiten"}},
		TaxCodes: []v1alpha1.TaxCode{
			{Code: "RC", Rate: "19", Account: "1577", ReverseCharge: &v1alpha1.ReverseCharge{Account: "1787"}},
			{Code: "RC0", Rate: "19", Deductible: "0", ReverseCharge: &v1alpha1.ReverseCharge{Account: "1787"}},
		},
		Rules:  []v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Categories: []string{"office"}}, Account: "4930"}},
		Offset: v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
	}
	claim := conformance.Kind("reverse charge", "EUR")
	claim.Lines = slices.Repeat(claim.Lines[:1], 2)
	claim.Lines[0].Category, claim.Lines[0].TaxCode = "office", "RC"
	claim.Lines[1].Number, claim.Lines[1].Category, claim.Lines[1].TaxCode = 2, "office", "RC0"
	options := `{"consultantNumber": 1001, "clientNumber": 42, "chart": "03", "taxKeys": {"RC": "801", "RC0": "802"}}`
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), conformance.Map(t, books, []*ledger.Claim{claim}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := read(artifact.Files[0].Content)
	if err != nil || len(b.bookings) != 2 {
		t.Fatalf("%d bookings (%v), want two; held %v", len(b.bookings), err, artifact.Held)
	}
	for i, want := range []string{"100,00 S 4930 1740 801", "100,00 S 4930 1740 802"} {
		if f := b.bookings[i]; strings.Join([]string{f[0], f[1], f[6], f[7], f[8]}, " ") != want {
			t.Errorf("the booking is %q, want %s", f[:10], want)
		}
	}
	automatic := strings.Replace(options, `"taxKeys"`, `"automaticAccounts": ["4930"], "taxKeys"`, 1)
	artifact, err = conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(automatic)), conformance.Map(t, books, []*ledger.Claim{claim}))
	if err != nil || len(artifact.Held) != 1 || !strings.Contains(artifact.Held[0].Message, "Automatikkonto") {
		t.Errorf("on an Automatikkonto: held %v (%v)", artifact.Held, err)
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(full)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), full) }

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), plain, full, strict) }

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(full), conformance.ReadBack(readBack))
}

// The golden files are also what docs/exporters/datev.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, file := range conformance.Sample(t, New(), "EUR", full).Files {
		golden := filepath.Join("testdata", file.Name)
		conformance.Golden(t, golden, file.Content, *update)
	}
}

func TestTheColumnsAreThoseOfFormatVersion13(t *testing.T) {
	t.Parallel()
	if len(columns) != 125 || names() != officialColumns {
		t.Errorf("%d columns: %s", len(columns), names())
	}
	for i, c := range columns {
		if c.text != officialTexts[i+1] {
			t.Errorf("column %d, %s: text is %t", i+1, c.name, c.text)
		}
	}
}

// TestALineIsAgainstWhatPaidIt: cards and cash are not owed to the employee.
func TestALineIsAgainstWhatPaidIt(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("EUR")
	vouchers := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("card", "EUR"), conformance.Kind("card and cash", "EUR"), conformance.Kind("advance", "EUR")})
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(full)), vouchers)
	if err != nil {
		t.Fatal(err)
	}
	b, err := read(artifact.Files[0].Content)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range b.bookings {
		got = append(got, strings.Join([]string{f[0], f[1], f[6], f[7], f[8], f[10]}, " "))
	}
	want := []string{
		"500,00 S 6071 2899 9 E/2026/1", "100,00 S 5800 2890  E/2026/1", "12,00 S 2641 2890  E/2026/1",
		"100,00 S 5800 2899  E/2026/2", "12,00 S 2641 2899  E/2026/2", "10,00 S 0990 2897  E/2026/2", "7,00 S 0990 2890  E/2026/2",
		"100,00 S 5800 2890  E/2026/3", "12,00 S 2641 2890  E/2026/3", "100,00 H 2898 2890  E/2026/3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheFirstLineIsAsInTheSampleOfDATEV(t *testing.T) {
	t.Parallel()
	lines := strings.SplitN(decode(t, conformance.Sample(t, New(), "EUR", full).Files[0].Content), "\r\n", 2)
	want := `"EXTF";700;21;"Buchungsstapel";13;20261201000005000;;"LP";"";"";29098;55003;20260501;4;20261103;20261103;"Spesen 11/2026";"LP";1;0;0;"EUR";;"";;;"03";;;"";""`
	if lines[0] != want {
		t.Errorf("it is\n%s, want\n%s", lines[0], want)
	}
}

func TestEachFiscalYearHasAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	var found []string
	for _, file := range conformance.Sample(t, New(), "EUR", full).Files {
		b := mustRead(t, file.Content)
		found = append(found, fmt.Sprintf("%s %s: %s, %s to %s, %d bookings", file.Name, file.MediaType, b.head[12], b.head[14], b.head[15], len(b.bookings)))
	}
	want := []string{
		"EXTF_monthly-29934120.csv text/csv; charset=windows-1252; header=present: 20260501, 20261103 to 20261103, 18 bookings",
		"EXTF_monthly-29934120-2025.csv text/csv; charset=windows-1252; header=present: 20250501, 20260430 to 20260430, 1 bookings",
	}
	if !slices.Equal(found, want) {
		t.Errorf("the files are\n%s, want\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
}

func TestEachPostingIsABookingAgainstTheOffset(t *testing.T) {
	t.Parallel()
	b := mustRead(t, conformance.Sample(t, New(), "EUR", plain, conformance.Ordinary).Files[0].Content)
	var got []string
	for _, f := range b.bookings {
		got = append(got, strings.Join([]string{f[0], f[1], f[2], f[6], f[7], f[8], f[9], f[10], f[13], f[36], f[37], f[113], f[117]}, "|"))
	}
	want := []string{
		"1000,00|S|EUR|5800|2890||0311|E/2026/1|Tåg Malmö–Göteborg|010|P 1|0|0",
		"120,00|S|EUR|2641|2890||0311|E/2026/1|Tåg Malmö–Göteborg|||0|0",
		"400,00|S|EUR|6071|2890||0311|E/2026/1|Middag|020||0|0",
		"100,00|S|EUR|2641|2890||0311|E/2026/1|Middag|||0|0",
		"80,00|S|EUR|0990|2890||0311|E/2026/1|parking|||0|0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the bookings are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestABUKeyIsGivenWhereDATEVComputesTheTaxOfTheReceipt(t *testing.T) {
	t.Parallel()
	b := mustRead(t, conformance.Sample(t, New(), "EUR", full, conformance.Ordinary).Files[0].Content)
	// 120 of 1120 is no 12.5 per cent: net and tax are bookings of their own. 100 of 500 is 25 per cent.
	if got := fmt.Sprint(b.column(1), b.column(9)); got != "[1000,00 120,00 500,00 80,00] [  9 ]" {
		t.Errorf("amounts and BU keys are %s", got)
	}
	exact := conformance.Sample(t, New(), "EUR", full, func(v *ledger.Voucher) bool {
		if !conformance.Ordinary(v) {
			return false
		}
		travel := &v.Postings[0] // with 12.5 per cent of tax
		travel.Amount, travel.BaseAmount, travel.TaxAmount, travel.BaseTaxAmount = 99556, 99556, 12444, 12444
		v.Postings[1].Amount, v.Postings[1].BaseAmount = 12444, 12444
		return true
	})
	b = mustRead(t, exact.Files[0].Content)
	if got := fmt.Sprint(b.column(1), b.column(9)); got != "[1120,00 500,00 80,00] [0008 9 ]" {
		t.Errorf("amounts and BU keys are %s", got)
	}
}

func TestTheTaxOfAnAutomatikkontoIsSuspendedUnlessItIsThatOfTheReceipt(t *testing.T) {
	t.Parallel()
	b := mustRead(t, conformance.Sample(t, New(), "EUR", strict, conformance.Ordinary).Files[0].Content)
	if got := fmt.Sprint(b.column(1), b.column(7), b.column(9)); got != "[1000,00 120,00 500,00 80,00] [5800 2641 6071 0990] [40   ]" {
		t.Errorf("amounts, accounts and BU keys are %s", got)
	}
	if b.head[20] != "1" || slices.Contains(b.column(114), "0") {
		t.Errorf("locked is %s and %q", b.head[20], b.column(114))
	}
}

// TestAnAutomatikkontoComputesOneRate has receipts of two rates on one account that computes 19 %: of 107.00 it would make 17.08.
// That an Automatikkonto has one fixed tax function is DATEV's (nicolettas-muggelbude/RechnungsFee#165 met it).
func TestAnAutomatikkontoComputesOneRate(t *testing.T) {
	t.Parallel()
	books := twoRates()
	vouchers := conformance.Map(t, books, []*ledger.Claim{{
		ID: "c-1", ClaimantID: "1044", ClaimantName: "Test Testsson", Currency: "EUR", ApprovedAt: november, Lines: []ledger.Line{
			{Number: 1, ExpenseDate: november, Category: "meals", Description: "Dinner 19 %", Gross: "119.00", Tax: "19.00", TaxCode: "19"},
			{Number: 2, ExpenseDate: november, Category: "meals", Description: "Dinner 7 %", Gross: "107.00", Tax: "7.00", TaxCode: "7"},
		},
	}})
	for options, want := range map[string]string{
		`, "automaticTaxCodes": {"4650": "19"}`: "[119,00 100,00 7,00] [4650 4650 1571] [ 40 ]",
		`, "automaticAccounts": ["4650"]`:       "[100,00 19,00 100,00 7,00] [4650 1576 4650 1571] [40  40 ]",
	} {
		options = `{"consultantNumber": 1001, "clientNumber": 42, "taxKeys": {"7": "8", "19": "9"}` + options + `}`
		artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), vouchers)
		if err != nil {
			t.Fatal(err)
		}
		b := mustRead(t, artifact.Files[0].Content)
		if got := fmt.Sprint(b.column(1), b.column(7), b.column(9)); got != want {
			t.Errorf("%s: amounts, accounts and BU keys are %s, want %s", options, got, want)
		}
		// Account 1740 cannot be reconciled by employee without the number.
		if got := fmt.Sprint(slices.Compact(b.column(50)), slices.Compact(b.column(51))); got != "[Personalnummer] [1044]" {
			t.Errorf("the employee is %s", got)
		}
	}
}

var november = time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)

// twoRates are books by SKR03.
func twoRates() *v1alpha1.ChartOfAccountsSpec {
	return &v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", FiscalYearStart: "01-01",
		Accounts: []v1alpha1.Account{{Number: "4650", Name: "Bewirtung"}, {Number: "1571", Name: "Vorsteuer 7 %"}, {Number: "1576", Name: "Vorsteuer 19 %"}, {Number: "1740", Name: "Löhne"}},
		TaxCodes: []v1alpha1.TaxCode{{Code: "7", Rate: "7", Account: "1571"}, {Code: "19", Rate: "19", Account: "1576"}},
		Rules: []v1alpha1.MappingRule{
			{Match: v1alpha1.RuleMatch{Categories: []string{"meals"}}, Account: "4650"},
			{Match: v1alpha1.RuleMatch{Categories: []string{"advance"}}, Account: "1740"},
		},
		Offset: v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
	}
}

// TestNoBookingIsFromAnAccountToItself has an advance on the account that claims are owed on: it moves nothing.
func TestNoBookingIsFromAnAccountToItself(t *testing.T) {
	t.Parallel()
	books := twoRates()
	line := func(number int, category, gross, tax, code string) ledger.Line {
		return ledger.Line{Number: number, ExpenseDate: november, Category: category, Description: category, Gross: gross, Tax: tax, TaxCode: code}
	}
	claim := func(id string, lines ...ledger.Line) *ledger.Claim {
		return &ledger.Claim{ID: id, ClaimantID: "1044", Currency: "EUR", ApprovedAt: november, Lines: lines}
	}
	vouchers := conformance.Map(t, books, []*ledger.Claim{
		claim("c-1", line(1, "meals", "100.00", "0", ""), line(2, "advance", "-40.00", "0", "")),
		claim("c-2", line(1, "advance", "10.00", "0", "")), claim("c-3", line(1, "advance", "119.00", "19.00", "19")),
	})
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(`{"consultantNumber": 1001, "clientNumber": 42, "taxKeys": {"19": "9"}}`)), vouchers)
	if err != nil {
		t.Fatal(err)
	}
	b := mustRead(t, artifact.Files[0].Content)
	if got := fmt.Sprint(b.column(1), b.column(7), b.column(8)); got != "[100,00] [4650] [1740]" {
		t.Errorf("amounts and accounts are %s", got)
	}
	if len(artifact.Held) != 2 || !strings.HasPrefix(artifact.Held[0].Message, "the claim moves nothing") || !strings.HasPrefix(artifact.Held[1].Message, "line 1 is on the account 1740 that it is against") {
		t.Errorf("held are %v", artifact.Held)
	}
}

func TestBookingsAreAgainstThePersonalAccountOfTheEmployee(t *testing.T) {
	t.Parallel()
	b := mustRead(t, conformance.Sample(t, New(), "EUR", strict, conformance.Ordinary).Files[0].Content)
	if got := slices.Compact(b.column(8)); !slices.Equal(got, []string{"70042"}) {
		t.Errorf("contra accounts %q", got)
	}
	for id, held := range map[string]bool{"29999": false, "30000": true, "x": true, "": true, "-1": true, "99999999999": true} {
		artifact := conformance.Sample(t, New(), "EUR", strict, func(v *ledger.Voucher) bool { v.ClaimantID = id; return conformance.Ordinary(v) })
		if got := len(artifact.Held) == 1; got != held {
			t.Errorf("the employee %q: held is %t", id, got)
		}
	}
}

func TestWhatDATEVPostsIsWhatTheVouchersSay(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"EUR", "JPY"} {
		for _, options := range []string{plain, full} {
			artifact := conformance.Sample(t, New(), currency, options)
			held := map[string]bool{}
			for _, hold := range artifact.Held {
				held[hold.ClaimID] = true
			}
			want, got := map[string]ledger.Amount{}, map[string]ledger.Amount{}
			books := conformance.Books(currency)
			for _, voucher := range conformance.Readable(conformance.Vouchers(t, books)) {
				for _, posting := range voucher.Postings {
					if !held[voucher.ClaimID] {
						want[posting.Account] += posting.BaseAmount
					}
				}
			}
			for _, file := range artifact.Files {
				for account, amount := range mustRead(t, file.Content).balances(map[string]int64{"9": 250, "0008": 125}, "2641") {
					got[account] += amount
				}
			}
			for account, amount := range want {
				if currency == "JPY" {
					amount *= 100 // the file has hundredths
				}
				if amount != got[account] {
					t.Errorf("%s, account %s: DATEV posts %d, want %d", currency, account, got[account], amount)
				}
			}
		}
	}
}

func TestForeignAmountsHaveTheirRate(t *testing.T) {
	t.Parallel()
	b := mustRead(t, conformance.Sample(t, New(), "EUR", plain, func(v *ledger.Voucher) bool { return v.Currency.Code() != "EUR" }).Files[0].Content)
	var got []string
	for _, f := range append(b.of("Hotell"), b.of("Hotell i Osaka")...) {
		got = append(got, strings.Join(append(slices.Clone(f[:8]), f[47], f[48]), "|"))
	}
	want := []string{
		"1085,50|S|EUR||||5800|2890|Fremdwährung|KWD 31,337", // three decimals
		"12000,00|S|JPY|14,735860|814,34|EUR|5800|2890||",
		"0,01|S|EUR||||3740|2890||", // rounding is in the currency of the books alone
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("there is no %q in\n%s", line, strings.Join(got, "\n"))
		}
	}
}

func TestRatesAreThoseThatDATEVCanHave(t *testing.T) {
	t.Parallel()
	euro, _ := ledger.ParseCurrency("EUR")
	tests := []struct {
		currency     string
		amount, base ledger.Amount
		want         string
	}{
		{"USD", 12400, 10000, "1,240000"},
		{"USD", -20000, -30000, ""}, // below 1
		{"USD", 10000, 10000, "1,000000"},
		{"IDR", 200_000_00, 10_00, ""}, // 20000
		{"JPY", 9999, 100, "9999,000000"},
		{"KWD", 31_337, 100_00, ""},
		{"USD", int64Max, 1, ""},
		{"USD", 100, -100, ""},
	}
	for _, test := range tests {
		currency, err := ledger.ParseCurrency(test.currency)
		if err != nil {
			t.Fatal(err)
		}
		row := &booking{voucher: &ledger.Voucher{Currency: currency, BaseCurrency: euro}, amount: test.amount, base: test.base}
		got := ""
		if rate, ok := row.rate(); ok {
			got = string(appendRate(nil, rate))
		}
		if got != test.want {
			t.Errorf("%d %s for %d: %q, want %q", test.amount, test.currency, test.base, got, test.want)
		}
	}
}

const int64Max = ledger.MaxAmount

func TestAReversalIsAGeneralumkehr(t *testing.T) {
	t.Parallel()
	books := conformance.Books("EUR")
	original := conformance.Vouchers(t, books)[0]
	original.Number = 7
	reversed, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(full)), conformance.Reversals(t, []*ledger.Voucher{original}))
	if err != nil {
		t.Fatal(err)
	}
	b := mustRead(t, reversed.Files[0].Content)
	// It names what it reverses (GoBD, Rz. 64), and Belegfeld 1 clears the open item of that (format description, field 11).
	if got := fmt.Sprint(slices.Compact(b.column(11)), slices.Compact(b.column(52)), slices.Compact(b.column(53)), b.column(14)[:1]); got != "[E/2026/7] [Stornobeleg] [E/2026/1] [Reverses E/2026/7: Tåg Malmö–Göteborg]" {
		t.Errorf("Belegfeld 1, its own voucher and the text are %s", got)
	}
	if got := fmt.Sprint(b.column(1), b.column(9), b.column(118), slices.Compact(b.column(2))); got != "[1000,00 120,00 500,00 80,00] [  9 ] [1 1 1 1] [H]" {
		t.Errorf("amounts, sides, BU keys, Generalumkehr and sides are %s", got)
	}
}

// TestTheDateOfTheReceiptIsTheServiceDate has a receipt of August that is posted in November: the date of a receipt is a mandatory item
// (GoBD, Rz. 77), and Belegdatum is the posting date.
func TestTheDateOfTheReceiptIsTheServiceDate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ options, date, want string }{
		{plain, "2026-08-30", "[30082026    ] [03112026    ]"},
		{plain, "2026-11-03", "[    ] [    ]"},
		{plain, "1999-12-31", "[    ] [    ]"}, // DATEV has no such date
		{strings.TrimSuffix(plain, "}") + `, "serviceDate": false}`, "2026-08-30", "[    ] [    ]"},
	} {
		for _, reverses := range []string{"", "E/2026/7"} {
			artifact := conformance.Sample(t, New(), "EUR", test.options, func(v *ledger.Voucher) bool {
				date, err := time.Parse(time.DateOnly, test.date)
				if err != nil {
					t.Fatal(err)
				}
				v.Postings[0].ExpenseDate, v.Reverses = date, reverses
				return conformance.Ordinary(v)
			})
			b := mustRead(t, artifact.Files[0].Content)
			if got := fmt.Sprint(b.column(115), b.column(116)); got != test.want {
				t.Errorf("%s with %s, reversing %q: columns 115 and 116 are %s, want %s", test.date, test.options, reverses, got, test.want)
			}
		}
	}
}

// TestTheClaimIsInEveryRow lets a payment whose reference is the claim's id be found by it.
func TestTheClaimIsInEveryRow(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"claim-ordinary": "[Spesenabrechnung] [claim-ordinary]", strings.Repeat("x", maxContent+1): "[] []", "=1+1": "[] []", "заявка": "[] []", "": "[Spesenabrechnung] []",
	} {
		artifact := conformance.Sample(t, New(), "EUR", plain, func(v *ledger.Voucher) bool {
			ordinary := conformance.Ordinary(v)
			v.ClaimID = id
			return ordinary
		})
		b := mustRead(t, artifact.Files[0].Content)
		if got := fmt.Sprint(slices.Compact(b.column(54)), slices.Compact(b.column(55))); got != want {
			t.Errorf("the claim %q: Zusatzinformation 4 is %s, want %s", id, got, want)
		}
	}
}

func TestADocumentIsLinkedByItsGUID(t *testing.T) {
	t.Parallel()
	const id = "b03d5a2c-6f3a-4f0e-9a53-0e4c1d2b3a49"
	for uri, want := range map[string]string{id: `BEDI "` + id + `"`, "urn:uuid:" + id: `BEDI "` + id + `"`, "https://receipts.example/" + id: "", id[:35] + "x": "", "": ""} {
		artifact := conformance.Sample(t, New(), "EUR", plain, func(v *ledger.Voucher) bool { v.Postings[0].ReceiptURI = uri; return conformance.Ordinary(v) })
		if got := mustRead(t, artifact.Files[0].Content).bookings[0][19]; got != want {
			t.Errorf("%q becomes %q, want %q", uri, got, want)
		}
	}
}

func TestAFileHasAtMost99999Bookings(t *testing.T) {
	t.Parallel()
	books := conformance.Books("EUR")
	voucher := conformance.Vouchers(t, books)[0]
	const vouchers = 20_001 // of five bookings
	many := slices.Repeat([]*ledger.Voucher{voucher}, vouchers)
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(plain)), many)
	if err != nil || len(artifact.Files) != 2 {
		t.Fatalf("%d files: %v", len(artifact.Files), err)
	}
	for i, want := range []struct {
		name string
		rows int
	}{{"EXTF_monthly-29934120.csv", 99_995}, {"EXTF_monthly-29934120-2026-2.csv", 10}} {
		file := artifact.Files[i]
		if rows := bytes.Count(file.Content, []byte("\r\n")) - 2; file.Name != want.name || rows != want.rows {
			t.Errorf("%s has %d bookings, want %s with %d", file.Name, rows, want.name, want.rows)
		}
	}
	if second := mustRead(t, artifact.Files[1].Content); second.bookings[0][10] != "E/2026/20000" || second.bookings[4][10] != "E/2026/20000" {
		t.Errorf("the second file begins with %q", second.bookings[0][10])
	}
}

func TestAVoucherThatDATEVCanNotHaveIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a date far from the run", func(v *ledger.Voucher) { v.FiscalYear = 2016 }, "the posting date 2026-11-03 is not within 9 fiscal years before"},
		{"a date of another century", func(v *ledger.Voucher) { v.PostingDate = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }, "the posting date 1999-01-01"},
		{"a cost centre that would be cut", func(v *ledger.Voucher) { v.Postings[0].Dimensions[0].Value = "10-1" }, "the dimension costCenter of line 1 is longer than 36 characters or has others"},
		{"an amount of eleven digits", func(v *ledger.Voucher) { v.Postings[0].BaseAmount = 100 * maxWhole }, "the amount of line 1 has more than ten digits"},
		{"a text in Cyrillic", func(v *ledger.Voucher) { v.Postings[0].Text = "Я" }, "the text of line 1 has the character U+042F"},
		{"nothing at all", func(v *ledger.Voucher) { v.Postings = nil }, "the claim moves nothing"},
		{"two offsets", func(v *ledger.Voucher) { v.Postings = append(v.Postings, v.Postings[len(v.Postings)-1]) }, "the voucher has 2 offset postings"},
		{"a long series", func(v *ledger.Voucher) { v.Series = strings.Repeat("E", 37) }, "the voucher series has other characters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { conformance.Holds(t, New(), "EUR", plain, test.spoil, test.want) })
	}
	held := map[string]bool{}
	for _, hold := range conformance.Sample(t, New(), "EUR", plain).Held {
		held[hold.ClaimID] = true
	}
	if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, []string{"claim-cyrillic", "claim-emoji", "claim-large", "claim-nothing"}) {
		t.Errorf("held are %q", got)
	}
}

func TestBooksThatDATEVCanNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		options string
		spoil   func(*v1alpha1.ChartOfAccountsSpec)
		want    string
	}{
		{plain, func(b *v1alpha1.ChartOfAccountsSpec) { b.Currency = "KWD" }, "the books are in KWD, which has 3 decimals"},
		{plain, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "580" }, `accountLength: is 4, and the chart of accounts has the account "580"`},
		{plain, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "5A00" }, `accountLength: is 4, and the chart of accounts has the account "5A00"`},
		{plain, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[0].Number = "0000" }, `accountLength: is 4, and the chart of accounts has the account "0000"`},
		{full, func(b *v1alpha1.ChartOfAccountsSpec) { b.FiscalYearStart = "01-01" }, `fiscalYearStart: is not a 1 January`},
		{full, func(b *v1alpha1.ChartOfAccountsSpec) { b.TaxCodes = b.TaxCodes[1:] }, `taxKeys.01: is not a tax code of the chart`},
		{strict, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts = b.Accounts[1:] }, `automaticAccounts[0]: "5800" is not an account`},
		{strict, func(b *v1alpha1.ChartOfAccountsSpec) { b.Accounts[1].Number = "6072" }, `automaticTaxCodes.6071: is not an account`},
		{strict, func(b *v1alpha1.ChartOfAccountsSpec) { b.TaxCodes = b.TaxCodes[1:] }, `automaticTaxCodes.6071.01: is not a tax code`},
	}
	for _, test := range tests {
		conformance.RefusesBooks(t, New(), "EUR", test.options, test.spoil, test.want)
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	with := func(option string) string { return `{"consultantNumber": 1001, "clientNumber": 42, ` + option + `}` }
	tests := []struct{ options, want string }{
		{``, `consultantNumber: is required`},
		{`{"consultantNumber": 1001}`, `clientNumber: is required`},
		{`{"consultantNumber": 1000, "clientNumber": 1}`, `consultantNumber: 1000 is not within 1001 to 9999999`},
		{`{"consultantNumber": 1001, "clientNumber": 100000}`, `clientNumber: 100000 is not within 1 to 99999`},
		{`{"consultantNumber": "1001", "clientNumber": 1}`, `consultantNumber: is or has a JSON string where a whole number belongs`},
		{with(`"fiscalYearStart": "2026"`), `fiscalYearStart: is not a date`},
		{with(`"accountLength": 9`), `accountLength: 9 is not within 4 to 8`},
		{with(`"chart": "SKR03"`), `chart: is not two digits`},
		{with(`"taxKeys": {"1": "V19"}`), `taxKeys.1: is not a BU key`},
		{with(`"employeeAccounts": 7000`), `employeeAccounts: is not a personal account of 5 digits`},
		{with(`"label": "Spesen: November"`), `label: is not at most 30 letters`},
		{with(`"initials": "l"`), `initials: is not two capital letters`},
		{with(`"fileName": "Spesen.csv"`), `fileName: does not begin with EXTF_`},
		{with(`"fileName": "EXTF_a/b.csv"`), `fileName: has a path separator`},
		{with(`"lock": true`), `lock: is not an option`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

// A text that was written is read as one field of at most 60 characters.
func TestTextsSurviveTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { survives(t, rapid.String().Draw(t, "text")) })
	rapid.Check(t, func(t *rapid.T) {
		survives(t, rapid.StringMatching(`[";\\ åäöøØ€–“\t\r\nA-Z]{0,99}`).Draw(t, "text"))
	})
}

func survives(t interface{ Fatalf(string, ...any) }, text string) {
	encoded, err := appendText(nil, text, maxText)
	if err != nil {
		return
	}
	line, err := charmap.Windows1252.NewDecoder().String(string(encoded))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	fields, err := split(line + "\r\n")
	if err != nil || len(fields) != 1 || !matches(`".{0,120}"`, fields[0]) || len([]rune(unquote(fields[0]))) > maxText {
		t.Fatalf("%q is written as %s, which reads as %q (%v)", text, line, fields, err)
	}
	if again, err := appendText(nil, unquote(fields[0]), maxText); err != nil || !bytes.Equal(again, encoded) {
		t.Fatalf("%q is written as %q, and what is read of it as %q (%v)", text, encoded, again, err)
	}
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(full)) }

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	lines := strings.Split(decode(t, conformance.Sample(t, New(), "EUR", full).Files[0].Content), "\r\n")
	conformance.PageShows(t, "../../docs/exporters/datev.md", strings.Join(append(lines[:1], lines[2:6]...), "\n"))
}

func mustRead(t *testing.T, content []byte) *batch {
	t.Helper()
	b, err := read(content)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return b
}

func decode(t *testing.T, content []byte) string {
	t.Helper()
	text, err := charmap.Windows1252.NewDecoder().Bytes(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
