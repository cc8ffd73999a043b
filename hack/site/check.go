package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// check reads the pages of a version as a browser does, and returns what is wrong with them: links to what does not exist, ids that are there
// twice, and pages that the navigation of the first page does not lead to.
func check(version fs.FS) (problems []string) {
	ids, targets := map[string][]string{}, map[string][]string{}
	var navigation []string
	err := fs.WalkDir(version, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".html" {
			return err
		}
		content, err := fs.ReadFile(version, name)
		if err != nil {
			return err
		}
		document, err := html.Parse(bytes.NewReader(content))
		if err != nil {
			return err
		}
		ids[name] = []string{}
		for node := range document.Descendants() {
			if id := attribute(node, "id"); id != "" {
				if slices.Contains(ids[name], id) {
					problems = append(problems, fmt.Sprintf("%s has the id %q twice", name, id))
				}
				ids[name] = append(ids[name], id)
			}
			for _, key := range []string{"href", "src"} {
				to := attribute(node, key)
				if to == "" {
					continue
				}
				targets[name] = append(targets[name], to)
				if name == "index.html" && within(node, "nav") {
					navigation = append(navigation, to)
				}
			}
		}
		return nil
	})
	if err != nil {
		return append(problems, err.Error())
	}
	for name, links := range targets {
		for _, to := range links {
			if problem := follow(version, ids, name, to); problem != "" {
				problems = append(problems, problem)
			}
		}
		if name != "index.html" && !slices.Contains(navigation, name) {
			problems = append(problems, name+" is not in the navigation")
		}
	}
	slices.Sort(problems)
	return problems
}

// follow returns what is wrong with a link of a page, or "".
func follow(version fs.FS, ids map[string][]string, from, to string) string {
	target, err := url.Parse(to)
	if err != nil {
		return fmt.Sprintf("%s: %v", from, err)
	}
	if target.Scheme != "" || target.Host != "" {
		return ""
	}
	name := from
	if target.Path != "" {
		name = path.Join(path.Dir(from), target.Path)
	}
	if name == "../index.html" {
		return "" // the list of versions
	}
	if _, err := fs.Stat(version, name); err != nil {
		return fmt.Sprintf("%s links to %s, which does not exist", from, to)
	}
	if target.Fragment != "" && !slices.Contains(ids[name], target.Fragment) {
		return fmt.Sprintf("%s links to %s, and %s has no such heading", from, to, name)
	}
	return ""
}

func attribute(node *html.Node, key string) string {
	for _, a := range node.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func within(node *html.Node, tag string) bool {
	for ; node != nil; node = node.Parent {
		if node.Type == html.ElementNode && strings.EqualFold(node.Data, tag) {
			return true
		}
	}
	return false
}
