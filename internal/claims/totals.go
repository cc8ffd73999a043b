package claims

import (
	"context"
	"math/big"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// readTotals parses sums that the database made with the exponents of their currencies.
func readTotals(ctx context.Context, conn *pgx.Conn, q query) (totals ledger.Totals, err error) {
	rows := conn.PgConn().ExecParams(ctx, q.sql, q.parameters, nil, nil, nil).Read()
	if rows.Err != nil {
		return totals, rows.Err
	}
	for _, row := range rows.Rows {
		total, err := currencyTotal(row)
		if err != nil {
			return ledger.Totals{}, failure.Transient(v1alpha1.ReasonTotalsMismatch, err,
				"the database's sum of the reserved claims in %q is no amount of that currency: %s", row[0], err)
		}
		totals.Currencies = append(totals.Currencies, total)
		totals.Claims += total.Claims
		totals.Lines += total.Lines
	}
	return totals, nil
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

// minorUnits counts the minor units in a decimal, exactly.
func minorUnits(decimal string, exponent int) (ledger.Amount, error) {
	var number pgtype.Numeric
	if err := number.Scan(decimal); err != nil || number.Int == nil {
		return 0, ledger.ErrNotDecimal
	}
	ten, units := big.NewInt(10), number.Int
	for shift := int(number.Exp) + exponent; shift != 0; {
		if shift > 0 {
			units.Mul(units, ten)
			shift--
			continue
		}
		var rest big.Int
		units.QuoRem(units, ten, &rest)
		if rest.Sign() != 0 {
			return 0, ledger.ErrTooPrecise
		}
		shift++
	}
	if !units.IsInt64() {
		return 0, ledger.ErrTotalTooLarge
	}
	return ledger.Amount(units.Int64()), nil
}
