package datev

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// batch is a file, read strictly by the format description and by nothing that the exporter knows.
type batch struct {
	head     []string   // 31 fields, without quotes
	bookings [][]string // 125 columns each, without quotes; index 0 is column 1
}

// officialColumns is the second line of DATEV's sample file for format version 13.
const officialColumns = "Umsatz (ohne Soll/Haben-Kz);Soll/Haben-Kennzeichen;WKZ Umsatz;Kurs;Basis-Umsatz;WKZ Basis-Umsatz;Konto;" +
	"Gegenkonto (ohne BU-Schlüssel);BU-Schlüssel;Belegdatum;Belegfeld 1;Belegfeld 2;Skonto;Buchungstext;Postensperre;Diverse Adressnummer;" +
	"Geschäftspartnerbank;Sachverhalt;Zinssperre;Beleglink;Beleginfo - Art 1;Beleginfo - Inhalt 1;Beleginfo - Art 2;Beleginfo - Inhalt 2;" +
	"Beleginfo - Art 3;Beleginfo - Inhalt 3;Beleginfo - Art 4;Beleginfo - Inhalt 4;Beleginfo - Art 5;Beleginfo - Inhalt 5;Beleginfo - Art 6;" +
	"Beleginfo - Inhalt 6;Beleginfo - Art 7;Beleginfo - Inhalt 7;Beleginfo - Art 8;Beleginfo - Inhalt 8;KOST1 - Kostenstelle;" +
	"KOST2 - Kostenstelle;Kost-Menge;EU-Land u. UStID (Bestimmung);EU-Steuersatz (Bestimmung);Abw. Versteuerungsart;Sachverhalt L+L;" +
	"Funktionsergänzung L+L;BU 49 Hauptfunktionstyp;BU 49 Hauptfunktionsnummer;BU 49 Funktionsergänzung;Zusatzinformation - Art 1;" +
	"Zusatzinformation- Inhalt 1;Zusatzinformation - Art 2;Zusatzinformation- Inhalt 2;Zusatzinformation - Art 3;Zusatzinformation- Inhalt 3;" +
	"Zusatzinformation - Art 4;Zusatzinformation- Inhalt 4;Zusatzinformation - Art 5;Zusatzinformation- Inhalt 5;Zusatzinformation - Art 6;" +
	"Zusatzinformation- Inhalt 6;Zusatzinformation - Art 7;Zusatzinformation- Inhalt 7;Zusatzinformation - Art 8;Zusatzinformation- Inhalt 8;" +
	"Zusatzinformation - Art 9;Zusatzinformation- Inhalt 9;Zusatzinformation - Art 10;Zusatzinformation- Inhalt 10;Zusatzinformation - Art 11;" +
	"Zusatzinformation- Inhalt 11;Zusatzinformation - Art 12;Zusatzinformation- Inhalt 12;Zusatzinformation - Art 13;" +
	"Zusatzinformation- Inhalt 13;Zusatzinformation - Art 14;Zusatzinformation- Inhalt 14;Zusatzinformation - Art 15;" +
	"Zusatzinformation- Inhalt 15;Zusatzinformation - Art 16;Zusatzinformation- Inhalt 16;Zusatzinformation - Art 17;" +
	"Zusatzinformation- Inhalt 17;Zusatzinformation - Art 18;Zusatzinformation- Inhalt 18;Zusatzinformation - Art 19;" +
	"Zusatzinformation- Inhalt 19;Zusatzinformation - Art 20;Zusatzinformation- Inhalt 20;Stück;Gewicht;Zahlweise;Forderungsart;" +
	"Veranlagungsjahr;Zugeordnete Fälligkeit;Skontotyp;Auftragsnummer;Buchungstyp;USt-Schlüssel (Anzahlungen);EU-Land (Anzahlungen);" +
	"Sachverhalt L+L (Anzahlungen);EU-Steuersatz (Anzahlungen);Erlöskonto (Anzahlungen);Herkunft-Kz;Buchungs GUID;KOST-Datum;" +
	"SEPA-Mandatsreferenz;Skontosperre;Gesellschaftername;Beteiligtennummer;Identifikationsnummer;Zeichnernummer;Postensperre bis;" +
	"Bezeichnung SoBil-Sachverhalt;Kennzeichen SoBil-Buchung;Festschreibung;Leistungsdatum;Datum Zuord. Steuerperiode;Fälligkeit;" +
	"Generalumkehr (GU);Steuersatz;Land;Abrechnungsreferenz;BVV-Position;EU-Land u. UStID (Ursprung);EU-Steuersatz (Ursprung);Abw. Skontokonto"

