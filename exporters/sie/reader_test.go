package sie

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// document is a SIE 4I file, read strictly by the specification and by nothing that the exporter knows.
type document struct {
	head     map[string][][]field // records before the first voucher, by label
	vouchers []verification
}

type verification struct {
	series, number, date, text, registered string
	transactions                           []transaction
}

type transaction struct {
	account, amount, date, text, quantity string
	objects                               []string // dimension, object, dimension, object …
}

// field of a record: a text, or a list in braces.
type field struct {
	text string
	list []string
}

// labels that a file of type 4I may have before its vouchers, in the order of the specification.
var labels = []string{"#FLAGGA", "#PROGRAM", "#FORMAT", "#GEN", "#SIETYP", "#ORGNR", "#FNAMN", "#RAR", "#KPTYP", "#VALUTA", "#KONTO", "#DIM", "#OBJEKT"}

var (
	plainAmount = regexp.MustCompile(`^-?\d+(\.\d{1,2})?$`)
	plainNumber = regexp.MustCompile(`^\d+$`)
)

func read(content []byte) (*document, error) {
	d := &document{head: map[string][][]field{}}
	var open *verification
	last := 0
	for number, raw := range bytes.SplitAfter(content, []byte("\r\n")) {
		if len(raw) == 0 {
			continue
		}
		fields, err := split(raw)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		switch label := fields[0].text; {
		case label == "#VER" && open == nil:
			d.vouchers = append(d.vouchers, verification{})
			open = &d.vouchers[len(d.vouchers)-1]
			err = open.read(fields[1:])
		case label == "{" && open != nil && open.transactions == nil:
			open.transactions = []transaction{}
		case label == "#TRANS" && open != nil && open.transactions != nil:
			err = d.readTransaction(open, fields[1:])
		case label == "}" && open != nil && open.transactions != nil:
			err, open = open.balanced(), nil
		case open == nil && len(d.vouchers) == 0 && slices.Contains(labels[last:], label):
			last = slices.Index(labels, label)
			d.head[label] = append(d.head[label], fields[1:])
		default:
			err = fmt.Errorf("the label %q may not be here", label)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("the last voucher is not closed")
	}
	if err := d.checkHead(); err != nil {
		return nil, err
	}
	return d, nil
}

// split takes a line of code page 437 apart.
func split(raw []byte) ([]field, error) {
	line, whole := bytes.CutSuffix(raw, []byte("\r\n"))
	if !whole {
		return nil, fmt.Errorf("does not end with CR LF")
	}
	if bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("has a control character")
	}
	text, err := charmap.CodePage437.NewDecoder().String(string(line))
	if err != nil {
		return nil, err
	}
	var fields []field
	inList := false
	for text = strings.TrimLeft(text, " "); text != ""; text = strings.TrimLeft(text, " ") {
		token, quoted, rest, err := next(text)
		if err != nil {
			return nil, err
		}
		text = rest
		switch {
		case token == "{" && !quoted && len(fields) > 0 && !inList:
			fields, inList = append(fields, field{list: []string{}}), true
		case token == "}" && !quoted && inList:
			inList = false
		case inList:
			fields[len(fields)-1].list = append(fields[len(fields)-1].list, token)
		default:
			fields = append(fields, field{text: token})
		}
	}
	if inList || len(fields) == 0 {
		return nil, fmt.Errorf("an empty line, or a list that is not closed")
	}
	return fields, nil
}

// next returns the first token of a line.
func next(text string) (token string, quoted bool, rest string, err error) {
	switch {
	case text[0] == '{' || text[0] == '}':
		return text[:1], false, text[1:], nil
	case text[0] != '"':
		end := strings.IndexAny(text+" ", ` {}"`)
		return text[:end], false, text[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '"':
			b.WriteByte('"')
			i++
		case text[i] == '\\':
			return "", false, "", fmt.Errorf("a backslash that escapes no quote")
		case text[i] == '"':
			return b.String(), true, text[i+1:], nil
		default:
			b.WriteByte(text[i])
		}
	}
	return "", false, "", fmt.Errorf("a quote that is not closed")
}

