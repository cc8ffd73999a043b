package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/net/html"
)

const repository = "../.."

// build makes a version of the site of this repository, and returns it.
func build(t *testing.T, into, version string) (*site, fs.FS) {
	t.Helper()
	s := &site{root: repository, version: version, commit: "0123abcd"}
	if err := s.build(into); err != nil {
		t.Fatal(err)
	}
	return s, os.DirFS(filepath.Join(into, version))
}

// walk calls a function with every element of every page.
func walk(t *testing.T, version fs.FS, do func(name string, node *html.Node)) (pages int) {
	t.Helper()
	must(t, fs.WalkDir(version, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".html" {
			return err
		}
		pages++
		content, err := fs.ReadFile(version, name)
		must(t, err)
		document, err := html.Parse(bytes.NewReader(content))
		must(t, err)
		for node := range document.Descendants() {
			if node.Type == html.ElementNode {
				do(name, node)
			}
		}
		return nil
	}))
	return pages
}

func TestSite(t *testing.T) {
	t.Parallel()
	into := t.TempDir()
	s, version := build(t, into, "main")
	t.Run("has every page of docs", func(t *testing.T) {
		t.Parallel()
		have := map[string]bool{}
		for _, p := range s.pages {
			have[p.file] = true
		}
		must(t, fs.WalkDir(os.DirFS(repository), "docs", func(name string, _ fs.DirEntry, err error) error {
			if path.Ext(name) == ".md" && !have[name] {
				t.Errorf("%s is not a page", name)
			}
			return err
		}))
		if len(have) < 100 {
			t.Errorf("there are %d pages", len(have))
		}
	})
	t.Run("leads to sources that exist, at the commit", func(t *testing.T) {
		t.Parallel()
		found := 0
		walk(t, version, func(name string, node *html.Node) {
			to, ours := strings.CutPrefix(attribute(node, "href"), homepage+"/")
			kind, rest, _ := strings.Cut(to, "/")
			if !ours || kind != "blob" && kind != "tree" {
				return
			}
			found++
			file, at := strings.CutPrefix(rest, "0123abcd/")
			file, _, _ = strings.Cut(file, "#")
			if info, err := os.Stat(filepath.Join(repository, file)); !at || err != nil || info.IsDir() != (kind == "tree") {
				t.Errorf("%s leads to %s", name, rest)
			}
		})
		if found < 120 {
			t.Errorf("%d links lead to sources", found)
		}
	})
	t.Run("has nothing that a strict policy forbids, and nothing of other servers", func(t *testing.T) {
		t.Parallel()
		pages := walk(t, version, func(name string, node *html.Node) {
			for _, a := range node.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s has <%s %s=%q>", name, node.Data, a.Key, a.Val)
				}
			}
			inline := node.Data == "style" || node.Data == "script" && attribute(node, "src") == ""
			if source := attribute(node, "src"); inline || strings.Contains(source, ":") || node.Data == "link" && strings.Contains(attribute(node, "href"), ":") {
				t.Errorf("%s has <%s>", name, node.Data)
			}
		})
		if pages != len(s.pages) {
			t.Errorf("%d pages were looked at, and %d written", pages, len(s.pages))
		}
	})
	t.Run("is the same twice", func(t *testing.T) {
		t.Parallel()
		again := t.TempDir()
		build(t, again, "main")
		files := 0
		must(t, fs.WalkDir(os.DirFS(into), ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			files++
			one, err := os.ReadFile(filepath.Join(into, name))
			must(t, err)
			other, err := os.ReadFile(filepath.Join(again, name))
			if err != nil || !bytes.Equal(one, other) {
				t.Errorf("%s differs (%v)", name, err)
			}
			return nil
		}))
		if files < 120 {
			t.Errorf("%d files were compared", files)
		}
	})
	t.Run("shows who reads what on its first page", func(t *testing.T) {
		t.Parallel()
		var titles []string
		for _, r := range s.roles {
			titles = append(titles, r.Title)
		}
		for _, want := range []string{"You run the platform", "You are a tenant", "You work in finance", "You develop Ledgerport"} {
			if !slices.Contains(titles, want) {
				t.Errorf("the roles are %q", titles)
			}
		}
	})
}

// repositoryOf writes a small repository, and has a site made of it.
func repositoryOf(t *testing.T, files map[string]string) (into string, err error) {
	t.Helper()
	root, into := t.TempDir(), t.TempDir()
	whole := map[string]string{
		"README.md": "# Thing\n\nIt is a thing.\n\n## More\n", "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n",
		"CONTRIBUTING.md": "# Contributing\n", "SECURITY.md": "# Security\n", "charts/ledgerport/README.md": "# Chart\n", "docs/getting-started.md": "# Start\n", "docs/images/a.png": "",
		"docs/README.md": "# Who\n\n| you | want to | read |\n|---|---|---|\n| run it | begin | [start](getting-started.md), [kinds](kinds) |\n| use it | go | [start](getting-started.md) |\n| write it | go | [start](getting-started.md) |\n",
	}
	for name, content := range files {
		whole[name] = content
	}
	for name, content := range whole {
		must(t, writeFile(filepath.Join(root, name), []byte(content)))
	}
	version := whole["VERSION"]
	if version == "" {
		version = "main"
	}
	return into, (&site{root: root, version: version}).build(into)
}

