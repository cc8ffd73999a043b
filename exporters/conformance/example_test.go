package conformance_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/conformance"
	"github.com/ledgerport/ledgerport/ledger"
)

// lines is an exporter of one line for each posting.
type lines struct{}

func (lines) Type() string          { return "lines" }
func (lines) Version() string       { return "1" }
func (lines) Validate([]byte) error { return nil }

func (lines) Begin(ctx context.Context, _ exporters.Batch, sink exporters.Sink) (exporters.Writer, error) {
	file, err := exporters.CreateFile(ctx, sink, "lines.txt", "text/plain")
	return linesWriter{file}, err
}

type linesWriter struct{ file *exporters.File }

func (w linesWriter) Write(_ context.Context, voucher *ledger.Voucher) error {
	for _, posting := range voucher.Postings {
		fmt.Fprintf(w.file, "%s|%s|%s\n", voucher.ID(), posting.Account, posting.Amount.Decimal(voucher.Currency))
	}
	return nil
}

func (w linesWriter) Close(context.Context) error { return w.file.Close() }

// Render numbers vouchers as a run does, and returns the files that an exporter makes of them.
func ExampleRender() {
	books := conformance.Books("SEK")
	mapper, err := ledger.NewMapper(books, ledger.VoucherPolicy{Series: "E"})
	if err != nil {
		fmt.Println(err)
		return
	}
	day := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	vouchers, err := mapper.Map(context.Background(), &ledger.Claim{
		ID: "c-1", ClaimantID: "17", Currency: "SEK", Description: "Visit to a customer", ApprovedAt: day,
		Lines: []ledger.Line{{Number: 1, ExpenseDate: day, Category: "parking", Description: "Parking", Gross: "80.00"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	artifact, err := conformance.Render(context.Background(), lines{}, conformance.Batch(books, nil), []*ledger.Voucher{&vouchers[0]})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(artifact.Files[0].Name, "\n", string(artifact.Files[0].Content))
	// Output:
	// lines.txt
	// E/2026/1|0990|80.00
	// E/2026/1|2890|-80.00
}
