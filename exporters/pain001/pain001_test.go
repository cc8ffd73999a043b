package pain001

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	schema = "pain.001.001.09.xsd"
	// The accounts of these tests are examples of the standards, and no bank's.
	acme      = `{"debtorName": "Acme AB", "debtorAccount": "SE45 5000 0000 0583 9825 7466", "debtorBIC": "ESSESESSXXX"}`
	norwegian = `{"debtorName": "Kystlinje AS", "debtorAccount": "8601 11 17947", "domesticAccounts": "NO", "characters": "utf-8",
		"initiatingParty": "Lønn & Reise AS", "initiatingPartyID": "00987654321", "initiatingPartyScheme": "BANK", "serviceLevel": "NURG", "categoryPurpose": "SUPP",
		"chargeBearer": "SHAR", "batchBooking": false, "remittance": "{claim}", "executionDays": 0, "fileName": "betaling.xml"}`
	swedish = `{"debtorName": "Acme AB", "debtorAccount": "SE4550000000058398257466", "debtorBIC": "SWEDSESS", "profile": "SE", "initiatingPartyID": "5560360793",
		"debtorAddress": {"street": "Storgatan", "building": "7", "postCode": "211 42", "town": "Malmö", "country": "SE"}, "fileName": "swedish.xml"}`
	turkish = "TR330006100519786457841326"
	sepa    = `{"debtorName": "Acme GmbH", "debtorAccount": "DE89370400440532013000", "serviceLevel": "SEPA", "remittance": "Auslagen {voucher}"}`
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, options := range []string{acme, norwegian, swedish} {
		t.Run(options, func(t *testing.T) {
			conformance.Test(t, New(), []byte(options), conformance.ReadBack(readBack))
		})
	}
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(acme)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), acme) }

// The golden file is also what docs/exporters/pain001.md shows.
func TestFilesAreAsReviewed(t *testing.T) {
	t.Parallel()
	for _, options := range []string{acme, norwegian, swedish} {
		file := conformance.Sample(t, New(), "SEK", options).Files[0]
		golden := filepath.Join("testdata", file.Name)
		conformance.Golden(t, golden, file.Content, *update)
	}
}

func TestFilesAreValid(t *testing.T) {
	t.Parallel()
	for _, options := range []string{acme, norwegian, swedish} {
		for _, currency := range []string{"SEK", "EUR", "JPY", "KWD"} {
			t.Run(currency+" "+options, func(t *testing.T) {
				t.Parallel()
				books := conformance.Books(currency)
				vouchers := conformance.Vouchers(t, books)
				artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), vouchers)
				if err != nil {
					t.Fatal(err)
				}
				schemas.Validate(t, schema, artifact.Files[0].Content)
			})
		}
	}
}

// Payments in any currencies, of any amounts and with any texts, make a valid file whose sums are right.
func TestFilesOfAnyPaymentsAreValid(t *testing.T) {
	t.Parallel()
	books := conformance.Books("SEK")
	base := conformance.Vouchers(t, books)[0]
	anyVoucher := rapid.Custom(func(t *rapid.T) *ledger.Voucher {
		voucher := *base
		currency, err := ledger.ParseCurrency(rapid.SampledFrom([]string{"SEK", "EUR", "JPY", "KWD", "CLF"}).Draw(t, "currency"))
		if err != nil {
			t.Fatal(err)
		}
		voucher.Currency = currency
		texts := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9åæé€ <>&'"/;-]{1,200}`), rapid.StringN(0, 20, 80))
		voucher.Text, voucher.ClaimantName = texts.Draw(t, "text"), texts.Draw(t, "name")
		voucher.Postings = []ledger.Posting{{Kind: ledger.OffsetPosting, Amount: -ledger.Amount(rapid.Int64Range(-10, 1_000_000_000_000).Draw(t, "owed"))}}
		return &voucher
	})
	for _, options := range []string{acme, norwegian} {
		var vouchers []*ledger.Voucher
		for i := range 500 {
			voucher := anyVoucher.Example(i)
			voucher.ClaimID = fmt.Sprintf("claim-%d", i)
			vouchers = append(vouchers, voucher)
		}
		artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(options)), vouchers)
		if err != nil || len(artifact.Written) < 50 {
			t.Fatalf("%d written, %d held: %v", len(artifact.Written), len(artifact.Held), err)
		}
		if _, err := read(artifact.Files[0].Content); err != nil {
			t.Error(err)
		}
		schemas.Validate(t, schema, artifact.Files[0].Content)
	}
}

