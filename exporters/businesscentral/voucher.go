package businesscentral

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// Lengths of fields in UTF-16 code units, as the tables Gen. Journal Line and Dimension Value of the base application have
// them.
const (
	maxCode             = 20 // documentNumber, accountNumber, dimension codes and values
	maxExternalDocument = 35
	maxDescription      = 100
	maxComment          = 250
	// maxOperations of a $batch request.
	maxOperations = 100
	// lineStep is between the numbers of two lines of a journal.
	lineStep = 10
	maxLines = 2_000_000_000 / lineStep // line numbers are Integer
	// dimensionSize is the most that a dimension of a line takes, in bytes.
	dimensionSize = 200
)

// renderedVoucher is what is recorded of one voucher before it is sent.
type renderedVoucher struct {
	Voucher string        `json:"voucher"`
	Lines   []journalLine `json:"lines"`
}

// journalLine is the resource journalLine of the API, with its dimensions as a deep insert. Its line number is unique in the
// journal of a run and its line forever: Business Central has no line twice.
type journalLine struct {
	LineNumber             int                `json:"lineNumber"`
	AccountType            string             `json:"accountType"`
	AccountNumber          string             `json:"accountNumber"`
	PostingDate            string             `json:"postingDate"`
	DocumentNumber         string             `json:"documentNumber"`
	ExternalDocumentNumber string             `json:"externalDocumentNumber,omitempty"`
	Amount                 json.Number        `json:"amount"`
	Description            string             `json:"description"`
	Comment                string             `json:"comment"`
	DimensionSetLines      []dimensionSetLine `json:"dimensionSetLines,omitempty"`
}

type dimensionSetLine struct {
	Code      string `json:"code"`
	ValueCode string `json:"valueCode"`
}

// render makes the lines of a voucher. Amounts are in the books' currency: the API has no other. A line of nothing is left
// out, because Business Central posts none.
func (w *writer) render(ctx context.Context, v *ledger.Voucher) (renderedVoucher, error) {
	rendered := renderedVoucher{Voucher: v.ID()}
	if length(v.ID()) > maxCode {
		return rendered, exporters.Unsupported(v, "the voucher number %s has more than %d characters, which documentNumber has; give the export a shorter voucherSeries", v.ID(), maxCode)
	}
	switch lines := lineCount(v); {
	case lines == 0:
		return rendered, exporters.Unsupported(v, "the voucher nets to zero in %s, and Business Central posts no line of nothing; take the claim back", w.currency.Code())
	case lines > maxOperations:
		return rendered, exporters.Unsupported(v, "the voucher has %d lines, and Business Central takes at most %d at once; divide the claim", lines, maxOperations)
	case w.lines+lines > maxLines:
		return rendered, exporters.Unsupported(v, "the journal of the run is full; the next run takes the claim")
	}
	dimensions := 0
	for i := range v.Postings {
		posting := &v.Postings[i]
		if posting.BaseAmount == 0 {
			continue
		}
		line, err := w.line(ctx, v, posting, dimensions)
		if err != nil {
			return rendered, err
		}
		line.LineNumber = (w.lines + len(rendered.Lines) + 1) * lineStep
		rendered.Lines = append(rendered.Lines, line)
		dimensions += len(line.DimensionSetLines)
	}
	return rendered, nil
}

// lineCount is how many lines a voucher becomes.
func lineCount(v *ledger.Voucher) (lines int) {
	for i := range v.Postings {
		if v.Postings[i].BaseAmount != 0 {
			lines++
		}
	}
	return lines
}

// line makes the line of a posting. The lines before it have so many dimensions.
func (w *writer) line(ctx context.Context, v *ledger.Voucher, posting *ledger.Posting, dimensions int) (line journalLine, err error) {
	line = journalLine{
		AccountType: glAccount, AccountNumber: posting.Account,
		PostingDate: v.PostingDate.Format(time.DateOnly), DocumentNumber: v.ID(), ExternalDocumentNumber: externalDocument(v.ClaimID),
		Amount: json.Number(posting.BaseAmount.Decimal(w.currency)), Description: texts.CutUTF16(posting.Text, maxDescription), Comment: comment(v, posting),
	}
	if posting.Text == "" {
		line.Description = texts.CutUTF16(v.Text, maxDescription)
	}
	if posting.Kind == ledger.OffsetPosting && w.options.OffsetAccountType != glAccount {
		line.AccountType, line.AccountNumber = w.options.OffsetAccountType, posting.Subledger
	}
	if line.AccountNumber == "" || length(line.AccountNumber) > maxCode {
		return line, exporters.Unsupported(v, "the number of the %s of %s is empty or has more than %d characters", line.AccountType, exporters.Where(posting), maxCode)
	}
	for _, dimension := range posting.Dimensions {
		if err := exporters.CheckRendered(ctx, v, (dimensions+len(line.DimensionSetLines))*dimensionSize); err != nil {
			return line, err
		}
		code, exported := w.options.Dimensions[dimension.Name]
		if !exported {
			continue
		}
		if length(dimension.Value) > maxCode {
			return line, exporters.Unsupported(v, "the dimension %s of %s has more than %d characters", dimension.Name, exporters.Where(posting), maxCode)
		}
		line.DimensionSetLines = append(line.DimensionSetLines, dimensionSetLine{Code: code, ValueCode: dimension.Value})
	}
	return line, nil
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// externalDocument is the claim's id, a UUID without its hyphens; nothing where it is too long: the comment has all of it.
func externalDocument(claimID string) string {
	if guid.MatchString(claimID) {
		claimID = strings.ReplaceAll(claimID, "-", "")
	}
	if length(claimID) > maxExternalDocument {
		return ""
	}
	return claimID
}

// comment is the way back to the claim, the card or account that has paid, and what the receipt says in another currency.
func comment(v *ledger.Voucher, posting *ledger.Posting) string {
	text := "Claim " + v.ClaimID
	if posting.Subledger != "" && exporters.IsPaymentReference(v, posting) {
		text = "Payment " + posting.Subledger + "; " + text
	}
	if v.Currency != v.BaseCurrency {
		text = posting.Amount.Decimal(v.Currency) + " " + v.Currency.Code() + "; " + text
	}
	return texts.CutUTF16(text, maxComment)
}

// length in UTF-16 code units, as Business Central counts.
func length(text string) int {
	units := 0
	for _, character := range text {
		units += utf16.RuneLen(character)
	}
	return units
}
