package sie

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	newline = "\r\n"
	// swedishCurrency is what a file without #VALUTA is in.
	swedishCurrency = "SEK"
)

// file is the file of one fiscal year. Where objects must be declared before the vouchers, these go to a body at first.
type file struct {
	name     string
	year     int
	vouchers io.Writer       // content, or body
	content  *exporters.File // nil until it is begun
	body     *exporters.Body // nil where no objects are declared
}

// object of a dimension, in the file of a year.
type object struct {
	year, dimension int
	code            string
}

// open begins the file of a fiscal year.
func (w *writer) open(ctx context.Context, year int) (*file, error) {
	f := &file{name: w.files.FileName(cmp.Or(w.options.FileName, w.batch.Run+".si"), year, 1), year: year}
	if !w.options.Objects {
		err := w.begin(ctx, f)
		f.vouchers = f.content
		return f, err
	}
	body, err := exporters.NewBody(ctx, w.sink)
	f.vouchers, f.body = body, body
	return f, err
}

// begin creates the file and writes what comes before the objects and the vouchers.
func (w *writer) begin(ctx context.Context, f *file) (err error) {
	if f.content, err = exporters.CreateFile(ctx, w.sink, f.name, mediaType); err != nil {
		return err
	}
	header := slices.Clone(w.identification)
	for number := range 2 { // #RAR 0 is the year of the file's vouchers, -1 the one before
		first, last := w.yearStart.Range(f.year - number)
		header = fmt.Appendf(header, "#RAR %d %s %s%s", -number, first.Format(dateFormat), last.Format(dateFormat), newline)
	}
	_, err = f.content.Write(append(header, w.accounts...))
	return err
}

// finish completes the file: where objects are declared, it puts them and the vouchers behind its beginning.
func (w *writer) finish(ctx context.Context, f *file) error {
	if f.body != nil {
		if err := w.begin(ctx, f); err != nil {
			return err
		}
		if err := w.declare(f); err != nil {
			return err
		}
		if _, err := f.body.WriteTo(f.content); err != nil {
			return err
		}
	}
	return f.content.Close()
}

// declare writes #OBJEKT dimension "object" "name", in order. Objects and names are in the file's character set already.
func (w *writer) declare(f *file) error {
	for o, name := range w.objects.Sorted(func(a, b object) int {
		return cmp.Or(a.year-b.year, a.dimension-b.dimension, strings.Compare(a.code, b.code))
	}) {
		if o.year != f.year {
			continue
		}
		if _, err := fmt.Fprintf(f.content, "#OBJEKT %d \"%s\" \"%s\"%s", o.dimension, o.code, name, newline); err != nil {
			return err
		}
	}
	return nil
}

// header returns the records before and after #RAR, in the order of the specification.
func (w *writer) header(currency ledger.Currency) (identification, accounts []byte, err error) {
	r := &records{}
	r.line("#FLAGGA 0")
	r.line("#PROGRAM ", quoted(w.batch.Program), " ", quoted(w.batch.ProgramVersion))
	r.line("#FORMAT PC8")
	r.line("#GEN ", w.batch.CreatedAt.Format(dateFormat))
	r.line("#SIETYP 4")
	if w.options.OrganizationNumber != "" {
		r.line("#ORGNR ", w.options.OrganizationNumber)
	}
	r.line("#FNAMN ", quoted(w.options.CompanyName))
	split := len(r.bytes)
	if w.options.AccountingPlan != "" {
		r.line("#KPTYP ", w.options.AccountingPlan)
	}
	if currency.Code() != swedishCurrency {
		r.line("#VALUTA ", currency.Code())
	}
	for _, account := range w.batch.Books.Accounts {
		if !exporters.IsDigits(account.Number) {
			return nil, nil, &exporters.OptionError{Problem: fmt.Sprintf("the chart of accounts has the account %q; accounts of SIE files are numbers", account.Number)}
		}
		r.line("#KONTO ", account.Number, " ", quoted(account.Name))
	}
	for _, dimension := range w.dimensionsByNumber() {
		name, standard := standardDimensions[dimension.number]
		if !standard {
			name = dimension.name
		}
		r.line("#DIM ", strconv.Itoa(dimension.number), " ", quoted(name))
	}
	if r.err != nil {
		return nil, nil, &exporters.OptionError{Problem: "a name in the chart of accounts " + r.err.Error()}
	}
	return r.bytes[:split:split], r.bytes[split:], nil
}

// records appends lines of plain fields and of texts that must be quoted.
type records struct {
	bytes []byte
	err   error
}

type quoted string

func (r *records) line(fields ...any) {
	for _, field := range fields {
		switch f := field.(type) {
		case quoted:
			var err error
			r.bytes = append(r.bytes, '"')
			if r.bytes, err = encode(r.bytes, string(f)); err != nil && r.err == nil {
				r.err = err
			}
			r.bytes = append(r.bytes, '"')
		default:
			r.bytes = fmt.Append(r.bytes, f)
		}
	}
	r.bytes = append(r.bytes, newline...)
}

type numberedDimension struct {
	number int
	name   string
}

func (w *writer) dimensionsByNumber() []numberedDimension {
	var all []numberedDimension
	for name, number := range w.options.Dimensions {
		all = append(all, numberedDimension{number, name})
	}
	slices.SortFunc(all, func(a, b numberedDimension) int { return a.number - b.number })
	return all
}