func TestThePageOfTheExporterIsTrue(t *testing.T) {
	t.Parallel()
	content := string(conformance.Sample(t, New(), "SEK", acme).Files[0].Content)
	_, head, _ := strings.Cut(content, "\n")
	head, _, _ = strings.Cut(head, "</CdtTrfTxInf>")
	conformance.PageShows(t, "../../docs/exporters/pain001.md", head)
}

// TestClaimsArePaidInTheCurrencyOfTheBooks has claims in three currencies and books in euro, which SEPA alone pays: what the books owe.
func TestClaimsArePaidInTheCurrencyOfTheBooks(t *testing.T) {
	t.Parallel()
	options := strings.TrimSuffix(sepa, "}") + `, "payIn": "books"}`
	artifact := conformance.Sample(t, New(), "EUR", options, func(v *ledger.Voucher) bool {
		return conformance.Ordinary(v) || v.ClaimID == "claim-dinars" || v.ClaimID == "claim-yen"
	})
	if len(artifact.Files) != 1 || len(artifact.Held) != 0 {
		t.Fatalf("%d files, held %v", len(artifact.Files), artifact.Held)
	}
	schemas.Validate(t, schema, artifact.Files[0].Content)
	d := mustRead(t, artifact.Files[0].Content)
	if len(d.Initiation.Groups) != 1 {
		t.Fatalf("there are %d groups of payments", len(d.Initiation.Groups))
	}
	got := []string{d.Initiation.Groups[0].Sum}
	for _, transfer := range d.Initiation.Groups[0].Transfers {
		got = append(got, transfer.Amount.Decimal+" "+transfer.Amount.Currency)
	}
	if want := []string{"5499.68", "1700.00 EUR", "2171.01 EUR", "1628.67 EUR"}; !slices.Equal(got, want) {
		t.Errorf("sum and payments are %q, want %q", got, want)
	}
}

func TestThePaymentsAreWhatTheVouchersOwe(t *testing.T) {
	t.Parallel()
	d := mustRead(t, conformance.Sample(t, New(), "SEK", acme).Files[0].Content)
	header := d.Initiation.Header
	if header.ID != "0b8f7d5e6f3a4f0e9a530e4c1d2b3a49" || header.Created != "2026-12-01T00:00:05+01:00" || header.Party.Name != "Acme AB" {
		t.Errorf("the header is %+v", header)
	}
	var groups []string
	for _, group := range d.Initiation.Groups {
		groups = append(groups, fmt.Sprintf("%s %d×: %s on %s by %s %s", group.ID, group.Payments, group.Sum, group.Date, group.Account.IBAN, group.BIC))
	}
	want := []string{
		"0b8f7d5e6f3a4f0e9a530e4c1d2b3a49JPY 1×: 24000 on 2026-12-02 by SE4550000000058398257466 ESSESESSXXX",
		"0b8f7d5e6f3a4f0e9a530e4c1d2b3a49KWD 1×: 62.674 on 2026-12-02 by SE4550000000058398257466 ESSESESSXXX",
	}
	if len(groups) != 3 || !slices.Equal(groups[:2], want) || !strings.HasPrefix(groups[2], "0b8f7d5e6f3a4f0e9a530e4c1d2b3a49SEK") {
		t.Errorf("the groups are %q, want %q and one in SEK", groups, want)
	}
	first := d.Initiation.Groups[2].Transfers[0]
	if first.ID != "E/2026/1" || first.Amount.Decimal != "1700.00" || first.Amount.Currency != "SEK" || first.Name != "Test Testsson" ||
		first.Account.IBAN != "SE4550000000058398257466" || *first.Text != "E/2026/1 Kundbesok i Goteborg" {
		t.Errorf("the first payment is %+v (%s)", first, *first.Text)
	}
}