func TestWhatIsWrongWithASourceIsNamed(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		file, content, want string
	}{
		"a link to nothing":                    {"docs/kinds/a.md", "# A\n\n[b](b.md)\n", "docs/kinds/a.md: it links to b.md, which does not exist"},
		"a link out of the repository":         {"docs/kinds/a.md", "# A\n\n[b](../../../b.md)\n", "it links to ../../../b.md"},
		"a link to no heading":                 {"docs/kinds/a.md", "# A\n\n[b](../getting-started.md#b)\n", "kinds/a.html links to ../getting-started.html#b"},
		"an image that does not exist":         {"docs/kinds/a.md", "# A\n\n![b](../images/b.png)\n", "its image ../images/b.png"},
		"an image of somewhere else":           {"docs/kinds/a.md", "# A\n\n![b](../../README.md)\n", "is not a file below docs/images"},
		"a page without a title":               {"docs/kinds/a.md", "Text\n", "docs/kinds/a.md: it does not begin with a heading"},
		"a directory that is not known":        {"docs/else/a.md", "# A\n", "the navigation has no place for the directory else"},
		"a page that the first one forgets":    {"docs/b.md", "# B\n", "b.html is not in the navigation"},
		"code in an unknown language":          {"docs/kinds/a.md", "# A\n\n```nonsense\nx\n```\n", `docs/kinds/a.md: a block of code is in "nonsense"`},
		"a diagram that cannot be shown":       {"docs/kinds/a.md", "# A\n\n```mermaid\ngraph TD\n```\n", `a diagram of the kind "graph TD"`},
		"a table without readers":              {"docs/README.md", "# Who\n", "it has no table of who reads what"},
		"a table that begins with no reader":   {"docs/README.md", "# Who\n\n|a|b|c|\n|-|-|-|\n||x|[y](kinds)|\n", "says for nobody who reads it"},
		"a release that the changelog has not": {"VERSION", "v1.2.4", "CHANGELOG.md has no ## [1.2.4]"},
		"a version that is no directory":       {"VERSION", "../x", `"../x" cannot be the name of a directory`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if _, err := repositoryOf(t, map[string]string{test.file: test.content}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it ends with %v, want %q", err, test.want)
			}
		})
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	into, err := repositoryOf(t, map[string]string{"docs/kinds/a.md": `# A & *thing*

See [start](../getting-started.md), [a file](../../CHANGELOG.md), [the source](../../LICENSE), [README](../../README.md#more), [below](#twice-1).
![A picture](../images/a.png)

## Twice

## Twice

### ` + "`code` & *more*, `x-y_z`" + `

| a | | c |
|---|---|--:|
| 1 | 2 | 3 |

` + "```console\n$ ls <x>\n```\n", "LICENSE": ""})
	must(t, err)
	content, err := os.ReadFile(filepath.Join(into, "main", "kinds", "a.html"))
	must(t, err)
	for _, want := range []string{
		`<h1 id="a--thing">A &amp; thing</h1>`, `<a href="../getting-started.html">start</a>`, `<a href="../changelog.html">a file</a>`,
		`<a href="` + homepage + `/blob/main/LICENSE">the source</a>`, `<a href="` + homepage + `/blob/main/README.md#more">README</a>`, `<a href="#twice-1">below</a>`,
		`<img src="../images/a.png" alt="A picture" loading="lazy">`, `<h2 id="twice">`, `<h2 id="twice-1">`, `<h3 id="code--more-x-y_z">`,
		"<th>a</th>\n<td></td>\n<th class=\"right\">c</th>", `<td class="right">3</td>`, `<pre tabindex="0"><code>`, `ls &lt;x&gt;`, `<link rel="stylesheet" href="../assets/site.css">`,
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("it lacks %s:\n%s", want, content)
		}
	}
	search, err := os.ReadFile(filepath.Join(into, "main", "search.json"))
	must(t, err)
	if want := `{"page":"A \u0026 thing","heading":"code \u0026 more, x-y_z","at":"kinds/a.html#code--more-x-y_z","text":"a c 1 2 3 $ ls \u003cx\u003e"}`; !strings.Contains(string(search), want) {
		t.Errorf("the search has %s, want %s", search, want)
	}
}

func TestHeadingsHaveTheNamesThatGitHubGivesThem(t *testing.T) {
	t.Parallel()
	for heading, want := range map[string]string{
		"Who did what": "who-did-what", "A run whose ExportRun is gone": "a-run-whose-exportrun-is-gone", "The schema ledgerport": "the-schema-ledgerport",
		"What's new, & old": "whats-new--old", "Füße": "füße", "1. Say what is yours": "1-say-what-is-yours", "a_b-c": "a_b-c", "config/default": "configdefault",
	} {
		if got := slug(heading); got != want {
			t.Errorf("%q has the name %q, want %q", heading, got, want)
		}
	}
}

