package sie

import (
	"bytes"
	"errors"
	"strings"

	"github.com/ledgerport/ledgerport/exporters/charset"
)

// maxText is how many characters of a text are written. The specification sets no limit; importing systems do.
const maxText = 200

// encode appends a text in code page 437 as it stands between quotes: at most maxText characters, quotes escaped by a
// backslash. What the code page lacks is replaced, or is a *charset.MissingError.
func encode(to []byte, text string) ([]byte, error) {
	start := len(to)
	to, err := charset.CodePage437.AppendText(to, text, maxText)
	if err != nil {
		return to, err
	}
	for i, b := range to[start:] {
		if b == '\\' {
			to[start+i] = '/' // importing systems disagree on a backslash that escapes no quote
		}
	}
	return escape(to, start), nil
}

var errMisread = errors.New("has a backslash or a brace, which importing systems read in different ways")

// encodeCode appends the code of something, such as a project, as it stands between quotes. Nothing in it is cut or
// replaced, for it would be another code then: it fits, or is a *charset.MissingError.
func encodeCode(to []byte, code string) ([]byte, error) {
	if strings.ContainsAny(code, `\{}`) {
		return to, errMisread
	}
	start := len(to)
	to, err := charset.CodePage437.AppendCode(to, code)
	return escape(to, start), err
}

// escape puts a backslash before every quote from start on.
func escape(to []byte, start int) []byte {
	quotes := bytes.Count(to[start:], []byte{'"'})
	if quotes == 0 {
		return to
	}
	read := len(to)
	to = append(to, make([]byte, quotes)...)
	for write := len(to); read < write; {
		read--
		write--
		if to[write] = to[read]; to[read] == '"' {
			write--
			to[write] = '\\'
		}
	}
	return to
}