// TestWhatIsSettledIsNotAPayment exports claims that owe nothing: they are not held, so that they do not come again and again.
func TestWhatIsSettledIsNotAPayment(t *testing.T) {
	t.Parallel()
	books := conformance.EveryKind("SEK")
	paid := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("card alone", "SEK"), conformance.Kind("advance of all", "SEK")})
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(acme)), append(paid, conformance.Reversals(t, paid)...))
	if err != nil || len(artifact.Written) != 4 || len(artifact.Files) != 0 {
		t.Errorf("%d vouchers are taken and %d files written (%v), want 4 and none; held %v", len(artifact.Written), len(artifact.Files), err, artifact.Held)
	}
	part := conformance.Map(t, books, []*ledger.Claim{conformance.Kind("card", "SEK"), conformance.Kind("advance", "SEK")})
	artifact, err = conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(acme)), append(part, paid...))
	if err != nil || len(artifact.Written) != 4 || len(artifact.Files) != 1 {
		t.Fatalf("%d vouchers, %d files (%v)", len(artifact.Written), len(artifact.Files), err)
	}
	d := mustRead(t, artifact.Files[0].Content)
	if transfers := d.Initiation.Groups[0].Transfers; len(transfers) != 2 || transfers[0].Amount.Decimal != "112.00" || transfers[1].Amount.Decimal != "12.00" {
		t.Errorf("the payments are %+v, want 112.00 beside the card and 12.00 beside the advance", transfers)
	}
}

