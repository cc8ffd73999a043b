package pages

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/docs"
)

func TestEveryTextIsInEveryLanguageWithTheSamePlaces(t *testing.T) {
	t.Parallel()
	for key, text := range allTexts {
		for _, language := range languages {
			if strings.TrimSpace(text[language]) == "" || strings.Count(text[language], "%s") != strings.Count(text["en"], "%s") || strings.Count(text[language], "%") != strings.Count(text["en"], "%s") {
				t.Errorf("the text %s is %q in %s", key, text[language], language)
			}
		}
		if len(text) != len(languages) {
			t.Errorf("the text %s is in %d languages", key, len(text))
		}
		if one, is := strings.CutSuffix(key, ".one"); is && allTexts[one+".other"] == nil {
			t.Errorf("%s is about one, and there is nothing about others", key)
		}
	}
}

// used finds the keys that pages and code name.
var used = regexp.MustCompile(`(?:\bT "|\bT\("|add\("|v\.T\(")([a-z][A-Za-z.]*)"`)

func TestEveryTextThatIsUsedExistsAndTheOtherWayAround(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	read := func(content string) {
		for _, found := range used.FindAllStringSubmatch(content, -1) {
			named[found[1]] = true
		}
		for _, found := range regexp.MustCompile(`\bN(?:\(| )"([a-z.]+)"`).FindAllStringSubmatch(content, -1) {
			named[found[1]+".one"], named[found[1]+".other"] = true, true
		}
		for _, found := range regexp.MustCompile(`"(refusal\.[a-z]+)"`).FindAllStringSubmatch(content, -1) {
			named[found[1]], named[found[1]+".do"] = true, true
		}
	}
	for _, place := range []string{"templates", "."} {
		read(allOf(t, place))
	}
	composed := regexp.MustCompile(`^(phase|stage|type|reversed|end|deed|check\.mark)\.|^request\.(export|preview|redeliver|reversal)(\.question|\.text)?$`)
	for key := range named {
		if _, is := allTexts[key]; !is && !strings.HasSuffix(key, ".") {
			t.Errorf("there is no text %s", key)
		}
	}
	for key := range allTexts {
		if !named[key] && !composed.MatchString(key) {
			t.Errorf("nothing uses the text %s", key)
		}
	}
}

func TestEveryReasonOfHeldClaimsIsExplainedInEveryLanguage(t *testing.T) {
	t.Parallel()
	page, err := fs.ReadFile(docs.Reasons, "kinds/chart-of-accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Held claims\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z]+)` \\|").FindAllStringSubmatch(section, -1) {
		documented = append(documented, row[1])
	}
	if len(documented) < 30 {
		t.Fatalf("the page has %d reasons; was its table moved?", len(documented))
	}
	for _, reason := range documented {
		for _, language := range languages {
			if known := heldReasons[reason]; known.Wrong[language] == "" || known.Do[language] == "" {
				t.Errorf("held.yaml does not explain %s in %s", reason, language)
			}
		}
	}
	for reason := range heldReasons {
		if !slices.Contains(documented, reason) {
			t.Errorf("held.yaml explains %s, which is no reason", reason)
		}
	}
}

func TestLocaleIsTheFirstThatAPersonReads(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]string{
		"":                                {"en", "1,234.50"},
		"de":                              {"de", "1.234,50"},
		"de-CH, fr;q=0.9":                 {"de", "1'234.50"},
		"fr, nb;q=0.8, en;q=0.5":          {"nb", "1 234,50"},
		"no":                              {"nb", "1 234,50"},
		"nn-NO":                           {"nb", "1 234,50"},
		"sv-SE,sv;q=0.9,en-US;q=0.8":      {"sv", "1 234,50"},
		"en-GB":                           {"en", "1,234.50"},
		"tlh, *":                          {"en", "1,234.50"},
		"de;q=x":                          {"en", "1,234.50"},
		strings.Repeat("fr,", 200) + "de": {"en", "1,234.50"},
	} {
		l := localeOf(header)
		have := strings.ReplaceAll(l.Amount("1234.50", "EUR"), "\u00a0", " ")
		if l.Language != want[0] || !strings.Contains(have, want[1]) || !strings.Contains(have, "EUR") {
			t.Errorf("%.40q is %s with %q, want %q", header, l.Language, have, want)
		}
	}
}

