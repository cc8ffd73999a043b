package journal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/internal/journal"
	"github.com/ledgerport/ledgerport/ledger"
)

func TestWhatIsHardAboutVouchersComesBackAsItWas(t *testing.T) {
	t.Parallel()
	vouchers := conformance.Vouchers(t, conformance.Books("SEK"))
	vouchers[1].Reverses = "E/2025/17"
	var w journal.Writer
	if len(w.Block()) != 0 {
		t.Error("a block without vouchers is not empty")
	}
	for range 2 { // the second time in the memory of the first
		w.Reset()
		for _, v := range vouchers {
			w.Append(v)
		}
		mustHold(t, w.Block(), vouchers)
	}
}

func TestAnyVoucherComesBackAsItWas(t *testing.T) {
	t.Parallel()
	currencies := map[string]ledger.Currency{}
	for _, code := range []string{"EUR", "JPY", "KWD"} {
		currencies[code], _ = ledger.ParseCurrency(code)
	}
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "4000", "a"}), rapid.String())
	amount := rapid.Custom(func(t *rapid.T) ledger.Amount { return ledger.Amount(rapid.Int64().Draw(t, "amount")) })
	date := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Time{}.AddDate(0, 0, rapid.IntRange(0, 1_000_000).Draw(t, "days"))
	})
	posting := rapid.Custom(func(t *rapid.T) ledger.Posting {
		draw := func(name string) string { return text.Draw(t, name) }
		p := ledger.Posting{
			Kind: ledger.TaxPosting, Account: draw("account"), AccountName: draw("name"), Amount: amount.Draw(t, "amount"),
			BaseAmount: amount.Draw(t, "base"), TaxCode: draw("code"), TaxRate: draw("rate"), TaxAmount: amount.Draw(t, "tax"),
			BaseTaxAmount: amount.Draw(t, "base tax"), Subledger: draw("subledger"), Text: draw("text"),
			LineNumber: rapid.Int().Draw(t, "line"), ExpenseDate: date.Draw(t, "expense date"), Category: draw("category"),
			Quantity: draw("quantity"), Unit: draw("unit"), ReceiptURI: draw("receipt"),
			PaymentMethod: draw("method"), PaymentReference: draw("reference"), Merchant: draw("merchant"), Country: draw("country"),
			DocumentNumber: draw("document"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "dimensions") {
			p.Dimensions = append(p.Dimensions, ledger.Dimension{Name: draw("dimension"), Value: draw("value")})
		}
		return p
	})
	name := rapid.StringN(-1, -1, 64)
	receipt := rapid.Custom(func(t *rapid.T) ledger.Receipt {
		draw := func(name string) string { return text.Draw(t, name) }
		of := ledger.Receipt{
			Key: draw("key"), LineNumber: rapid.Int().Draw(t, "line"), MediaType: draw("type"), Size: rapid.Int64().Draw(t, "size"),
			SHA256: draw("hash"), File: name.Draw(t, "file"),
		}
		of.Bound()
		return of
	})
	voucher := rapid.Custom(func(t *rapid.T) *ledger.Voucher {
		draw := func(name string) string { return text.Draw(t, name) }
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"})
		return &ledger.Voucher{
			Series: name.Draw(t, "series"), FiscalYear: rapid.Int().Draw(t, "year"), Number: rapid.Int64().Draw(t, "number"), PostingDate: date.Draw(t, "date"),
			Text: draw("text"), ClaimID: draw("claim"), ClaimantID: draw("claimant"), ClaimantName: draw("name"), ClaimantIBAN: draw("iban"),
			ClaimantBIC: draw("bic"), ClaimantAddress: ledger.Address{Street: draw("street"), Building: draw("building"), PostCode: draw("post code"), Town: draw("town"), Country: draw("country")},
			DocumentDate: date.Draw(t, "document date"),
			ApprovedAt:   time.UnixMicro(rapid.Int64Range(-1e15, 1e16).Draw(t, "approved")).UTC(), ApprovedBy: draw("by"), Reverses: draw("reverses"),
			Currency: currencies[currency.Draw(t, "currency")], BaseCurrency: currencies[currency.Draw(t, "base")],
			Postings: rapid.SliceOfN(posting, 0, 4).Draw(t, "postings"),
			Receipts: rapid.SliceOfN(receipt, 0, 3).Draw(t, "receipts"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		vouchers := rapid.SliceOfN(voucher, 1, 5).Draw(t, "vouchers")
		var w journal.Writer
		for _, v := range vouchers {
			w.Append(v)
		}
		mustHold(t, w.Block(), vouchers)
		mustHold(t, pack(t, w.Block()), vouchers)
	})
}

// pack packs a block.
func pack(t interface{ Fatal(...any) }, block []byte) []byte {
	var p journal.Packer
	body, err := p.Pack(block)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestABlockIsPacked(t *testing.T) {
	t.Parallel()
	vouchers := slices.Repeat(conformance.Vouchers(t, conformance.Books("SEK")), 20)
	var w journal.Writer
	for _, v := range vouchers {
		w.Append(v)
	}
	t.Run("to less than half of its bytes", func(t *testing.T) {
		t.Parallel()
		body := pack(t, w.Block())
		mustHold(t, body, vouchers)
		if len(body)*2 > len(w.Block()) {
			t.Errorf("%d bytes take %d", len(w.Block()), len(body))
		}
	})
	t.Run("one behind the other in the same memory", func(t *testing.T) {
		t.Parallel()
		var p journal.Packer
		for range 3 {
			body, err := p.Pack(w.Block())
			if err != nil {
				t.Fatal(err)
			}
			mustHold(t, body, vouchers)
		}
	})
	t.Run("unless it is larger than a reader unpacks", func(t *testing.T) {
		t.Parallel()
		large := append(bytes.Clone(w.Block()), make([]byte, 16<<20)...)
		if body := pack(t, large); !bytes.Equal(body, large) {
			t.Errorf("%d bytes are packed to %d", len(large), len(body))
		}
	})
	t.Run("unless it is empty", func(t *testing.T) {
		t.Parallel()
		if body := pack(t, nil); len(body) > 0 {
			t.Errorf("nothing is packed to %x", body)
		}
	})
}

// TestWhatNoPackerWroteIsDamage reads packed blocks as the owner of a database may write them.
func TestWhatNoPackerWroteIsDamage(t *testing.T) {
	t.Parallel()
	var w journal.Writer
	for _, v := range conformance.Vouchers(t, conformance.Books("SEK")) {
		w.Append(v)
	}
	plain := w.Block()
	body := pack(t, plain)
	size := binary.AppendUvarint(nil, uint64(len(plain)))
	frame := body[1+len(size):]
	sized := func(n int) []byte { return append(binary.AppendUvarint([]byte{body[0]}, uint64(n)), frame...) }
	bomb := pack(t, append([]byte{version}, make([]byte, 16<<20-1)...))
	for name, block := range map[string][]byte{
		"a size alone":                      body[:1+len(size)],
		"no size":                           body[:1],
		"a frame that ends early":           body[:len(body)-1],
		"a frame with a byte more":          append(bytes.Clone(body), 0),
		"a smaller size":                    sized(len(plain) - 1),
		"a larger size":                     sized(len(plain) + 1),
		"a size beyond the bound":           sized(16<<20 + 1),
		"a size beyond all memory":          sized(1 << 60),
		"a packed block in another":         pack(t, body),
		"16 MiB of 3 KiB with a small size": append([]byte{body[0], 100}, bomb[5:]...),
	} {
		if vouchers, err := readAll(block); vouchers > 0 || !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: %d vouchers, %v; want damage", name, vouchers, err)
		}
	}
}

// TestABlockOfTheFirstVersionIsRead reads one that the first version wrote. It had no document date: that is the last expense's.
func TestABlockOfTheFirstVersionIsRead(t *testing.T) {
	t.Parallel()
	block, err := hex.DecodeString("01000145d41f0e9ca95a00045472697003632d3100023137000d4b617269204e6f72646d616e6e000f4e4f393338363031313131373934378080bfb8cbbb8fe3010004" +
		"626f73730008452f323032362f36000345555208030007457870656e73650004343030300000c801c8010b0b00000b0000045461786902f8a85a0004746178690b0b0b090a0b64640b0b00000b0000034275" +
		"7304f6a85a0d0b0b0b00064f66667365740004323030300bab02ab020b0b00000b000200000b0b0b0b")
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, block, []*ledger.Voucher{recorded(12)})
}

// TestABlockOfTheSecondVersionIsRead reads one whose postings do not say how they were paid.
func TestABlockOfTheSecondVersionIsRead(t *testing.T) {
	t.Parallel()
	block, err := hex.DecodeString("02000145d41f0e9ca95a00045472697003632d3100023137000d4b617269204e6f72646d616e6e000f4e4f393338363031313131373934378080bfb8cbbb8fe3010004" +
		"626f73730008452f323032362f36000345555208f6a85a00000909090909030007457870656e736500043430303009c801c8010909000009000004546178" +
		"6902f8a85a0004746178690909090a0b0964640909000009000003427573" + "04f6a85a0d09090900064f66667365740004323030300" + "9ab02ab02090900000900020000" + "09090909")
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, block, []*ledger.Voucher{recorded(11)})
}

