package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/nesting"
	"github.com/ledgerport/ledgerport/ledger"
)

// Bounds of what a row of the schema "ledgerport" may hold. The database is a tenant's: whatever is read from it may have been
// written by somebody else.
const (
	maxFiles         = 1000
	maxFileName      = 255 // bytes, as filesystems have it
	maxShortText     = 1024
	maxLocation      = 4096
	maxFileList      = 1 << 20
	maxFileValues    = 16 * maxFiles
	maxInputs        = 4 << 20
	maxManifest      = 4 << 20
	maxAnswer        = 8192
	firstYear        = 1
	lastYear         = 9999
	maxVoucherNumber = 1 << 53
)

var (
	sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)
	runID      = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	runTypes   = []RunType{TypeExport, TypeReversal, TypeRedelivery, TypeAdoption}
)

// RecordInvalid says that a row is not one that this program writes. The row is named by a literal of ours and by its key.
func RecordInvalid(table, key string, problem error) error {
	return failure.OnSource.Stalled(v1alpha1.ReasonRecordInvalid, problem,
		"row %.300q of ledgerport.%s cannot be used: %s; nothing was done with it. Somebody else than Ledgerport has written it: restore it, and find out who may write there", key, table, problem)
}

// unreadable makes RecordInvalid of a value that does not have its column's type.
func unreadable(doing string, err error) error {
	var scan pgx.ScanArgError
	if !errors.As(err, &scan) {
		return err
	}
	return failure.OnSource.Stalled(v1alpha1.ReasonRecordInvalid, err,
		"%s: the column %q of a table of the schema ledgerport, or of the claims, has a value that is not of its type", doing, scan.FieldName)
}

// invalid returns the first problem of a row.
type invalid struct{ error }

func (i *invalid) unless(well bool, format string, args ...any) {
	if i.error == nil && !well {
		i.error = fmt.Errorf(format, args...)
	}
}

// text insists on printable text of bounded length.
func (i *invalid) text(column, text string, most int) {
	i.unless(len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }),
		"%s is not printable text of at most %d bytes", column, most)
}

// fileList reads the files of a run, if they are not too many: a few bytes of them become many.
type fileList struct{ into *[]File }

// Scan implements sql.Scanner.
func (l fileList) Scan(source any) error {
	*l.into = nil
	var text []byte
	switch source := source.(type) {
	case nil:
		return nil
	case string:
		text = []byte(source)
	case []byte:
		text = source
	}
	if len(text) > maxFileList {
		return fmt.Errorf("files has more than %d bytes", maxFileList)
	}
	return decodeRecord(text, maxFileValues, l.into)
}

// decodeRecord decodes a recorded document of JSON, unless it has more values than any that this program writes: one of two bytes may
// take a hundred in memory.
func decodeRecord(document []byte, most int, into any) error {
	if nesting.Values(document) > most {
		return fmt.Errorf("the document has more than %d values", most)
	}
	return json.Unmarshal(document, into)
}

// recordValues bounds the values of a document, well above those of a chart with all that may be in one (500 rules with 200 categories).
const recordValues = 250_000

// ReadInputs decodes the inputs that are recorded of a run.
func (r *Run) ReadInputs(into any) error {
	if err := decodeRecord(r.Inputs, recordValues, into); err != nil {
		return RecordInvalid("runs", r.ID, errors.New("inputs cannot be read; was the run begun by a newer operator?"))
	}
	return nil
}

// ReadManifest decodes the manifest that is recorded of a run. Much of it comes into the status of the run.
func (r *Run) ReadManifest() (m artifact.Manifest, err error) {
	if m, err = artifact.DecodeManifest(r.Manifest); err == nil {
		err = m.Validate()
	} else if !artifact.IsInvalid(err) {
		err = errors.New("it cannot be read")
	}
	if err != nil {
		return m, RecordInvalid("runs", r.ID, fmt.Errorf("manifest: %w", err))
	}
	return m, nil
}

