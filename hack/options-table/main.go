// Command options-table writes the table of options into the page of every exporter, docs/exporters/<type>.md, between
// the markers <!-- options --> and <!-- /options -->. The table comes from `type options struct` in the exporter's
// options.go: names, types, defaults, and the fields' comments, which are what the options mean.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	begin = "<!-- options -->\n"
	end   = "<!-- /options -->"
)

func main() {
	exporters := flag.String("exporters", "exporters", "the directory with a folder for each exporter")
	pages := flag.String("pages", filepath.Join("docs", "exporters"), "the directory with a page for each exporter")
	flag.Parse()
	if err := writeAll(*exporters, *pages); err != nil {
		fmt.Fprintln(os.Stderr, "options-table:", err)
		os.Exit(1)
	}
}

// writeAll brings the pages of all exporters up to date.
func writeAll(exporters, pages string) error {
	sources, err := filepath.Glob(filepath.Join(exporters, "*", "options.go"))
	if err != nil {
		return err
	}
	for _, source := range sources {
		folder := filepath.Dir(source)
		rows, err := readOptions(folder)
		if err != nil {
			return err
		}
		page := filepath.Join(pages, filepath.Base(folder)+".md")
		if err := write(page, table(rows)); err != nil {
			return err
		}
	}
	return nil
}

// write puts the table between the markers of a page.
func write(page, table string) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(content, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !begun || !ended {
		return fmt.Errorf("%s lacks the line %q or, after it, %q: between them is where the table belongs", page, strings.TrimSpace(begin), end)
	}
	updated := bytes.Join([][]byte{before, []byte(begin), []byte(table), []byte(end), after}, nil)
	if bytes.Equal(updated, content) {
		return nil
	}
	return os.WriteFile(page, updated, 0o644)
}

// table is Markdown. A bar would end a cell even in code.
func table(rows []row) string {
	var out strings.Builder
	out.WriteString("| name | type | default | meaning |\n|---|---|---|---|\n")
	bar := strings.NewReplacer("|", `\|`)
	for _, r := range rows {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.name, r.kind, bar.Replace(r.standard), bar.Replace(r.meaning))
	}
	return out.String()
}
