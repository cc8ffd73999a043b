package conformance

import (
	"errors"
	"testing"

	"github.com/ledgerport/ledgerport/exporters"
)

// FuzzOptions looks for options that do other than work or be refused with an OptionError. The seeds are options that the
// exporter accepts.
func FuzzOptions(f *testing.F, exporter exporters.Exporter, seeds ...string) {
	for _, seed := range append(seeds, "", "{}", "[]", `{"noSuchOption": 1}`) {
		f.Add([]byte(seed))
	}
	books := Books("SEK")
	vouchers := Readable(Vouchers(f, books))
	f.Fuzz(func(t *testing.T, options []byte) {
		var refused *exporters.OptionError
		err := exporter.Validate(options)
		switch {
		case errors.As(err, &refused):
			return
		case err != nil:
			t.Fatalf("%q: %v is no OptionError", options, err)
		}
		if _, err := Render(t.Context(), exporter, Batch(books, options), vouchers); err != nil && !errors.As(err, &refused) {
			t.Errorf("%q is accepted, and then: %v", options, err)
		}
	})
}

// FuzzTexts looks for texts in claims that do other than be rendered or held.
func FuzzTexts(f *testing.F, exporter exporters.Exporter, options []byte, settings ...Setting) {
	s := &suite{exporter: exporter, options: options}
	for _, set := range settings {
		set(s)
	}
	books := Books("SEK")
	for _, voucher := range Readable(Vouchers(f, books)) {
		f.Add(voucher.Text)
		f.Add(voucher.Postings[0].Text)
	}
	for _, seed := range []string{"", " ", "\x00", "\xff", "a\nb", "a\tb", "?", "\ufffe", "]]>", "{\"}", "\u202e", "a\u0301", "…", "0012", "=1"} {
		f.Add(seed)
	}
	sampler, err := newSampler()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		made, err := sampler.sample(text)
		if err != nil {
			t.Skip("the ledger refuses it")
		}
		if err := s.checkTexts(t.Context(), sampler.plain, []sample{made}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
