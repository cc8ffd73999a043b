package xledger

import "strings"

const (
	maxImport  = 25
	maxVoucher = 8
	maxText    = 255
)

// defaultColumns are those of the import definition GL02b, with or without the entity: 49 columns and that one. A run's name
// ends with what no other run of its export has, so that the end of it is the reference. One that begins with a hyphen would be a
// formula in a spreadsheet.
func defaultColumns(o *options) []column {
	columns := []column{{"ImpSystem", "'Ledgerport'", maxImport}, {"ImpSystemRef", "right(batch.run, 25).startsWith('-') ? 'x' + right(batch.run, 24) : right(batch.run, 25)", maxImport}}
	if o.Entity != "" {
		columns = append(columns, column{"Entity", literal(o.Entity), maxEntity})
	}
	columns = append(columns, []column{
		{"VoucherType", literal(o.VoucherType), maxVoucherType},
		{"VoucherNo", "voucher.number", maxVoucher},
		{"FiscalYear", "voucher.fiscal_year", 0},
		{"PeriodNo", "voucher.period", 0},
		{"VoucherDate", "date(voucher.date, 'YYYYMMDD')", 0},
		{"Account", "line.account", 0},
		{"AccountLedger", "''", 0},
		{"Posting1", "line.dimensions['costCenter']", 0},
		{"Posting2", "line.dimensions['project']", 0},
		{"XGL", "''", 0},
		{"SubledgerNo", "line.subledger", 0},
	}...)
	columns = append(columns, empty("SubledgerName", "InvoiceDate")...)
	columns = append(columns, column{"InvoiceNo", "line.item_id", 0})
	columns = append(columns, empty("KID", "DueDate", "BankAccount", "PaymentTerms")...)
	columns = append(columns, []column{
		{"Text", "line.text", maxText},
		{"TaxRule", "line.tax_code", 0},
		{"Currency", "voucher.currency", 0},
		{"CurrencyAmount", "line.amount", 0},
		{"Amount", "line.base_amount", 0},
	}...)
	columns = append(columns, empty("UpdateSubledger", "SubledgerGroup", "CompanyNo")...)
	for _, kind := range []string{"", "Billing"} {
		columns = append(columns, empty(kind+"StreetAddressL1", kind+"StreetAddressL2", kind+"ZipCode", kind+"Place", kind+"State", kind+"Country")...)
	}
	columns = append(columns, empty("Phone", "Email")...)
	columns = append(columns, column{"YourRef", "voucher.id", 0})
	columns = append(columns, empty("Dummy1", "Dummy2", "Dummy3", "Dummy4", "Dummy5")...)
	return append(columns, column{"EOL", "'x'", 0})
}

// empty columns have to be there.
func empty(names ...string) (columns []column) {
	for _, name := range names {
		columns = append(columns, column{name, "''", 0})
	}
	return columns
}

// literal is a code as an expression. It has no quotes and no backslashes.
func literal(code string) string { return "'" + strings.TrimSpace(code) + "'" }