func TestCodeIsMarked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ language, code, want string }{
		{"yaml", "a: {b: c, d: \"e<\"}", `<span class="k">a</span>: {<span class="k">b</span>: c, <span class="k">d</span>: <span class="s">&#34;e&lt;&#34;</span>}`},
		{"sql", "SELECT 1 -- one", `<span class="k">SELECT</span> <span class="m">1</span> <span class="c">-- one</span>`},
		{"ledger", "a;<b>", "a;&lt;b&gt;"},
		{"", "$ ls", "$ ls"},
	} {
		if got, err := highlight(test.language, test.code); err != nil || strings.TrimSpace(got) != test.want {
			t.Errorf("%s %q becomes %s (%v), want %s", test.language, test.code, got, err, test.want)
		}
	}
}

func TestDiagramsOfStatesAreTables(t *testing.T) {
	t.Parallel()
	got, err := stateTable("stateDiagram-v2\n    [*] --> a: it begins\n    a --> b: it goes <on>\n    b --> [*]\n")
	must(t, err)
	for _, want := range []string{
		"<tr><td>the beginning</td><td><code>a</code></td><td>it begins</td></tr>", "<tr><td><code>a</code></td><td><code>b</code></td><td>it goes &lt;on&gt;</td></tr>", "<tr><td><code>b</code></td><td>the end</td><td></td></tr>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %s:\n%s", want, got)
		}
	}
	if _, err := stateTable("stateDiagram-v2\n    note right of a\n"); err == nil {
		t.Error("what is not a move is left out")
	}
}

const first = `<nav><a href="a.html">a</a></nav><h1 id="x">x</h1>`

func TestCheck(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		a, want string
	}{
		"finds nothing wrong with a good page":  {`<a href="index.html#x">x</a><a href="../index.html">versions</a><a href="https://example.org/">e</a><img src="i.png">`, ""},
		"finds a link to a page that is not":    {`<a href="b.html">b</a>`, "a.html links to b.html, which does not exist"},
		"finds an image that is not":            {`<img src="j.png">`, "a.html links to j.png, which does not exist"},
		"finds a link to a heading that is not": {`<a href="index.html#y">y</a>`, "a.html links to index.html#y, and index.html has no such heading"},
		"finds an id that is there twice":       {`<p id="x"></p><p id="x"></p>`, `a.html has the id "x" twice`},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			found := check(fstest.MapFS{"index.html": {Data: []byte(first)}, "a.html": {Data: []byte(test.a)}, "i.png": {}})
			if got := strings.Join(found, "\n"); got != test.want {
				t.Errorf("it finds %q, want %q", got, test.want)
			}
		})
	}
	if found := check(fstest.MapFS{"index.html": {Data: []byte("<nav></nav>")}, "a.html": {Data: []byte(`<a href="index.html">x</a>`)}}); !slices.Equal(found, []string{"a.html is not in the navigation"}) {
		t.Errorf("of a page that is not in the navigation it says %q", found)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	into := t.TempDir()
	for _, version := range []string{"v0.9.0", "v0.10.0", "v0.10.0-rc.1", "v0.10.0-rc.2", "main", "another"} {
		must(t, writeFile(filepath.Join(into, version, "search.json"), nil))
	}
	must(t, writeFile(filepath.Join(into, "not-a-version", "x"), nil))
	must(t, writeVersions(into))
	list, err := os.ReadFile(filepath.Join(into, "versions.json"))
	must(t, err)
	if want := `{"newest":"v0.10.0","versions":["v0.10.0","v0.10.0-rc.2","v0.10.0-rc.1","v0.9.0","another","main"]}`; string(list) != want {
		t.Errorf("the list is %s, want %s", list, want)
	}
	page, err := os.ReadFile(filepath.Join(into, "index.html"))
	must(t, err)
	if !strings.Contains(string(page), `<a class="button" href="v0.10.0/index.html">`) {
		t.Errorf("the page leads elsewhere:\n%s", page)
	}
}

func TestASiteWithoutVersionsIsRefused(t *testing.T) {
	t.Parallel()
	if err := writeVersions(t.TempDir()); err == nil || !strings.Contains(err.Error(), "has no version of the pages") {
		t.Errorf("it ends with %v", err)
	}
}

func TestAnotherVersionStays(t *testing.T) {
	t.Parallel()
	into := t.TempDir()
	must(t, writeFile(filepath.Join(into, "v0.1.0", "search.json"), nil))
	must(t, writeFile(filepath.Join(into, "main", "gone.html"), nil))
	build(t, into, "main")
	if _, err := os.Stat(filepath.Join(into, "v0.1.0", "search.json")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(into, "main", "gone.html")); err == nil {
		t.Error("a page that is gone is left of the version before")
	}
	list, err := os.ReadFile(filepath.Join(into, "versions.json"))
	must(t, err)
	if want := fmt.Sprintf(`{"newest":%q,"versions":["v0.1.0","main"]}`, "v0.1.0"); string(list) != want {
		t.Errorf("the list is %s, want %s", list, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
