package main

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/html/atom"

	markdownhtml "github.com/yuin/goldmark/renderer/html"
)

// markdown is what GitHub reads, so that a page looks the same in both places.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify, extension.TaskList),
		goldmark.WithRendererOptions(markdownhtml.WithUnsafe(), renderer.WithNodeRenderers(util.Prioritized(blocks{}, 100))),
	)
}

// render makes the body of a page, its list of headings, and what the search finds on it.
func (s *site) render(p *page) error {
	switch {
	case p.file == index:
		return s.renderFirst(p)
	case p.source == nil:
		return s.renderFolder(p)
	}
	body, err := s.body(p, p.file, p.source)
	p.body = body
	return err
}

// body renders Markdown that is in a file, whose links are relative to that.
func (s *site) body(p *page, file string, source []byte) (template.HTML, error) {
	md := markdown()
	document := md.Parser().Parse(text.NewReader(source))
	s.name(p, document, source)
	err := ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch at := node.(type) {
		case *ast.Link:
			if entering {
				at.Destination = []byte(s.resolve(p, file, string(at.Destination)))
			}
		case *ast.Image:
			if entering {
				at.Destination = []byte(s.resolveImage(p, file, string(at.Destination)))
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", err
	}
	s.split(p, document, source)
	var out bytes.Buffer
	err = md.Renderer().Render(&out, source, document)
	return template.HTML(out.String()), err // #nosec G203 -- the pages are ours
}

// name gives headings the ids that GitHub gives them, so that a link to one works in both places.
func (s *site) name(p *page, document ast.Node, source []byte) {
	taken := map[string]int{}
	_ = ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		at, is := node.(*ast.Heading)
		if !is || !entering {
			return ast.WalkContinue, nil
		}
		words := plain(at, source)
		id := slug(words)
		if number := taken[id]; number > 0 {
			taken[id]++
			id += "-" + strconv.Itoa(number)
		} else {
			taken[id] = 1
		}
		at.SetAttributeString("id", []byte(id))
		if at.Level == 1 {
			p.id = id
		} else {
			p.headings = append(p.headings, heading{ID: id, Text: words, Level: at.Level})
		}
		return ast.WalkSkipChildren, nil
	}) // the function returns no error
}

var unnamed = regexp.MustCompile(`[^\pL\pM\pN _-]`)

