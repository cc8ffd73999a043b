package pain001

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// options of the exporter. docs/exporters/pain001.md has a table of them, made by make generate.
type options struct {
	// Name of the organisation that pays, as its bank has it: at most 70 characters.
	DebtorName string `json:"debtorName" required:"true"`
	// Account that pays: an IBAN, or an account number of digits.
	DebtorAccount string `json:"debtorAccount" required:"true"`
	// BIC of the bank of that account. Accounts of Switzerland and Liechtenstein must have it.
	DebtorBIC string `json:"debtorBIC" absent:"none: the bank finds it by the IBAN" form:"^([A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?)?$" otherwise:"is not a BIC of 8 or 11 characters"`
	// Where the payer is. Payments across a border with a side outside the EEA, as in Switzerland or Britain, are held without.
	DebtorAddress debtorAddress `json:"debtorAddress" absent:"none"`
	// Addresses of claimants, from `claimant_address`: `given`: where a claim has one; `required`: claims without are held;
	// `none`: never in the file.
	CreditorAddresses string `json:"creditorAddresses" default:"given" choices:"given|required|none"`
	// Rules of the banks of a country, beside the standard: `CH` (Swiss Payment Standards) needs `debtorBIC`; `SE` needs
	// `initiatingPartyID`, and holds claims without an address.
	Profile string `json:"profile" default:"none" choices:"none|CH|SE"`
	// Name of the sender of the file, if that is not the debtor.
	InitiatingParty string `json:"initiatingParty" absent:"debtorName"`
	// Number by which the bank knows the sender.
	InitiatingPartyID string `json:"initiatingPartyID" absent:"none"`
	// What kind of number that is: `CUST`, `BANK` or another code of the ISO list of organisation identifications.
	InitiatingPartyScheme string `json:"initiatingPartyScheme" default:"CUST" form:"^[A-Z0-9]{0,4}$" otherwise:"is not a code of at most four capitals and digits"`
	// Days from the run to the requested execution date. A Saturday or Sunday becomes the Monday after it.
	ExecutionDays int `json:"executionDays" default:"1" range:"0 to 366"`
	// `SEPA`, `NURG`, `URGP` or another code of the ISO list of service levels. With `SEPA`, payments in other currencies
	// than EUR are held.
	ServiceLevel string `json:"serviceLevel" absent:"none: as agreed with the bank" form:"^[A-Z0-9]{0,4}$" otherwise:"is not a code of at most four capitals and digits"`
	// In which currency claims are paid: `claim`: each in its own; `books`: all in that of the books, at the application's rate, which is
	// what the books owe
	PayIn string `json:"payIn" default:"claim" choices:"claim|books"`
	// Category purpose, such as `SUPP` or `SALA`.
	CategoryPurpose string `json:"categoryPurpose" absent:"none" form:"^[A-Z0-9]{0,4}$" otherwise:"is not a code of at most four capitals and digits"`
	// Who pays the charges: `SLEV` (as the service level says), `SHAR`, `DEBT` or `CRED`.
	ChargeBearer string `json:"chargeBearer" default:"SLEV" choices:"SLEV|SHAR|DEBT|CRED"`
	// Whether the bank books one sum for each currency, or each payment.
	BatchBooking bool `json:"batchBooking" default:"true"`
	// Which accounts of claimants other than IBANs are paid: `none`; `NO`: Norwegian ones, 11 digits with a check digit; `any`:
	// numbers of 4 to 34 digits, which the bank alone checks
	DomesticAccounts string `json:"domesticAccounts" default:"none" choices:"none|NO|any"`
	// What the claimant reads on the statement, at most 140 characters, with `{voucher}`, `{claim}` and `{text}`, the text of
	// the voucher. The option has at most 500 bytes
	Remittance string `json:"remittance" default:"{voucher} {text}"`
	// `sepa`: the letters, digits and signs that every bank takes, others are transliterated; `utf-8`: names and texts as they
	// are, where the bank takes that
	Characters string `json:"characters" default:"sepa" choices:"sepa|utf-8"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.xml" fileName:"true"`
}

