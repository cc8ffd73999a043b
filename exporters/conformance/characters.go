package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"

	"github.com/ledgerport/ledgerport/ledger"
)

// textField is a text of a voucher that people fill in, in the application or elsewhere.
type textField struct {
	name string
	// free texts are for people to read: a format that lacks a character in other texts, which are codes, may still have it.
	free bool
	take func(to, from *ledger.Voucher)
}

var textFields = []textField{
	{"text of the voucher", true, func(to, from *ledger.Voucher) { to.Text = from.Text }},
	{"text of a posting", true, func(to, from *ledger.Voucher) { to.Postings[0].Text = from.Postings[0].Text }},
	{"claimant's name", true, func(to, from *ledger.Voucher) { to.ClaimantName = from.ClaimantName }},
	{"claimant's id", false, func(to, from *ledger.Voucher) {
		to.ClaimantID = from.ClaimantID
		last := len(to.Postings) - 1
		to.Postings[last].Subledger = from.Postings[last].Subledger
	}},
	{"claimant's IBAN", false, func(to, from *ledger.Voucher) { to.ClaimantIBAN = from.ClaimantIBAN }},
	{"BIC of the claimant's bank", false, func(to, from *ledger.Voucher) { to.ClaimantBIC = from.ClaimantBIC }},
	{"claimant's town", true, func(to, from *ledger.Voucher) {
		to.ClaimantAddress.Street, to.ClaimantAddress.Town = from.Text, from.Text
	}},
	{"claimant's address", false, func(to, from *ledger.Voucher) { to.ClaimantAddress = from.ClaimantAddress }},
	{"claim's id", false, func(to, from *ledger.Voucher) { to.ClaimID = from.ClaimID }},
	{"approver", false, func(to, from *ledger.Voucher) { to.ApprovedBy = from.ApprovedBy }},
	{"category", false, func(to, from *ledger.Voucher) { to.Postings[0].Category = from.Postings[0].Category }},
	{"quantity", false, func(to, from *ledger.Voucher) { to.Postings[0].Quantity = from.ApprovedBy }},
	{"unit", false, func(to, from *ledger.Voucher) { to.Postings[0].Unit = from.Postings[0].Unit }},
	{"receipt's URI", false, func(to, from *ledger.Voucher) { to.Postings[0].ReceiptURI = from.Postings[0].ReceiptURI }},
	{"dimensions", false, func(to, from *ledger.Voucher) { to.Postings[0].Dimensions = from.Postings[0].Dimensions }},
}

// sample is a text, and what the ledger makes of a claim that has it in every field.
type sample struct {
	text     string
	group    bool // of characters that are also tested alone, or near one that is
	voucher  *ledger.Voucher
	replaced bool // see replaces
}

// replaces reports whether a text has what encoders put in place of a character that they lack, or what may be
// transliterated to it.
func replaces(text string) bool { return strings.ContainsAny(norm.NFKC.String(text), "?\ufffd\x1a") }

// sampler makes samples.
type sampler struct {
	mapper *ledger.Mapper
	plain  *ledger.Voucher
}

func newSampler() (*sampler, error) {
	mapper, err := ledger.NewMapper(Books("SEK"), ledger.VoucherPolicy{Series: "E", Location: time.UTC})
	if err != nil {
		return nil, err
	}
	s := &sampler{mapper: mapper}
	plain, err := s.sample("1")
	if err != nil {
		return nil, err
	}
	s.plain = plain.voucher
	s.plain.ClaimantIBAN = payableAccount // an exporter that pays would hold whatever else is in the voucher
	return s, nil
}

// sample returns a *ledger.Hold where the ledger refuses the text: no exporter ever sees it.
func (s *sampler) sample(text string) (sample, error) {
	c := claim("", "SEK", text, line(text, text, 10, 0))
	c.ID, c.ClaimantID, c.ClaimantName, c.ClaimantIBAN, c.ApprovedBy, c.ClaimantBIC = text, text, text, text, text, text
	c.ClaimantAddress = ledger.Address{Street: text, Building: text, PostCode: text, Town: text, Country: text}
	l := &c.Lines[0]
	l.Unit, l.ReceiptURI, l.Dimensions = text, text, map[string]string{"cost_center": text, "project": text, "region": text}
	vouchers, err := s.mapper.Map(context.Background(), c)
	if err != nil {
		return sample{}, err
	}
	return sample{text: text, voucher: keep(&vouchers[0]), replaced: replaces(text)}, nil
}

const (
	// Below it are the letters and marks of Europe's languages, and most typographic ones.
	lastCommonCharacter = 0x2200
	oneOfTheRest        = 499
	groupSize           = 64
	samplesAtOnce       = 2000
)