// validate refuses a run that this program did not record: every text, number and name is such as it writes.
func (r *Run) validate() error {
	var i invalid
	for column, name := range map[string]string{"namespace": r.Namespace, "export": r.Export, "name": r.Name} {
		i.unless(ValidFileName(name), "%s is not the name of a resource", column)
	}
	for column, text := range map[string]string{
		"id": r.ID, "holder": r.Holder, "book": r.Book, "series": r.Series, "reverses": r.Reverses, "redelivers": r.Redelivers, "cluster": r.Cluster,
		"first_voucher": r.FirstVoucher, "last_voucher": r.LastVoucher, "release_reason": r.ReleaseReason,
	} {
		i.text(column, text, maxShortText)
	}
	i.unless(runID.MatchString(r.ID), "id is not the UID of an ExportRun, nor of an adoption")              // it is in commands that people are told
	i.unless(len(r.OrganizationID) <= maxShortText, "organization_id has more than %d bytes", maxShortText) // an application's own
	i.unless(slices.Contains(RunStates, r.State), "state is not one of %v", RunStates)
	i.unless(slices.Contains(runTypes, r.Type), "type is not one of %v", runTypes)
	i.unless(r.Attempt > 0, "attempt is %d", r.Attempt)
	i.unless(r.Sequence >= 0, "sequence is %d", r.Sequence)
	i.unless(min(r.Claims, r.Lines, r.Held) >= 0, "claims, lines or held is negative")
	i.unless(len(r.Inputs) <= maxInputs, "inputs has more than %d bytes", maxInputs)
	i.unless(len(r.Manifest) <= maxManifest, "manifest has more than %d bytes", maxManifest)
	i.unless(validLocation(r.Location), "location is not the URL of an artifact")
	if i.error == nil {
		i.error = validFiles(r.Files)
	}
	if i.error != nil {
		return RecordInvalid("runs", r.ID, i.error)
	}
	return nil
}

// validFiles refuses files that no exporter makes, whose names are parts of paths.
func validFiles(files []File) error {
	var i invalid
	i.unless(len(files) <= maxFiles, "files has %d entries, more than %d", len(files), maxFiles)
	names := make(map[string]bool, min(len(files), maxFiles))
	for n, file := range files {
		if i.error != nil {
			break
		}
		i.unless(ValidFileName(file.Name), "files[%d].name is not the name of a file of an artifact", n)
		i.unless(!names[file.Name], "files[%d].name is that of another file", n)
		i.unless(sha256Text.MatchString(file.SHA256), "files[%d].sha256 is not a SHA-256 in hexadecimal", n)
		i.unless(file.Size >= 0, "files[%d].size is negative", n)
		i.text("files[].mediaType", file.MediaType, maxShortText)
		if i.error == nil { // a long one takes much memory to parse
			_, _, err := mime.ParseMediaType(file.MediaType)
			i.unless(err == nil, "files[%d].mediaType is not a media type", n)
		}
		names[file.Name] = true
	}
	return i.error
}

// ValidFileName reports whether a file of an artifact may have a name: one element of a path that is not hidden.
func ValidFileName(name string) bool {
	return name != "" && len(name) <= maxFileName && utf8.ValidString(name) && !strings.HasPrefix(name, ".") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) })
}

// validLocation refuses what is not the URL of an object. Which schemes there are is for destinations to say.
func validLocation(location string) bool {
	if location == "" {
		return true
	}
	at, err := url.Parse(location)
	return err == nil && len(location) <= maxLocation && at.Scheme != "" && strings.HasPrefix(at.Path, "/") &&
		!strings.ContainsFunc(location, func(r rune) bool { return !unicode.IsPrint(r) })
}

// validate refuses a voucher that this program did not record.
func (v *SubmittedVoucher) validate(runID string) error {
	var i invalid
	i.unless(v.Position > 0, "position is %d", v.Position)
	i.unless(v.Number > 0 && v.Number <= maxVoucherNumber, "voucher_number is %d", v.Number)
	i.unless(v.FiscalYear >= firstYear && v.FiscalYear <= lastYear, "fiscal_year is %d", v.FiscalYear)
	i.unless(v.Lines >= 0, "lines is negative")
	_, known := outcomesOfVouchers[v.State]
	i.unless(known, "state is not one that a voucher has")
	_, err := ledger.ParseCurrency(v.Currency)
	i.unless(err == nil, "currency is not a currency")
	for column, text := range map[string]string{"claim_id": v.ClaimID, "reference": v.Reference, "message": v.Message} {
		i.unless(len(text) <= maxAnswer && utf8.ValidString(text), "%s is longer than %d bytes", column, maxAnswer)
	}
	if i.error != nil {
		return RecordInvalid("submitted_vouchers", fmt.Sprintf("%s, %d", runID, v.Position), i.error)
	}
	return nil
}

var outcomesOfVouchers = map[VoucherState]bool{VoucherWaiting: true, VoucherSent: true, VoucherAcknowledged: true, VoucherRejected: true}

// validNumbering refuses a place in a series that no series has.
func validNumbering(series string, year int, next int64) error {
	var i invalid
	i.unless(year >= firstYear && year <= lastYear, "fiscal_year is %d", year)
	i.unless(next > 0 && next <= maxVoucherNumber, "next is %d", next)
	if i.error != nil {
		return RecordInvalid("voucher_numbers", fmt.Sprintf("%s, %d", series, year), i.error)
	}
	return nil
}
