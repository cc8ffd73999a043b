package datev

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/charset"
)

const (
	// maxRows of a file: DATEV imports no more bookings at once.
	maxRows    = 99_999
	mediaType  = "text/csv; charset=windows-1252; header=present"
	dateFormat = "20060102"
	maxLabel   = 30
)

// part is one file. Its rows are in scratch space until it is finished, because its first line says from when to when they
// are.
type part struct {
	year, number int // of the parts of the year, from 1
	name         string
	body         *exporters.Body
	rows         int
	first, last  time.Time
}

func (w *writer) newPart(ctx context.Context, year, number int) (*part, error) {
	body, err := exporters.NewBody(ctx, w.sink)
	if err != nil {
		return nil, err
	}
	plain := cmp.Or(w.options.FileName, "EXTF_"+w.batch.Run+".csv")
	return &part{year: year, number: number, name: w.parts.FileName(plain, year, number), body: body}, nil
}

// write adds the rows of a voucher.
func (p *part) write(date time.Time, rows []byte, count int) error {
	if p.rows == 0 || date.Before(p.first) {
		p.first = date
	}
	if p.rows == 0 || date.After(p.last) {
		p.last = date
	}
	p.rows += count
	_, err := p.body.Write(rows)
	return err
}

// finish puts the rows behind the two lines that come before them.
func (w *writer) finish(ctx context.Context, p *part) error {
	file, err := w.sink.Create(ctx, p.name, mediaType)
	if err != nil {
		return err
	}
	head, err := charset.Windows1252.AppendText(nil, w.header(p), charset.Unlimited)
	if err != nil {
		return err
	}
	head = append(head, newline...)
	if head, err = charset.Windows1252.AppendText(head, names(), charset.Unlimited); err != nil {
		return err
	}
	if _, err := file.Write(append(head, newline...)); err != nil {
		return err
	}
	if _, err := p.body.WriteTo(file); err != nil {
		return err
	}
	return file.Close()
}

// header is the first line: 31 fields, of which only texts are between quotes.
func (w *writer) header(p *part) string {
	o := w.options
	name := o.Label
	if name == "" {
		name = w.batch.Export[:min(len(w.batch.Export), maxLabel)] // a name of Kubernetes, which is ASCII
	}
	start, _ := w.yearStart.Range(p.year)
	fields := []string{
		`"EXTF"`, "700", "21", `"Buchungsstapel"`, "13", // written by others, version of this line, category, its name and version
		strings.Replace(w.batch.CreatedAt.Format("20060102150405.000"), ".", "", 1),
		"", `"LP"`, `""`, `""`, // imported on, origin, exported by, imported by
		strconv.Itoa(o.ConsultantNumber), strconv.Itoa(o.ClientNumber),
		start.Format(dateFormat), strconv.Itoa(o.AccountLength), p.first.Format(dateFormat), p.last.Format(dateFormat),
		quote(name), quote(o.Initials),
		"1", "0", digit(o.Locked), // bookkeeping, for every purpose, locked
		quote(w.batch.Books.Currency),
		"", `""`, "", "", // reserved
		quote(o.Chart),
		"", "", `""`, `""`, // industry solution, two that are reserved, for the application's own use
	}
	return strings.Join(fields, string(delimiter))
}

// quote puts a text without quotes between quotes.
func quote(text string) string { return `"` + text + `"` }

func digit(set bool) string {
	if set {
		return "1"
	}
	return "0"
}
