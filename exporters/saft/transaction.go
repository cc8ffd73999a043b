package saft

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

const (
	taxType = "MVA"
	// firstYear and lastYear bound PeriodYear.
	firstYear, lastYear = 1970, 2100
)

// quantity is a SAFquantityType: at most 22 digits, 6 of them after the point.
var quantity = regexp.MustCompile(`^-?\d{1,16}(\.\d{1,6})?$`)

// makeTransaction makes a Transaction of a voucher, and notes the analyses in it.
func (w *writer) makeTransaction(ctx context.Context, voucher *ledger.Voucher) error {
	p := &w.transaction
	p.ResetCompact()
	if voucher.FiscalYear < firstYear || voucher.FiscalYear > lastYear {
		return exporters.Unsupported(voucher, "the fiscal year of the posting date %s is not in the years %d to %d", voucher.PostingDate.Format(time.DateOnly), firstYear, lastYear)
	}
	date := voucher.PostingDate.Format(time.DateOnly)
	p.Open("Transaction")
	p.Text("TransactionID", voucher.ID())
	p.Text("Period", strconv.Itoa(w.yearStart.Period(voucher.PostingDate)))
	p.Text("PeriodYear", strconv.Itoa(voucher.FiscalYear))
	p.Text("TransactionDate", voucher.DocumentDate.Format(time.DateOnly)) // of the document, by the schema
	p.Text("SourceID", texts.CutCharacters(w.batch.Program, maxMiddle1))
	p.Text("VoucherType", w.options.VoucherType)
	p.Text("Description", texts.CutCharacters(voucher.Text, maxLong))
	p.Text("BatchID", texts.CutCharacters(withoutHyphens(w.batch.RunID), maxMiddle1))
	p.Text("SystemEntryDate", w.batch.CreatedAt.Format(time.DateOnly))
	p.Text("GLPostingDate", date)
	document := withoutHyphens(voucher.ClaimID)
	if textProblem(document, maxMiddle1) != "" {
		document = "" // the voucher leads back to the claim, too, by the manifest
	}
	for i := range voucher.Postings {
		if err := w.makeLine(ctx, voucher, i, document); err != nil {
			return err
		}
	}
	p.Close()
	if err := p.Err(); err != nil {
		return exporters.Unsupported(voucher, "a text of the voucher %s; change it in the application", err)
	}
	return nil
}

// makeLine makes a Line of a posting. The document is the claim, if its id fits.
func (w *writer) makeLine(ctx context.Context, voucher *ledger.Voucher, index int, document string) error {
	posting, p := &voucher.Postings[index], &w.transaction
	if _, known := w.balances[posting.Account]; !known {
		return fmt.Errorf("the voucher of claim %s has the account %s, which is not in the chart of accounts", voucher.ClaimID, posting.Account)
	}
	p.Open("Line")
	p.Text("RecordID", strconv.Itoa(index+1))
	p.Text("AccountID", posting.Account)
	subledger := exporters.SubledgerDimension(voucher, posting)
	for _, dimension := range posting.Dimensions {
		if err := w.makeAnalysis(ctx, voucher, posting, dimension); err != nil {
			return err
		}
		if dimension.Name == subledger.Name {
			subledger.Value = ""
		}
	}
	if err := w.makeAnalysis(ctx, voucher, posting, subledger); err != nil {
		return err
	}
	p.Optional("SourceDocumentID", document)
	p.Text("Description", texts.CutCharacters(posting.Text, maxLong))
	w.makeAmount("DebitAmount", "CreditAmount", voucher, posting.BaseAmount, posting.Amount)
	if posting.Kind == ledger.ExpensePosting && posting.TaxCode != "" {
		p.Open("TaxInformation")
		p.Text("TaxType", taxType)
		p.Text("TaxCode", posting.TaxCode)
		p.Text("TaxPercentage", posting.TaxRate)
		p.Text("Country", country)
		p.Text("TaxBase", max(posting.BaseAmount, -posting.BaseAmount).Decimal(w.base))
		tax, base := posting.TaxAmount, posting.BaseTaxAmount
		if posting.IsReverseCharge() {
			tax, base, _ = voucher.SelfAssessed(index)
		}
		w.makeAmount("DebitTaxAmount", "CreditTaxAmount", voucher, base, tax)
		p.Close()
	}
	if posting.Kind == ledger.ExpensePosting && posting.Quantity != "" {
		if !quantity.MatchString(posting.Quantity) {
			return exporters.Unsupported(voucher, "the quantity of line %d is not a decimal number of at most 16 digits and 6 decimals; correct it in the application", posting.LineNumber)
		}
		p.Text("Quantity", posting.Quantity)
	}
	if voucher.Reverses != "" {
		if textProblem(voucher.Reverses, maxMiddle1) != "" {
			return exporters.Unsupported(voucher, "the id of the voucher that this one reverses is too long")
		}
		p.Text("CrossReference", voucher.Reverses)
	}
	p.Close()
	return nil
}