// officialHead are the expressions of the 31 fields of the first line, for category 21.
var officialHead = []string{
	`"EXTF"`, `700`, `21`, `"Buchungsstapel"`, `13`, `20\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(2[0-3]|[01]\d)[0-5]\d[0-5]\d\d{3}`, ``,
	`"\w{0,2}"`, `"\w{0,25}"`, `"\w{0,25}"`, `\d{4,7}`, `\d{1,5}`, `20\d{6}`, `[4-8]`, `20\d{6}`, `20\d{6}`, `"[\w.\-/ ]{0,30}"`, `"([A-Z]{2}){0,2}"`,
	`[12]`, `0|30|40|50|64`, `0|1`, `"[A-Z]{3}"`, ``, `""`, ``, ``, `"(\d{2}){0,2}"`, `\d{0,4}`, ``, `""`, `".{0,16}"`,
}

// officialExpressions are those of the columns of a booking, by their numbers. Every other column must be empty here.
var officialExpressions = map[int]string{
	1: `\d{1,10},\d{2}`, 2: `"(S|H)"`, 3: `"[A-Z]{3}"`, 4: `([1-9]\d{0,3},\d{2,6})?`, 5: `(\d{1,10},\d{2})?`, 6: `"([A-Z]{3})?"`,
	7: `\d{1,9}`, 8: `\d{1,9}`, 9: `"(\d{1,4})?"`, 10: `(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])`, 11: `"[\w$&%*+\-/]{0,36}"`, 14: `"([^"]|""){0,60}"`,
	20: `"(BEDI ""[0-9A-Fa-f-]{36}"")?"`, 37: `"[\w ]{0,36}"`, 38: `"[\w ]{0,36}"`, 48: `".{0,20}"`, 49: `".{0,210}"`, 50: `".{0,20}"`, 51: `".{0,210}"`, 52: `".{0,20}"`, 53: `".{0,210}"`,
	54: `".{0,20}"`, 55: `".{0,210}"`, 114: `0|1`, 115: officialDate, 116: officialDate, 118: `"(0|1)"`,
}

// officialDate is that of a date with its year, or nothing. Its year is 20xx.
const officialDate = `((0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])20\d{2})?`

// officialTexts are the columns that the format description calls Text: always between quotes.
var officialTexts = func() map[int]bool {
	texts := map[int]bool{}
	for _, span := range [][2]int{
		{2, 3}, {6, 6}, {9, 9}, {11, 12}, {14, 14}, {16, 16}, {20, 38}, {40, 40}, {42, 42}, {48, 87}, {91, 91}, {95, 96}, {98, 98}, {102, 103},
		{105, 105}, {107, 107}, {109, 110}, {112, 112}, {118, 118}, {120, 121}, {123, 123},
	} {
		for number := span[0]; number <= span[1]; number++ {
			texts[number] = true
		}
	}
	return texts
}()

func read(content []byte) (*batch, error) {
	text, err := charmap.Windows1252.NewDecoder().String(string(content))
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(text, "\r\n")
	if len(lines) < 3 || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("there are %d lines, or the last does not end with CR LF", len(lines))
	}
	lines = lines[:len(lines)-1]
	if len(lines)-2 > 99_999 {
		return nil, fmt.Errorf("there are %d bookings", len(lines)-2)
	}
	if lines[1] != officialColumns+"\r\n" {
		return nil, fmt.Errorf("the second line is %q", lines[1])
	}
	b := &batch{}
	if b.head, err = readHead(lines[0]); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	for number, line := range lines[2:] {
		booking, err := b.readBooking(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+3, err)
		}
		b.bookings = append(b.bookings, booking)
	}
	return b, nil
}

// split takes a line apart, and keeps the quotes of its fields.
func split(line string) ([]string, error) {
	line, whole := strings.CutSuffix(line, "\r\n")
	if !whole || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
		return nil, fmt.Errorf("it has a control character, or no CR LF at its end")
	}
	var fields []string
	start, quoted := 0, false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ';' && !quoted:
			fields, start = append(fields, line[start:i]), i+1
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	return append(fields, line[start:]), nil
}

func unquote(field string) string {
	if len(field) >= 2 && field[0] == '"' {
		return strings.ReplaceAll(field[1:len(field)-1], `""`, `"`)
	}
	return field
}

var compiled sync.Map // expression → *regexp.Regexp

func matches(expression, field string) bool {
	known, ok := compiled.Load(expression)
	if !ok {
		known, _ = compiled.LoadOrStore(expression, regexp.MustCompile(`^(?:`+expression+`)$`))
	}
	return known.(*regexp.Regexp).MatchString(field)
}

func readHead(line string) ([]string, error) {
	fields, err := split(line)
	if err != nil || len(fields) != len(officialHead) {
		return nil, fmt.Errorf("it has %d fields (%w)", len(fields), err)
	}
	for i, field := range fields {
		if !matches(officialHead[i], field) {
			return nil, fmt.Errorf("field %d is %s, which is not %s", i+1, field, officialHead[i])
		}
		fields[i] = unquote(field)
	}
	if consultant, _ := strconv.Atoi(fields[10]); consultant < 1001 || fields[11] == "0" {
		return nil, fmt.Errorf("consultant %s, client %s", fields[10], fields[11])
	}
	return fields, nil
}

