package receipts

import (
	"bytes"
	"encoding/csv"
	"errors"
	"regexp"
	"strconv"

	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
)

// ListName is the name of the file of an artifact that lists its receipts.
const ListName = "receipts.csv"

// ListMediaType is that of the list.
const ListMediaType = "text/csv; charset=utf-8"

// ListHeader is the first line of the list.
const ListHeader = "file,voucher,claim,line,media_type,size,sha256,problem\r\n"

const columns = 8

// Rows are those of the list, and what the receipts come to.
func Rows(of []Receipt) (block claims.ReceiptBlock) {
	var rows bytes.Buffer
	w := csv.NewWriter(&rows)
	w.UseCRLF = true
	for i := range of {
		r := &of[i]
		row := make([]string, columns)
		row[1], row[2], row[3], row[4], row[7] = r.Voucher, r.ClaimID, strconv.Itoa(r.LineNumber), r.MediaType, string(r.Problem)
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

var deliveredPath = regexp.MustCompile(`^receipts/([A-Z0-9]{1,10}-\d{1,5}-\d{1,19})/([A-Z0-9]{1,10}-\d{1,5}-\d{1,19}-\d{1,4}\.[a-z0-9]{1,8})$`)

// Delivered reads rows of the list, and returns the receipts that were delivered. The rows are from a tenant's database: what is not as
// Rows writes it is an error.
func Delivered(rows []byte) (delivered []Receipt, err error) {
	read := csv.NewReader(bytes.NewReader(rows))
	read.FieldsPerRecord = columns
	all, err := read.ReadAll()
	if err != nil {
		return nil, errors.New("the list of receipts cannot be read")
	}
	for _, row := range all {
		if row[0] == "" {
			continue
		}
		path := deliveredPath.FindStringSubmatch(row[0])
		size, err := strconv.ParseInt(row[5], 10, 64)
		if path == nil || err != nil || size < 0 || !claims.ValidSHA256(row[6]) {
			return nil, errors.New("the list of receipts has a row that is none of a receipt")
		}
		r := Receipt{Voucher: path[1], Object: destinations.Object{Size: size, SHA256: row[6]}}
		r.File = path[2]
		delivered = append(delivered, r)
	}
	return delivered, nil
}