// TestABlockOfTheThirdVersionIsRead reads one of a voucher without receipts, behind which it says nothing.
func TestABlockOfTheThirdVersionIsRead(t *testing.T) {
	t.Parallel()
	var w journal.Writer
	w.Append(recorded(12))
	block := bytes.Clone(w.Block())
	block[0] = 3
	mustHold(t, block[:len(block)-1], []*ledger.Voucher{recorded(12)})
}

// recorded is the voucher in those blocks, of a document of October.
func recorded(documentDay int) *ledger.Voucher {
	euro, _ := ledger.ParseCurrency("EUR")
	october := func(day int) time.Time { return time.Date(2026, time.October, day, 0, 0, 0, 0, time.UTC) }
	return &ledger.Voucher{
		Series: "E", FiscalYear: 2026, Number: 7, PostingDate: october(30), DocumentDate: october(documentDay), Text: "Trip", ClaimID: "c-1", ClaimantID: "17",
		ClaimantName: "Kari Nordmann", ClaimantIBAN: "NO9386011117947", ApprovedAt: october(29), ApprovedBy: "boss", Reverses: "E/2026/6", Currency: euro, BaseCurrency: euro,
		Postings: []ledger.Posting{
			{Kind: ledger.ExpensePosting, Account: "4000", Amount: 100, BaseAmount: 100, Text: "Taxi", LineNumber: 1, ExpenseDate: october(12), Category: "taxi"},
			{Kind: ledger.ExpensePosting, Account: "4000", Amount: 50, BaseAmount: 50, Text: "Bus", LineNumber: 2, ExpenseDate: october(11), Category: "taxi"},
			{Kind: ledger.OffsetPosting, Account: "2000", Amount: -150, BaseAmount: -150, Text: "Trip"},
		},
	}
}