func TestTheBankIsToldWhatTheOptionsSay(t *testing.T) {
	t.Parallel()
	file := conformance.Sample(t, New(), "SEK", norwegian).Files[0]
	d := mustRead(t, file.Content)
	group := d.Initiation.Groups[0]
	party := d.Initiation.Header.Party
	got := []string{
		file.Name, party.Name, party.Identifier, party.Scheme, group.Debtor, group.Account.Number, group.Account.Scheme, group.BIC, group.NoBIC,
		group.ServiceLevel, group.Purpose, group.Charges, fmt.Sprint(group.Batch), group.Date, *group.Transfers[0].Text,
	}
	want := []string{
		"betaling.xml", "Lønn & Reise AS", "00987654321", "BANK", "Kystlinje AS", "86011117947", "BBAN", "", "NOTPROVIDED",
		"NURG", "SUPP", "SHAR", "false", "2026-12-01", "claim-yen",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// From November 2026 on an address has its town and country in elements of their own (EPC153-22; Swedbank's PFH_222 and PFH_237),
// and the sender is known by a number (PFH_002).
func TestAddressesAreStructured(t *testing.T) {
	t.Parallel()
	d := mustRead(t, conformance.Sample(t, New(), "SEK", swedish, conformance.Ordinary).Files[0].Content)
	group := d.Initiation.Groups[0]
	want := readAddress{"Storgatan", "7", "211 42", "Malmo", "SE"}
	if transfer := group.Transfers[0]; group.Address != want || transfer.Address != want || transfer.BIC != "SWEDSESS" || d.Initiation.Header.Party.Identifier != "5560360793" {
		t.Errorf("the payer is at %+v, the claimant at %+v (%s), and the sender is %q", group.Address, transfer.Address, transfer.BIC, d.Initiation.Header.Party.Identifier)
	}
	none := mustRead(t, conformance.Sample(t, New(), "SEK", `{"debtorName": "A", "debtorAccount": "SE4550000000058398257466", "creditorAddresses": "none"}`).Files[0].Content)
	if address := none.Initiation.Groups[0].Transfers[0].Address; address != (readAddress{}) {
		t.Errorf("without addresses the claimant is at %+v", address)
	}
}

// A payment across the border of the EEA has the payer's address (Regulation (EU) 2023/1113, articles 4 and 5; EPC132-08).
func TestAPaymentOutOfTheEEAHasThePayersAddress(t *testing.T) {
	t.Parallel()
	for _, iban := range []string{"CH9300762011623852957", "GB29NWBK60161331926819", turkish} {
		file := conformance.Sample(t, New(), "SEK", swedish, func(v *ledger.Voucher) bool {
			v.ClaimantIBAN, v.ClaimantBIC = iban, "UBSWCHZH80A"
			return conformance.Ordinary(v)
		}).Files[0]
		if group := mustRead(t, file.Content).Initiation.Groups[0]; group.Address.Town != "Malmo" || group.Transfers[0].Account.IBAN != iban {
			t.Errorf("the payer of %s is at %+v", iban, group.Address)
		}
	}
}

func TestAVoucherThatCanNotBePaidIsHeld(t *testing.T) {
	t.Parallel()
	const secret = "SE4550000000058398257467" // wrong check digits
	tests := []struct {
		name, options string
		spoil         func(*ledger.Voucher)
		want          string
	}{
		{"a reversal", acme, func(v *ledger.Voucher) { v.Reverses = "E/2026/17" }, "the voucher reverses E/2026/17, and a payment cannot be taken back by a file"},
		{"nothing to pay", acme, owes(0), "nothing is payable"},
		{"no debt at all", acme, func(v *ledger.Voucher) { v.Postings = v.Postings[:1] }, "nothing is payable"},
		{"a debt of the claimant", acme, owes(-1), "the claimant owes"},
		{"no account", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = " " }, "claimant_iban of the claim is missing"},
		{"wrong check digits", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = secret }, "claimant_iban of the claim is an IBAN whose check digits are wrong"},
		{"a domestic account where none are paid", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = "86011117947" }, "claimant_iban of the claim is not an IBAN"},
		{"a Norwegian account with a wrong digit", norwegian, func(v *ledger.Voucher) { v.ClaimantIBAN = "86011117948" }, "claimant_iban of the claim is a Norwegian account number whose check digit is wrong"},
		{"an IBAN that is too long for its country, by ISO 13616", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = "DE543704004405320130001" }, "claimant_iban of the claim is an IBAN of 23 characters, and those of DE have 22"},
		{"an IBAN of a country that ISO 13616 lacks", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = "XX4212345678901234" }, "claimant_iban of the claim is an IBAN of a country that has none"},
		{"by SEPA to a country that is not on the list of the EPC", sepa, func(v *ledger.Voucher) { v.Currency = euro; v.ClaimantIBAN = turkish }, "claimant_iban of the claim is in TR, which is not a country of SEPA"},
		{"outside SEPA without a BIC", acme, func(v *ledger.Voucher) { v.ClaimantIBAN, v.ClaimantBIC = turkish, "" }, "claimant_iban of the claim is in TR, where an IBAN alone is not enough; add claimant_bic"},
		{"to Switzerland without the address of the payer, by Regulation 2023-1113", acme, func(v *ledger.Voucher) { v.ClaimantIBAN = "CH9300762011623852957" }, "the payment goes from SE to CH, and needs the payer's address"},
		{"to Britain without the address of the payer, by EPC132-08", sepa, func(v *ledger.Voucher) { v.Currency = euro; v.ClaimantIBAN = "GB29NWBK60161331926819" }, "the payment goes from DE to GB, and needs the payer's address"},
		{"no BIC", acme, func(v *ledger.Voucher) { v.ClaimantBIC = "SWED" }, "claimant_bic of the claim is not a BIC"},
		{"an address without a town, by EPC153-22", acme, func(v *ledger.Voucher) { v.ClaimantAddress.Town = " " }, "claimant_address of the claim lacks its town or its country"},
		{"an address without a country, by EPC153-22", acme, func(v *ledger.Voucher) { v.ClaimantAddress.Country = "" }, "claimant_address of the claim lacks its town or its country"},
		{"an address whose country is no code", acme, func(v *ledger.Voucher) { v.ClaimantAddress.Country = "Sverige" }, "claimant_address of the claim has a country that is not a code"},
		{"a post code that is too long", acme, func(v *ledger.Voucher) { v.ClaimantAddress.PostCode = "12345678901234567" }, "claimant_address of the claim has a post code of more than 16"},
		{"a town that banks cannot read", acme, func(v *ledger.Voucher) { v.ClaimantAddress.Town = "Київ" }, "claimant_address of the claim has a town that has the character U+041A"},
		{"no address where the bank wants it, by PFH_237 of Swedbank", swedish, func(v *ledger.Voucher) { v.ClaimantAddress = ledger.Address{} }, "claimant_address of the claim is missing"},
		{"no name", acme, func(v *ledger.Voucher) { v.ClaimantName = "" }, "claimant_name of the claim is missing"},
		{"a name that banks cannot read", acme, func(v *ledger.Voucher) { v.ClaimantName = "Ян" }, "claimant_name of the claim has the character U+042F"},
		{"a text that banks cannot read", acme, func(v *ledger.Voucher) { v.Text = "🍜" }, "the text for the claimant has the character U+1F35C"},
		{"a character that XML lacks", norwegian, func(v *ledger.Voucher) { v.ClaimantName = "a\ufffe" }, "claimant_name of the claim has the character U+FFFE"},
		{"a foreign currency by SEPA", sepa, func(*ledger.Voucher) {}, "the claim would be paid in SEK, and SEPA pays in EUR; if the books are in EUR, set the option payIn"},
		{"more than SEPA pays", sepa, func(v *ledger.Voucher) { v.Currency = euro; owes(100_000_000_000)(v) }, "the claim is larger than the largest payment of SEPA"},
		{"a series that is no identifier", acme, func(v *ledger.Voucher) { v.Series = "/" }, "the voucher's id cannot identify a payment"},
		{"more than the format counts", acme, owes(1_000_000_000_000_000_000), "with this claim the file would pay more than its format can count"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conformance.Holds(t, New(), "SEK", test.options, test.spoil, test.want)
		})
	}
}

