package businesscentral

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	required  = `{"tenantID": "contoso.example", "companyID": "5d115c9c-44e3-ea11-bb43-000d3a2feca1"`
	plain     = required + `}`
	full      = required + `, "post": true, "offsetAccountType": "Employee", "dimensions": {"costCenter": "DEPARTMENT", "project": "PROJECT"}}`
	attaching = required + `, "attachments": true}`
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, options := range []string{plain, full} {
		t.Run(options, func(t *testing.T) { conformance.Test(t, New(), []byte(options)) })
	}
	t.Run("attachments", func(t *testing.T) { conformance.TestReceipts(t, New(), []byte(attaching)) })
}

func TestMemory(t *testing.T) { conformance.TestMemory(t, New(), []byte(full)) }

func TestBounds(t *testing.T) { conformance.TestBounds(t, New(), full) }

func FuzzOptions(f *testing.F) { conformance.FuzzOptions(f, New(), plain, full) }

func FuzzTexts(f *testing.F) { conformance.FuzzTexts(f, New(), []byte(full)) }

func BenchmarkWrite(b *testing.B) { conformance.Benchmark(b, New(), []byte(full)) }

// The golden file is also what docs/exporters/businesscentral.md shows.
func TestRequestsAreAsReviewed(t *testing.T) {
	t.Parallel()
	conformance.Golden(t, filepath.Join("testdata", fileName), conformance.Sample(t, New(), "SEK", full).Files[0].Content, *update)
}

func TestThePageOfTheExporterShowsARequestAsItIs(t *testing.T) {
	t.Parallel()
	first, _, _ := bytes.Cut(conformance.Sample(t, New(), "SEK", full).Files[0].Content, []byte("\n"))
	var indented bytes.Buffer
	if err := json.Indent(&indented, first, "", "  "); err != nil {
		t.Fatal(err)
	}
	shown, _, _ := bytes.Cut(indented.Bytes(), []byte("    },\n    {")) // up to the second line
	conformance.PageShows(t, "../../docs/exporters/businesscentral.md", string(shown))
}

// read returns the lines of every voucher.
func read(t *testing.T, artifact conformance.Artifact) (vouchers []renderedVoucher) {
	t.Helper()
	for line := range bytes.Lines(artifact.Files[0].Content) {
		var voucher renderedVoucher
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&voucher); err != nil {
			t.Fatal(err)
		}
		vouchers = append(vouchers, voucher)
	}
	return vouchers
}

func TestEveryVoucherBalancesFitsAndHasLinesOfItsOwn(t *testing.T) {
	t.Parallel()
	books := conformance.Books("SEK")
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(books, []byte(full)), conformance.Vouchers(t, books))
	if err != nil {
		t.Fatal(err)
	}
	sek, _ := ledger.ParseCurrency("SEK")
	numbers := map[int]bool{}
	for i, voucher := range read(t, artifact) {
		if voucher.Voucher != artifact.Written[i].ID() {
			t.Errorf("line %d is of %s, want %s", i+1, voucher.Voucher, artifact.Written[i].ID())
		}
		var sum ledger.Amount
		for _, line := range voucher.Lines {
			amount, err := ledger.ParseAmount(line.Amount.String(), sek)
			if err != nil || amount == 0 {
				t.Errorf("%s: the amount %s (%v)", voucher.Voucher, line.Amount, err)
			}
			sum += amount
			if numbers[line.LineNumber] || line.LineNumber <= 0 {
				t.Errorf("%s: the line number %d is there twice", voucher.Voucher, line.LineNumber)
			}
			numbers[line.LineNumber] = true
			for text, most := range map[string]int{line.Description: 100, line.Comment: 250, line.DocumentNumber: 20, line.ExternalDocumentNumber: 35, line.AccountNumber: 20} {
				if length(text) > most || !utf8.ValidString(text) {
					t.Errorf("%s: %q has more than %d characters", voucher.Voucher, text, most)
				}
			}
		}
		if sum != 0 {
			t.Errorf("%s does not balance: %d", voucher.Voucher, sum)
		}
	}
}

func TestAForeignVoucherIsInTheBooksCurrencyAndSaysTheReceipts(t *testing.T) {
	t.Parallel()
	for _, voucher := range read(t, conformance.Sample(t, New(), "SEK", plain)) {
		for _, line := range voucher.Lines {
			if strings.HasSuffix(line.Comment, "Claim claim-dinars") && line.AccountNumber == "5800" {
				if line.Amount != "1085.50" || line.Comment != "31.337 KWD; Claim claim-dinars" {
					t.Errorf("%s %q", line.Amount, line.Comment)
				}
				return
			}
		}
	}
	t.Error("there is no such line")
}