func mustHold(t interface{ Fatalf(string, ...any) }, block []byte, vouchers []*ledger.Voucher) {
	r := journal.NewReader(block)
	var v ledger.Voucher
	for i, want := range vouchers {
		if err := r.Next(&v); err != nil {
			t.Fatalf("voucher %d: %v", i, err)
		}
		if !reflect.DeepEqual(normal(v), normal(*want)) {
			t.Fatalf("voucher %d is\n%+v, want\n%+v", i, v, *want)
		}
	}
	if err := r.Next(&v); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last voucher: %v, want EOF", err)
	}
}

// normal makes no difference between nothing and an empty list.
func normal(v ledger.Voucher) ledger.Voucher {
	postings := make([]ledger.Posting, 0, len(v.Postings))
	for _, p := range v.Postings {
		if len(p.Dimensions) == 0 {
			p.Dimensions = nil
		}
		postings = append(postings, p)
	}
	v.Postings = postings
	if len(v.Receipts) == 0 {
		v.Receipts = nil
	}
	return v
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	var w journal.Writer
	for _, v := range conformance.Vouchers(t, conformance.Books("SEK"))[:3] {
		w.Append(v)
	}
	whole := w.Block()
	for size := range whole {
		if vouchers, err := readAll(whole[:size]); err == nil && vouchers == 3 {
			t.Errorf("the first %d of %d bytes are read as the whole", size, len(whole))
		}
	}
	if _, err := readAll(append([]byte{version + 2}, whole[1:]...)); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("a newer version: %v, want damage", err)
	}
}

// TestABlockTakesNoMoreMemoryThanClaimsMay reads blocks that no claims come to: they are in a tenant's own database.
func TestABlockTakesNoMoreMemoryThanClaimsMay(t *testing.T) {
	t.Parallel()
	count := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	var (
		first, again = []byte("\x00\x03EUR"), []byte{1}                             // a text, and its place
		dimensions   = slices.Concat(count(1000), bytes.Repeat([]byte{1, 1}, 1000)) // of one posting
		end          = []byte{1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1}                   // of a posting behind its dimensions
		texts        = slices.Concat(bytes.Repeat([]byte{0, 0}, 3), []byte{0, 0}, bytes.Repeat([]byte{0, 0}, 2), []byte{0, 0}, []byte{0, 0}, count(0), end)
		posting      = slices.Concat([]byte{1, 1, 1, 0, 0, 1, 1, 0, 0, 1}, count(0), end)
		wide         = slices.Concat([]byte{1, 1, 1, 0, 0, 1, 1, 0, 0, 1}, dimensions, end)
	)
	voucher := func(series []byte, postings int, each []byte) []byte {
		return slices.Concat(series, []byte{0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1}, count(postings), bytes.Repeat(each, postings), count(0))
	}
	for name, test := range map[string]struct {
		block    []byte
		vouchers int // that can be read
	}{
		"as many postings as a voucher may have":         {voucher(first, 30_000, posting), 1},
		"more postings":                                  {voucher(first, 30_001, posting), 0},
		"as many dimensions as a voucher may have":       {voucher(first, 262, wide), 1},
		"more dimensions":                                {voucher(first, 263, wide), 0},
		"more receipts than a claim may have":            {append(bytes.TrimSuffix(voucher(first, 1, posting), count(0)), slices.Concat(count(ledger.MaxReceipts+1), make([]byte, 6*(ledger.MaxReceipts+1)))...), 0},
		"vouchers with more different texts than may be": {slices.Concat(voucher(first, 30_000, texts), slices.Repeat(voucher(again, 30_000, texts), 9)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vouchers, err := readAll(append([]byte{version}, test.block...))
			if whole := test.vouchers == 1; vouchers != test.vouchers || whole != (err == nil) || !whole && !errors.Is(err, journal.ErrDamaged) {
				t.Errorf("%d vouchers were read from %d KiB (%v), want %d", vouchers, len(test.block)>>10, err, test.vouchers)
			}
		})
	}
}

