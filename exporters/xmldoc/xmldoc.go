// Package xmldoc writes XML documents piece by piece, for exporters that cannot hold a document in memory.
package xmldoc

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MediaType of the documents, and Declaration, their first line.
const (
	MediaType   = "application/xml; charset=utf-8"
	Declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

// Piece is a part of a document: elements, one a line, indented. Its memory is used again after Reset. The names of elements
// and attributes are the caller's to get right.
type Piece struct {
	bytes   []byte
	depth   int
	compact bool
	open    []string
	err     error
}

// MissingError says which character XML lacks. Texts of the ledger have few of them: no control character, but U+FFFE.
type MissingError rune

// Error returns the character's code point, never the text around it.
func (c MissingError) Error() string {
	if rune(c) == utf8.RuneError {
		return "has the character U+FFFD, which stands for one that was lost before it came here"
	}
	return fmt.Sprintf("has the character U+%04X, which XML lacks", rune(c))
}

// Reset begins a piece that goes so many levels deep into a document.
func (p *Piece) Reset(depth int) {
	p.bytes, p.depth, p.compact, p.open, p.err = p.bytes[:0], depth, false, p.open[:0], nil
}

// ResetCompact begins a piece without indentation, in which lines end only behind an element and behind those right in it
// that have elements themselves. What a document has many of takes two thirds of the room then.
func (p *Piece) ResetCompact() {
	p.Reset(0)
	p.compact = true
}

// Bytes of the piece so far, until Reset.
func (p *Piece) Bytes() []byte { return p.bytes }

// Flush writes the piece so far, which goes on behind that.
func (p *Piece) Flush(to io.Writer) error {
	_, err := to.Write(p.bytes)
	p.bytes = p.bytes[:0]
	return err
}

// Err is a MissingError if a text had such a character, since Reset.
func (p *Piece) Err() error { return p.err }

// Open begins an element. Attributes are names and values in turn.
func (p *Piece) Open(name string, attributes ...string) {
	p.start(name, attributes)
	p.newline(false)
	p.open = append(p.open, name)
}

// Close ends the element that was opened last.
func (p *Piece) Close() {
	last := len(p.open) - 1
	name := p.open[last]
	p.open = p.open[:last]
	p.indent()
	p.end(name)
	p.newline(len(p.open) <= 1)
}

// Text is an element with a text in it.
func (p *Piece) Text(name, text string, attributes ...string) {
	p.start(name, attributes)
	p.escape(text)
	p.end(name)
	p.newline(false)
}

// Optional is Text where there is a text, and nothing if there is none.
func (p *Piece) Optional(name, text string) {
	if text != "" {
		p.Text(name, text)
	}
}

func (p *Piece) start(name string, attributes []string) {
	p.indent()
	p.bytes = append(append(p.bytes, '<'), name...)
	for i := 0; i < len(attributes); i += 2 {
		p.bytes = append(append(append(p.bytes, ' '), attributes[i]...), `="`...)
		p.escape(attributes[i+1])
		p.bytes = append(p.bytes, '"')
	}
	p.bytes = append(p.bytes, '>')
}

func (p *Piece) end(name string) {
	p.bytes = append(append(append(p.bytes, "</"...), name...), '>')
}

// newline ends a line, in a compact piece only where it is asked for.
func (p *Piece) newline(always bool) {
	if always || !p.compact {
		p.bytes = append(p.bytes, '\n')
	}
}

func (p *Piece) indent() {
	if p.compact {
		return
	}
	for range p.depth + len(p.open) {
		p.bytes = append(p.bytes, "  "...)
	}
}

func (p *Piece) escape(text string) {
	if isPlain(text) {
		p.bytes = append(p.bytes, text...)
		return
	}
	if err := Check(text); err != nil && p.err == nil {
		p.err = err
	}
	for i := range len(text) {
		if escaped := escapes[text[i]]; escaped != "" {
			p.bytes = append(p.bytes, escaped...)
		} else {
			p.bytes = append(p.bytes, text[i])
		}
	}
}

// escapes are written for bytes that have a meaning in XML, or would not be read back as they are.
var escapes = [256]string{'"': "&#34;", '\'': "&#39;", '&': "&amp;", '<': "&lt;", '>': "&gt;", '\t': "&#x9;", '\n': "&#xA;", '\r': "&#xD;"}

// Check returns a MissingError where XML lacks a character of a text.
func Check(text string) error {
	if at := strings.IndexFunc(text, isMissing); at >= 0 {
		missing, _ := utf8.DecodeRuneInString(text[at:])
		return MissingError(missing)
	}
	return nil
}

// isMissing follows the production Char of XML 1.0. What is not UTF-8 reads as U+FFFD, and is missing too: it stands for
// something that the text does not say.
func isMissing(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffd || r == 0xfffe || r == 0xffff
}

// isPlain reports whether a text is printable ASCII of which nothing must be escaped.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || escapes[c] != "" {
			return false
		}
	}
	return true
}
