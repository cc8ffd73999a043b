package claims

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/tracing"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// mostCurrencies is more than ISO 4217 has.
const mostCurrencies = 1000

// readTotals parses sums that the database made with the exponents of their currencies.
func readTotals(ctx context.Context, conn *pgx.Conn, q query) (totals ledger.Totals, err error) {
	_, span := tracing.Start(ctx, "sql SELECT sums of claims")
	defer func() { endStatement(span, err) }()
	rows := conn.PgConn().ExecParams(ctx, q.sql, q.parameters, nil, nil, nil)
	for rows.NextRow() && err == nil {
		err = addTotal(&totals, rows.Values())
	}
	if err != nil {
		_ = conn.Close(ctx) // whatever else it sends
		return ledger.Totals{}, err
	}
	_, err = rows.Close()
	return totals, err
}

// addTotal adds what a row says of one currency.
func addTotal(totals *ledger.Totals, row [][]byte) error {
	if len(row) != 4 || len(totals.Currencies) == mostCurrencies {
		return strangeRow("summing the reserved claims")
	}
	total, err := currencyTotal(row)
	if err != nil {
		return failure.OnSource.Transient(v1alpha1.ReasonTotalsMismatch, err,
			"the database's sum of the reserved claims in %q is not an amount of that currency: %s", texts.Printable(string(row[0]), texts.Quote), err)
	}
	totals.Currencies = append(totals.Currencies, total)
	totals.Claims += total.Claims
	totals.Lines += total.Lines
	return nil
}

// currencyTotal parses currency, claims, lines and gross amount. A sum may be larger than any single amount may.
func currencyTotal(row [][]byte) (total ledger.CurrencyTotal, err error) {
	currency, err := ledger.ParseCurrency(string(row[0]))
	if err != nil {
		return total, err
	}
	total.Currency = currency.Code()
	if total.Claims, err = strconv.ParseInt(string(row[1]), 10, 64); err != nil {
		return total, err
	}
	if total.Lines, err = strconv.ParseInt(string(row[2]), 10, 64); err != nil {
		return total, err
	}
	total.Gross, err = minorUnits(string(row[3]), currency.Exponent())
	return total, err
}

// minorUnits counts the minor units in a decimal, exactly. It looks at each digit once: a sum may have 100,000 of them.
func minorUnits(decimal string, exponent int) (ledger.Amount, error) {
	digits, negative := strings.CutPrefix(decimal, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, ledger.ErrNotDecimal
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > exponent {
		return 0, ledger.ErrTooPrecise
	}
	text := strings.TrimLeft(whole+fraction+strings.Repeat("0", exponent-len(fraction)), "0")
	if text == "" {
		return 0, nil
	}
	if negative {
		text = "-" + text
	}
	units, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, ledger.ErrTotalTooLarge
	}
	return ledger.Amount(units), nil
}
