package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// plain is an exporter that is as simple as can be, and can be made wrong.
type plain struct {
	replaces bool // a character that the format lacks becomes a question mark
	forgets  bool // the last posting is left out
	doubles  bool // every voucher is written twice
	keeps    bool // every text is kept until the end
	deaf     bool // the context is not listened to
	traces   bool // a held voucher is written all the same
	tells    bool // the claimant's name is in the message of a hold
}

func (plain) Type() string    { return "plain" }
func (plain) Version() string { return "1" }

func (plain) Validate(raw []byte) error { return exporters.DecodeOptions(raw, &struct{}{}) }

func (p plain) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	file, err := sink.Create(ctx, batch.Run+".txt", "text/plain; charset=utf-8")
	return &plainWriter{plain: p, file: file}, err
}

type plainWriter struct {
	plain
	file io.WriteCloser
	kept []string
}

func (w *plainWriter) Write(ctx context.Context, voucher *ledger.Voucher) error {
	if err := ctx.Err(); err != nil && !w.deaf {
		return err
	}
	if w.keeps {
		w.kept = append(w.kept, strings.Clone(voucher.ClaimID))
	}
	postings := voucher.Postings
	if w.forgets {
		postings = postings[:len(postings)-1]
	}
	text := voucher.Text
	if i := strings.IndexFunc(text, func(r rune) bool { return r == 'ł' }); i >= 0 {
		if w.traces {
			_, _ = io.WriteString(w.file, text)
		}
		if w.tells {
			return &ledger.Hold{ClaimID: voucher.ClaimID, Reason: ledger.HoldUnsupportedByFormat, Message: "the text has a letter of " + voucher.ClaimantName}
		}
		if !w.replaces {
			return &ledger.Hold{ClaimID: voucher.ClaimID, Reason: ledger.HoldUnsupportedByFormat, Message: "the text has the character ł"}
		}
		text = strings.ReplaceAll(text, "ł", "?")
	}
	line := fmt.Sprintf("%s %q", voucher.BaseCurrency.Code(), text)
	for i := range postings {
		line += fmt.Sprintf(" %s=%d", postings[i].Account, postings[i].BaseAmount)
	}
	line += "\n"
	if w.doubles {
		line += line
	}
	_, err := io.WriteString(w.file, line)
	return err
}

func (w *plainWriter) Close(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !w.deaf {
		return err
	}
	return w.file.Close()
}

func readPlain(files []File) (found []Found, err error) {
	for line := range strings.Lines(string(files[0].Content)) {
		fields := strings.Fields(line[strings.LastIndexByte(line, '"'):])[1:]
		voucher := Found{Currency: line[:3]}
		for _, field := range fields {
			var account string
			var amount ledger.Amount
			if _, err := fmt.Sscanf(strings.Replace(field, "=", " ", 1), "%s %d", &account, &amount); err != nil {
				return nil, fmt.Errorf("%q: %w", field, err)
			}
			voucher.Amounts = append(voucher.Amounts, amount)
			if account == "2890" {
				voucher.Owed -= amount
			}
		}
		found = append(found, voucher)
	}
	return found, nil
}

func TestASimpleExporterPasses(t *testing.T) {
	t.Parallel()
	Test(t, plain{}, nil, ReadBack(readPlain))
}

// naming names receipts behind each voucher, or as the application does.
type naming struct {
	plain
	key bool
}

func (n naming) Begin(ctx context.Context, batch exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	w, err := n.plain.Begin(ctx, batch, sink)
	return namingWriter{w.(*plainWriter), n}, err
}

type namingWriter struct {
	*plainWriter
	naming naming
}

func (w namingWriter) Write(ctx context.Context, voucher *ledger.Voucher) error {
	for _, receipt := range voucher.Receipts {
		name := receipt.File
		if w.naming.key {
			name += " " + receipt.Key
		}
		if _, err := io.WriteString(w.file, name+"\n"); err != nil {
			return err
		}
	}
	return w.plainWriter.Write(ctx, voucher)
}