// everyCharacter are all characters of Unicode that the ledger accepts: common ones, and some of the rest, alone, and all of
// them in groups.
var everyCharacter = sync.OnceValues(func() (*everySample, error) {
	s, err := newSampler()
	if err != nil {
		return nil, err
	}
	all := &everySample{sampler: s}
	var group []rune
	for r := range rune(utf8.MaxRune + 1) {
		if !utf8.ValidRune(r) || replaces(string(r)) {
			continue
		}
		if r < lastCommonCharacter || r%oneOfTheRest == 0 {
			alone, err := s.sample("a" + string(r) + "b")
			var hold *ledger.Hold
			switch {
			case errors.As(err, &hold): // a control character; all of them are common
				continue
			case err != nil:
				return nil, err
			}
			all.samples = append(all.samples, alone)
		}
		if group = append(group, r); len(group) < groupSize {
			continue
		}
		made, err := s.sample(string(group))
		if err != nil {
			return nil, err
		}
		made.group, group = true, group[:0]
		all.samples = append(all.samples, made)
	}
	return all, nil
})

type everySample struct {
	*sampler
	samples []sample
}

// testCharacters puts every character of Unicode into the texts of vouchers. Each voucher is rendered or held; nothing
// becomes a replacement character.
func (s *suite) testCharacters(t *testing.T) {
	every, err := everyCharacter()
	if err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(every.samples, samplesAtOnce) {
		if err := s.checkTexts(t.Context(), every.plain, chunk); err != nil {
			failing := s.smallest(t, every.plain, chunk)
			t.Errorf("with the text %+q: %v", failing.text, s.checkTexts(t.Context(), every.plain, []sample{failing}))
			return
		}
	}
}

// smallest finds a text that fails alone, for the message.
func (s *suite) smallest(t *testing.T, plain *ledger.Voucher, failing []sample) sample {
	for len(failing) > 1 {
		half := len(failing) / 2
		if s.checkTexts(t.Context(), plain, failing[:half]) != nil {
			failing = failing[:half]
		} else {
			failing = failing[half:]
		}
	}
	return failing[0]
}

// testLongest puts the longest texts into every field.
func (s *suite) testLongest(t *testing.T) {
	every, err := everyCharacter()
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"a", "9", "å", "日", "👩", `"`, `\`, "<", "e\u0301", "a ", "'", ";"} {
		made, err := every.sample(strings.Repeat(unit, ledger.MaxTextLength/len(unit)))
		if err == nil {
			err = s.checkTexts(t.Context(), every.plain, []sample{made})
		}
		if err != nil {
			t.Errorf("%d times %q: %v", ledger.MaxTextLength/len(unit), unit, err)
		}
	}
}

// checkTexts renders vouchers with each text in all fields at once and, where that is held, in one field after the other.
func (s *suite) checkTexts(ctx context.Context, plain *ledger.Voucher, samples []sample) error {
	vouchers := make([]*ledger.Voucher, len(samples))
	replaced := false
	for i := range samples {
		vouchers[i] = samples[i].voucher
		replaced = replaced || samples[i].replaced
	}
	artifact, err := s.checkVouchers(ctx, plain, vouchers, replaced)
	if err != nil {
		return err
	}
	rendered := map[string]bool{}
	for _, voucher := range artifact.Written {
		rendered[voucher.ClaimID] = true
	}
	for _, field := range textFields {
		vouchers = vouchers[:0]
		for i := range samples {
			if rendered[samples[i].text] || samples[i].group && !field.free {
				continue
			}
			voucher := *plain
			voucher.ClaimID = "claim-" + strconv.Itoa(i)
			voucher.Postings = slices.Clone(plain.Postings)
			field.take(&voucher, samples[i].voucher)
			vouchers = append(vouchers, &voucher)
		}
		if _, err := s.checkVouchers(ctx, plain, vouchers, replaced); err != nil {
			return fmt.Errorf("in the %s: %w", field.name, err)
		}
	}
	return nil
}

// checkVouchers renders vouchers, reads them back, and looks for replacement characters.
func (s *suite) checkVouchers(ctx context.Context, plain *ledger.Voucher, vouchers []*ledger.Voucher, replaced bool) (Artifact, error) {
	if len(vouchers) == 0 {
		return Artifact{}, nil
	}
	batch := Batch(Books("SEK"), s.options)
	artifact, err := Render(ctx, s.exporter, batch, vouchers)
	if err != nil {
		return artifact, err
	}
	if err := s.checkTotals(artifact); err != nil || replaced {
		return artifact, err
	}
	// What the head of a file may have, such as <?xml … ?>.
	ordinary, err := Render(ctx, s.exporter, batch, []*ledger.Voucher{plain})
	if err != nil {
		return artifact, err
	}
	if more := replacements(artifact.Files) - replacements(ordinary.Files); more > 0 {
		return artifact, fmt.Errorf("the files have %d replacement characters (?, U+FFFD, SUB) in place of others; transliterate them, or hold the voucher", more)
	}
	return artifact, nil
}

// replacements counts characters that stand for others.
func replacements(files []File) (count int) {
	for _, file := range files {
		content := file.Content
		if _, parameters, err := mime.ParseMediaType(file.MediaType); err == nil && strings.HasPrefix(parameters["charset"], "utf-16") {
			content, _ = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder().Bytes(content)
		}
		for _, replacement := range []string{"?", "\ufffd", "\x1a"} {
			count += bytes.Count(content, []byte(replacement))
		}
	}
	return count
}
