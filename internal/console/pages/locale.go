package pages

import (
	"embed"
	"fmt"
	"strings"
	"time"

	"github.com/bojanz/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
	"sigs.k8s.io/yaml"
)

//go:embed texts.yaml held.yaml
var tables embed.FS

// languages are those that texts are in, the first for those who read none of them.
var languages = []string{"en", "de", "nb", "sv"}

// translations are a text in each language.
type translations map[string]string

// remedy of a held claim: what is wrong with it, and what a person does.
type remedy struct {
	Wrong translations `json:"wrong"`
	Do    translations `json:"do"`
}

var (
	allTexts    = table[translations]("texts.yaml")
	heldReasons = table[remedy]("held.yaml")
)

func table[T any](name string) map[string]T {
	content, err := tables.ReadFile(name)
	read := map[string]T{}
	if err == nil {
		err = yaml.UnmarshalStrict(content, &read)
	}
	if err != nil {
		panic(fmt.Sprintf("%s: %s", name, err)) // it is embedded, and tested
	}
	return read
}

// locale is how a person reads: the language of texts, and the form of amounts, numbers, dates and times.
type locale struct {
	// Language is one of languages.
	Language     string
	amounts      currency.Locale
	numbers      *message.Printer
	date, minute string // layouts
}

// longestHeader of Accept-Language that is looked at: browsers send a few dozen characters.
const longestHeader = 256

// localeOf returns what a browser asks for: the first language that texts are in, with the region that it names.
func localeOf(header string) locale {
	if len(header) > longestHeader {
		header = header[:strings.LastIndexByte(header[:longestHeader], ',')+1]
	}
	wanted, _, err := language.ParseAcceptLanguage(strings.TrimRight(header, ", "))
	if err != nil {
		wanted = nil
	}
	for _, tag := range wanted {
		base, _ := tag.Base()
		if known, is := map[string]string{"en": "en", "de": "de", "nb": "nb", "no": "nb", "nn": "nb", "sv": "sv"}[base.String()]; is {
			region, sure := tag.Region()
			if sure != language.Exact {
				return newLocale(known, "")
			}
			return newLocale(known, region.String())
		}
	}
	return newLocale(languages[0], "")
}

func newLocale(known, region string) locale {
	tag := known
	if region != "" {
		tag += "-" + region
	}
	l := locale{Language: known, amounts: currency.NewLocale(tag), numbers: message.NewPrinter(language.Make(tag)), date: "02.01.2006", minute: "15:04"}
	switch {
	case known == "sv":
		l.date = "2006-01-02"
	case known == "en" && region == "US":
		l.date, l.minute = "Jan 2, 2006", "3:04 PM"
	case known == "en":
		l.date = "2 Jan 2006"
	}
	return l
}

// T is a text, with what belongs into it.
func (l locale) T(key string, with ...any) string {
	text, is := allTexts[key][l.Language]
	if !is {
		return key
	}
	if len(with) > 0 {
		return fmt.Sprintf(text, with...)
	}
	return text
}

// N is a text about so many of something: all these languages have one form for one, and another for any other number.
func (l locale) N(key string, count int64) string {
	if count == 1 {
		return l.T(key+".one", l.Count(count))
	}
	return l.T(key+".other", l.Count(count))
}

// Word is a text if there is one for it, such as for a phase, and else what it is for.
func (l locale) Word(kind, word string) string {
	if _, is := allTexts[kind+"."+word]; is {
		return l.T(kind + "." + word)
	}
	return word
}

// Count writes a whole number.
func (l locale) Count(count int64) string { return l.numbers.Sprint(number.Decimal(count)) }

// Amount writes an exact decimal, with as many decimals as it has, and its currency. What is no amount stays as it is.
func (l locale) Amount(decimal, code string) string {
	amount, err := currency.NewAmount(decimal, code)
	if err != nil || strings.ContainsAny(decimal, "eEnN") {
		return strings.TrimSpace(decimal + " " + code)
	}
	_, fraction, _ := strings.Cut(decimal, ".")
	form := currency.NewFormatter(l.amounts)
	form.CurrencyDisplay, form.MinDigits, form.MaxDigits = currency.DisplayCode, uint8(min(len(fraction), 20)), uint8(min(len(fraction), 20))
	return form.Format(amount)
}

// decimal reads an amount that a person has typed, with or without groups of digits.
func (l locale) decimal(typed string) string {
	typed = strings.Map(func(r rune) rune {
		if r == '\u00a0' || r == '\u202f' || r == ' ' || r == '\'' || r == '’' {
			return -1
		}
		return r
	}, typed)
	comma, point := strings.LastIndexByte(typed, ','), strings.LastIndexByte(typed, '.')
	mark := max(comma, point)
	group := func(at int) bool { return len(typed)-at-1 == 3 } // three digits behind it, and the mark may be of a group
	switch {
	case mark < 0:
		return typed
	case comma >= 0 && point >= 0: // the later one is of decimals
	case strings.Count(typed, string(typed[mark])) > 1, group(mark) && (typed[mark] == ',') == (l.Language == "en"):
		mark = len(typed) // all of them are of groups
	}
	drop := strings.NewReplacer(",", "", ".", "")
	if mark == len(typed) {
		return drop.Replace(typed)
	}
	return drop.Replace(typed[:mark]) + "." + drop.Replace(typed[mark+1:])
}

// Day writes a date that comes as YYYY-MM-DD.
func (l locale) Day(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return day.Format(l.date)
}

// moment is a time as it is shown, and as a machine reads it.
type moment struct{ Text, Machine string }

// moment writes a time in a zone. It is nil for no time.
func (l locale) moment(at time.Time, zone *time.Location) *moment {
	if at.IsZero() {
		return nil
	}
	local := at.In(zone)
	return &moment{local.Format(l.date + " " + l.minute + " MST"), at.UTC().Format(time.RFC3339)}
}

// zoneNamed is the zone of an export; UTC if there is none of this name.
func zoneNamed(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if name == "" || err != nil {
		return time.UTC
	}
	return zone
}
