package destinations

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxKeyLength is what S3 allows, in bytes.
const maxKeyLength = 1024

// ValidateKey refuses keys that could mean another place than they say: empty, absolute, with empty, "." or ".."
// elements, with hidden names, backslashes or control characters.
func ValidateKey(key string) error {
	if key == "" || len(key) > maxKeyLength || !utf8.ValidString(key) {
		return fmt.Errorf("a key has between 1 and %d bytes of UTF-8", maxKeyLength)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return fmt.Errorf("the key %q has a backslash or a control character", key)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || strings.HasPrefix(element, ".") {
			return fmt.Errorf("the key %q has an element that is empty or begins with a dot", key)
		}
	}
	return nil
}