var euro, _ = ledger.ParseCurrency("EUR")

// owes makes a voucher owe so many minor units.
func owes(amount ledger.Amount) func(*ledger.Voucher) {
	return func(v *ledger.Voucher) { v.Postings[len(v.Postings)-1].Amount = -amount }
}

func TestAccountsOfClaimants(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text, domestic string
		want           account
		problem        bool
	}{
		{"SE45 5000 0000 0583 9825 7466", "none", account{"SE4550000000058398257466", true}, false},
		{"no93 8601 1117 947", norwegianDomestic, account{"NO9386011117947", true}, false},
		{"GB82WEST12345698765432", anyDomestic, account{"GB82WEST12345698765432", true}, false},
		{"GB82WEST12345698765423", anyDomestic, account{}, true},
		{"GB82WEST123456987654321234567890123", "none", account{}, true},
		{"8601.11.17947", norwegianDomestic, account{"86011117947", false}, false},
		{"8601.11.17947", anyDomestic, account{"86011117947", false}, false},
		{"8601.11.17947", "none", account{}, true},
		{"8601.11.1794", norwegianDomestic, account{}, true},
		{"DE8X", anyDomestic, account{}, true},
		{"123", anyDomestic, account{}, true},
		{"", anyDomestic, account{}, true},
	}
	for _, test := range tests {
		got, problem := parseAccount(test.text, test.domestic)
		if got != test.want || (problem != "") != test.problem {
			t.Errorf("%q with %s: %v (%s), want %v", test.text, test.domestic, got, problem, test.want)
		}
	}
}

