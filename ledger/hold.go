package ledger

import "fmt"

// HoldReason says in one word why a claim is held.
type HoldReason string

const (
	// HoldUnmapped: a line matches no rule of the chart.
	HoldUnmapped HoldReason = "Unmapped"
	// HoldTooLarge: the claim has more lines or longer texts than is possible.
	HoldTooLarge HoldReason = "TooLarge"
	// HoldNoLines: the claim has no lines.
	HoldNoLines HoldReason = "NoLines"
	// HoldDuplicateClaim: the claim's id is that of another row, too.
	HoldDuplicateClaim HoldReason = "DuplicateClaim"
	// HoldExportedBefore: a claim of this id was exported before tables were told apart, perhaps this one.
	HoldExportedBefore HoldReason = "ExportedBefore"
	// HoldInvalidID: the claim's id is missing, too long, or cannot be printed.
	HoldInvalidID HoldReason = "InvalidID"
	// HoldNotDated: the claim is approved at no time, or at one that is none.
	HoldNotDated HoldReason = "NotDated"
	// HoldDuplicateLine: two lines of the claim have the same number.
	HoldDuplicateLine HoldReason = "DuplicateLine"
	// HoldUnnumberedLine: a line has no number.
	HoldUnnumberedLine HoldReason = "UnnumberedLine"
	// HoldInvalidQuantity: a quantity is not a finite number.
	HoldInvalidQuantity HoldReason = "InvalidQuantity"
	// HoldNoClaimant: the claim names no claimant, and a subledger of the chart needs one.
	HoldNoClaimant HoldReason = "NoClaimant"
	// HoldNoPaymentReference: a line has no payment reference, and the chart posts how it was paid by it.
	HoldNoPaymentReference HoldReason = "NoPaymentReference"
	// HoldNoAdvanceAccount: the claim settles an advance, and the chart has no account of advances.
	HoldNoAdvanceAccount HoldReason = "NoAdvanceAccount"
	// HoldUnknownCurrency: the currency is not in ISO 4217.
	HoldUnknownCurrency HoldReason = "UnknownCurrency"
	// HoldMixedCurrencies: a line is in another currency than its claim, or base amounts contradict the currency.
	HoldMixedCurrencies HoldReason = "MixedCurrencies"
	// HoldMissingBaseAmount: the claim is in a foreign currency and a line lacks its amount in the books' currency.
	HoldMissingBaseAmount HoldReason = "MissingBaseAmount"
	// HoldInvalidAmount: an amount is missing, not a finite number, or too large.
	HoldInvalidAmount HoldReason = "InvalidAmount"
	// HoldAmountTooPrecise: an amount has more decimals than its currency.
	HoldAmountTooPrecise HoldReason = "AmountTooPrecise"
	// HoldTaxExceedsAmount: the tax of a line is larger than its amount, or of the other sign.
	HoldTaxExceedsAmount HoldReason = "TaxExceedsAmount"
	// HoldTaxExceedsRate: the tax of a line is more than the rate of its code gives.
	HoldTaxExceedsRate HoldReason = "TaxExceedsRate"
	// HoldTaxMissing: a line has a tax code, and no tax.
	HoldTaxMissing HoldReason = "TaxMissing"
	// HoldUndefinedTaxCode: the line's tax code is not in the chart.
	HoldUndefinedTaxCode HoldReason = "UndefinedTaxCode"
	// HoldRoundingExceeded: conversion leaves more than the chart's rounding limit.
	HoldRoundingExceeded HoldReason = "RoundingExceeded"
	// HoldInvalidDate: a line has no expense date, or one that no books have.
	HoldInvalidDate HoldReason = "InvalidDate"
	// HoldFutureDate: the claim would be posted after the run's cutoff.
	HoldFutureDate HoldReason = "FutureDate"
	// HoldClosedPeriod: the claim would be posted in a closed period.
	HoldClosedPeriod HoldReason = "ClosedPeriod"
	// HoldSeveralYears: a voucher of the claim would have expenses of several fiscal years.
	HoldSeveralYears HoldReason = "SeveralFiscalYears"
	// HoldInvalidText: a text is longer than MaxTextLength or has control characters.
	HoldInvalidText HoldReason = "InvalidText"
	// HoldExpressionFailed: an expression of the chart could not be evaluated for a line.
	HoldExpressionFailed HoldReason = "ExpressionFailed"
	// HoldReceiptMissing: the export requires receipts, and one that is listed is not in its store.
	HoldReceiptMissing HoldReason = "ReceiptMissing"
	// HoldUnsupportedByFormat: the exporter's format cannot represent the voucher.
	HoldUnsupportedByFormat HoldReason = "UnsupportedByFormat"
	// HoldRejected: the accounting system refused the voucher; the message is the system's own.
	HoldRejected HoldReason = "Rejected"
)

// Hold is why one claim waits. It is an error for that claim alone: the others go on.
type Hold struct {
	ClaimID string
	Reason  HoldReason
	// Message says which line and field, and what to do, without quoting text of the claim other than codes.
	Message string
}

// Error returns claim, reason and message.
func (h *Hold) Error() string {
	return fmt.Sprintf("claim %s is held (%s): %s", h.ClaimID, h.Reason, h.Message)
}
