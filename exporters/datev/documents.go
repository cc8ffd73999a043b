package datev

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/xmldoc"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	// documentVersion of the document management file, document.xml: Document_v060.xsd of DATEV eG.
	documentVersion = "6.0"
	documentSpace   = "http://xml.datev.de/bedi/tps/document/v06.0"
	schemaInstance  = "http://www.w3.org/2001/XMLSchema-instance"
	// maxDocuments of a package, and maxReceipts of a document, which has the receipts of one voucher (maxOccurs of document and
	// extension).
	maxDocuments, maxReceipts = 4999, 50
	// documentTime has no time zone: the schema allows none.
	documentTime = "2006-01-02T15:04:05"
)

// documents are the files document.xml of packages with which receipts come to DATEV Unternehmen online: a document for each voucher, whose
// GUID its bookings have as Beleglink.
type documents struct {
	run      uuid.UUID // of which GUIDs are made: the same at each rendering
	sink     exporters.Sink
	packages []*exporters.Body
	count    int // of documents in the last package
	piece    xmldoc.Piece
}

// newDocuments begins the documents of a run. Nothing is written of a run without receipts.
func newDocuments(runID string, sink exporters.Sink) *documents {
	return &documents{run: uuid.NewSHA1(uuid.NameSpaceOID, []byte(runID)), sink: sink}
}

// guid of the document of a voucher; empty of one without receipts.
func (d *documents) guid(voucher *ledger.Voucher) string {
	if d == nil || len(voucher.Receipts) == 0 {
		return ""
	}
	return uuid.NewSHA1(d.run, []byte(voucher.ID())).String()
}

// check holds a voucher with more receipts than a document may have.
func (d *documents) check(voucher *ledger.Voucher) error {
	if d != nil && len(voucher.Receipts) > maxReceipts {
		return exporters.Unsupported(voucher, "the voucher has %d receipts, and a document of DATEV has at most %d files; put several receipts into one file, or set the option documents to false",
			len(voucher.Receipts), maxReceipts)
	}
	return nil
}

// write adds the document of a voucher that has receipts.
func (d *documents) write(ctx context.Context, voucher *ledger.Voucher) error {
	guid := d.guid(voucher)
	if guid == "" {
		return nil
	}
	if len(d.packages) == 0 || d.count == maxDocuments {
		body, err := exporters.NewBody(ctx, d.sink)
		if err != nil {
			return err
		}
		d.packages, d.count = append(d.packages, body), 0
	}
	d.count++
	p := &d.piece
	p.Reset(2)
	p.Open("document", "guid", guid)
	p.Text("description", voucher.ID())
	for i := range voucher.Receipts {
		p.Text("extension", "", "xsi:type", "File", "name", voucher.Receipts[i].File)
	}
	p.Close()
	_, err := d.packages[len(d.packages)-1].Write(p.Bytes())
	return err
}

// finish writes a file for each package, behind those of the bookings.
func (d *documents) finish(ctx context.Context, w *writer) error {
	if d == nil {
		return nil
	}
	for i, body := range d.packages {
		name := "document.xml"
		if i > 0 {
			name = fmt.Sprintf("document-%d.xml", i+1)
		}
		file, err := d.sink.Create(ctx, name, xmldoc.MediaType)
		if err != nil {
			return err
		}
		if _, err := file.Write(d.head(w)); err != nil {
			return err
		}
		if _, err := body.WriteTo(file); err != nil {
			return err
		}
		if _, err := file.Write([]byte("  </content>\n</archive>\n")); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// head is what comes before the documents.
func (d *documents) head(w *writer) []byte {
	p := &d.piece
	p.Reset(0)
	p.Open("archive", "xmlns", documentSpace, "xmlns:xsi", schemaInstance, "version", documentVersion, "generatingSystem", w.batch.Program)
	p.Open("header")
	p.Text("date", w.batch.CreatedAt.Format(documentTime))
	p.Text("consultantNumber", strconv.Itoa(w.options.ConsultantNumber))
	p.Text("clientNumber", strconv.Itoa(w.options.ClientNumber))
	p.Close()
	p.Open("content")
	return append([]byte(xmldoc.Declaration), p.Bytes()...)
}
