package receipts_test

import (
	"bytes"
	"encoding/csv"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/ledger"
)

const delivered = "receipts/A-1-1/A-1-1-1.a,A-1-1,c,0,,0," + "0000000000000000000000000000000000000000000000000000000000000000" + ",\r\n"

func TestRowsGuardTheTextsOfTheApplication(t *testing.T) {
	t.Parallel()
	of := []receipts.Receipt{
		{Receipt: ledger.Receipt{MediaType: "application/pdf; a=b", File: "E-2026-1-1.pdf"}, ClaimID: "-17", Voucher: "E-2026-1", Object: destinations.Object{Size: 1, SHA256: strings.Repeat("0", 64)}},
		{Receipt: ledger.Receipt{MediaType: "+1/a", LineNumber: 2}, ClaimID: "=1+1", Voucher: "E-2026-2", Problem: receipts.Missing},
	}
	block := receipts.Rows(of)
	rows, err := csv.NewReader(bytes.NewReader(block.Rows)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("the rows are %q (%v)", block.Rows, err)
	}
	if !slices.Equal(rows[0][2:5], []string{"-17", "0", "application/pdf; a=b"}) || !slices.Equal(rows[1][2:5], []string{"'=1+1", "2", "'+1/a"}) {
		t.Errorf("the rows are %q", rows)
	}
	read, err := receipts.Delivered(block.Rows)
	if err != nil || len(read) != 1 || read[0].Path() != of[0].Path() || read[0].Object != of[0].Object {
		t.Errorf("they are read as %+v (%v)", read, err)
	}
}

// TestRowsThatRowsDoesNotWriteAreRefused reads what can be in a tenant's own database.
func TestRowsThatRowsDoesNotWriteAreRefused(t *testing.T) {
	t.Parallel()
	const most = 256 + ledger.MaxReceipts
	for name, test := range map[string]struct {
		rows string
		want int // receipts; -1 for an error
	}{
		"none":                            {"", 0},
		"as many as a block has":          {strings.Repeat(delivered, most), most},
		"more":                            {strings.Repeat(delivered, most+1), -1},
		"more that were not delivered":    {strings.Repeat(",,,,,,,\n", most+1), -1},
		"with a media type of a megabyte": {strings.Replace(delivered, ",,0,", `,"`+strings.Repeat(`""`, 1<<20)+`",0,`, 1), 1},
		"with another path":               {strings.Replace(delivered, "receipts/", "../", 1), -1},
		"with too few columns":            {"a,b\n", -1},
		"with a size below zero":          {strings.Replace(delivered, ",,0,", ",,-1,", 1), -1},
	} {
		read, err := receipts.Delivered([]byte(test.rows))
		if (err != nil) != (test.want < 0) || err == nil && len(read) != test.want {
			t.Errorf("%s: %d receipts (%v), want %d", name, len(read), err, test.want)
		}
	}
}

func TestRowsOfABlockTakeNoMoreMemoryThanItsReceipts(t *testing.T) { //nolint:paralleltest // it measures
	for name, row := range map[string]string{"empty": ",,,,,,,\n", "delivered": delivered} {
		rows := bytes.Repeat([]byte(row), (4<<20)/len(row))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := receipts.Delivered(rows)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 || err == nil {
			t.Errorf("4 MiB of rows that are %s take %d KiB (%v)", name, took>>10, err)
		}
	}
	for name, rows := range map[string][]byte{
		"commas": bytes.Repeat([]byte(","), 4<<20), "quoted fields": bytes.Repeat([]byte(`"",`), 1<<20), "commas behind a line": bytes.Repeat([]byte(",,,,,,,\n"+strings.Repeat(",", 1<<20)), 4),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := receipts.Delivered(rows)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 || err == nil {
			t.Errorf("a row of %s takes %d KiB (%v)", name, took>>10, err)
		}
	}
}

func TestABlockIsFullByNumberOrByLength(t *testing.T) {
	t.Parallel()
	of := func(count, length int) []receipts.Receipt {
		block := make([]receipts.Receipt, count)
		for i := range block {
			block[i].ClaimID = strings.Repeat("x", length)
		}
		return block
	}
	for _, test := range []struct {
		count, length int
		full          bool
	}{{0, 0, false}, {255, 8000, false}, {256, 0, true}, {1, 2 << 20, true}, {255, 10_000, true}} {
		if receipts.Full(of(test.count, test.length)) != test.full {
			t.Errorf("%d receipts with texts of %d bytes are full: %t", test.count, test.length, !test.full)
		}
	}
}
