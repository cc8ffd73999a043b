package main

import (
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
)

// plainLanguages are those that nobody has a lexer for.
var plainLanguages = map[string]bool{"": true, "text": true, "beancount": true, "ledger": true}

// highlight marks what tokens are by a class, which the style sheet gives a color.
func highlight(language, content string) (string, error) {
	if plainLanguages[language] {
		return html.EscapeString(content), nil
	}
	lexer := lexers.Get(language)
	if lexer == nil {
		return "", fmt.Errorf("a block of code is in %q, which is not known", language)
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(nil, content)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for token := tokens(); token != chroma.EOF; token = tokens() {
		if comma := strings.LastIndex(token.Value, ", "); token.Type == chroma.NameTag && comma >= 0 {
			out.WriteString(html.EscapeString(token.Value[:comma+2])) // a value of {a: b, c: d}, which the lexer takes for a part of the next key
			token.Value = token.Value[comma+2:]
		}
		text := html.EscapeString(token.Value)
		if class := classOf(token.Type); class != "" {
			text = `<span class="` + class + `">` + text + "</span>"
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

// classOf tells five kinds of tokens apart: more colors say less.
func classOf(token chroma.TokenType) string {
	switch {
	case token.InCategory(chroma.Comment):
		return "c"
	case token.InCategory(chroma.Keyword), token == chroma.NameTag, token == chroma.NameBuiltin:
		return "k"
	case token.InSubCategory(chroma.LiteralString):
		return "s"
	case token.InSubCategory(chroma.LiteralNumber):
		return "m"
	case token == chroma.GenericPrompt:
		return "p"
	default:
		return ""
	}
}

var stateMove = regexp.MustCompile(`^(\[\*\]|[a-z]+) --> (\[\*\]|[a-z]+)(?:: (.+))?$`)

// stateTable writes a diagram of states as the table that it is. To draw it would take a library of a megabyte in the browser.
func stateTable(diagram string) (string, error) {
	lines := strings.Split(strings.TrimSpace(diagram), "\n")
	if lines[0] != "stateDiagram-v2" {
		return "", fmt.Errorf("a diagram of the kind %q: only states (stateDiagram-v2) can be shown", lines[0])
	}
	var out strings.Builder
	out.WriteString("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th>from</th><th>to</th><th>when</th></tr></thead>\n<tbody>\n")
	for _, line := range lines[1:] {
		move := stateMove.FindStringSubmatch(strings.TrimSpace(line))
		if move == nil {
			return "", fmt.Errorf("%q is not a move from one state to another", line)
		}
		fmt.Fprintf(&out, "<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n", stateCell(move[1], "the beginning"), stateCell(move[2], "the end"), html.EscapeString(move[3]))
	}
	out.WriteString("</tbody></table></div>\n")
	return out.String(), nil
}

func stateCell(name, pseudo string) string {
	if name == "[*]" {
		return pseudo
	}
	return "<code>" + html.EscapeString(name) + "</code>"
}
