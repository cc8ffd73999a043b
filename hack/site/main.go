// Command site renders docs/ as a static site: one directory for each version, with a search that asks no other server. It needs no network, and
// the same commit makes the same bytes. It is a module of its own, so that the product does not depend on what renders its pages.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// homepage is where the sources are.
const homepage = "https://github.com/ledgerport/ledgerport"

func main() {
	s := &site{}
	var into string
	flag.StringVar(&s.root, "root", filepath.Join("..", ".."), "`directory` of the repository")
	flag.StringVar(&s.version, "version", "main", "`version` of the pages, which is their directory: a tag, or the name of a branch")
	flag.StringVar(&s.commit, "commit", "", "`commit` that links to sources lead to; empty is the version")
	flag.StringVar(&into, "into", filepath.Join("..", "..", "dist", "site"), "`directory` with a directory for each version; others in it stay as they are")
	list := flag.Bool("list", false, "list the versions that are there, and make none")
	flag.Parse()
	do := s.build
	if *list {
		do = writeVersions
	}
	if err := do(into); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
	if !*list {
		fmt.Printf("%d pages of %s are in %s\n", len(s.pages), s.version, filepath.Join(into, s.version))
	}
}

// site is one version of all pages.
type site struct {
	root    string // of the repository
	version string
	commit  string
	pages   []*page
	byFile  map[string]*page
	roles   []role
	// problems are all that is wrong with the sources, so that an author sees them at once.
	problems []string
}

var (
	directoryName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)
	release       = regexp.MustCompile(`^v(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$`)
)

// build writes the pages of a version, and then the list of all versions that are there.
func (s *site) build(into string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.read(); err != nil {
		return err
	}
	for _, p := range s.pages {
		if err := s.render(p); err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
	}
	if len(s.problems) > 0 {
		return errors.New(strings.Join(s.problems, "\n"))
	}
	place := filepath.Join(into, s.version)
	if err := os.RemoveAll(place); err != nil {
		return err
	}
	if err := s.write(place); err != nil {
		return err
	}
	if problems := check(os.DirFS(place)); len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return writeVersions(into)
}

// prepare refuses a version that is no name of a directory, and a release that the changelog does not have.
func (s *site) prepare() error {
	if !directoryName.MatchString(s.version) || s.version == "assets" {
		return fmt.Errorf("%q cannot be the name of a directory of the site", s.version)
	}
	if s.commit == "" {
		s.commit = s.version
	}
	tag := release.FindStringSubmatch(s.version)
	if tag == nil {
		return nil
	}
	changes, err := os.ReadFile(filepath.Join(s.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(changes), "\n## ["+tag[1]+"] - ") {
		return fmt.Errorf("CHANGELOG.md has no ## [%s] with a date, so that %s is not a release", tag[1], s.version)
	}
	return nil
}

// problem is something in a source that its author has to correct.
func (s *site) problem(p *page, format string, arguments ...any) {
	if text := p.file + ": " + fmt.Sprintf(format, arguments...); !slices.Contains(s.problems, text) {
		s.problems = append(s.problems, text)
	}
}
