package offline

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/internal/claims"
)

// Columns of a file of claims that were booked elsewhere.
const (
	claimColumn   = "claim"
	voucherColumn = "voucher"
	dateColumn    = "date"
	noteColumn    = "note"
)

// longestRow is the longest row of such a file, in bytes: more is not kept.
const longestRow = 64 << 10

// booked reads claims that were booked elsewhere from CSV, one row at a time. It is claims.Adoptables.
type booked struct {
	name    string
	digest  hash.Hash
	bounded *rowReader
	csv     *csv.Reader
	places  map[string]int // of the columns
}

// readBooked reads the header of a file: the names of the columns, with commas or semicolons between them.
func readBooked(name string, file io.Reader) (*booked, error) {
	b := &booked{name: name, digest: sha256.New(), places: map[string]int{}}
	b.bounded = &rowReader{file: io.TeeReader(file, b.digest), left: longestRow}
	buffered := bufio.NewReader(b.bounded)
	start, err := buffered.Peek(3)
	if bytes.Equal(start, []byte("\xef\xbb\xbf")) { // as spreadsheets write it
		_, err = buffered.Discard(len(start))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	header, err := buffered.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if header = strings.TrimSpace(header); header == "" {
		return nil, errors.New("it is empty, or has no header: claim,voucher,date, and note if you have any")
	}
	separator := ","
	if strings.Contains(header, ";") {
		separator = ";"
	}
	columns := strings.Split(header, separator)
	for i, column := range columns {
		column = strings.Trim(column, `" `)
		if !slices.Contains([]string{claimColumn, voucherColumn, dateColumn, noteColumn}, column) {
			return nil, fmt.Errorf("the header has the column %.50q; the columns are claim, voucher, date, and note if you have any", column)
		}
		if _, twice := b.places[column]; twice {
			return nil, fmt.Errorf("the header has the column %s twice", column)
		}
		b.places[column] = i
	}
	for _, column := range []string{claimColumn, voucherColumn, dateColumn} {
		if _, found := b.places[column]; !found {
			return nil, fmt.Errorf("the header lacks the column %s", column)
		}
	}
	b.csv = csv.NewReader(buffered)
	b.csv.Comma, b.csv.FieldsPerRecord, b.csv.ReuseRecord = rune(separator[0]), len(columns), true
	return b, nil
}

// Next implements claims.Adoptables.
func (b *booked) Next() (claims.Adoptable, error) {
	b.bounded.left = longestRow
	row, err := b.csv.Read()
	var malformed *csv.ParseError
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		return claims.Adoptable{}, &claims.LineError{Line: b.line(), Problem: fmt.Sprintf("it has %d fields, and the header has %d", len(row), b.csv.FieldsPerRecord)}
	case errors.As(err, &malformed):
		return claims.Adoptable{}, &claims.LineError{Line: malformed.StartLine + 1, Problem: "it is not CSV: " + malformed.Err.Error()}
	case err != nil:
		return claims.Adoptable{}, err
	}
	on, err := time.Parse(time.DateOnly, row[b.places[dateColumn]])
	if err != nil {
		return claims.Adoptable{}, &claims.LineError{Line: b.line(), Problem: fmt.Sprintf("date is %.50q; give a day such as 2025-12-31", row[b.places[dateColumn]])}
	}
	claim := claims.Adoptable{Line: b.line(), ID: row[b.places[claimColumn]], Voucher: row[b.places[voucherColumn]], BookedOn: on}
	if place, has := b.places[noteColumn]; has {
		claim.Note = row[place]
	}
	return claim, nil
}

// line of the file that the newest row begins on: the header, which is not read as CSV, is the first.
func (b *booked) line() int {
	line, _ := b.csv.FieldPos(0)
	return line + 1
}

// Origin implements claims.Adoptables.
func (b *booked) Origin() (name, digest string) { return b.name, hex.EncodeToString(b.digest.Sum(nil)) }

// rowReader bounds what is read for one row: a quote that is never closed would take the rest of the file.
type rowReader struct {
	file io.Reader
	left int
}

var errRowTooLong = fmt.Errorf("a row has more than %d bytes; is a quote not closed?", longestRow)

// Read implements io.Reader.
func (r *rowReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errRowTooLong
	}
	n, err := r.file.Read(p)
	r.left -= n
	return n, err
}
