package destinations

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxKeyLength is what every type of destination can keep, in bytes.
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

// Directory is a directory of a destination, such as that of one run. No name leads out of it.
type Directory struct {
	Destination
	// Path of the directory: a key.
	Path string
}

// Key is that of a name in the directory, or the error of a name that could mean another place.
func (d Directory) Key(name string) (string, error) {
	if strings.Contains(name, "/") {
		return "", fmt.Errorf("the name %q has a slash", name)
	}
	key := d.Path + "/" + name // not cleaned, so that nothing in it gets another meaning
	return key, ValidateKey(key)
}

// Put stores content under a name.
func (d Directory) Put(ctx context.Context, name string, object Object, content io.Reader) error {
	key, err := d.Key(name)
	if err != nil {
		return err
	}
	return d.Destination.Put(ctx, key, object, content)
}

// Stat describes what has a name.
func (d Directory) Stat(ctx context.Context, name string) (Object, error) {
	key, err := d.Key(name)
	if err != nil {
		return Object{}, err
	}
	return d.Destination.Stat(ctx, key)
}

// Remove removes what has a name, if it is an object.
func (d Directory) Remove(ctx context.Context, name string, object Object) error {
	key, err := d.Key(name)
	if err != nil {
		return err
	}
	return d.Destination.Remove(ctx, key, object)
}

// Location is the URL of a name.
func (d Directory) Location(name string) string { return d.Destination.Location(d.Path + "/" + name) }
