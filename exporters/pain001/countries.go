package pain001

import "strings"

// ibanLengths are the countries of the IBAN registry (ISO 13616), and how many characters an IBAN has in each.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
	"CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
	"GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
	"LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24,
	"SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

const (
	// economicArea are the countries of the European Economic Area.
	economicArea = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
	// otherSEPA are the others of SEPA (EPC409-09, list of SEPA scheme countries).
	otherSEPA = "AD AL CH GB GI MC MD ME MK RS SM VA"
)

func inEconomicArea(country string) bool { return strings.Contains(economicArea, country) }

func inSEPA(country string) bool {
	return inEconomicArea(country) || strings.Contains(otherSEPA, country)
}

// country in which the account is; empty where only the bank knows.
func (a account) country() string {
	if !a.iban {
		return ""
	}
	return a.number[:2]
}

// needsDebtorAddress reports whether the payer's address must be with a payment between two accounts: where one of them is outside
// the European Economic Area, and the payment crosses a border (Regulation (EU) 2023/1113, articles 4 and 5; EPC132-08).
func needsDebtorAddress(from, to account) bool {
	a, b := from.country(), to.country()
	return a != "" && b != "" && a != b && (!inEconomicArea(a) || !inEconomicArea(b))
}
