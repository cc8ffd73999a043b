package saft

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// auditFile is what these tests look at in a file.
type auditFile struct {
	XMLName xml.Name `xml:"urn:StandardAuditFile-Taxation-Financial:NO AuditFile"`
	Header  struct {
		Version      string `xml:"AuditFileVersion"`
		Created      string `xml:"AuditFileDateCreated"`
		Registration string `xml:"Company>RegistrationNumber"`
		VAT          string `xml:"Company>TaxRegistration>TaxRegistrationNumber"`
		Currency     string `xml:"DefaultCurrencyCode"`
		From         string `xml:"SelectionCriteria>SelectionStartDate"`
		To           string `xml:"SelectionCriteria>SelectionEndDate"`
	}
	Accounts []struct {
		ID            string `xml:"AccountID"`
		Category      string `xml:"GroupingCategory"`
		Code          string `xml:"GroupingCode"`
		ClosingDebit  string `xml:"ClosingDebitBalance"`
		ClosingCredit string `xml:"ClosingCreditBalance"`
	} `xml:"MasterFiles>GeneralLedgerAccounts>Account"`
	TaxCodes []struct {
		Code     string `xml:"TaxCode"`
		Standard string `xml:"StandardTaxCode"`
	} `xml:"MasterFiles>TaxTable>TaxTableEntry>TaxCodeDetails"`
	Analyses []struct {
		Kind string `xml:"AnalysisType"`
		ID   string `xml:"AnalysisID"`
	} `xml:"MasterFiles>AnalysisTypeTable>AnalysisTypeTableEntry"`
	Entries struct {
		Count    int    `xml:"NumberOfEntries"`
		Debit    string `xml:"TotalDebit"`
		Credit   string `xml:"TotalCredit"`
		Journals []struct {
			ID           string            `xml:"JournalID"`
			Transactions []readTransaction `xml:"Transaction"`
		} `xml:"Journal"`
	} `xml:"GeneralLedgerEntries"`
}

type readTransaction struct {
	ID     string `xml:"TransactionID"`
	Period int
	Year   int    `xml:"PeriodYear"`
	Date   string `xml:"TransactionDate"`
	Text   string `xml:"Description"`
	Lines  []struct {
		Record   string `xml:"RecordID"`
		Account  string `xml:"AccountID"`
		Analyses []struct {
			Kind string `xml:"AnalysisType"`
			ID   string `xml:"AnalysisID"`
		} `xml:"Analysis"`
		Document string      `xml:"SourceDocumentID"`
		Text     string      `xml:"Description"`
		Debit    *readAmount `xml:"DebitAmount"`
		Credit   *readAmount `xml:"CreditAmount"`
		Tax      *struct {
			Code   string      `xml:"TaxCode"`
			Base   string      `xml:"TaxBase"`
			Debit  *readAmount `xml:"DebitTaxAmount"`
			Credit *readAmount `xml:"CreditTaxAmount"`
		} `xml:"TaxInformation"`
		Quantity string
		Reverses string `xml:"CrossReference"`
	} `xml:"Line"`
}

type readAmount struct {
	Amount   string
	Currency string `xml:"CurrencyCode"`
	Foreign  string `xml:"CurrencyAmount"`
}

// read reads a file strictly: what lines refer to must be in the master files, and all sums must be right.
func read(content []byte) (*auditFile, []conformance.Found, error) {
	f := &auditFile{}
	if err := xml.NewDecoder(bytes.NewReader(content)).Decode(f); err != nil {
		return nil, nil, err
	}
	base, err := ledger.ParseCurrency(f.Header.Currency)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{file: f, base: base, accounts: map[string]bool{}, taxCodes: map[string]bool{}, analyses: map[analysis]bool{}, balances: map[string]ledger.Amount{}, ids: map[string]bool{}}
	for _, account := range f.Accounts {
		r.accounts[account.ID] = true
	}
	for _, code := range f.TaxCodes {
		r.taxCodes[code.Code] = true
	}
	for _, entry := range f.Analyses {
		r.analyses[analysis{entry.Kind, entry.ID}] = true
	}
	for _, journal := range f.Entries.Journals {
		for i := range journal.Transactions {
			if err := r.readTransaction(&journal.Transactions[i]); err != nil {
				return nil, nil, fmt.Errorf("the transaction %s: %w", journal.Transactions[i].ID, err)
			}
		}
	}
	return f, r.found, r.checkSums()
}

