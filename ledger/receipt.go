package ledger

import (
	"errors"
	"mime"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Receipt is a document of a claim that the application keeps in a store.
type Receipt struct {
	// Key is where the store has it.
	Key string
	// LineNumber of the line that it is of; 0 for the whole claim.
	LineNumber int
	// Name that it had where it came from. It is only read for its extension.
	Name string
	// MediaType, such as application/pdf; empty if the application does not say.
	MediaType string
	// Size in bytes and SHA256 in hexadecimal, as the application has them; -1 and empty if it does not say. NoSHA256 if it says something
	// else.
	Size   int64
	SHA256 string
	// File is the name that it is delivered under, once the voucher has its number.
	File string
}

// NoSHA256 is the SHA256 of a receipt of which the application has something else: no content has it.
const NoSHA256 = "none"

// Bounds of the texts of a receipt, in bytes.
const (
	maxReceiptKey  = 4096 // a store has keys of 1,024, behind its own location in a URL
	maxReceiptName = 255
	maxMediaType   = 127
)

// Bound leaves of the texts of a receipt what stores, lists and destinations can take. They are the application's, which often has them
// from the browser of an employee: one that is of no use is left out, and does no harm to another receipt.
func (r *Receipt) Bound() {
	if len(r.Key) > maxReceiptKey { // a part of it could be the key of another
		r.Key = ""
	}
	if len(r.Name) > maxReceiptName {
		if r.Name = strings.Clone(path.Ext(r.Name)); len(r.Name) > maxReceiptName {
			r.Name = ""
		}
	}
	if r.MediaType != "" {
		r.MediaType = boundMediaType(r.MediaType)
	}
	if r.SHA256 != "" && !plainSHA256(r.SHA256) {
		r.SHA256 = NoSHA256
	}
}

// boundMediaType returns a media type that can be the header of a request: as it is, without its parameters, or none.
func boundMediaType(text string) string {
	if len(text) > maxMediaType { // to read many parameters takes much memory
		text, _, _ = strings.Cut(text, ";")
	}
	if len(text) > maxMediaType {
		return ""
	}
	kind, _, err := mime.ParseMediaType(text)
	switch {
	case err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter):
		return ""
	case err == nil && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return strings.Clone(text)
	}
	return strings.Clone(kind)
}

// plainSHA256 reports whether a text is a SHA-256 in lower-case hexadecimal.
func plainSHA256(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// extensions of media types that receipts have. Others keep the extension of their name.
var extensions = map[string]string{
	"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp", "image/tiff": "tif",
	"image/heic": "heic", "application/xml": "xml", "text/xml": "xml", "text/plain": "txt", "text/html": "html", "message/rfc822": "eml",
}

var plainExtension = regexp.MustCompile(`^\.[a-z0-9]{1,8}$`)

// extension of the file of a receipt, with its dot: safe characters alone, whatever the application says.
func (r *Receipt) extension() string {
	kind, _, err := mime.ParseMediaType(r.MediaType)
	if known := extensions[kind]; err == nil && known != "" {
		return "." + known
	}
	for _, name := range []string{r.Name, r.Key} {
		if own := strings.ToLower(path.Ext(name)); plainExtension.MatchString(own) {
			return own
		}
	}
	return ".bin"
}

// takeReceipts gives a voucher the receipts of its lines. Those of the claim as a whole, and of lines that it does not have, are the
// first voucher's.
func (v *Voucher) takeReceipts(claim *Claim, lines []*Line, first bool) {
	for _, r := range claim.Receipts {
		number := func(line *Line) bool { return line.Number == r.LineNumber }
		if slices.ContainsFunc(lines, number) || first && !slices.ContainsFunc(claim.Lines, func(line Line) bool { return number(&line) }) {
			v.Receipts = append(v.Receipts, r)
		}
	}
}

// FileName is the id of the voucher as part of the name of a file, such as E-2026-17.
func (v *Voucher) FileName() string { return strings.ReplaceAll(v.ID(), "/", "-") }

// NameReceipts names the files of the receipts of a voucher that has its number: by the voucher's own name, and their place among
// them, such as E-2026-17-1.pdf. No two receipts of an organisation and book have the same.
func (v *Voucher) NameReceipts() {
	for i := range v.Receipts {
		r := &v.Receipts[i]
		r.File = v.FileName() + "-" + strconv.Itoa(i+1) + r.extension()
	}
}