func (v *verification) read(fields []field) error {
	if len(fields) != 5 {
		return fmt.Errorf("#VER has %d fields", len(fields))
	}
	v.series, v.number, v.date, v.text, v.registered = fields[0].text, fields[1].text, fields[2].text, fields[3].text, fields[4].text
	for _, date := range []string{v.date, v.registered} {
		if _, err := time.Parse("20060102", date); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) readTransaction(v *verification, fields []field) error {
	if len(fields) < 5 || len(fields) > 6 || fields[1].list == nil || len(fields[1].list)%2 != 0 {
		return fmt.Errorf("#TRANS has the fields %v", fields)
	}
	t := transaction{account: fields[0].text, objects: fields[1].list, amount: fields[2].text, date: fields[3].text, text: fields[4].text}
	if len(fields) == 6 {
		t.quantity = fields[5].text
	}
	if !plainAmount.MatchString(t.amount) {
		return fmt.Errorf("the amount %q", t.amount)
	}
	if !d.declared("#KONTO", t.account) {
		return fmt.Errorf("the account %q has no #KONTO", t.account)
	}
	for i := 0; i < len(t.objects); i += 2 {
		if !d.declared("#DIM", t.objects[i]) || t.objects[i+1] == "" {
			return fmt.Errorf("the object list %q", t.objects)
		}
	}
	v.transactions = append(v.transactions, t)
	return nil
}

func (d *document) declared(label, number string) bool {
	return plainNumber.MatchString(number) && slices.ContainsFunc(d.head[label], func(fields []field) bool { return fields[0].text == number })
}

func (v *verification) balanced() error {
	if sum := v.sum(func(ledger.Amount) bool { return true }); sum != 0 {
		return fmt.Errorf("the voucher %s %s differs by %d", v.series, v.number, sum)
	}
	return nil
}

// sum of the amounts that count, in hundredths.
func (v *verification) sum(counts func(ledger.Amount) bool) (sum ledger.Amount) {
	for _, t := range v.transactions {
		whole, fraction, _ := strings.Cut(t.amount, ".")
		hundredths, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
		if err != nil {
			panic(err) // plainAmount admits none
		}
		if amount := ledger.Amount(hundredths); counts(amount) {
			sum += amount
		}
	}
	return sum
}

// checkHead asks for what is mandatory in type 4I, and for what importing systems expect besides.
func (d *document) checkHead() error {
	for label, want := range map[string]string{"#FLAGGA": "0", "#FORMAT": "PC8", "#SIETYP": "4"} {
		if records := d.head[label]; len(records) != 1 || len(records[0]) != 1 || records[0][0].text != want {
			return fmt.Errorf("%s is %v", label, records)
		}
	}
	for _, label := range []string{"#PROGRAM", "#GEN", "#FNAMN", "#RAR", "#KONTO"} {
		if len(d.head[label]) == 0 {
			return fmt.Errorf("there is no %s", label)
		}
	}
	year := d.head["#RAR"][0]
	if len(year) != 3 || year[0].text != "0" {
		return fmt.Errorf("#RAR is %v", year)
	}
	for _, v := range d.vouchers {
		if v.date < year[1].text || v.date > year[2].text {
			return fmt.Errorf("the voucher of %s is not in the fiscal year %v", v.date, year)
		}
	}
	return nil
}

// readBack returns the vouchers of an artifact to the suite that every exporter must pass.
func readBack(files []conformance.File) (found []conformance.Found, err error) {
	for _, file := range files {
		d, err := read(file.Content)
		if err != nil {
			return nil, err
		}
		code := "SEK"
		if declared := d.head["#VALUTA"]; len(declared) > 0 {
			code = declared[0][0].text
		}
		currency, err := ledger.ParseCurrency(code)
		if err != nil {
			return nil, err
		}
		for _, v := range d.vouchers {
			voucher := conformance.Found{Currency: code}
			for _, transaction := range v.transactions {
				amount, err := ledger.ParseAmount(transaction.amount, currency)
				if err != nil {
					return nil, err
				}
				voucher.Amounts = append(voucher.Amounts, amount)
				if transaction.account == "2890" { // the offset account of conformance.Books
					voucher.Owed -= amount
				}
			}
			found = append(found, voucher)
		}
	}
	return found, nil
}

func mustRead(t testing.TB, content []byte) *document {
	t.Helper()
	d, err := read(content)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decode returns a text of code page 437 as it is in the file.
func decode(t testing.TB, content []byte) string {
	t.Helper()
	text, err := charmap.CodePage437.NewDecoder().Bytes(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