func (b *batch) readBooking(line string) ([]string, error) {
	fields, err := split(line)
	if err != nil || len(fields) != 125 {
		return nil, fmt.Errorf("it has %d columns (%w)", len(fields), err)
	}
	for i, field := range fields {
		expression := officialExpressions[i+1]
		if expression == "" && officialTexts[i+1] {
			expression = `""`
		}
		if quoted := strings.HasPrefix(field, `"`); !matches(expression, field) || quoted != officialTexts[i+1] {
			return nil, fmt.Errorf("column %d is %s, which is not %s", i+1, field, expression)
		}
		fields[i] = unquote(field)
	}
	if len([]rune(fields[13])) > 60 || fields[0] == "0,00" {
		return nil, fmt.Errorf("the text is %q, the amount %s", fields[13], fields[0])
	}
	for _, account := range fields[6:8] {
		if length := int(b.head[13][0] - '0'); len(account) != length && len(account) != length+1 || strings.Trim(account, "0") == "" {
			return nil, fmt.Errorf("the account %s", account)
		}
	}
	if foreign := fields[2] != b.head[21]; foreign != (fields[3] != "") || foreign != (fields[4] != "") || foreign != (fields[5] == b.head[21]) {
		return nil, fmt.Errorf("the currencies %q", fields[2:6])
	}
	// "Beim Import des Leistungsdatums muss das Feld 116 Datum Zuord. Steuerperiode gefüllt sein", of column 115.
	if (fields[114] == "") != (fields[115] == "") {
		return nil, fmt.Errorf("the service date is %q, and the period of the tax %q", fields[114], fields[115])
	}
	if date := b.date(fields[9]); date < b.head[14] || date > b.head[15] {
		return nil, fmt.Errorf("the date %s is not from %s to %s", date, b.head[14], b.head[15])
	}
	return fields, nil
}

// date returns the YYYYMMDD of a DDMM: its year is the one that puts it into the fiscal year of the first line.
func (b *batch) date(dayMonth string) string {
	start, err := time.Parse("20060102", b.head[12])
	if err != nil {
		panic(err) // the expression admits none
	}
	date := b.head[12][:4] + dayMonth[2:] + dayMonth[:2]
	if date < b.head[12] {
		date = strconv.Itoa(start.Year()+1) + dayMonth[2:] + dayMonth[:2]
	}
	return date
}

// balances returns what DATEV would post to each account in the books' currency, in hundredths, debit positive: a booking
// with a BU key is split by the rate of that key.
func (b *batch) balances(rates map[string]int64, taxAccount string) map[string]ledger.Amount {
	balances := map[string]ledger.Amount{}
	for _, f := range b.bookings {
		amount := hundredths(f[0])
		if f[4] != "" {
			amount = hundredths(f[4])
		}
		if f[1] == "H" {
			amount = -amount
		}
		balances[f[7]] -= amount
		if rate := ledger.Amount(rates[f[8]]); rate > 0 { // in tenths of a per cent
			size, sign := max(amount, -amount), ledger.Amount(1)
			if amount < 0 {
				sign = -1
			}
			tax := sign * ((2*size*rate + 1000 + rate) / (2 * (1000 + rate)))
			balances[taxAccount] += tax
			amount -= tax
		}
		balances[f[6]] += amount
	}
	for account, balance := range balances {
		if balance == 0 {
			delete(balances, account)
		}
	}
	return balances
}

func hundredths(amount string) ledger.Amount {
	value, err := strconv.ParseInt(strings.Replace(amount, ",", "", 1), 10, 64)
	if err != nil {
		panic(err) // the expression admits none
	}
	return ledger.Amount(value)
}

// column returns one column of all bookings.
func (b *batch) column(number int) (values []string) {
	for _, f := range b.bookings {
		values = append(values, f[number-1])
	}
	return values
}

// of returns the bookings whose text begins with words.
func (b *batch) of(words string) [][]string {
	return slices.DeleteFunc(slices.Clone(b.bookings), func(f []string) bool { return !strings.HasPrefix(f[13], words) })
}

// readBack returns the vouchers of an artifact to the suite that every exporter must pass.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		b, err := read(file.Content)
		if err != nil {
			return nil, err
		}
		currency, err := ledger.ParseCurrency(b.head[21])
		if err != nil {
			return nil, err
		}
		voucher := ""
		for _, f := range b.bookings {
			if f[10] != voucher {
				voucher, found = f[10], append(found, conformance.Found{Currency: currency.Code()})
			}
			text := f[0]
			if f[4] != "" {
				text = f[4]
			}
			amount, err := ledger.ParseAmount(strings.Replace(text, ",", ".", 1), currency)
			if err != nil {
				return nil, err
			}
			if f[1] == "H" {
				amount = -amount
			}
			last := &found[len(found)-1]
			last.Amounts = append(last.Amounts, amount, -amount)
			if f[7] == "2890" || len(f[7]) == 5 { // the offset account of conformance.Books, or a personal account
				last.Owed += amount
			}
		}
	}
	return found, nil
}
