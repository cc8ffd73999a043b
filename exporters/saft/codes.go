package saft

import (
	_ "embed"
	"strings"
)

// noCode is for what has no code in a list.
const noCode = "NA"

// groupingsList has a line for each grouping category of SAF-T 1.3, with its codes behind it: those of the lists of the tax
// authority for companies (naeringsspesifikasjon), the state (STAT) and municipalities (KOSTRA, 2024). They are published at
// github.com/Skatteetaten/saf-t.
//
//go:embed groupings.txt
var groupingsList string

// groupingCodes are the codes of each category.
var groupingCodes = func() map[string]map[string]bool {
	categories := map[string]map[string]bool{noCode: {noCode: true}}
	for line := range strings.Lines(groupingsList) {
		fields := strings.Fields(line)
		codes := map[string]bool{}
		for _, code := range fields[1:] {
			codes[code] = true
		}
		categories[fields[0]] = codes
	}
	return categories
}()

// standardTaxCodes are those of Standard_Tax_Codes.csv, published there too.
var standardTaxCodes = func() map[string]bool {
	codes := map[string]bool{noCode: true}
	for code := range strings.FieldsSeq("0 1 11 12 13 14 15 20 21 22 3 31 32 33 5 51 52 6 7 81 82 83 84 85 86 87 88 89 91 92") {
		codes[code] = true
	}
	return codes
}()