// TestWhatEarlierVersionsWroteOfReceiptsIsBounded reads texts of receipts as applications had them, and names that no version wrote.
func TestWhatEarlierVersionsWroteOfReceiptsIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20_000)
	for name, test := range map[string]struct {
		change  func(*ledger.Voucher)
		damaged bool
	}{
		"as they are":             {change: func(*ledger.Voucher) {}},
		"a key":                   {change: func(v *ledger.Voucher) { v.Receipts[0].Key = long }},
		"a media type":            {change: func(v *ledger.Voucher) { v.Receipts[0].MediaType = long }},
		"a hash":                  {change: func(v *ledger.Voucher) { v.Receipts[0].SHA256 = long }},
		"a file":                  {change: func(v *ledger.Voucher) { v.Receipts[0].File = long }, damaged: true},
		"the series":              {change: func(v *ledger.Voucher) { v.Series = long }, damaged: true},
		"the claim":               {change: func(v *ledger.Voucher) { v.ClaimID = long }, damaged: true},
		"the claim, within bound": {change: func(v *ledger.Voucher) { v.ClaimID = long[:ledger.MaxTextLength] }},
	} {
		voucher := recorded(12)
		voucher.Receipts = []ledger.Receipt{{Key: "a", MediaType: "image/png", SHA256: strings.Repeat("0", 64), File: "E-2026-7-1.png"}, {Key: "b", File: "E-2026-7-2.bin"}}
		test.change(voucher)
		var w journal.Writer
		w.Append(voucher)
		if test.damaged {
			if _, err := readAll(w.Block()); !errors.Is(err, journal.ErrDamaged) {
				t.Errorf("%s: %v, want damage", name, err)
			}
			continue
		}
		voucher.Receipts[0].Bound()
		mustHold(t, w.Block(), []*ledger.Voucher{voucher})
	}
}

// version of the blocks that are written.
const version = 4

// FuzzReader finds out that no bytes make the reader panic, hang or take more memory than they are worth.
func FuzzReader(f *testing.F) {
	var w journal.Writer
	for _, v := range conformance.Readable(conformance.Vouchers(f, conformance.Books("SEK"))) {
		w.Append(v)
	}
	f.Add(w.Block())
	f.Add(pack(f, w.Block()))
	f.Add([]byte{version})
	f.Add([]byte{version, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(_ *testing.T, block []byte) { _, _ = readAll(block) })
}

func readAll(block []byte) (vouchers int, err error) {
	r := journal.NewReader(block)
	var v ledger.Voucher
	for {
		switch err := r.Next(&v); {
		case errors.Is(err, io.EOF):
			return vouchers, nil
		case err != nil:
			return vouchers, err
		}
		vouchers++
	}
}

func BenchmarkPacker(b *testing.B) {
	var w journal.Writer
	for range 200 {
		for _, v := range conformance.Readable(conformance.Vouchers(b, conformance.Books("SEK"))) {
			w.Append(v)
		}
	}
	b.SetBytes(int64(len(w.Block())))
	var p journal.Packer
	for b.Loop() {
		if _, err := p.Pack(w.Block()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	vouchers := conformance.Readable(conformance.Vouchers(b, conformance.Books("SEK")))
	var w journal.Writer
	for b.Loop() {
		if len(w.Block()) > 1<<20 {
			w.Reset()
		}
		for _, v := range vouchers {
			w.Append(v)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(vouchers)), "ns/voucher")
}
