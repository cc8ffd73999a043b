package datev

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/test/schemas"
)

const withDocuments = `{"consultantNumber": 1001, "clientNumber": 42, "documents": true}`

// archive is a document.xml, as a reader sees it.
type archive struct {
	Client    int `xml:"header>clientNumber"`
	Documents []struct {
		GUID        string `xml:"guid,attr"`
		Description string `xml:"description"`
		Files       []struct {
			Type string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
			Name string `xml:"name,attr"`
		} `xml:"extension"`
	} `xml:"content>document"`
}

// receipted are vouchers of claims with so many receipts each.
func receipted(t *testing.T, counts ...int) []*ledger.Voucher {
	t.Helper()
	books := conformance.Books("SEK")
	vouchers := conformance.Readable(conformance.Vouchers(t, books))[:1]
	first := vouchers[0]
	vouchers = vouchers[:0]
	for i, count := range counts {
		v := *first
		v.ClaimID = fmt.Sprintf("claim-%d", i)
		v.Receipts = nil
		for n := range count {
			v.Receipts = append(v.Receipts, ledger.Receipt{Key: fmt.Sprint(n), MediaType: "application/pdf"})
		}
		vouchers = append(vouchers, &v)
	}
	return vouchers
}

func renderDocuments(t *testing.T, options string, counts ...int) conformance.Artifact {
	t.Helper()
	artifact, err := conformance.Render(t.Context(), New(), conformance.Batch(conformance.Books("SEK"), []byte(options)), receipted(t, counts...))
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}

func TestBookingsLinkToTheDocumentOfTheirReceipts(t *testing.T) {
	t.Parallel()
	artifact := renderDocuments(t, withDocuments, 2, 0, 1)
	if len(artifact.Files) != 2 || artifact.Files[1].Name != "document.xml" {
		t.Fatalf("%d files, want the bookings and document.xml", len(artifact.Files))
	}
	var a archive
	if err := xml.Unmarshal(artifact.Files[1].Content, &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Documents) != 2 || a.Client != 42 || len(a.Documents[0].Files) != 2 || a.Documents[0].Files[1].Name != "E-2026-1-2.pdf" || a.Documents[0].Files[1].Type != "File" || a.Documents[1].Description != artifact.Written[2].ID() {
		t.Errorf("the documents are %+v", a)
	}
	b, err := read(artifact.Files[0].Content)
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]string{}
	for _, booking := range b.bookings {
		linked[booking[columnVoucher-1]] = booking[columnReceipt-1]
	}
	for i, want := range []string{`BEDI "` + a.Documents[0].GUID + `"`, "", `BEDI "` + a.Documents[1].GUID + `"`} {
		if link := linked[artifact.Written[i].ID()]; link != want {
			t.Errorf("the bookings of voucher %d link to %q, want %q", i+1, link, want)
		}
	}
	if again := renderDocuments(t, withDocuments, 2, 0, 1); !bytes.Equal(again.Files[1].Content, artifact.Files[1].Content) {
		t.Error("a second rendering has other documents")
	}
}

func TestDocumentsAreAsTheSchemaOfDATEVSays(t *testing.T) {
	t.Parallel()
	schemas.ValidateVendor(t, "datev-xml/Document_v060.xsd", renderDocuments(t, withDocuments, 1, 50).Files[1].Content)
}

func TestAPackageHasNoMoreDocumentsThanDATEVTakes(t *testing.T) {
	t.Parallel()
	counts := make([]int, maxDocuments+1)
	for i := range counts {
		counts[i] = 1
	}
	artifact := renderDocuments(t, withDocuments, counts...)
	if len(artifact.Files) != 3 || artifact.Files[2].Name != "document-2.xml" {
		t.Fatalf("%d files, want two packages", len(artifact.Files))
	}
	for i, want := range []int{maxDocuments, 1} {
		if have := strings.Count(string(artifact.Files[1+i].Content), "<document "); have != want {
			t.Errorf("package %d has %d documents, want %d", i+1, have, want)
		}
	}
}

func TestAVoucherWithMoreReceiptsThanADocumentTakesIsHeld(t *testing.T) {
	t.Parallel()
	artifact := renderDocuments(t, withDocuments, maxReceipts+1, 1)
	if len(artifact.Held) != 1 || len(artifact.Written) != 1 || !strings.Contains(artifact.Held[0].Message, "51 receipts") {
		t.Errorf("held %v, written %d", artifact.Held, len(artifact.Written))
	}
}

func TestWithoutTheOptionThereAreNoDocuments(t *testing.T) {
	t.Parallel()
	if artifact := renderDocuments(t, plain, 2); len(artifact.Files) != 1 {
		t.Errorf("%d files", len(artifact.Files))
	}
	if links := (exporter{}); links.NeedsReceipts([]byte(plain)) || !links.NeedsReceipts([]byte(withDocuments)) {
		t.Error("receipts are needed where they are not linked, or not where they are")
	}
}
