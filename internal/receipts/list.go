package receipts

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/ledger"
)

// ListName is the name of the file of an artifact that lists its receipts.
const ListName = "receipts.csv"

// ListMediaType is that of the list.
const ListMediaType = "text/csv; charset=utf-8"

// ListHeader is the first line of the list.
const ListHeader = "file,voucher,claim,line,media_type,size,sha256,problem\r\n"

const (
	columns  = 8
	mostRows = blockCount + ledger.MaxReceipts // of a block, which ends with a voucher
)

// Rows are those of the list, and what the receipts come to. Texts of the application are guarded against spreadsheets.
func Rows(of []Receipt) (block claims.ReceiptBlock) {
	var rows bytes.Buffer
	w := csv.NewWriter(&rows)
	w.UseCRLF = true
	for i := range of {
		r := &of[i]
		row := make([]string, columns)
		row[1], row[2], row[3], row[4], row[7] = r.Voucher, guarded(r.ClaimID), strconv.Itoa(r.LineNumber), guarded(r.MediaType), string(r.Problem)
		if r.Problem == "" {
			row[0], row[5], row[6] = r.place(), strconv.FormatInt(r.Object.Size, 10), r.Object.SHA256
			block.Delivered++
			block.Bytes += r.Object.Size
		} else {
			block.Missing++
		}
		_ = w.Write(row) // to memory
	}
	w.Flush()
	block.Rows = rows.Bytes()
	return block
}

// place is where the list says that a receipt is: beside it, or, without a directory, with its voucher in an accounting system.
func (r *Receipt) place() string {
	if r.Attached {
		return r.File
	}
	return r.Path()
}

var number = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// guarded keeps spreadsheets from running a text; a number is none that they would.
func guarded(text string) string {
	if number.MatchString(text) {
		return text
	}
	return exporters.GuardFormulas(text)
}

var deliveredPath = regexp.MustCompile(`^receipts/([A-Z0-9]{1,10}-\d{1,5}-\d{1,19})/([A-Z0-9]{1,10}-\d{1,5}-\d{1,19}-\d{1,4}\.[a-z0-9]{1,8})$`)

// Delivered reads rows of the list, and returns the receipts that were delivered. The rows are from a tenant's database: what is not as
// Rows writes it is an error.
func Delivered(rows []byte) (delivered []Receipt, err error) {
	if separators(rows) > mostRows*(columns-1) { // all fields of a row are in memory before they are counted
		return nil, errors.New("the list of receipts has more fields than a block of it can have")
	}
	read := csv.NewReader(bytes.NewReader(rows))
	read.FieldsPerRecord, read.ReuseRecord = columns, true
	for range mostRows {
		row, err := read.Read()
		if errors.Is(err, io.EOF) {
			return delivered, nil
		}
		if err != nil {
			return nil, errors.New("the list of receipts cannot be read")
		}
		if row[0] == "" {
			continue
		}
		r, err := deliveredRow(row)
		if err != nil {
			return nil, err
		}
		delivered = append(delivered, r)
	}
	if _, err := read.Read(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the list of receipts has more than %d rows in a block", mostRows)
	}
	return delivered, nil
}

// separators counts what divides fields.
func separators(rows []byte) (count int) {
	quoted := false
	for _, c := range rows {
		if c == '"' {
			quoted = !quoted
		} else if c == ',' && !quoted {
			count++
		}
	}
	return count
}

// deliveredRow is the receipt of a row. It keeps nothing else of the row.
func deliveredRow(row []string) (r Receipt, err error) {
	path := deliveredPath.FindStringSubmatch(strings.Clone(row[0]))
	size, err := strconv.ParseInt(row[5], 10, 64)
	if path == nil || err != nil || size < 0 || !claims.ValidSHA256(row[6]) {
		return r, errors.New("the list of receipts has a row that is none of a receipt")
	}
	r = Receipt{Voucher: path[1], Object: destinations.Object{Size: size, SHA256: strings.Clone(row[6])}}
	r.File = path[2]
	return r, nil
}
