package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/ledger"
)

// Sample renders the readable vouchers, with books in a currency. Given a filter, it leaves out those that the filter is false
// for; the filter may change the others.
func Sample(t testing.TB, exporter exporters.Exporter, currency, options string, keep ...func(*ledger.Voucher) bool) Artifact {
	t.Helper()
	books := Books(currency)
	var vouchers []*ledger.Voucher
	for _, voucher := range Readable(Vouchers(t, books)) {
		if len(keep) == 0 || keep[0](voucher) {
			vouchers = append(vouchers, voucher)
		}
	}
	artifact, err := Render(t.Context(), exporter, Batch(books, []byte(options)), vouchers)
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}

// Ordinary is a filter that keeps the voucher of an ordinary claim: three lines, two of them with tax.
func Ordinary(voucher *ledger.Voucher) bool { return voucher.ClaimID == "claim-ordinary" }

// Holds spoils the ordinary voucher. It must be held, with a message that begins so and in which nobody reads a claimant's
// name or bank account, and nothing of it may be in the files.
func Holds(t *testing.T, exporter exporters.Exporter, currency, options string, spoil func(*ledger.Voucher), want string) {
	t.Helper()
	books := Books(currency)
	voucher := Vouchers(t, books)[0]
	spoil(voucher)
	if err := checkHeld(t.Context(), exporter, Batch(books, []byte(options)), voucher, want); err != nil {
		t.Error(err)
	}
}

func checkHeld(ctx context.Context, exporter exporters.Exporter, batch exporters.Batch, voucher *ledger.Voucher, want string) error {
	artifact, err := Render(ctx, exporter, batch, []*ledger.Voucher{voucher})
	if err != nil {
		return err
	}
	if len(artifact.Held) != 1 || !strings.HasPrefix(artifact.Held[0].Message, want) {
		return fmt.Errorf("held %v, want %s…", artifact.Held, want)
	}
	for _, private := range []string{voucher.ClaimantName, voucher.ClaimantIBAN} {
		if strings.TrimSpace(private) != "" && strings.Contains(artifact.Held[0].Error(), private) {
			return fmt.Errorf("%q has %q in it", artifact.Held[0].Error(), private)
		}
	}
	nothing, err := Render(ctx, exporter, batch, nil)
	if err == nil && !reflect.DeepEqual(artifact.Files, nothing.Files) {
		err = fmt.Errorf("%s: something of the voucher is in the files", want)
	}
	return err
}

// RefusesUnbalanced renders a voucher that does not sum to zero: the artifact must end with an error that names its claim.
func RefusesUnbalanced(t *testing.T, exporter exporters.Exporter, currency, options string) {
	t.Helper()
	books := Books(currency)
	voucher := Vouchers(t, books)[0]
	voucher.Postings[0].BaseAmount++
	_, err := Render(t.Context(), exporter, Batch(books, []byte(options)), []*ledger.Voucher{voucher})
	if err == nil || !strings.Contains(err.Error(), voucher.ClaimID+" does not sum to zero") {
		t.Errorf("%v, want an error that names the claim", err)
	}
}

// RefusesOptions validates options, which must be refused by an OptionError that begins so.
func RefusesOptions(t *testing.T, exporter exporters.Exporter, options, want string) {
	t.Helper()
	if err := exporter.Validate([]byte(options)); !isRefusal(err, want) {
		t.Errorf("%.80s: %v, want %s…", options, err, want)
	}
}

// RefusesBooks spoils the books of a batch, which must be refused before the first voucher by an OptionError that begins so.
func RefusesBooks(t *testing.T, exporter exporters.Exporter, currency, options string, spoil func(*v1alpha1.ChartOfAccountsSpec), want string) {
	t.Helper()
	books := Books(currency)
	spoil(books)
	if _, err := exporter.Begin(t.Context(), Batch(books, []byte(options)), &memory{}); !isRefusal(err, want) {
		t.Errorf("%.80s: %v, want %s…", options, err, want)
	}
}

func isRefusal(err error, want string) bool {
	var refused *exporters.OptionError
	return errors.As(err, &refused) && strings.HasPrefix(err.Error(), want)
}

// PageShows reads a page of documentation, which must have a text in it: what it shows is real output then.
func PageShows(t *testing.T, page, text string) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), text) {
		t.Errorf("%s does not show\n%s", page, text)
	}
}