func TestReceiptsThatAreNotAsDeclaredAreFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		exporter exporters.Exporter
		names    bool
		want     string
	}{
		{plain{}, false, ""},
		{plain{}, true, "no file names E-2026-1-1.pdf, a receipt of voucher E/2026/1"},
		{naming{}, true, ""},
		{naming{}, false, "the files differ where vouchers have receipts"},
		{naming{key: true}, true, "a file has what the application calls the receipt E-2026-1-1.pdf"},
	} {
		s := &suite{exporter: test.exporter, names: test.names}
		err := s.checkReceipts(t, Batch(Books("SEK"), nil))
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v, declared %t: %v, want %q", test.exporter, test.names, err, test.want)
		}
	}
}

func TestWrongTotalsAreFound(t *testing.T) {
	t.Parallel()
	for want, exporter := range map[string]plain{
		"":                 {},
		"does not balance": {forgets: true},
		"owed by the":      {doubles: true},
	} {
		books := Books("SEK")
		artifact, err := Render(t.Context(), exporter, Batch(books, nil), Vouchers(t, books))
		if err != nil {
			t.Fatal(err)
		}
		s := &suite{exporter: exporter, read: readPlain}
		if err := s.checkTotals(artifact); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", exporter, err, want)
		}
	}
	s := &suite{read: func([]File) ([]Found, error) { return nil, errors.New("line 1") }}
	if err := s.checkTotals(Artifact{}); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a reader that refuses the artifact: %v", err)
	}
}

func TestAHoldThatIsNotAsItShouldBeIsFound(t *testing.T) {
	t.Parallel()
	const message = "the text has"
	for _, test := range []struct {
		exporter   plain
		text, want string
	}{
		{plain{}, "Łódź, Wrocław", ""},
		{plain{}, "Malmö", "held []"},
		{plain{replaces: true}, "Wrocław", "held []"},
		{plain{traces: true}, "Wrocław", "something of the voucher is in the files"},
		{plain{tells: true}, "Wrocław", `has "Test Testsson" in it`},
	} {
		books := Books("SEK")
		voucher := Vouchers(t, books)[0]
		voucher.Text = test.text
		err := checkHeld(t.Context(), test.exporter, Batch(books, nil), voucher, message)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v with %s: %v, want %q", test.exporter, test.text, err, test.want)
		}
	}
	books := Books("SEK")
	voucher := Vouchers(t, books)[0]
	voucher.Text = "Wrocław"
	if err := checkHeld(t.Context(), plain{}, Batch(books, nil), voucher, "the amount"); err == nil {
		t.Error("a message of another problem is taken")
	}
}

func TestARefusalThatIsNotAsItShouldBeIsFound(t *testing.T) {
	t.Parallel()
	option := &exporters.OptionError{Field: "fileName", Problem: "is empty"}
	for _, test := range []struct {
		err  error
		want bool
	}{{option, true}, {nil, false}, {errors.New("fileName: is empty"), false}, {&exporters.OptionError{Field: "name", Problem: "is empty"}, false}} {
		if got := isRefusal(test.err, "fileName: is"); got != test.want {
			t.Errorf("%v: %t", test.err, got)
		}
	}
}

func TestASilentReplacementIsFoundAndItsCharacterNamed(t *testing.T) {
	t.Parallel()
	every, err := everyCharacter()
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{exporter: plain{replaces: true}}
	if failing := s.smallest(t, every.plain, every.samples[:samplesAtOnce]); !strings.Contains(failing.text, "ł") {
		t.Errorf("%+q, want a text with U+0142", failing.text)
	}
}

func TestMemoryThatGrowsWithVouchersIsSeen(t *testing.T) { // not parallel: the heap is the process's
	few, many := memoryOf(t, plain{keeps: true}, nil, fewVouchers), memoryOf(t, plain{keeps: true}, nil, manyVouchers)
	if many < few+memorySlack {
		t.Errorf("%d and %d bytes: an exporter that keeps every id is not seen", few, many)
	}
	TestMemory(t, plain{}, nil)
}