func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	german := newLocale("de", "DE")
	for _, test := range [][3]string{
		{"12345678901234567.89", "EUR", "12.345.678.901.234.567,89 EUR"}, {"-0.10", "EUR", "-0,10 EUR"}, {"1500", "JPY", "1.500 JPY"}, {"1.500", "BHD", "1,500 BHD"},
		{"1.2340", "CLF", "1,2340 CLF"}, {"x", "EUR", "x EUR"}, {"1e9", "EUR", "1e9 EUR"}, {"NaN", "EUR", "NaN EUR"}, {"1.00", "???", "1.00 ???"}, {"", "", ""},
	} {
		if have := strings.ReplaceAll(german.Amount(test[0], test[1]), "\u00a0", " "); have != test[2] {
			t.Errorf("%s %s is %q, want %q", test[0], test[1], have, test[2])
		}
	}
}

func TestAmountsAreReadAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]string{
		{"de", "1.234,50", "1234.50"}, {"de", "1234,5", "1234.5"}, {"de", "1234.50", "1234.50"}, {"de", "1.234", "1234"}, {"de", "1.234.567", "1234567"},
		{"en", "1,234.50", "1234.50"}, {"en", "1,234", "1234"}, {"en", "12.5", "12.5"}, {"en", "1.234", "1.234"}, {"nb", "1 234,50", "1234.50"}, {"sv", "1\u00a0234,50", "1234.50"},
		{"de", "1'234.50", "1234.50"}, {"en", "7", "7"}, {"en", "", ""}, {"en", "x", "x"},
	} {
		if have := newLocale(test[0], "").decimal(test[1]); have != test[2] {
			t.Errorf("in %s %q is %q, want %q", test[0], test[1], have, test[2])
		}
	}
}

func TestTimesAreThoseOfTheZoneOfAnExport(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)
	for language, want := range map[string]string{"en": "1 Dec 2026 06:00 CET", "de": "01.12.2026 06:00 CET", "nb": "01.12.2026 06:00 CET", "sv": "2026-12-01 06:00 CET"} {
		if have := newLocale(language, "").moment(at, zoneNamed("Europe/Berlin")); have.Text != want || have.Machine != "2026-12-01T05:00:00Z" {
			t.Errorf("in %s it is %+v", language, have)
		}
	}
	if have := newLocale("en", "US").moment(at, zoneNamed("America/New_York")); have.Text != "Dec 1, 2026 12:00 AM EST" {
		t.Errorf("in the US it is %+v", have)
	}
	if zoneNamed("No/Where") != time.UTC || newLocale("de", "").moment(time.Time{}, time.UTC) != nil {
		t.Error("a zone that does not exist is not UTC, or no time is one")
	}
}

func TestClaimLinkIsAnHTTPSURLWithAnEscapedID(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]string{
		{"https://app.example/claims/{id}", "a/b?c#d é", "https://app.example/claims/a%2Fb%3Fc%23d%20%C3%A9"},
		{"https://app.example/claims?id={id}&tab=1", "a&b=c", "https://app.example/claims?id=a%26b%3Dc&tab=1"},
		{"https://app.example/#/claims/{id}", "x y", "https://app.example/#/claims/x%20y"},
		{"https://app.example/claims/{id}", "..", ""},
		{"https://app.example/claims/{id}", ".", ""},
		{"https://app.example/claims/{id}", "", ""},
	} {
		link, err := newClaimLink(test[0])
		if have := link.of(test[1]); err != nil || have != test[2] {
			t.Errorf("%s of %q is %q (%v), want %q", test[0], test[1], have, err, test[2])
		}
	}
	for _, wrong := range []string{
		"http://app.example/{id}", "javascript:alert({id})", "https://{id}.example/", "https://{id}/", "https://user@app.example/{id}", "https://app.example/", "https://app.example/{id}/{id}",
		"//app.example/{id}", "https:app/{id}", "{id}", "https://app.example:{id}/", "https://app.example/{id}\"onclick=", "https://app.example/" + strings.Repeat("x", 3000) + "{id}", "data:text/html,{id}",
	} {
		if link, err := newClaimLink(wrong); err == nil || link.of("x") != "" {
			t.Errorf("%.60s is taken: %q", wrong, link.of("x"))
		}
	}
}

