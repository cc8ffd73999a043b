package hledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// appendVoucher appends a transaction, and before it the declaration of a currency that occurs for the first time.
func (w *writer) appendVoucher(ctx context.Context, to []byte, voucher *ledger.Voucher) ([]byte, error) {
	if w.options.Declarations && !w.declared[voucher.Currency.Code()] {
		to = w.dialect.appendCommodity(append(to, '\n'), voucher.Currency)
	}
	to = w.dialect.appendTitle(append(to, '\n'), voucher)
	to, err := w.appendCode(to, ofVoucher, claimTag, voucher.ClaimID)
	if err != nil {
		return to, exporters.Unsupported(voucher, "the claim's id %s", err)
	}
	if !voucher.DocumentDate.Equal(voucher.PostingDate) {
		to = w.dialect.appendText(to, ofVoucher, documentTag, voucher.DocumentDate.Format(time.DateOnly))
	}
	if voucher.Reverses != "" {
		if to, err = w.appendCode(to, ofVoucher, reversesTag, voucher.Reverses); err != nil {
			return to, exporters.Unsupported(voucher, "the id of the voucher that this one reverses %s", err)
		}
	}
	if !voucher.Balanced() {
		return to, exporters.Unbalanced(voucher)
	}
	for i := range voucher.Postings {
		if err := exporters.CheckRendered(ctx, voucher, len(to)); err != nil {
			return to, err
		}
		if to, err = w.appendPosting(ctx, to, voucher, &voucher.Postings[i]); err != nil {
			return to, err
		}
	}
	return to, nil
}

// appendPosting appends account, amount and tags.
func (w *writer) appendPosting(ctx context.Context, to []byte, voucher *ledger.Voucher, posting *ledger.Posting) ([]byte, error) {
	account, known := w.accounts[posting.Account]
	if !known {
		return to, fmt.Errorf("the voucher of claim %s has the account %s, which is not in the chart of accounts", voucher.ClaimID, posting.Account)
	}
	to = append(to, w.indent()...)
	to = append(to, account...)
	to = append(to, "  "...)
	to = appendAmount(to, voucher, posting)
	to = append(to, '\n')
	if posting.Text != voucher.Text && posting.Text != "" {
		to = w.dialect.appendText(to, ofPosting, textTag, texts.CutBytes(posting.Text, maxText))
	}
	var err error
	for _, dimension := range posting.Dimensions {
		if err := exporters.CheckRendered(ctx, voucher, len(to)); err != nil {
			return to, err
		}
		if to, err = w.appendCode(to, ofPosting, dimension.Name, dimension.Value); err != nil {
			return to, exporters.Unsupported(voucher, "the dimension %s of %s %s; use another code", dimension.Name, exporters.Where(posting), err)
		}
	}
	if posting.Subledger != "" {
		tag, what := claimantTag, "the claimant's id"
		if exporters.IsPaymentReference(voucher, posting) {
			tag, what = paymentTag, "the payment reference of "+exporters.Where(posting)
		}
		if to, err = w.appendCode(to, ofPosting, tag, posting.Subledger); err != nil {
			return to, exporters.Unsupported(voucher, "%s %s; use another", what, err)
		}
	}
	return to, nil
}

// indent of a posting.
func (w *writer) indent() string {
	if w.options.Format == beancountFormat {
		return "  "
	}
	return "    "
}

// appendAmount appends an amount as in 1085.50 SEK; a foreign one with what it is in the books, as in 31.337 KWD @@ 1085.50
// SEK, so that the transaction balances to the last minor unit. Where the two do not say the same, because rounding or
// rates of several lines left but a residue, the books' amount stands alone.
func appendAmount(to []byte, voucher *ledger.Voucher, posting *ledger.Posting) []byte {
	base := posting.BaseAmount
	sameSign := base == 0 || (posting.Amount > 0) == (base > 0)
	if voucher.Currency != voucher.BaseCurrency && posting.Amount != 0 && sameSign {
		to = posting.Amount.AppendDecimal(to, voucher.Currency, '.')
		to = append(to, ' ')
		to = append(to, voucher.Currency.Code()...)
		to = append(to, " @@ "...)
		base = max(base, -base)
	}
	to = base.AppendDecimal(to, voucher.BaseCurrency, '.')
	to = append(to, ' ')
	return append(to, voucher.BaseCurrency.Code()...)
}

func (w *writer) appendCode(to []byte, level level, name, code string) ([]byte, error) {
	switch {
	case len(code) > maxText:
		return to, fmt.Errorf("has more than %d bytes, which is more than ledger reads", maxText)
	case strings.ContainsAny(code, "\n\r\t"):
		return to, errors.New("has a line break or a tab")
	}
	return w.dialect.appendCode(to, level, name, code)
}
