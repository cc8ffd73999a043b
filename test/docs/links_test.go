package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const index = "../../docs/README.md"

func TestTheIndexNamesEveryPage(t *testing.T) {
	t.Parallel()
	var linked []string
	for _, link := range links(t, index) {
		linked = append(linked, link.path)
	}
	for _, page := range pages(t) {
		if page != index && filepath.Dir(page) != "../.." && !slices.Contains(linked, page) && !slices.Contains(linked, filepath.Dir(page)) {
			t.Errorf("docs/README.md does not name %s: add it for who is to read it", page)
		}
	}
	for _, reader := range []string{"platform", "tenant", "books", "application", "exporter", "Ledgerport"} {
		if !strings.Contains(read(t, index), "**"+reader+"**") {
			t.Errorf("docs/README.md has no row for %s", reader)
		}
	}
}

func TestEveryLinkLeadsToAHeading(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range pages(t) {
		for _, link := range links(t, page) {
			found++
			if _, err := os.Stat(link.path); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, link.path)
			} else if link.heading != "" && !slices.Contains(headings(t, link.path), link.heading) {
				t.Errorf("%s links to #%s of %s, which has no such heading", page, link.heading, link.path)
			}
		}
	}
	if found < 100 {
		t.Errorf("%d links were found; are they written otherwise now?", found)
	}
}

// pages are README.md and all below docs/.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"../../README.md"}
	must(t, filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			all = append(all, path)
		}
		return err
	}))
	return all
}

type link struct{ path, heading string }

var (
	fenced    = regexp.MustCompile("(?ms)^```.*?\n```")
	span      = regexp.MustCompile("`[^`\n]*`") // in which a pattern may look like a link
	linkTo    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchor    = regexp.MustCompile(`<a (?:id|name)="([^"]+)">`)
	unwritten = regexp.MustCompile(`[^\pL\pN _-]`)
)

// links returns where a page leads within the repository.
func links(t *testing.T, page string) (found []link) {
	t.Helper()
	for _, match := range linkTo.FindAllStringSubmatch(span.ReplaceAllString(fenced.ReplaceAllString(read(t, page), ""), ""), -1) {
		if strings.Contains(match[1], "://") || strings.HasPrefix(match[1], "mailto:") {
			continue
		}
		path, heading, _ := strings.Cut(match[1], "#")
		if path == "" {
			path = filepath.Base(page)
		}
		found = append(found, link{filepath.Join(filepath.Dir(page), path), heading})
	}
	return found
}

// headings returns the names under which links reach the headings of a page.
func headings(t *testing.T, page string) (names []string) {
	t.Helper()
	text := fenced.ReplaceAllString(read(t, page), "")
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.ReplaceAll(unwritten.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-"))
	}
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}