// One digit that is wrong, and two neighbours that changed places, are what check digits are for.
func TestCheckDigitsFindMistakes(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"SE4550000000058398257466", "GB82WEST12345698765432", "86011117947"} {
		for i := range right {
			wrong := []byte(right)
			if wrong[i] >= 'A' {
				continue
			}
			wrong[i] = '0' + (wrong[i]-'0'+1)%10
			swapped := []byte(right)
			if i+1 < len(right) {
				swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			}
			for _, mistake := range []string{string(wrong), string(swapped)} {
				if _, problem := parseAccount(mistake, norwegianDomestic); mistake != right && problem == "" {
					t.Errorf("%s is taken for an account like %s", mistake, right)
				}
			}
		}
	}
}

func TestExecutionDatesAreNoWeekends(t *testing.T) {
	t.Parallel()
	friday := time.Date(2026, 12, 4, 23, 59, 0, 0, time.UTC)
	for days, want := range map[int]string{0: "2026-12-04", 1: "2026-12-07", 2: "2026-12-07", 3: "2026-12-07", 4: "2026-12-08", 27: "2026-12-31"} {
		if got := executionDate(friday, days).Format(time.DateOnly); got != want {
			t.Errorf("%d days after a Friday: %s, want %s", days, got, want)
		}
	}
}

func TestThePageListsWhatIsWrittenInPlaceOfOtherCharacters(t *testing.T) {
	t.Parallel()
	o := &options{}
	for _, row := range [][2]string{
		{"æ Æ ø Ø œ Œ ß ẞ", "ae AE o O oe OE ss SS"},
		{"ł Ł đ Đ ð Ð þ Þ ħ Ħ ı ŋ Ŋ ŧ Ŧ µ", "l L d D d D th Th h H i ng NG t T u"},
		{"ö å é ç ä ž", "o a e c a z"},
		{"€ £ $ & @ % § © ® × ÷ ±", "EUR GBP USD + (at) o/o par. (c) (r) x : +-"},
	} {
		if got, err := o.convert(row[0]); err != nil || got != row[1] {
			t.Errorf("%s becomes %s (%v), want %s", row[0], got, err, row[1])
		}
		conformance.PageShows(t, "../../docs/exporters/pain001.md", "`"+row[0]+"`")
		conformance.PageShows(t, "../../docs/exporters/pain001.md", "`"+row[1])
	}
}

