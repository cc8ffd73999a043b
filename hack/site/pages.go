package main

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark/text"
)

// index has the table of who reads what, from which the first page and the navigation come.
const index = "docs/README.md"

// besides are sources outside of docs/ that are pages, too.
var besides = map[string]string{
	"CHANGELOG.md":                "changelog.html",
	"CONTRIBUTING.md":             "contributing.html",
	"SECURITY.md":                 "reporting.html",
	"charts/ledgerport/README.md": "reference/helm-values.html",
}

// folders are the directories of docs/ in the order of the navigation, and what they are called there.
var folders = []struct{ name, title string }{
	{"kinds", "Kinds"}, {"reference", "Reference"}, {"exporters", "Formats"}, {"destinations", "Destinations"}, {"runbooks", "Alerts"}, {"decisions", "Decisions"},
}

// page is one page of the site.
type page struct {
	file     string // of the repository; a folder for a list of its pages
	path     string // within the version
	source   []byte
	title    string
	id       string // of the title
	body     template.HTML
	headings []heading
	sections []section
}

// heading is a place on a page that the page itself lists.
type heading struct {
	ID, Text string
	Level    int
}

// section is what the search finds.
type section struct {
	Page    string `json:"page"`
	Heading string `json:"heading,omitempty"`
	At      string `json:"at"`
	Text    string `json:"text"`
}

// up is the way from a page to the first one of its version.
func (p *page) up() string { return strings.Repeat("../", strings.Count(p.path, "/")) }

// to is the way from a page to a file of the version.
func (p *page) to(target string) string { return p.up() + target }

// folder is the directory of docs/ that a page is in, or "".
func (p *page) folder() string {
	name, _, in := strings.Cut(p.path, "/")
	if !in {
		return ""
	}
	return name
}

// read finds all pages, and what they are called.
func (s *site) read() error {
	s.byFile = map[string]*page{}
	docs := os.DirFS(filepath.Join(s.root, "docs"))
	err := fs.WalkDir(docs, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".md" {
			return err
		}
		to := strings.TrimSuffix(name, ".md") + ".html"
		if path.Join("docs", name) == index {
			to = "index.html"
		}
		return s.add(path.Join("docs", name), to)
	})
	if err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(besides)) {
		if err := s.add(file, besides[file]); err != nil {
			return err
		}
	}
	for _, folder := range folders {
		p := &page{file: path.Join("docs", folder.name), path: folder.name + "/index.html", title: folder.title}
		s.pages = append(s.pages, p)
		s.byFile[p.file] = p
	}
	s.byFile["README.md"] = s.byFile[index]
	if s.byFile[index] == nil {
		return fmt.Errorf("%s is missing, from which the first page is made", index)
	}
	slices.SortFunc(s.pages, func(a, b *page) int { return strings.Compare(a.path, b.path) })
	for _, p := range s.pages {
		if folder := p.folder(); folder != "" && !slices.ContainsFunc(folders, func(f struct{ name, title string }) bool { return f.name == folder }) {
			s.problem(p, "the navigation has no place for the directory %s: add it to folders", folder)
		}
	}
	return nil
}

func (s *site) add(file, to string) error {
	source, err := os.ReadFile(filepath.Join(s.root, file))
	if err != nil {
		return err
	}
	p := &page{file: file, path: to, source: source}
	title, _, _ := bytes.Cut(source, []byte("\n"))
	if !bytes.HasPrefix(title, []byte("# ")) {
		s.problem(p, "it does not begin with a heading, # and its title")
	}
	p.title = plain(markdown().Parser().Parse(text.NewReader(title)), title)
	s.pages = append(s.pages, p)
	s.byFile[file] = p
	return nil
}

// in are the pages of a folder without the list of them.
func (s *site) in(folder string) (all []*page) {
	for _, p := range s.pages {
		if p.folder() == folder && path.Base(p.path) != "index.html" {
			all = append(all, p)
		}
	}
	return all
}
