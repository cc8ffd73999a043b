package datev

import (
	"fmt"
	"strings"
)

// Columns that are written behind the first ten, counted from 1 as DATEV counts them.
const (
	columnDate        = 10
	columnVoucher     = 11
	columnText        = 14
	columnReceipt     = 20
	columnCostCenter  = 37
	columnCostObject  = 38
	columnInformation = 48 // four kinds, each with what it says in the next column
	columnLocked      = 114
	columnTaxPeriod   = 116 // behind the service date
	columnReversal    = 118
	columnCount       = 125
)

// column of a booking row. A text is always between quotes, also if it is empty; anything else never.
type column struct {
	name string
	text bool
}

// columns are those of format version 13, named as in DATEV's sample file, its uneven hyphens included.
var columns = func() []column {
	var all []column
	add := func(text bool, names string) {
		for name := range strings.SplitSeq(names, ";") {
			all = append(all, column{name, text})
		}
	}
	add(false, "Umsatz (ohne Soll/Haben-Kz)")
	add(true, "Soll/Haben-Kennzeichen;WKZ Umsatz")
	add(false, "Kurs;Basis-Umsatz")
	add(true, "WKZ Basis-Umsatz")
	add(false, "Konto;Gegenkonto (ohne BU-Schlüssel)")
	add(true, "BU-Schlüssel")
	add(false, "Belegdatum")
	add(true, "Belegfeld 1;Belegfeld 2")
	add(false, "Skonto")
	add(true, "Buchungstext")
	add(false, "Postensperre")
	add(true, "Diverse Adressnummer")
	add(false, "Geschäftspartnerbank;Sachverhalt;Zinssperre")
	add(true, "Beleglink")
	for i := range 8 {
		add(true, fmt.Sprintf("Beleginfo - Art %d;Beleginfo - Inhalt %[1]d", i+1))
	}
	add(true, "KOST1 - Kostenstelle;KOST2 - Kostenstelle")
	add(false, "Kost-Menge")
	add(true, "EU-Land u. UStID (Bestimmung)")
	add(false, "EU-Steuersatz (Bestimmung)")
	add(true, "Abw. Versteuerungsart")
	add(false, "Sachverhalt L+L;Funktionsergänzung L+L;BU 49 Hauptfunktionstyp;BU 49 Hauptfunktionsnummer;BU 49 Funktionsergänzung")
	for i := range 20 {
		add(true, fmt.Sprintf("Zusatzinformation - Art %d;Zusatzinformation- Inhalt %[1]d", i+1))
	}
	add(false, "Stück;Gewicht;Zahlweise")
	add(true, "Forderungsart")
	add(false, "Veranlagungsjahr;Zugeordnete Fälligkeit;Skontotyp")
	add(true, "Auftragsnummer;Buchungstyp")
	add(false, "USt-Schlüssel (Anzahlungen)")
	add(true, "EU-Land (Anzahlungen)")
	add(false, "Sachverhalt L+L (Anzahlungen);EU-Steuersatz (Anzahlungen);Erlöskonto (Anzahlungen)")
	add(true, "Herkunft-Kz;Buchungs GUID")
	add(false, "KOST-Datum")
	add(true, "SEPA-Mandatsreferenz")
	add(false, "Skontosperre")
	add(true, "Gesellschaftername")
	add(false, "Beteiligtennummer")
	add(true, "Identifikationsnummer;Zeichnernummer")
	add(false, "Postensperre bis")
	add(true, "Bezeichnung SoBil-Sachverhalt")
	add(false, "Kennzeichen SoBil-Buchung;Festschreibung;Leistungsdatum;Datum Zuord. Steuerperiode;Fälligkeit")
	add(true, "Generalumkehr (GU)")
	add(false, "Steuersatz")
	add(true, "Land;Abrechnungsreferenz")
	add(false, "BVV-Position")
	add(true, "EU-Land u. UStID (Ursprung)")
	add(false, "EU-Steuersatz (Ursprung);Abw. Skontokonto")
	return all
}()

// empty returns the columns between two that are written, with the delimiters on both of their sides.
func empty(after, before int) string {
	var b strings.Builder
	for _, c := range columns[after : before-1] {
		b.WriteByte(delimiter)
		if c.text {
			b.WriteString(`""`)
		}
	}
	if before <= columnCount {
		b.WriteByte(delimiter)
	}
	return b.String()
}

// names of the columns, as the second line of a file has them.
func names() string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.name
	}
	return strings.Join(all, string(delimiter))
}