// TestCountriesAreThoseOfTheRegistry compares with the examples that the registry of ISO 13616 gives.
func TestCountriesAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	for _, example := range []string{
		"AL47212110090000000235698741", "BR1800360305000010009795493C1", "CR05015202001026284066", "EG380019000500000000263180002", "FR1420041010050500013M02606",
		"GI75NWBK000000007099453", "IS140159260076545510730339", "LC55HEMM000100010012001200023015", "MT84MALT011000012345MTLCAST001S", "NO9386011117947",
		"SM86U0322509800000000270100", "UA213223130000026007233566001", "XK051212012345678906", "BE68539007547034", "NL91ABNA0417164300", "PL61109010140000071219812874",
	} {
		if got, problem := parseAccount(example, "none"); problem != "" || got.country() != example[:2] {
			t.Errorf("%s %s", example, problem)
		}
		if _, problem := parseAccount(example+"0", "none"); !strings.HasPrefix(problem, "is an IBAN of ") {
			t.Errorf("%s with another character %s", example, problem)
		}
	}
	for _, country := range strings.Fields(economicArea + " " + otherSEPA) {
		if ibanLengths[country] == 0 {
			t.Errorf("%s of SEPA has no IBAN", country)
		}
	}
	if len(strings.Fields(economicArea)) != 30 || len(strings.Fields(otherSEPA)) != 12 {
		t.Error("the EEA has 30 countries, and SEPA 12 others with IBANs of their own")
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	with := func(field, value string) string {
		return strings.TrimSuffix(acme, "}") + `, "` + field + `": ` + value + `}`
	}
	tests := []struct{ options, want string }{
		{``, `debtorName: is required`},
		{`{"debtorName": "A"}`, `debtorAccount: is required`},
		{`{"debtorName": "A", "debtorAccount": "DE89370400440532013001"}`, `debtorAccount: is an IBAN whose check digits are wrong`},
		{`{"debtorName": "A", "debtorAccount": "x"}`, `debtorAccount: is neither an IBAN nor a number`},
		{`{"debtorName": "Я", "debtorAccount": "1234"}`, `debtorName: has the character U+042F`},
		{`{"debtorName": "\u200b", "debtorAccount": "1234"}`, `debtorName: has no character`},
		{`{"debtorName": "A", "debtorAccount": "1234", "debtorBIC": "x"}`, `debtorBIC: is not a BIC`},
		{with("initiatingParty", `"`+strings.Repeat("a", 71)+`"`), `initiatingParty: has more than 70 characters`},
		{with("initiatingPartyID", `"//"`), `initiatingPartyID: is not a number`},
		{with("executionDays", `-1`), `executionDays: -1 is not within 0 to 366`},
		{with("executionDays", `1.5`), `executionDays: is or has a JSON number`},
		{with("serviceLevel", `"sepa"`), `serviceLevel: is not a code`},
		{with("chargeBearer", `"OUR"`), `chargeBearer: "OUR" is not one of`},
		{with("domesticAccounts", `"SE"`), `domesticAccounts: "SE" is not one of`},
		{with("characters", `"latin1"`), `characters: "latin1" is not one of`},
		{with("remittance", `"Я {text}"`), `remittance: has the character U+042F`},
		// Swiss Payment Standards 2025, pain.001.001.09.ch.03.xsd: DbtrAgt has no Othr.
		{`{"debtorName": "Alp AG", "debtorAccount": "CH9300762011623852957"}`, `debtorBIC: is missing: banks of Switzerland`},
		{`{"debtorName": "Alp AG", "debtorAccount": "LI21 0881 0000 2324 013A A"}`, `debtorBIC: is missing: banks of Switzerland`},
		{`{"debtorName": "Alp AG", "debtorAccount": "DE89370400440532013000", "profile": "CH"}`, `debtorBIC: is missing, and profile CH needs it`},
		{with("profile", `"SE"`), `initiatingPartyID: is missing, and profile SE needs it`},
		{with("profile", `"SE", "initiatingPartyID": "1", "creditorAddresses": "none"`), `creditorAddresses: is none, and profile SE`},
		{with("profile", `"NO"`), `profile: "NO" is not one of`},
		{with("creditorAddresses", `"all"`), `creditorAddresses: "all" is not one of`},
		{with("debtorAddress", `{"street": "Storgatan 7"}`), `debtorAddress: lacks its town or its country`},
		{with("debtorAddress", `{"town": "Malmö", "country": "Sweden"}`), `debtorAddress: has a country that is not a code`},
		{`{"debtorName": "A", "debtorAccount": "TR330006100519786457841326", "serviceLevel": "SEPA"}`, `debtorAccount: is in TR`},
		{with("fileName", `"/"`), `fileName: has a path separator`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), acme, norwegian, sepa) }

func FuzzTexts(f *testing.F) {
	conformance.FuzzTexts(f, New(), []byte(acme), conformance.ReadBack(readBack))
}

func FuzzAccounts(f *testing.F) {
	for _, seed := range []string{"SE4550000000058398257466", "8601 11 17947", "DE", "ß", "00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, domestic := range []string{"none", norwegianDomestic, anyDomestic} {
			got, problem := parseAccount(text, domestic)
			if (problem == "") != (got.number != "") {
				t.Errorf("%q: %v and %q", text, got, problem)
			}
			if got.iban && (readAccount{IBAN: got.number}).check() != nil {
				t.Errorf("%q is taken for an IBAN", text)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(acme)) }

func mustRead(t *testing.T, content []byte) *document {
	t.Helper()
	d, err := read(content)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
