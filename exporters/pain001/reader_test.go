package pain001

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// document is what these tests expect in a file, and no other element.
type document struct {
	XMLName    xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09 Document"`
	Initiation struct {
		Header struct {
			ID       string `xml:"MsgId"`
			Created  string `xml:"CreDtTm"`
			Payments int    `xml:"NbOfTxs"`
			Sum      string `xml:"CtrlSum"`
			Party    struct {
				Name       string `xml:"Nm"`
				Identifier string `xml:"Id>OrgId>Othr>Id"`
				Scheme     string `xml:"Id>OrgId>Othr>SchmeNm>Cd"`
			} `xml:"InitgPty"`
		} `xml:"GrpHdr"`
		Groups []paymentGroup `xml:"PmtInf"`
	} `xml:"CstmrCdtTrfInitn"`
}

type paymentGroup struct {
	ID           string        `xml:"PmtInfId"`
	Method       string        `xml:"PmtMtd"`
	Batch        bool          `xml:"BtchBookg"`
	Payments     int           `xml:"NbOfTxs"`
	Sum          string        `xml:"CtrlSum"`
	ServiceLevel string        `xml:"PmtTpInf>SvcLvl>Cd"`
	Purpose      string        `xml:"PmtTpInf>CtgyPurp>Cd"`
	Date         string        `xml:"ReqdExctnDt>Dt"`
	Debtor       string        `xml:"Dbtr>Nm"`
	Address      readAddress   `xml:"Dbtr>PstlAdr"`
	Account      readAccount   `xml:"DbtrAcct>Id"`
	BIC          string        `xml:"DbtrAgt>FinInstnId>BICFI"`
	NoBIC        string        `xml:"DbtrAgt>FinInstnId>Othr>Id"`
	Charges      string        `xml:"ChrgBr"`
	Transfers    []readPayment `xml:"CdtTrfTxInf"`
}

type readPayment struct {
	ID     string `xml:"PmtId>EndToEndId"`
	Amount struct {
		Currency string `xml:"Ccy,attr"`
		Decimal  string `xml:",chardata"`
	} `xml:"Amt>InstdAmt"`
	BIC     string      `xml:"CdtrAgt>FinInstnId>BICFI"`
	Name    string      `xml:"Cdtr>Nm"`
	Address readAddress `xml:"Cdtr>PstlAdr"`
	Account readAccount `xml:"CdtrAcct>Id"`
	Text    *string     `xml:"RmtInf>Ustrd"`
}

type readAddress struct {
	Street   string `xml:"StrtNm"`
	Building string `xml:"BldgNb"`
	PostCode string `xml:"PstCd"`
	Town     string `xml:"TwnNm"`
	Country  string `xml:"Ctry"`
}

type readAccount struct {
	IBAN   string `xml:"IBAN"`
	Number string `xml:"Othr>Id"`
	Scheme string `xml:"Othr>SchmeNm>Cd"`
}

var sepaText = regexp.MustCompile(`^[a-zA-Z0-9/?:().,'+ -]+$`)

// read reads a file strictly, by the rules of the standard that an XSD cannot say.
func read(content []byte) (*document, error) {
	d := &document{}
	if err := xml.NewDecoder(bytes.NewReader(content)).Decode(d); err != nil {
		return nil, err
	}
	header, ids := d.Initiation.Header, map[string]bool{}
	if _, err := time.Parse(time.RFC3339, header.Created); err != nil {
		return nil, err
	}
	payments, total := 0, new(apd.Decimal)
	for _, group := range d.Initiation.Groups {
		sum, err := group.check(ids)
		if err != nil {
			return nil, fmt.Errorf("PmtInf %s: %w", group.ID, err)
		}
		if err := checkIdentifier(group.ID, ids); err != nil {
			return nil, err
		}
		payments += group.Payments
		if _, err := apd.BaseContext.Add(total, total, sum); err != nil {
			return nil, err
		}
	}
	sum, _, err := apd.NewFromString(header.Sum)
	if err != nil || sum.Cmp(total) != 0 || sum.NumDigits() > 18 || header.Payments != payments || payments == 0 {
		return nil, fmt.Errorf("GrpHdr says %d payments of %s, and PmtInf %d of %s (%w)", header.Payments, header.Sum, payments, total, err)
	}
	return d, checkIdentifier(header.ID, ids)
}

func (g *paymentGroup) check(ids map[string]bool) (*apd.Decimal, error) {
	total := new(apd.Decimal)
	for _, transfer := range g.Transfers {
		amount, _, err := apd.NewFromString(transfer.Amount.Decimal)
		if err != nil || amount.Sign() <= 0 || transfer.Amount.Currency != g.Transfers[0].Amount.Currency {
			return nil, fmt.Errorf("%s pays %s %s (%w)", transfer.ID, transfer.Amount.Decimal, transfer.Amount.Currency, err)
		}
		if _, err := apd.BaseContext.Add(total, total, amount); err != nil {
			return nil, err
		}
		if err := checkIdentifier(transfer.ID, ids); err != nil {
			return nil, err
		}
		if err := transfer.Account.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", transfer.ID, err)
		}
	}
	sum, _, err := apd.NewFromString(g.Sum)
	if err != nil || sum.Cmp(total) != 0 || g.Payments != len(g.Transfers) || g.Payments == 0 || g.Method != "TRF" {
		return nil, fmt.Errorf("it says %d payments of %s, and has %d of %s (%w)", g.Payments, g.Sum, len(g.Transfers), total, err)
	}
	return sum, g.Account.check()
}

// checkIdentifier insists that an identifier occurs once and can be one.
func checkIdentifier(id string, ids map[string]bool) error {
	if ids[id] || len(id) > 35 || !sepaText.MatchString(id) || strings.Contains("/"+id+"/", "//") {
		return fmt.Errorf("the identifier %q occurs twice, or cannot be one", id)
	}
	ids[id] = true
	return nil
}

// check computes the check digits as ISO 13616 describes it, with the number that the whole IBAN stands for.
func (a readAccount) check() error {
	if a.IBAN == "" {
		if a.Number == "" || a.Scheme != "BBAN" {
			return fmt.Errorf("there is no account")
		}
		return nil
	}
	var number strings.Builder
	for _, c := range a.IBAN[4:] + a.IBAN[:4] {
		if c >= 'A' {
			c -= 'A' - 10
		} else {
			c -= '0'
		}
		fmt.Fprint(&number, int(c))
	}
	value, ok := new(big.Int).SetString(number.String(), 10)
	if !ok || new(big.Int).Mod(value, big.NewInt(97)).Int64() != 1 {
		return fmt.Errorf("an IBAN has wrong check digits")
	}
	return nil
}

// readBack returns the payments of an artifact to the suite that every exporter must pass.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		d, err := read(file.Content)
		if err != nil {
			return nil, err
		}
		for _, group := range d.Initiation.Groups {
			for _, transfer := range group.Transfers {
				currency, err := ledger.ParseCurrency(transfer.Amount.Currency)
				if err != nil {
					return nil, err
				}
				amount, err := ledger.ParseAmount(transfer.Amount.Decimal, currency)
				if err != nil {
					return nil, err
				}
				found = append(found, conformance.Found{Currency: currency.Code(), Owed: amount})
			}
		}
	}
	return found, nil
}
