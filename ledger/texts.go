package ledger

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/texts"
)

// MaxTextLength bounds every text of a claim, in bytes.
const MaxTextLength = 10_000

// checkTexts refuses texts that no file should carry.
func checkTexts(claim *Claim) error {
	for _, field := range [...]struct{ name, text string }{
		{"id", claim.ID}, {"claimant_id", claim.ClaimantID}, {"claimant_name", claim.ClaimantName}, {"claimant_iban", claim.ClaimantIBAN},
		{"claimant_bic", claim.ClaimantBIC}, {"street in claimant_address", claim.ClaimantAddress.Street}, {"building in claimant_address", claim.ClaimantAddress.Building},
		{"post_code in claimant_address", claim.ClaimantAddress.PostCode}, {"town in claimant_address", claim.ClaimantAddress.Town}, {"country in claimant_address", claim.ClaimantAddress.Country},
		{"approved_by", claim.ApprovedBy}, {"description", claim.Description},
	} {
		if problem := textProblem(field.text); problem != "" {
			return hold(claim, HoldInvalidText, "%s of the claim %s; correct it in the application", field.name, problem)
		}
	}
	for _, id := range [...]struct{ name, text string }{{"id", claim.ID}, {"claimant_id", claim.ClaimantID}} {
		if strings.ContainsAny(id.text, "\t\r\n") { // a text is put on one line, but that would be another id
			return hold(claim, HoldInvalidText, "%s of the claim has a line break or a tab; correct it in the application", id.name)
		}
	}
	for i := range claim.Lines {
		if field, problem := lineTextProblem(&claim.Lines[i]); problem != "" {
			return hold(claim, HoldInvalidText, "%s of line %d %s; correct it in the application", field, claim.Lines[i].Number, problem)
		}
	}
	return nil
}

func lineTextProblem(line *Line) (field, problem string) {
	for _, field := range [...]struct{ name, text string }{
		{"category", line.Category}, {"description", line.Description}, {"tax_code", line.TaxCode},
		{"quantity", line.Quantity}, {"unit", line.Unit}, {"receipt_uri", line.ReceiptURI},
		{"payment_method", line.PaymentMethod}, {"payment_reference", line.PaymentReference}, {"merchant", line.Merchant},
		{"country", line.Country}, {"document_number", line.DocumentNumber},
	} {
		if problem := textProblem(field.text); problem != "" {
			return field.name, problem
		}
	}
	for name, value := range line.Dimensions {
		if problem := cmp.Or(textProblem(name), textProblem(value)); problem != "" {
			return "a dimension", problem
		}
	}
	return "", ""
}

func textProblem(text string) string {
	if len(text) > MaxTextLength {
		return fmt.Sprintf("has %d bytes, more than %d", len(text), MaxTextLength)
	}
	ascii := true
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c == 0x7f:
			return "has control characters"
		}
	}
	if ascii {
		return ""
	}
	if !utf8.ValidString(text) {
		return "is not UTF-8"
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' }) {
		return "has control characters"
	}
	return ""
}

// free puts a description on one line, in characters that every format has if the chart asks for that.
func (m *Mapper) free(text string) string {
	if m.chart.transliterate {
		text = transliterate(text)
	}
	return texts.OneLine(text)
}

// quotable cuts a code for a message.
func quotable(code string) string { return texts.Short(code, 100) }