func TestPagesShowWhatWouldMislead(t *testing.T) {
	t.Parallel()
	have := string(harmless([]byte("<p>a\u202eb\x1b[2J\u2066c\u00a0d</p>\n<p>é\u200b</p>\n")))
	if want := "<p>a\\u202eb\\x1b[2J\\u2066c d</p>\n<p>é\\u200b</p>\n"; have != want {
		t.Errorf("it is %q, want %q", have, want)
	}
	for cell, want := range map[string]string{"=1+1": "'=1+1", "-12.50": "-12.50", "@x": "'@x", "+x": "'+x", "a=b": "a=b", "": "", "-x": "'-x"} {
		if have := unformulaic(cell); have != want {
			t.Errorf("the cell %q is %q, want %q", cell, have, want)
		}
	}
}

// allOf reads the files of a folder that have the texts' keys in them.
func allOf(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{".go", ".html"} {
		matches, err := fs.Glob(os.DirFS("."), strings.TrimPrefix(folder+"/*"+name, "./"))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range matches {
			content, err := os.ReadFile(match)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(match, "_test.go") {
				all.Write(content)
			}
		}
	}
	return all.String()
}

func TestAPageAsksAndReadsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"ExportRunList","apiVersion":"accounting.ledgerport.dev/v1alpha1","items":[{"metadata":{"annotations":{"a":"`))
		for range 30 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		}
		_, _ = w.Write([]byte(`"}}}]}`))
	}))
	defer server.Close()
	cluster, err := newCluster(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.List(t.Context(), &v1alpha1.ExportRunList{}); !errors.Is(err, errTooLarge) || refusalOf(err).key != "refusal.large" {
		t.Errorf("a large answer ends with %v", err)
	}
	for range mostQuestions {
		_, err = cluster.may(t.Context(), "a", toRun)
	}
	if !errors.Is(err, errTooManyQuestions) || refusalOf(err).key != "refusal.large" {
		t.Errorf("many questions end with %v", err)
	}
}

func TestARunThatHasSucceededIsToldInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	german := newLocale("de", "DE")
	for _, test := range []struct {
		phase           v1alpha1.RunPhase
		reason, message string
		operator, own   string
	}{
		{v1alpha1.RunSucceeded, "Succeeded", "27 claims were exported, 75231.68 EUR in total", "", ""},
		{v1alpha1.RunSucceeded, "Succeeded", "27 claims were exported, 75231.68 EUR in total; 1 claim is held", "", ""},
		{v1alpha1.RunSucceeded, "Previewed", "a preview: a run would export 1 claim now, 2.10 EUR in total; nothing was recorded; 2 claims are held", "", "Vorschau"},
		{v1alpha1.RunSucceeded, "Reversed", "1 voucher of ExportRun october was reversed, 2.10 EUR in total; its claim goes to the next run", "", "nächsten Lauf"},
		{v1alpha1.RunSucceeded, "Redelivered", "the artifact of ExportRun october was delivered again; no claim was exported", "", "erneut"},
		{v1alpha1.RunSucceeded, "AllHeld", "every approved claim was held; nothing was delivered", "", "zurückgehalten"},
		{v1alpha1.RunSucceeded, "NoClaims", "no claims were approved and not exported yet; nothing was delivered", "", "wartete"},
		{v1alpha1.RunSucceeded, "Succeeded", "1 claim was exported, 2.10 EUR in total; 3 of the claims that the run names are not approved before its cutoff", "claims that the run names", ""},
		{v1alpha1.RunSucceeded, "PartlyRejected", "1 claim was exported", "1 claim was exported", ""},
		{v1alpha1.RunFailed, "NoClaims", "no claims were approved", "no claims were approved", ""},
	} {
		operator, own := german.end(test.phase, test.reason, test.message)
		if !strings.Contains(operator, test.operator) || (operator == "") != (test.operator == "") || !strings.Contains(own, test.own) || (own == "") != (test.own == "") {
			t.Errorf("%s %q is told as %q and %q", test.reason, test.message, operator, own)
		}
	}
}
