package pain001

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// payment is what one voucher owes.
type payment struct {
	id, name, text string
	amount         ledger.Amount
	currency       ledger.Currency
	to             account
	bic            string
	address        ledger.Address
}

// maxSEPA is the largest payment of SEPA, 999,999,999.99 EUR, in cents.
const maxSEPA ledger.Amount = 99_999_999_999

// pay says what is to be paid for a voucher, or why nothing can be.
func (w *writer) pay(voucher *ledger.Voucher) (p payment, err error) {
	p = payment{id: voucher.ID(), currency: voucher.Currency}
	amount, base := voucher.Payable()
	p.amount = amount
	if w.options.PayIn == payInBooks {
		p.amount, p.currency = base, voucher.BaseCurrency
	}
	sepa := w.options.ServiceLevel == sepaLevel
	switch {
	case voucher.Reverses != "":
		return p, exporters.Unsupported(voucher, "the voucher reverses %s, and a payment cannot be taken back by a file; if it was paid, settle it with the claimant", voucher.Reverses)
	case amount == 0, p.amount == 0:
		return p, exporters.Unsupported(voucher, "nothing is payable")
	case p.amount < 0:
		return p, exporters.Unsupported(voucher, "the claimant owes, and a payment file collects nothing; settle the claim with the claimant or with another claim")
	case sepa && p.currency.Code() != "EUR":
		return p, exporters.Unsupported(voucher, "the claim would be paid in %s, and SEPA pays in EUR; if the books are in EUR, set the option payIn to books, else use an export without serviceLevel SEPA",
			p.currency.Code())
	case sepa && p.amount > maxSEPA:
		return p, exporters.Unsupported(voucher, "the claim is larger than the largest payment of SEPA")
	case !isIdentifier(p.id):
		return p, exporters.Unsupported(voucher, "the voucher's id cannot identify a payment: at most %d characters that every bank takes; see spec.voucherSeries of the export", maxIdentifier)
	}
	if err := w.route(voucher, &p); err != nil {
		return p, err
	}
	if p.name, err = w.options.text(voucher.ClaimantName, maxName); err != nil {
		return p, exporters.Unsupported(voucher, "claimant_name of the claim %s; change it in the application", err)
	}
	if p.name == "" {
		return p, exporters.Unsupported(voucher, "claimant_name of the claim is missing; add it in the application")
	}
	if p.text, err = w.remittance(voucher); err != nil {
		return p, exporters.Unsupported(voucher, "the text for the claimant %s; change it in the application, or leave it out of the option remittance", err)
	}
	return p, nil
}

var bic = regexp.MustCompile(`^[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?$`)

// route says where a payment goes to: account, bank and address.
func (w *writer) route(voucher *ledger.Voucher, p *payment) error {
	var problem string
	if p.to, problem = parseAccount(voucher.ClaimantIBAN, w.options.DomesticAccounts); problem != "" {
		return exporters.Unsupported(voucher, "claimant_iban of the claim %s; correct it in the application", problem)
	}
	country := p.to.country()
	if p.bic = strings.TrimSpace(voucher.ClaimantBIC); p.bic != "" && !bic.MatchString(p.bic) {
		return exporters.Unsupported(voucher, "claimant_bic of the claim is not a BIC of 8 or 11 characters; correct it in the application")
	}
	if w.options.CreditorAddresses != noAddresses {
		if p.address, problem = w.options.address(voucher.ClaimantAddress); problem != "" {
			return exporters.Unsupported(voucher, "claimant_address of the claim %s; correct it in the application, or leave addresses out by the option creditorAddresses", problem)
		}
	}
	switch {
	case w.options.ServiceLevel == sepaLevel && country != "" && !inSEPA(country):
		return exporters.Unsupported(voucher, "claimant_iban of the claim is in %s, which is not a country of SEPA; use an export without serviceLevel SEPA", country)
	case country != "" && !inSEPA(country) && country != w.debtor.country() && p.bic == "":
		return exporters.Unsupported(voucher, "claimant_iban of the claim is in %s, where an IBAN alone is not enough; add claimant_bic in the application", country)
	case w.options.addressesRequired() && p.address == (ledger.Address{}):
		return exporters.Unsupported(voucher, "claimant_address of the claim is missing, and the bank wants it; add it in the application with town and country")
	case needsDebtorAddress(w.debtor, p.to) && w.options.DebtorAddress == (debtorAddress{}):
		return exporters.Unsupported(voucher, "the payment goes from %s to %s, and needs the payer's address where a side is outside the EEA; set the option debtorAddress",
			w.debtor.country(), country)
	}
	return nil
}

// isSettled reports whether a voucher owes nothing because others have paid, or because the claimant was paid before.
func isSettled(voucher *ledger.Voucher) bool {
	owed, _ := voucher.Payable()
	return owed == 0 && slices.ContainsFunc(voucher.Postings, func(p ledger.Posting) bool {
		return p.Kind == ledger.PaidPosting || p.Kind == ledger.AdvancePosting
	})
}

func (w *writer) remittance(voucher *ledger.Voucher) (string, error) {
	filled := strings.NewReplacer("{voucher}", voucher.ID(), "{claim}", voucher.ClaimID, "{text}", voucher.Text).Replace(w.options.Remittance)
	return w.options.text(filled, maxRemittance)
}

// text converts a text, and cuts it.
func (o *options) text(text string, most int) (string, error) {
	converted, err := o.convert(text)
	return strings.TrimSpace(texts.CutCharacters(strings.TrimSpace(converted), most)), err
}

// appendPayment writes CdtTrfTxInf. It has a CdtrAgt where the claim names the bank: what is paid to an IBAN within SEPA, or within
// a country, needs none.
func (w *writer) appendPayment(p payment) {
	w.payment.Reset(depthOfPayment)
	w.payment.Open("CdtTrfTxInf")
	w.payment.Open("PmtId")
	w.payment.Text("EndToEndId", p.id)
	w.payment.Close()
	w.payment.Open("Amt")
	w.payment.Text("InstdAmt", p.amount.Decimal(p.currency), "Ccy", p.currency.Code())
	w.payment.Close()
	if p.bic != "" {
		w.payment.Open("CdtrAgt")
		w.payment.Open("FinInstnId")
		w.payment.Text("BICFI", p.bic)
		w.payment.Close()
		w.payment.Close()
	}
	w.payment.Open("Cdtr")
	w.payment.Text("Nm", p.name)
	appendAddress(&w.payment, p.address)
	w.payment.Close()
	appendAccount(&w.payment, "CdtrAcct", p.to)
	if p.text != "" {
		w.payment.Open("RmtInf")
		w.payment.Text("Ustrd", p.text)
		w.payment.Close()
	}
	w.payment.Close()
}

func appendAccount(to *xmldoc.Piece, element string, a account) {
	to.Open(element)
	to.Open("Id")
	if a.iban {
		to.Text("IBAN", a.number)
	} else {
		to.Open("Othr")
		to.Text("Id", a.number)
		to.Open("SchmeNm")
		to.Text("Cd", "BBAN")
		to.Close()
		to.Close()
	}
	to.Close()
	to.Close()
}
