package xmldoc

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAPieceIsElementsOnLines(t *testing.T) {
	t.Parallel()
	var p Piece
	for range 2 {
		p.Reset(1)
		p.Open("voucher", "id", `a"b`)
		p.Text("text", "fish & <chips>", "lang", "en")
		p.Optional("note", "")
		p.Optional("note", "ø")
		p.Close()
	}
	const want = "  <voucher id=\"a&#34;b\">\n    <text lang=\"en\">fish &amp; &lt;chips&gt;</text>\n    <note>ø</note>\n  </voucher>\n"
	if got := string(p.Bytes()); got != want || p.Err() != nil {
		t.Errorf("%v\n%s", p.Err(), got)
	}
}

func TestACompactPieceHasALineForEachElementWithin(t *testing.T) {
	t.Parallel()
	var p Piece
	p.ResetCompact()
	p.Open("voucher")
	p.Text("id", "1")
	for range 2 {
		p.Open("line")
		p.Open("amount")
		p.Text("debit", "2")
		p.Close()
		p.Close()
	}
	p.Close()
	const line = "<line><amount><debit>2</debit></amount></line>\n"
	if got, want := string(p.Bytes()), "<voucher><id>1</id>"+line+line+"</voucher>\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestACharacterThatXMLLacksIsAnError(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a\ufffeb": "U+FFFE", "\x01": "U+0001", "\xff": "U+FFFD", "\ufffd": "U+FFFD"} {
		var p Piece
		p.Text("t", text)
		p.Text("t", "\uffff")
		var missing MissingError
		if !errors.As(p.Err(), &missing) || !strings.Contains(missing.Error(), want) {
			t.Errorf("%q: %v, want %s", text, p.Err(), want)
		}
		p.Reset(0)
		if p.Err() != nil {
			t.Errorf("%q: the next piece begins with %v", text, p.Err())
		}
	}
}

// XML has U+FFFD (production 2, Char), which is refused because of what it stands for.
func TestAReplacementCharacterIsRefusedForWhatWasLost(t *testing.T) {
	t.Parallel()
	if err := Check("a\ufffdb"); err == nil || err.Error() != "has the character U+FFFD, which stands for one that was lost before it came here" {
		t.Errorf("%v", err)
	}
}

func FuzzTextsSurviveTheDocument(f *testing.F) {
	for _, seed := range []string{"", "a", "]]>", "<!--", "&amp;", "\r\n\t", "\ufffe", "\xff", "\u0085", "👩‍💻", `"'`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p Piece
		p.Open("d", "a", text)
		p.Text("t", text)
		p.Close()
		var read struct {
			A string `xml:"a,attr"`
			T string `xml:"t"`
		}
		err := xml.Unmarshal(p.Bytes(), &read)
		if p.Err() != nil {
			return
		}
		if err != nil || read.A != text || read.T != text || !utf8.ValidString(text) {
			t.Errorf("%q is read as %q and %q (%v)", text, read.A, read.T, err)
		}
	})
}