// makeAnalysis makes an Analysis of a dimension that has a type.
func (w *writer) makeAnalysis(ctx context.Context, voucher *ledger.Voucher, posting *ledger.Posting, dimension ledger.Dimension) error {
	if err := exporters.CheckRendered(ctx, voucher, len(w.transaction.Bytes())); err != nil {
		return err
	}
	kind, typed := w.options.AnalysisTypes[dimension.Name]
	if !typed || dimension.Value == "" {
		return nil
	}
	if problem := textProblem(dimension.Value, maxMiddle1); problem != "" {
		return exporters.Unsupported(voucher, "the dimension %s of %s %s; use another code", dimension.Name, exporters.Where(posting), problem)
	}
	w.transaction.Open("Analysis")
	w.transaction.Text("AnalysisType", kind)
	w.transaction.Text("AnalysisID", dimension.Value)
	w.transaction.Close()
	if w.analyses.Has(analysis{kind, dimension.Value}) {
		return nil
	}
	if !w.analyses.Add(analysis{kind, strings.Clone(dimension.Value)}, struct{}{}, len(dimension.Value)) {
		return exporters.Unsupported(voucher, "the cost centres, projects and employees of the file would take more than %d MiB; a later run can take the claim", exporters.MaxKept>>20)
	}
	return nil
}

// makeAmount makes an AmountStructure on the side that the amount in the books is on: with the amount in a foreign
// currency, where two decimals can say it.
func (w *writer) makeAmount(debit, credit string, voucher *ledger.Voucher, base, amount ledger.Amount) {
	p, side := &w.transaction, debit
	if base < 0 {
		side, base, amount = credit, -base, -amount
	}
	p.Open(side)
	p.Text("Amount", base.Decimal(w.base))
	if foreign, fits := twoDecimals(amount, voucher.Currency); voucher.Currency != voucher.BaseCurrency && fits {
		p.Text("CurrencyCode", voucher.Currency.Code())
		p.Text("CurrencyAmount", foreign)
	}
	p.Close()
}

// twoDecimals writes an amount with at most two decimals, if that is all of it.
func twoDecimals(amount ledger.Amount, currency ledger.Currency) (text string, fits bool) {
	text = amount.Decimal(currency)
	for range currency.Exponent() - maxDecimals {
		text, fits = strings.CutSuffix(text, "0")
		if !fits {
			return "", false
		}
	}
	return text, true
}

// uuidLength is that of the form with hyphens; package uuid reads others too.
const uuidLength = 36

// withoutHyphens shortens a UUID, which the schema has no room for, to its 32 digits; other ids stay as they are.
func withoutHyphens(id string) string {
	if len(id) == uuidLength && uuid.Validate(id) == nil {
		return strings.ReplaceAll(id, "-", "")
	}
	return id
}