// slug is the name that GitHub gives a heading.
func slug(heading string) string {
	return strings.ReplaceAll(unnamed.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// plain is the text of a node, with a space between blocks.
func plain(node ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(node, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if _, cell := node.(*east.TableCell); cell || node.Type() == ast.TypeBlock {
				out.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch at := node.(type) {
		case *ast.Text:
			out.Write(util.UnescapePunctuations(at.Segment.Value(source)))
			if at.SoftLineBreak() || at.HardLineBreak() {
				out.WriteByte(' ')
			}
		case *ast.String:
			out.Write(at.Value)
		case *ast.AutoLink:
			out.Write(at.Label(source))
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			out.Write(at.Lines().Value(source))
		}
		return ast.WalkContinue, nil
	}) // the function returns no error
	return strings.Join(strings.Fields(html.UnescapeString(out.String())), " ")
}

// split takes a page apart at its headings, for the search.
func (s *site) split(p *page, document ast.Node, source []byte) {
	current := &section{Page: p.title, At: p.path}
	flush := func() { p.sections = append(p.sections, *current) }
	for node := document.FirstChild(); node != nil; node = node.NextSibling() {
		at, is := node.(*ast.Heading)
		if !is {
			if _, raw := node.(*ast.HTMLBlock); !raw {
				current.Text = strings.TrimSpace(current.Text + " " + plain(node, source))
			}
			continue
		}
		if at.Level == 1 {
			continue
		}
		flush()
		id, _ := at.AttributeString("id") // every heading has got one
		current = &section{Page: p.title, Heading: plain(at, source), At: fmt.Sprintf("%s#%s", p.path, id)}
	}
	flush()
}

// resolve turns a link between files of the repository into one between pages, or to the source at this version.
func (s *site) resolve(p *page, from, to string) string {
	target, err := url.Parse(to)
	if err != nil {
		s.problem(p, "%q is not a link: %v", to, err)
		return to
	}
	if target.Scheme != "" || target.Host != "" || target.Path == "" {
		return to
	}
	file := path.Join(path.Dir(from), target.Path)
	anchor := ""
	if target.Fragment != "" {
		anchor = "#" + target.EscapedFragment()
	}
	known := s.byFile[file]
	if known != nil && (file != "README.md" || anchor == "") { // of which the first page has the beginning alone
		return p.to(known.path) + anchor
	}
	found, err := os.Stat(filepath.Join(s.root, file))
	switch {
	case err != nil || strings.HasPrefix(file, ".."):
		s.problem(p, "it links to %s, which does not exist", to)
		return to
	case found.IsDir():
		return homepage + "/tree/" + s.commit + "/" + file
	default:
		return homepage + "/blob/" + s.commit + "/" + file + anchor
	}
}

// resolveImage is the same for an image, which must be below docs/images.
func (s *site) resolveImage(p *page, from, to string) string {
	file := path.Join(path.Dir(from), to)
	below, is := strings.CutPrefix(file, "docs/images/")
	if _, err := os.Stat(filepath.Join(s.root, file)); !is || err != nil {
		s.problem(p, "its image %s is not a file below docs/images", to)
	}
	return p.to("images/" + below)
}

// blocks renders what needs more than plain Markdown does: what can be wider than a narrow window can be scrolled, with a keyboard, too.
type blocks struct{}

// RegisterFuncs is what goldmark asks for.
func (b blocks) RegisterFuncs(register renderer.NodeRendererFuncRegisterer) {
	register.Register(ast.KindHeading, b.heading)
	register.Register(ast.KindFencedCodeBlock, b.code)
	register.Register(ast.KindCodeBlock, b.code)
	register.Register(east.KindTable, b.table)
	register.Register(east.KindTableCell, b.cell)
	register.Register(ast.KindImage, b.image)
}

func (blocks) heading(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	at := node.(*ast.Heading)
	if at.Level == 1 {
		return ast.WalkSkipChildren, nil // it is above the list of the others
	}
	id, _ := at.AttributeString("id") // every heading has got one
	if entering {
		_, _ = fmt.Fprintf(out, `<h%d id="%s">`, at.Level, html.EscapeString(fmt.Sprintf("%s", id)))
		return ast.WalkContinue, nil
	}
	_, _ = fmt.Fprintf(out, ` <a class="anchor" href="#%s" aria-label="%s">#</a></h%d>`+"\n", url.PathEscape(fmt.Sprintf("%s", id)), html.EscapeString("Link to “"+plain(at, source)+"”"), at.Level)
	return ast.WalkContinue, nil
}

func (blocks) code(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	language := ""
	if fenced, is := node.(*ast.FencedCodeBlock); is {
		language = string(fenced.Language(source))
	}
	content := string(node.Lines().Value(source))
	if language == "mermaid" {
		states, err := stateTable(content)
		_, _ = out.WriteString(states)
		return ast.WalkContinue, err
	}
	colored, err := highlight(language, content)
	_, _ = fmt.Fprintf(out, "<div class=\"code\"><pre tabindex=\"0\"><code>%s</code></pre></div>\n", colored)
	return ast.WalkContinue, err
}

func (blocks) table(out util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = out.WriteString("<div class=\"scroll\" tabindex=\"0\"><table>\n")
	} else {
		_, _ = out.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}

// cell renders a cell of a table. A column without a name has no heading cell, which would be read out as nothing.
func (blocks) cell(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	at := node.(*east.TableCell)
	tag := atom.Td
	if _, head := at.Parent().(*east.TableHeader); head && at.HasChildren() {
		tag = atom.Th
	}
	switch {
	case !entering:
		_, _ = fmt.Fprintf(out, "</%s>\n", tag)
	case at.Alignment != east.AlignNone:
		_, _ = fmt.Fprintf(out, `<%s class="%s">`, tag, at.Alignment)
	default:
		_, _ = fmt.Fprintf(out, "<%s>", tag)
	}
	return ast.WalkContinue, nil
}

func (blocks) image(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		at := node.(*ast.Image)
		to := html.EscapeString(string(at.Destination))
		_, _ = fmt.Fprintf(out, `<a class="picture" href="%s"><img src="%s" alt="%s" loading="lazy"></a>`, to, to, html.EscapeString(plain(at, source)))
	}
	return ast.WalkSkipChildren, nil
}
