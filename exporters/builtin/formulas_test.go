package builtin

import (
	"bytes"
	"mime"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/exporters/csv"
	"github.com/ledgerport/ledgerport/exporters/datev"
	"github.com/ledgerport/ledgerport/exporters/gbat10"
	"github.com/ledgerport/ledgerport/exporters/xledger"
	"github.com/ledgerport/ledgerport/ledger"
)

// sheets are the formats that a spreadsheet may open, with options that put texts into them.
var sheets = []struct {
	exporter  exporters.Exporter
	options   string
	delimiter string
}{
	{csv.New(), `{}`, ","},
	{csv.New(), `{"delimiter": ";", "decimalMark": ",", "encoding": "windows-1252", "transliterate": true, "columns": [
		{"name": "=A", "value": "line.text"}, {"name": "id", "value": "voucher.claim_id"}, {"name": "m", "value": "line.amount"}, {"name": "n", "value": "voucher.claimant_name"},
		{"name": "u", "value": "line.unit"}, {"name": "d", "value": "line.dimensions['project']"}, {"name": "x", "value": "line.text + '|' + voucher.text"}]}`, ";"},
	{csv.New(), `{"delimiter": "\t", "quote": "always"}`, "\t"},
	{csv.New(), `{"format": "fixed", "columns": [{"name": "t", "value": "line.text", "width": 20}, {"name": "c", "value": "voucher.claim_id", "width": 40},
		{"name": "n", "value": "voucher.claimant_name", "width": 20, "align": "right"}]}`, ""},
	{xledger.New(), `{}`, ";"},
	{gbat10.New(), `{"encoding": "utf-8", "iban": true, "project": "", "department": "", "subledger": "none"}`, ";"},
	{gbat10.New(), `{"project": "", "department": "", "subledger": "none"}`, ";"},
	{datev.New(), `{"consultantNumber": 1001, "clientNumber": 42}`, ";"},
}

var hostileParts = []string{
	"=", "+", "-", "@", "＝", "＋", "－", "＠", "\u2212", "\ufe63", "\u207a", "–", "≠", ",", ";", "\t", "|", ":", "^", "~", "\"", "'", "；", "，", "“", "\n",
	" ", "\u00a0", "\u200b", "\ufeff", "\u202e", "\u00ad", "cmd", "A1", "1", "2,5", "ø",
}

// TestNoCellBeginsAFormula opens what every flat format makes of hostile texts in a spreadsheet that is set to each separator.
func TestNoCellBeginsAFormula(t *testing.T) {
	t.Parallel()
	for _, sheet := range sheets {
		books := conformance.Books("SEK")
		batch := conformance.Batch(books, []byte(sheet.options))
		ordinary := conformance.Vouchers(t, books)[0]
		written := 0
		t.Run(sheet.exporter.Type()+" "+sheet.delimiter, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostileParts), 1, 8).Draw(t, "text"), "")
				voucher := withText(ordinary, text, rapid.Bool().Draw(t, "codes too"))
				artifact, err := conformance.Render(t.Context(), sheet.exporter, batch, []*ledger.Voucher{voucher})
				if err != nil {
					t.Fatal(err)
				}
				written += len(artifact.Written)
				for _, file := range artifact.Files {
					if cell := formulaIn(decoded(file), sheet.delimiter); cell != "" {
						t.Fatalf("%q makes a file with the cell %q:\n%s", text, cell, file.Content)
					}
				}
			})
			if written == 0 {
				t.Error("every voucher was held")
			}
		})
	}
}

// withText puts a text where the ledger lets one be: free texts are on one line, and ids have no line breaks or tabs.
func withText(ordinary *ledger.Voucher, text string, codes bool) *ledger.Voucher {
	v := *ordinary
	v.Postings = slices.Clone(v.Postings)
	free := strings.TrimSpace(strings.NewReplacer("\t", " ", "\n", " ").Replace(text))
	v.Text, v.ClaimantName = free, free
	for i := range v.Postings {
		v.Postings[i].Text, v.Postings[i].AccountName = free, free
	}
	if !codes {
		return &v
	}
	v.ClaimID, v.ClaimantID, v.ClaimantIBAN, v.ApprovedBy = free, free, text, text
	for i := range v.Postings {
		p := &v.Postings[i]
		p.Unit, p.ReceiptURI, p.Category = text, text, text
		if p.Subledger != "" {
			p.Subledger = free
		}
		p.Dimensions = slices.Clone(p.Dimensions)
		for j := range p.Dimensions {
			p.Dimensions[j].Value = text
		}
	}
	return &v
}

func decoded(file conformance.File) string {
	_, parameters, _ := mime.ParseMediaType(file.MediaType)
	if parameters["charset"] == "windows-1252" {
		text, _ := charmap.Windows1252.NewDecoder().Bytes(file.Content) // every byte is a character
		return string(text)
	}
	return string(bytes.TrimPrefix(file.Content, []byte("\ufeff")))
}

var amount = regexp.MustCompile(`^-?\d+([.,]\d+)?$`)

// formulaIn returns a cell that a spreadsheet would run, if there is one. It knows quotes or does not, and leaves out what is not
// seen. An amount, alone or with more cells of the file behind it, is none.
func formulaIn(content, delimiter string) string {
	for line := range strings.FieldsFuncSeq(content, func(r rune) bool { return r == '\r' || r == '\n' }) {
		for _, separator := range ",;\t|:^~\"" {
			for _, cell := range strings.Split(line, string(separator)) {
				seen := norm.NFKC.String(cell)
				if separator != '"' {
					seen = strings.TrimLeftFunc(seen, func(r rune) bool { return r == '"' || unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Mn) })
				}
				number := seen
				if delimiter != "" {
					number, _, _ = strings.Cut(seen, delimiter)
				}
				if strings.IndexAny(seen, "=+-@\u2212") == 0 && !amount.MatchString(strings.TrimRight(number, `"`)) {
					return cell
				}
			}
		}
	}
	return ""
}
