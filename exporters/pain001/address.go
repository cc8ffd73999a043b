package pain001

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// debtorAddress is an option.
type debtorAddress struct {
	// Street of the payer, as in `debtorAddress: {street: Storgatan, building: "7", postCode: 211 42, town: Malmö, country: SE}`.
	Street string `json:"street" absent:"none"`
	// Number of the house.
	Building string `json:"building" absent:"none"`
	// Post code.
	PostCode string `json:"postCode" absent:"none"`
	// Town. An address has at least town and country.
	Town string `json:"town" absent:"none"`
	// Country, a code of ISO 3166 of two capital letters.
	Country string `json:"country" absent:"none"`
}

// Bounds of the parts of an address, in characters.
const (
	maxStreet   = 70
	maxTown     = 35
	maxBuilding = 16 // and post codes
)

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

// address puts an address into the characters of the file, or says what is wrong with it. Town and country are the least: from
// November 2026 on banks refuse addresses that do not have them in elements of their own (EPC153-22, CBPR+).
func (o *options) address(from ledger.Address) (a ledger.Address, problem string) {
	if from == (ledger.Address{}) {
		return a, ""
	}
	for _, part := range []struct {
		name string
		from string
		to   *string
		most int
		cut  bool
	}{
		{"street", from.Street, &a.Street, maxStreet, true}, {"building", from.Building, &a.Building, maxBuilding, false},
		{"post code", from.PostCode, &a.PostCode, maxBuilding, false}, {"town", from.Town, &a.Town, maxTown, true},
	} {
		text, err := o.convert(part.from)
		if text = strings.TrimSpace(text); part.cut {
			text = strings.TrimSpace(texts.CutCharacters(text, part.most))
		}
		switch {
		case err != nil:
			return a, fmt.Sprintf("has a %s that %s", part.name, err)
		case utf8.RuneCountInString(text) > part.most:
			return a, fmt.Sprintf("has a %s of more than %d characters", part.name, part.most)
		}
		*part.to = text
	}
	if a.Country = strings.TrimSpace(from.Country); a.Country != "" && !countryCode.MatchString(a.Country) {
		return a, "has a country that is not a code of two capital letters, such as SE"
	}
	if a.Town == "" || a.Country == "" {
		return a, "lacks its town or its country, and banks refuse such an address"
	}
	return a, ""
}

func appendAddress(to *xmldoc.Piece, a ledger.Address) {
	if a == (ledger.Address{}) {
		return
	}
	to.Open("PstlAdr")
	to.Optional("StrtNm", a.Street)
	to.Optional("BldgNb", a.Building)
	to.Optional("PstCd", a.PostCode)
	to.Text("TwnNm", a.Town)
	to.Text("Ctry", a.Country)
	to.Close()
}
