package offline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// Difference is what two versions of an export make of one claim. Texts of claims are not in it: it is shown where changes are discussed.
type Difference struct {
	// Export is NAMESPACE/NAME.
	Export string
	// Claim is its id.
	Claim string
	// Before and After are a line for each posting, or one that says why the claim is held; empty where there is no such claim.
	Before, After []string
}

// Comparison counts the claims of one export.
type Comparison struct {
	// Same are those of which both versions make the same, but for voucher numbers.
	Same int64 `json:"same"`
	// Different are those of which they make something else.
	Different int64 `json:"different"`
}

// Compare renders the next run of each export that two versions of the resources have in common, and passes on what they make differently
// of a claim, in the order of the claims, at first of those that the version after has. It returns counts by NAMESPACE/NAME. The
// claims of both are those that were approved before the cutoff, each as the database has them when its turn comes.
func Compare(ctx context.Context, before, after *Validation, r Rendering, different func(Difference) error) (map[string]Comparison, error) {
	counts := map[string]Comparison{}
	for _, export := range after.named(r.Export) {
		r.Export = export.Namespace + "/" + export.Name
		if len(before.named(r.Export)) == 0 {
			continue
		}
		count, err := compareOne(ctx, before, after, r, different)
		if err != nil {
			return counts, err
		}
		counts[r.Export] = count
	}
	if len(counts) == 0 {
		return nil, errors.New("no AccountingExport is in both versions of the files")
	}
	return counts, nil
}

func compareOne(ctx context.Context, before, after *Validation, r Rendering, different func(Difference) error) (count Comparison, err error) {
	kept, err := newKept()
	if err != nil {
		return count, err
	}
	defer func() { err = errors.Join(err, kept.remove()) }()
	old := &maker{made: kept.keep}
	r.Witness = old
	if _, err := before.Render(ctx, r); err != nil {
		return count, fmt.Errorf("before: %w", err)
	}
	if err := old.end(); err != nil {
		return count, err
	}
	differs := func(claim string, was, is []string) error {
		count.Different++
		return different(Difference{Export: r.Export, Claim: claim, Before: was, After: is})
	}
	now := &maker{made: func(claim string, is []string) error {
		was, err := kept.take(claim)
		if err != nil {
			return err
		}
		if slices.Equal(was, is) {
			count.Same++
			return nil
		}
		return differs(claim, was, is)
	}}
	r.Witness = now
	if _, err := after.Render(ctx, r); err != nil {
		return count, fmt.Errorf("after: %w", err)
	}
	if err := now.end(); err != nil {
		return count, err
	}
	return count, kept.rest(func(claim string, was []string) error { return differs(claim, was, nil) })
}

// maker describes what is made of claims, one after another. It implements pipeline.Witness.
type maker struct {
	made  func(claim string, described []string) error
	claim string
	lines []string
	err   error // the first one
}

// Voucher implements pipeline.Witness.
func (m *maker) Voucher(voucher *ledger.Voucher) {
	if voucher.ClaimID != m.claim {
		_ = m.end() // which keeps its error
		m.claim = voucher.ClaimID
	}
	m.lines = append(m.lines, "posted on "+voucher.PostingDate.Format("2006-01-02"))
	for i := range voucher.Postings {
		m.lines = append(m.lines, describePosting(voucher, &voucher.Postings[i]))
	}
}

// Held implements pipeline.Witness.
func (m *maker) Held(hold *ledger.Hold) {
	_ = m.end() // which keeps its error
	m.claim, m.lines = hold.ClaimID, append(m.lines, texts.Printable("held ("+string(hold.Reason)+"): "+hold.Message, texts.Message))
}

// end passes on what was made of the last claim.
func (m *maker) end() error {
	if m.err == nil && len(m.lines) > 0 {
		m.err = m.made(m.claim, m.lines)
	}
	m.claim, m.lines = "", nil
	return m.err
}

// describePosting says where a posting goes, and how much.
func describePosting(voucher *ledger.Voucher, posting *ledger.Posting) string {
	side, amount := "debit", posting.Amount
	if cmp.Or(posting.Amount, posting.BaseAmount) < 0 {
		side, amount = "credit", -posting.Amount
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s %s", posting.Account, side, amount.Decimal(voucher.Currency), voucher.Currency.Code())
	if voucher.Currency != voucher.BaseCurrency {
		fmt.Fprintf(&line, " (%s %s)", max(posting.BaseAmount, -posting.BaseAmount).Decimal(voucher.BaseCurrency), voucher.BaseCurrency.Code())
	}
	if posting.TaxCode != "" {
		fmt.Fprintf(&line, " tax %s %s%%", posting.TaxCode, posting.TaxRate)
	}
	if posting.Subledger != "" {
		line.WriteString(" subledger " + posting.Subledger)
	}
	for _, dimension := range posting.Dimensions {
		fmt.Fprintf(&line, " %s=%s", dimension.Name, dimension.Value)
	}
	return texts.Printable(line.String(), texts.Message)
}

// kept are descriptions in a file, by claim: there may be a million.
type kept struct {
	file   *os.File
	places map[string]place
	size   int64
	order  int
}

// place of a description in the file.
type place struct {
	offset int64
	length int
	order  int
}

func newKept() (*kept, error) {
	file, err := os.CreateTemp("", "ledgerport-before-")
	return &kept{file: file, places: map[string]place{}}, err
}

func (k *kept) remove() error { return errors.Join(k.file.Close(), os.Remove(k.file.Name())) }

// keep writes a description. Its lines have no line breaks.
func (k *kept) keep(claim string, described []string) error {
	n, err := k.file.WriteString(strings.Join(described, "\n"))
	k.places[claim] = place{k.size, n, k.order}
	k.size, k.order = k.size+int64(n), k.order+1
	return err
}

// take returns a description, which is not there any more then; nil if there is none.
func (k *kept) take(claim string) ([]string, error) {
	at, ok := k.places[claim]
	if !ok {
		return nil, nil
	}
	delete(k.places, claim)
	described := make([]byte, at.length)
	_, err := io.ReadFull(io.NewSectionReader(k.file, at.offset, int64(at.length)), described)
	return strings.Split(string(described), "\n"), err
}

// rest takes all that are still there, in the order in which they were kept.
func (k *kept) rest(take func(claim string, described []string) error) error {
	left := slices.SortedFunc(maps.Keys(k.places), func(a, b string) int { return cmp.Compare(k.places[a].order, k.places[b].order) })
	for _, claim := range left {
		described, err := k.take(claim)
		if err != nil {
			return err
		}
		if err := take(claim, described); err != nil {
			return err
		}
	}
	return nil
}