func TestTheOffsetIsOnTheClaimantsOwnAccountWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	for options, want := range map[string][2]string{plain: {"G/L Account", "2890"}, full: {"Employee", "0042"}} {
		lines := read(t, conformance.Sample(t, New(), "SEK", options))[0].Lines
		if last := lines[len(lines)-1]; last.AccountType != want[0] || last.AccountNumber != want[1] {
			t.Errorf("%s: %s %s, want %v", options, last.AccountType, last.AccountNumber, want)
		}
	}
	books := conformance.Books("SEK")
	books.Offset.Subledger = ""
	_, err := New().Begin(t.Context(), conformance.Batch(books, []byte(full)), nil)
	var refused *exporters.OptionError
	if !errors.As(err, &refused) || refused.Field != "offsetAccountType" {
		t.Errorf("without a subledger: %v", err)
	}
}

func TestAVoucherThatTheAPICanNotTakeIsHeld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*ledger.Voucher)
		want  string
	}{
		{"a long number", func(v *ledger.Voucher) { v.Series = "ABCDEFGHIJKLMN" }, "the voucher number ABCDEFGHIJKLMN/2026/1 has more than 20 characters"},
		{"a long account", func(v *ledger.Voucher) { v.Postings[0].Account = strings.Repeat("1", 21) }, "the number of the G/L Account of line 1 is empty or has more than 20"},
		{"no claimant", func(v *ledger.Voucher) { v.Postings[len(v.Postings)-1].Subledger = "" }, "the number of the Employee of the Offset posting is empty"},
		{"a long dimension", func(v *ledger.Voucher) { v.Postings[0].Dimensions[0].Value = strings.Repeat("x", 21) }, "the dimension costCenter of line 1 has more than 20"},
		{"nothing", func(v *ledger.Voucher) {
			for i := range v.Postings {
				v.Postings[i].BaseAmount = 0
			}
		}, "the voucher nets to zero in SEK"},
		{"many lines", func(v *ledger.Voucher) { v.Postings = slices.Repeat(v.Postings, 20) }, "the voucher has 120 lines"},
	}
	for _, test := range tests {
		conformance.Holds(t, New(), "SEK", full, test.spoil, test.want)
	}
}

func TestOptionsThatCanNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ options, want string }{
		{``, `tenantID: is required`},
		{`{"tenantID": "contoso.example"}`, `companyID: is required`},
		{`{"tenantID": "a/b", "companyID": "5d115c9c-44e3-ea11-bb43-000d3a2feca1"}`, `tenantID: is neither`},
		{`{"tenantID": "a", "companyID": "CRONUS"}`, `companyID: is not an id`},
		{required + `, "environment": "a/b"}`, `environment: is not the name`},
		{required + `, "onRejection": "Halt"}`, `onRejection: "Halt" is not one of`},
		{required + `, "offsetAccountType": "Customer"}`, `offsetAccountType: "Customer" is not one of`},
		{required + `, "dimensions": {"project": ""}}`, `dimensions.project: is not a code`},
		{required + `, "baseURL": "http://api.example"}`, `baseURL: does not begin with https://`},
		{required + `, "tokenURL": "https://user:password@login.microsoftonline.com/"}`, `tokenURL: has more than scheme, host and path`},
	}
	for _, test := range tests {
		conformance.RefusesOptions(t, New(), test.options, test.want)
	}
}

func TestTheSecretGoesToMicrosoftOrToWhomTheSecretNames(t *testing.T) {
	t.Parallel()
	books := conformance.Books("SEK")
	elsewhere := required + `, "tokenURL": "https://login.example/token"}`
	for hosts, admitted := range map[string]bool{"": false, "example": false, "bc.example, login.example": true} {
		batch := conformance.Batch(books, []byte(elsewhere))
		batch.Credentials = map[string][]byte{"hosts": []byte(hosts)}
		_, err := New().Open(t.Context(), batch)
		var refused *exporters.OptionError
		if admitted != (err == nil) || err != nil && (!errors.As(err, &refused) || refused.Field != "tokenURL") {
			t.Errorf("hosts %q: %v", hosts, err)
		}
	}
	if _, err := New().Open(t.Context(), conformance.Batch(books, []byte(plain))); err != nil {
		t.Errorf("Microsoft's hosts: %v", err)
	}
}

func TestAJournalCodeIsItsRunsAndHasNothingToCountUp(t *testing.T) {
	t.Parallel()
	one, other := journalCode("0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49"), journalCode("0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a48")
	if one == other || one != journalCode("0b8f7d5e-6f3a-4f0e-9a53-0e4c1d2b3a49") || len(one) != 10 || strings.ContainsAny(one, "0123456789") {
		t.Errorf("%s, %s", one, other)
	}
}
