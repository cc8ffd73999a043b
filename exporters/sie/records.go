package sie

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	newline    = "\r\n"
	bufferSize = 64 << 10
	// swedishCurrency is what a file without #VALUTA is in.
	swedishCurrency = "SEK"
)

// file is the file of one fiscal year.
type file struct {
	buffer  *bufio.Writer
	content io.WriteCloser
}

// file gives the file of a fiscal year, which begins with the records that vouchers need.
func (w *writer) file(ctx context.Context, year int) (*file, error) {
	if f, open := w.files[year]; open {
		return f, nil
	}
	content, err := w.sink.Create(ctx, w.name(year), mediaType)
	if err != nil {
		return nil, err
	}
	f := &file{buffer: bufio.NewWriterSize(content, bufferSize), content: content}
	w.files[year], w.opened = f, append(w.opened, f)
	header := slices.Clone(w.identification)
	for number := range 2 { // #RAR 0 is the year of the file's vouchers, -1 the one before
		first, last := w.yearStart.Range(year - number)
		header = fmt.Appendf(header, "#RAR %d %s %s%s", -number, first.Format(dateFormat), last.Format(dateFormat), newline)
	}
	_, err = f.buffer.Write(append(header, w.accounts...))
	return f, err
}

// header gives the records before and after #RAR, in the order of the specification.
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
		if !isNumber(account.Number) {
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

func isNumber(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
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
