package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exporter makes a folder for an exporter with such options, and its page.
func exporter(t *testing.T, options, page string) (exporters, pages string) {
	t.Helper()
	root := t.TempDir()
	exporters, pages = filepath.Join(root, "exporters"), filepath.Join(root, "docs")
	for path, content := range map[string]string{
		filepath.Join(exporters, "sample", "options.go"): "package sample\n\n" + options,
		filepath.Join(exporters, "sample", "mark.go"):    "package sample\n\ntype mark string\n",
		filepath.Join(exporters, "registry", "other.go"): "package registry\n",
		filepath.Join(pages, "sample.md"):                page,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return exporters, pages
}

const page = "# sample\n\nBefore.\n\n<!-- options -->\nold\n<!-- /options -->\n\nAfter.\n"

func TestTheTableIsWrittenBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	exporters, pages := exporter(t, "type options struct {\n"+
		"\t// The company's name,\n\t// as the system has it.\n\tCompany string `json:\"company\" required:\"true\"`\n"+
		"\t// `;` or `|`.\n\tMark mark `json:\"mark\" default:\"|\"`\n"+
		"\t// A name.\n\tFile string `json:\"fileName\" absent:\"<run>.txt\" posts:\"true\"`\n"+
		"\t// Whether.\n\tGuard bool `json:\"guard\"`\n"+
		"\t// Where to.\n\tBank struct {\n\t\t// Its number.\n\t\tNumber int `json:\"number\" default:\"4\"`\n\t} `json:\"bank\"`\n"+
		"\t// The columns.\n\tColumns []column `json:\"columns\"`\n"+
		"\t// Numbers.\n\tNumbers map[string]int `json:\"numbers\" default:\"{\\\"a\\\": 1}\"`\n"+
		"}\n\n"+
		"type column struct {\n\t// In the header.\n\tName string `json:\"name,omitempty\" required:\"true\"`\n}\n", page)
	for range 2 { // the second time changes nothing
		if err := writeAll(exporters, pages); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(pages, "sample.md"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(page, "old\n", `| name | type | default | meaning |
|---|---|---|---|
| §company§ | string | required | The company's name, as the system has it. |
| §mark§ | string | §\|§ | §;§ or §\|§. |
| §fileName§ | string | \<run>.txt | A name. A reversal has it as the reversed run had it. |
| §guard§ | boolean | §false§ | Whether. |
| §bank§ | object |  | Where to. |
| §bank.number§ | integer | §4§ | Its number. |
| §columns§ | list of objects |  | The columns. |
| §columns[].name§ | string | required | In the header. |
| §numbers§ | map of integers | §{"a": 1}§ | Numbers. |
`, 1)
		if want = strings.ReplaceAll(want, "§", "`"); string(got) != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func TestWhatCanNotBeShownIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, options, page, want string }{
		{"no comment", "type options struct {\n\tA string `json:\"a\"`\n}", page, "the option a needs a comment"},
		{"no name", "type options struct {\n\t// Text.\n\tA string\n}", page, "needs a name in its json tag"},
		{"a type without a name in JSON", "type options struct {\n\t// Text.\n\tA chan int `json:\"a\"`\n}", page, "cannot be of the type"},
		{"a default in the elements of a list", "type options struct {\n\t// Text.\n\tA []struct {\n\t\t// Text.\n\t\tB int `json:\"b\" default:\"1\"`\n\t} `json:\"a\"`\n}", page, "a default does not hold"},
		{"no options", "type settings struct{}", page, "has no type options struct"},
		{"no markers", "type options struct{}", "# sample\n", "lacks the line"},
		{"markers the wrong way round", "type options struct{}", "<!-- /options -->\n<!-- options -->\n", "lacks the line"},
	} {
		exporters, pages := exporter(t, test.options, test.page)
		if err := writeAll(exporters, pages); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
