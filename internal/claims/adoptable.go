package claims

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Adoption says which claims were booked elsewhere, and for which book they count as exported.
type Adoption struct {
	// Namespace and Export of the AccountingExport whose runs are not to export them.
	Namespace, Export    string
	OrganizationID, Book string
	// Holder names the process that adopts them.
	Holder string
	Claims Adoptables
	// DryRun does all of it and commits nothing.
	DryRun bool
}

// Adoptables are claims that were booked elsewhere.
type Adoptables interface {
	// Next returns the next one, a *LineError for a line that cannot be read, or io.EOF after the last.
	Next() (Adoptable, error)
	// Origin names the file and its SHA-256 in hexadecimal, once all of it is read.
	Origin() (name, digest string)
}

// Adoptable is a claim that was booked elsewhere.
type Adoptable struct {
	// Line of the file that names it.
	Line int
	ID   string
	// Voucher is the number that it has there, and BookedOn the day on which it was booked.
	Voucher  string
	BookedOn time.Time
	Note     string
}

// LineError is a line by which nothing can be adopted.
type LineError struct {
	Line    int
	Problem string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// Adopted is the outcome of an adoption; of a dry run, what it would be. If a line is wrong nothing is adopted.
type Adopted struct {
	// Run is the name of the run that has adopted the claims; empty if nothing was recorded.
	Run string
	// Claims were adopted, and those that are Already were adopted before under the same vouchers.
	Claims, Already int64
	// Wrong counts the lines that are wrong, and Problems are some of the first.
	Wrong    int64
	Problems []*LineError
}

// mostProblems is how many problems of an adoption are listed.
const mostProblems = 20

// longestVoucher is the longest number that a voucher may have elsewhere, in bytes.
const longestVoucher = 255

// problem says what is wrong with a claim by itself.
func (c Adoptable) problem() string {
	for _, field := range []struct {
		name, text string
		most       int
	}{{"claim", c.ID, longestID}, {"voucher", c.Voucher, longestVoucher}, {"note", c.Note, maxShortText}} {
		switch {
		case field.text == "" && field.name != "note":
			return field.name + " is empty"
		case len(field.text) > field.most:
			return fmt.Sprintf("%s has more than %d bytes", field.name, field.most)
		case !utf8.ValidString(field.text):
			return field.name + " is not UTF-8; save the file as UTF-8"
		case strings.ContainsFunc(field.text, func(r rune) bool { return !unicode.IsPrint(r) }):
			return field.name + " has a character that cannot be printed"
		}
	}
	if year := c.BookedOn.Year(); year < 1900 || year > 2999 {
		return fmt.Sprintf("date is in the year %d, and must be in one from 1900 to 2999", year)
	}
	return ""
}

// possibleKey reports whether a claim of the table can have a key.
func (l *layout) possibleKey(key string) bool {
	switch typeName := l.claims.columns["id"].typeName; typeFamily(typeName) {
	case uuidFamily:
		_, is := uuidKey(key)
		return is
	case integerFamily:
		_, err := strconv.ParseInt(key, 10, integerBits[typeName])
		return err == nil
	}
	return true
}

// boundClaim is a claim that is bound to a run already.
type boundClaim struct {
	// run is empty if it is not recorded, or of another organisation.
	run      string
	kind     RunType
	state    RunState
	own      bool // it is the run that looks
	unknown  bool // of which table the claim is, is not known
	voucher  string
	bookedOn string
}

// again reports whether a claim was adopted before as it is to be adopted now.
func (b boundClaim) again(claim Adoptable) bool {
	return !b.own && !b.unknown && b.kind == TypeAdoption && b.voucher == claim.Voucher && b.bookedOn == claim.BookedOn.Format(time.DateOnly)
}

// refusal says why a claim that is bound cannot be adopted.
func (b boundClaim) refusal(claim Adoptable) string {
	switch {
	case b.own:
		return fmt.Sprintf("claim %q is in the file twice", claim.ID)
	case b.unknown:
		return fmt.Sprintf("claim %q: %s", claim.ID, fault(faultUnknown, claim.ID).Message)
	case b.run == "":
		return fmt.Sprintf("claim %q is exported, for another organisation", claim.ID)
	case b.kind == TypeAdoption:
		return fmt.Sprintf("claim %q was adopted by run %s as voucher %q of %s; to change that, reverse the run and adopt its claims again", claim.ID, b.run, b.voucher, b.bookedOn)
	case b.state == StateCommitted:
		return fmt.Sprintf("claim %q was exported by run %s; reverse that run, or leave the claim out", claim.ID, b.run)
	}
	return fmt.Sprintf("claim %q is reserved by run %s (%s); wait until that run has ended, or cancel it", claim.ID, b.run, b.state)
}
