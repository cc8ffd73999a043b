package main

import (
	"bytes"
	"fmt"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// beginning is the page for those who have read none.
const beginning = "getting-started.html"

// role is who reads, with what they want to do, from the table of docs/README.md.
type role struct {
	Title string
	Wants []want
	pages []*page
}

// want is a row of that table.
type want struct {
	To    string
	Links []link
}

type link struct{ Title, To string }

// group is a part of the navigation, which is open on its own pages.
type group struct {
	Title string
	Open  bool
	Links []navigated
}

type navigated struct {
	link
	Current bool
}

// renderFirst makes the first page: what README.md begins with, and who reads what.
func (s *site) renderFirst(p *page) error {
	readme, err := os.ReadFile(filepath.Join(s.root, "README.md"))
	if err != nil {
		return err
	}
	beginning, _, _ := bytes.Cut(readme, []byte("\n## "))
	introduction, err := s.body(p, "README.md", beginning)
	if err != nil {
		return err
	}
	title, _, _ := strings.Cut(string(beginning), "\n")
	p.title = strings.TrimPrefix(title, "# ")
	for i := range p.sections {
		p.sections[i].Page = p.title
	}
	if err := s.readRoles(p); err != nil {
		return err
	}
	var out bytes.Buffer
	err = templates.ExecuteTemplate(&out, "first.html", struct {
		Introduction template.HTML
		Roles        []role
	}{introduction, s.roles})
	p.headings = []heading{{ID: "which-page-is-for-you", Text: "Which page is for you", Level: 2}}
	p.body = template.HTML(out.String()) // #nosec G203 -- of our own template
	return err
}

// renderFolder makes the list of the pages of a folder, to which a link to the folder leads.
func (s *site) renderFolder(p *page) error {
	var links []link
	for _, each := range s.in(p.folder()) {
		links = append(links, link{each.title, p.to(each.path)})
	}
	var out bytes.Buffer
	err := templates.ExecuteTemplate(&out, "folder.html", struct {
		Title string
		Links []link
	}{p.title, links})
	p.body = template.HTML(out.String()) // #nosec G203 -- of our own template
	p.sections = []section{{Page: p.title, At: p.path}}
	return err
}

// readRoles reads the table of docs/README.md: who, what they want, and links.
func (s *site) readRoles(p *page) error {
	document := markdown().Parser().Parse(text.NewReader(p.source))
	s.roles = nil
	err := ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if _, is := node.(*east.TableRow); !is || !entering {
			return ast.WalkContinue, nil
		}
		who := node.FirstChild()
		wants := who.NextSibling()
		if name := plain(who, p.source); name != "" {
			s.roles = append(s.roles, role{Title: "You " + name})
		}
		if len(s.roles) == 0 {
			return ast.WalkStop, fmt.Errorf("the first row of the table says for nobody who reads it")
		}
		last := &s.roles[len(s.roles)-1]
		row := want{To: plain(wants, p.source)}
		for _, to := range linksOf(wants.NextSibling()) {
			resolved := s.resolve(p, p.file, string(to.Destination))
			row.Links = append(row.Links, link{plain(to, p.source), resolved})
			last.add(s.at(resolved))
		}
		last.Wants = append(last.Wants, row)
		return ast.WalkSkipChildren, nil
	})
	if err == nil && len(s.roles) < 3 {
		err = fmt.Errorf("it has no table of who reads what")
	}
	return err
}

func linksOf(cell ast.Node) (all []*ast.Link) {
	for node := cell.FirstChild(); node != nil; node = node.NextSibling() {
		if to, is := node.(*ast.Link); is {
			all = append(all, to)
		}
	}
	return all
}

// at is the page that a link of the first page leads to, or nil.
func (s *site) at(to string) *page {
	to, _, _ = strings.Cut(to, "#")
	for _, p := range s.pages {
		if p.path == to {
			return p
		}
	}
	return nil
}

// add adds a page once. Formats and alerts have groups of their own, and the first steps are above all groups.
func (r *role) add(p *page) {
	if p == nil || slices.Contains(r.pages, p) || p.path == beginning || (p.folder() == "runbooks" || p.folder() == "exporters") && path.Base(p.path) != "writing-one.html" {
		return
	}
	r.pages = append(r.pages, p)
}

// navigation is that of a page: who reads what, and then the folders.
func (s *site) navigation(p *page) (groups []group) {
	add := func(title string, pages []*page) {
		g := group{Title: title, Open: slices.Contains(pages, p)}
		for _, each := range pages {
			name := each.title
			if each.source == nil {
				name = "All " + strings.ToLower(name)
			}
			g.Links = append(g.Links, navigated{link{name, p.to(each.path)}, each == p})
		}
		groups = append(groups, g)
	}
	for _, r := range s.roles {
		add(r.Title, r.pages)
	}
	for _, folder := range folders {
		add(folder.title, append([]*page{s.byFile["docs/"+folder.name]}, s.in(folder.name)...))
	}
	add("Project", []*page{s.byFile["CHANGELOG.md"], s.byFile["CONTRIBUTING.md"], s.byFile["SECURITY.md"]})
	return groups
}
