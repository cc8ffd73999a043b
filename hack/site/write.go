package main

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assets embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*.html"))

// view is what the template of a page shows.
type view struct {
	Title, ID        string
	Version, Up      string
	Source           string
	First, Beginning bool
	Body             template.HTML
	Headings         []heading
	Groups           []group
}

// write writes a version: its pages, images and assets, and what the search reads.
func (s *site) write(place string) error {
	for _, p := range s.pages {
		shown := view{
			Title: p.title, ID: p.id, Version: s.version, Up: p.up(), First: p.file == index, Beginning: p.path == beginning, Body: p.body, Groups: s.navigation(p),
			Source: homepage + "/blob/" + s.commit + "/" + p.file,
		}
		if p.source == nil {
			shown.Source = homepage + "/tree/" + s.commit + "/" + p.file
		}
		for _, h := range p.headings {
			if h.Level <= 3 {
				shown.Headings = append(shown.Headings, h)
			}
		}
		if len(shown.Headings) < 3 {
			shown.Headings = nil // they are all in sight
		}
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, "page.html", shown); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(place, filepath.FromSlash(p.path)), out.Bytes()); err != nil {
			return err
		}
	}
	if err := s.writeSearch(place); err != nil {
		return err
	}
	if err := copyFiles(os.DirFS(filepath.Join(s.root, "docs", "images")), filepath.Join(place, "images")); err != nil {
		return err
	}
	of, err := fs.Sub(assets, "assets")
	if err != nil {
		return err
	}
	return copyFiles(of, filepath.Join(place, "assets"))
}

// writeSearch writes the sections of all pages, those of the decisions last.
func (s *site) writeSearch(place string) error {
	all := []section{}
	for _, p := range s.pages {
		all = append(all, p.sections...)
	}
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(place, "search.json"), content)
}

func copyFiles(from fs.FS, to string) error {
	return fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(to, filepath.FromSlash(name)), content)
	})
}

func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// writeVersions lists the versions that a site has, the newest first, for people and for the pages of older ones.
func writeVersions(into string) error {
	entries, err := os.ReadDir(into)
	if err != nil {
		return err
	}
	var versions []string
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(into, entry.Name(), "search.json")); err == nil && entry.IsDir() {
			versions = append(versions, entry.Name())
		}
	}
	if len(versions) == 0 {
		return fmt.Errorf("%s has no version of the pages", into)
	}
	slices.SortFunc(versions, newerFirst)
	newest := newestOf(versions)
	list, err := json.Marshal(struct {
		Newest   string   `json:"newest"`
		Versions []string `json:"versions"`
	}{newest, versions})
	if err != nil {
		return err
	}
	files := map[string][]byte{"versions.json": list, ".nojekyll": nil}
	for name, page := range map[string]string{"index.html": "versions.html", "404.html": "missing.html"} {
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, page, struct {
			Newest   string
			Versions []string
		}{newest, versions}); err != nil {
			return err
		}
		files[name] = out.Bytes()
	}
	style, err := assets.ReadFile("assets/site.css")
	if err != nil {
		return err
	}
	files["site.css"] = style
	for name, content := range files {
		if err := writeFile(filepath.Join(into, name), content); err != nil {
			return err
		}
	}
	return nil
}

// newestOf is the newest release, or else the first of the versions.
func newestOf(versions []string) string {
	for _, version := range versions {
		if release.MatchString(version) && !strings.Contains(version, "-") {
			return version
		}
	}
	return versions[0]
}

// newerFirst sorts releases by their numbers, a release before its candidates, and everything else behind them by its name.
func newerFirst(a, b string) int {
	isA, isB := release.MatchString(a), release.MatchString(b)
	if !isA || !isB {
		return cmp.Or(boolean(isB)-boolean(isA), strings.Compare(a, b))
	}
	return slices.Compare(numbers(b), numbers(a))
}

func boolean(value bool) int {
	if value {
		return 1
	}
	return 0
}

// numbers of a release: those of v1.2.3, and then whether it is one, or the number of a candidate such as v1.2.3-rc.1.
func numbers(version string) (all []int) {
	core, before, is := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for part := range strings.SplitSeq(core, ".") {
		number, _ := strconv.Atoi(part) // it has digits only
		all = append(all, number)
	}
	if !is {
		return append(all, 1)
	}
	number, _ := strconv.Atoi(strings.TrimPrefix(path.Ext(before), ".")) // 0 for one without a number
	return append(all, 0, number)
}
