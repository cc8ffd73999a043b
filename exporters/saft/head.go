package saft

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// country of the file and of its tax codes.
const country = "NO"

// checkBooks refuses books whose accounts or tax codes the file cannot list.
func (w *writer) checkBooks() error {
	for _, account := range w.batch.Books.Accounts {
		if _, found := w.options.grouping(account.Number); !found {
			return &exporters.OptionError{Field: "groupings", Problem: fmt.Sprintf("has nothing for the account %s of the chart", account.Number)}
		}
		if problem := textProblem(account.Name, maxLong); problem != "" {
			return &exporters.OptionError{Problem: fmt.Sprintf("the name of the account %s of the chart %s", account.Number, problem)}
		}
	}
	for _, code := range w.batch.Books.TaxCodes {
		if w.options.StandardTaxCodes[code.Code] == "" {
			return &exporters.OptionError{Field: "standardTaxCodes", Problem: fmt.Sprintf("has nothing for the tax code %q of the chart; NA is for codes without a standard one", code.Code)}
		}
		if problem := textProblem(code.Code, maxMiddle2); problem != "" {
			return &exporters.OptionError{Problem: "a tax code of the chart " + problem}
		}
	}
	if problem := textProblem(w.batch.Series, maxShort); problem != "" {
		return &exporters.OptionError{Problem: "the voucher series " + problem}
	}
	return nil
}

// writeHead writes everything before the first transaction.
func (w *writer) writeHead(content io.Writer) error {
	var p xmldoc.Piece
	p.Open("AuditFile", "xmlns", "urn:StandardAuditFile-Taxation-Financial:NO")
	w.appendHeader(&p)
	p.Open("MasterFiles")
	w.appendAccounts(&p)
	w.appendTaxTable(&p)
	if _, err := io.WriteString(content, xmldoc.Declaration); err != nil {
		return err
	}
	if err := w.writeAnalyses(&p, content); err != nil {
		return err
	}
	p.Close()
	p.Open("GeneralLedgerEntries")
	p.Text("NumberOfEntries", strconv.FormatInt(w.totals.entries, 10))
	p.Text("TotalDebit", w.totals.debit.Decimal(w.base))
	p.Text("TotalCredit", w.totals.credit.Decimal(w.base))
	p.Open("Journal")
	p.Text("JournalID", w.batch.Series)
	p.Text("Description", w.options.VoucherType)
	p.Text("Type", "GL")
	return errors.Join(p.Flush(content), p.Err())
}

func (w *writer) appendHeader(p *xmldoc.Piece) {
	o := w.options
	p.Open("Header")
	p.Text("AuditFileVersion", "1.30")
	p.Text("AuditFileCountry", country)
	p.Text("AuditFileDateCreated", w.batch.CreatedAt.Format(time.DateOnly))
	p.Text("SoftwareCompanyName", texts.CutCharacters(w.batch.Program, maxMiddle2))
	p.Text("SoftwareID", texts.CutCharacters(w.batch.Program, maxLong))
	p.Text("SoftwareVersion", texts.CutCharacters(w.batch.ProgramVersion, maxShort))
	p.Open("Company")
	p.Text("RegistrationNumber", o.RegistrationNumber)
	p.Text("Name", o.CompanyName)
	p.Open("Address")
	p.Optional("StreetName", o.StreetName)
	p.Optional("City", o.City)
	p.Optional("PostalCode", o.PostalCode)
	p.Text("Country", country)
	p.Close()
	p.Open("Contact")
	p.Open("ContactPerson")
	p.Text("FirstName", o.ContactFirstName)
	p.Text("LastName", o.ContactLastName)
	p.Close()
	p.Optional("Telephone", o.ContactTelephone)
	p.Optional("Email", o.ContactEmail)
	p.Close()
	if o.VATRegistered {
		p.Open("TaxRegistration")
		p.Text("TaxRegistrationNumber", o.RegistrationNumber+"MVA")
		p.Close()
	}
	p.Close()
	p.Text("DefaultCurrencyCode", w.base.Code())
	first, last := w.totals.first, w.totals.last
	if w.totals.entries == 0 {
		first, last = w.batch.Cutoff, w.batch.Cutoff
	}
	p.Open("SelectionCriteria")
	p.Text("SelectionStartDate", first.Format(time.DateOnly))
	p.Text("SelectionEndDate", last.Format(time.DateOnly))
	p.Close()
	p.Text("HeaderComment", texts.CutCharacters(fmt.Sprintf("Expense claims of the run %s of the export %s/%s", w.batch.Run, w.batch.Namespace, w.batch.Export), maxLong))
	p.Text("TaxAccountingBasis", "A") // accounting
	p.Close()
}

// appendAccounts lists the accounts of the chart. The file is that of a run, so each opens with nothing and closes with
// what the run posted.
func (w *writer) appendAccounts(p *xmldoc.Piece) {
	p.Open("GeneralLedgerAccounts")
	for _, account := range w.batch.Books.Accounts {
		g, _ := w.options.grouping(account.Number) // Begin has checked it
		p.Open("Account")
		p.Text("AccountID", account.Number)
		p.Text("AccountDescription", account.Name)
		p.Text("GroupingCategory", g.Category)
		p.Text("GroupingCode", g.Code)
		p.Text("AccountType", "GL")
		p.Text("OpeningDebitBalance", ledger.Amount(0).Decimal(w.base))
		if balance := w.balances[account.Number]; balance < 0 {
			p.Text("ClosingCreditBalance", (-balance).Decimal(w.base))
		} else {
			p.Text("ClosingDebitBalance", balance.Decimal(w.base))
		}
		p.Close()
	}
	p.Close()
}

func (w *writer) appendTaxTable(p *xmldoc.Piece) {
	if len(w.batch.Books.TaxCodes) == 0 {
		return
	}
	p.Open("TaxTable")
	p.Open("TaxTableEntry")
	p.Text("TaxType", taxType)
	p.Text("Description", "Merverdiavgift")
	for _, code := range w.batch.Books.TaxCodes {
		p.Open("TaxCodeDetails")
		p.Text("TaxCode", code.Code)
		p.Text("TaxPercentage", code.Rate)
		p.Text("Country", country)
		p.Text("StandardTaxCode", w.options.StandardTaxCodes[code.Code])
		p.Text("BaseRate", cmp.Or(code.Deductible, "100"))
		p.Close()
	}
	p.Close()
	p.Close()
}

// writeAnalyses lists what the transactions refer to, one at a time: there may be many. The claims have codes alone, so that a code is
// its own description.
func (w *writer) writeAnalyses(p *xmldoc.Piece, content io.Writer) error {
	if w.analyses.Empty() {
		return nil
	}
	names := map[string]string{}
	for name, kind := range w.options.AnalysisTypes {
		names[kind] = name
	}
	p.Open("AnalysisTypeTable")
	for a := range w.analyses.Sorted(func(a, b analysis) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id)) }) {
		p.Open("AnalysisTypeTableEntry")
		p.Text("AnalysisType", a.kind)
		p.Text("AnalysisTypeDescription", names[a.kind])
		p.Text("AnalysisID", a.id)
		p.Text("AnalysisIDDescription", a.id)
		p.Close()
		if err := p.Flush(content); err != nil {
			return err
		}
	}
	p.Close()
	return nil
}