const (
	unicodeCharacters = "utf-8"

	norwegianDomestic = "NO"
	anyDomestic       = "any"

	sepaLevel = "SEPA"

	payInBooks = "books"

	requiredAddresses = "required"
	noAddresses       = "none"
	swissProfile      = "CH"
	swedishProfile    = "SE"

	maxName       = 70
	maxIdentifier = 35
	maxRemittance = 140
	// maxTemplate bounds remittance with its names in braces, each of which may stand for a long text.
	maxTemplate = 500
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked, and completes the initiating party.
func (o *options) Check() error {
	var problems []error
	if o.InitiatingParty == "" {
		o.InitiatingParty = o.DebtorName
	}
	if o.InitiatingPartyID != "" && (!isIdentifier(o.InitiatingPartyID) || o.InitiatingPartyScheme == "") {
		problems = append(problems, &exporters.OptionError{Field: "initiatingPartyID",
			Problem: "is not a number of at most 35 characters that every bank takes, with an initiatingPartyScheme"})
	}
	return errors.Join(append(problems, o.checkDebtor(), o.checkProfile(), o.checkNames())...)
}

// checkDebtor checks where the money comes from, and puts its address into the characters of the file.
func (o *options) checkDebtor() error {
	debtor, problem := parseAccount(o.DebtorAccount, anyDomestic)
	switch country := debtor.country(); {
	case problem != "":
		return &exporters.OptionError{Field: "debtorAccount", Problem: problem}
	case o.ServiceLevel == sepaLevel && country != "" && !inSEPA(country):
		return &exporters.OptionError{Field: "debtorAccount", Problem: "is in " + country + ", which is not a country of SEPA, and serviceLevel is SEPA"}
	case (country == "CH" || country == "LI") && o.DebtorBIC == "":
		return &exporters.OptionError{Field: "debtorBIC", Problem: "is missing: banks of Switzerland and Liechtenstein do not find it by the IBAN (Swiss Payment Standards)"}
	}
	address, problem := o.address(ledger.Address(o.DebtorAddress))
	if problem != "" {
		return &exporters.OptionError{Field: "debtorAddress", Problem: problem}
	}
	o.DebtorAddress = debtorAddress(address)
	return nil
}

func (o *options) checkProfile() error {
	switch {
	case o.Profile == swissProfile && o.DebtorBIC == "":
		return &exporters.OptionError{Field: "debtorBIC", Problem: "is missing, and profile CH needs it: its schema has no other way to name a bank"}
	case o.Profile == swedishProfile && o.InitiatingPartyID == "":
		return &exporters.OptionError{Field: "initiatingPartyID", Problem: "is missing, and profile SE needs it"}
	case o.Profile == swedishProfile && o.CreditorAddresses == noAddresses:
		return &exporters.OptionError{Field: "creditorAddresses", Problem: "is none, and profile SE needs the addresses of claimants"}
	}
	return nil
}

// addressesRequired reports whether a claim without an address has to wait.
func (o *options) addressesRequired() bool {
	return o.CreditorAddresses == requiredAddresses || o.Profile == swedishProfile
}

// checkNames puts the texts of the options into the characters of the file.
func (o *options) checkNames() error {
	for _, option := range []struct {
		field string
		value *string
		most  int
	}{{"debtorName", &o.DebtorName, maxName}, {"initiatingParty", &o.InitiatingParty, maxName}, {"remittance", &o.Remittance, maxRemittance}} {
		text := *option.value
		if option.field == "remittance" {
			if len(text) > maxTemplate {
				return &exporters.OptionError{Field: option.field, Problem: fmt.Sprintf("has more than %d bytes", maxTemplate)}
			}
			text = strings.NewReplacer("{voucher}", "", "{claim}", "", "{text}", "").Replace(text)
		}
		converted, err := o.convert(text)
		if err != nil {
			return &exporters.OptionError{Field: option.field, Problem: err.Error()}
		}
		if utf8.RuneCountInString(converted) > option.most {
			return &exporters.OptionError{Field: option.field, Problem: fmt.Sprintf("has more than %d characters", option.most)}
		}
		if option.field != "remittance" {
			*option.value = converted
		}
	}
	if strings.TrimSpace(o.DebtorName) == "" || strings.TrimSpace(o.InitiatingParty) == "" {
		return &exporters.OptionError{Field: "debtorName", Problem: "has no character that every bank takes"}
	}
	return nil
}