type reader struct {
	file               *auditFile
	base               ledger.Currency
	accounts, taxCodes map[string]bool
	analyses           map[analysis]bool
	balances           map[string]ledger.Amount
	ids                map[string]bool
	debit, credit      ledger.Amount
	found              []conformance.Found
}

func (r *reader) readTransaction(t *readTransaction) error {
	if r.ids[t.ID] || t.Period < 1 || t.Period > 12 {
		return fmt.Errorf("it occurs twice, or is in the period %d", t.Period)
	}
	r.ids[t.ID] = true
	voucher := conformance.Found{Currency: r.base.Code()}
	for i := range t.Lines {
		line := &t.Lines[i]
		if !r.accounts[line.Account] || line.Tax != nil && !r.taxCodes[line.Tax.Code] {
			return fmt.Errorf("line %s refers to what is not in the master files", line.Record)
		}
		for _, used := range line.Analyses {
			if !r.analyses[analysis{used.Kind, used.ID}] {
				return fmt.Errorf("line %s refers to the analysis %s %s", line.Record, used.Kind, used.ID)
			}
		}
		amount, err := r.side(line.Debit, line.Credit)
		if err != nil {
			return fmt.Errorf("line %s: %w", line.Record, err)
		}
		r.balances[line.Account] += amount
		voucher.Amounts = append(voucher.Amounts, amount)
		if line.Account == "2890" { // the offset account of conformance.Books
			voucher.Owed -= amount
		}
		if line.Tax != nil {
			if _, err := (&reader{base: r.base}).side(line.Tax.Debit, line.Tax.Credit); err != nil {
				return fmt.Errorf("the tax of line %s: %w", line.Record, err)
			}
		}
	}
	r.found = append(r.found, voucher)
	return nil
}

// side returns a debit, or a credit with a minus sign: there is one of them, and it is not negative.
func (r *reader) side(debit, credit *readAmount) (ledger.Amount, error) {
	if (debit == nil) == (credit == nil) {
		return 0, fmt.Errorf("debit %v, credit %v", debit, credit)
	}
	side := debit
	if debit == nil {
		side = credit
	}
	amount, err := ledger.ParseAmount(side.Amount, r.base)
	if err != nil || amount < 0 {
		return 0, fmt.Errorf("the amount %s (%w)", side.Amount, err)
	}
	if debit == nil {
		r.credit += amount
		return -amount, nil
	}
	r.debit += amount
	return amount, nil
}

func (r *reader) checkSums() error {
	entries := r.file.Entries
	if entries.Count != len(r.found) || entries.Debit != r.debit.Decimal(r.base) || entries.Credit != r.credit.Decimal(r.base) || r.debit != r.credit {
		return fmt.Errorf("it says %d transactions of %s and %s, and has %d of %d and %d", entries.Count, entries.Debit, entries.Credit, len(r.found), r.debit, r.credit)
	}
	for _, account := range r.file.Accounts {
		want, sign := account.ClosingDebit, ledger.Amount(1)
		if want == "" {
			want, sign = account.ClosingCredit, -1
		}
		if got := sign * r.balances[account.ID]; got.Decimal(r.base) != want {
			return fmt.Errorf("the account %s closes with %s, and its lines sum to %d", account.ID, want, r.balances[account.ID])
		}
	}
	return nil
}

// readBack returns the vouchers of an artifact to the suite that every exporter must pass.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		_, vouchers, err := read(file.Content)
		if err != nil {
			return nil, err
		}
		found = append(found, vouchers...)
	}
	return found, nil
}
