package hledger

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/hledger.md has a table of them, made by make generate.
type options struct {
	// `hledger`: a journal that hledger and ledger read; `beancount`
	Format string `json:"format" default:"hledger"`
	// Top-level account of the accounts whose number begins with a prefix, such as `{"1": Assets, "29": Liabilities}`; the
	// longest prefix counts. Beancount knows `Assets`, `Liabilities`, `Equity`, `Income` and `Expenses`.
	TopLevel map[string]string `json:"topLevel" absent:"by what the chart uses an account for: the offset account is below Liabilities, accounts of tax codes are below Assets, all others below Expenses"`
	// Name of an account below its top-level account, with `{number}` and `{name}` for those of the chart; a colon begins an
	// account further down
	AccountName string `json:"accountName" default:"{number} {name}"`
	// Whether the file declares its accounts, currencies and tags. Say `false` if the books that include the file do.
	Declarations bool `json:"declarations" default:"true"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.journal, or <run>.beancount"`
}

const (
	journalFormat   = "hledger"
	beancountFormat = "beancount"
)

const (
	assets      = "Assets"
	liabilities = "Liabilities"
	expenses    = "Expenses"
)

var (
	// beancountTopLevel are the names that beancount has unless its options say otherwise.
	beancountTopLevel = []string{assets, liabilities, "Equity", "Income", expenses}
	journalTopLevel   = regexp.MustCompile(`^\p{L}[\p{L}\p{N}_-]*( [\p{L}\p{N}_-]+)*$`)
)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	if err := exporters.DecodeOptions(raw, o); err != nil {
		return nil, err
	}
	return o, o.check()
}

func (o *options) check() error {
	if formats := []string{journalFormat, beancountFormat}; !slices.Contains(formats, o.Format) {
		return &exporters.OptionError{Field: "format", Problem: fmt.Sprintf("%.40q is not one of %q", o.Format, formats)}
	}
	for _, prefix := range slices.Sorted(maps.Keys(o.TopLevel)) {
		top, field := o.TopLevel[prefix], "topLevel."+prefix
		switch {
		case o.Format == beancountFormat && !slices.Contains(beancountTopLevel, top):
			return &exporters.OptionError{Field: field, Problem: fmt.Sprintf("%.40q is not one of %q", top, beancountTopLevel)}
		case !journalTopLevel.MatchString(top):
			return &exporters.OptionError{Field: field, Problem: fmt.Sprintf("%.40q is not a word or a few", top)}
		}
	}
	if !strings.Contains(o.AccountName, "{number}") && !strings.Contains(o.AccountName, "{name}") {
		return &exporters.OptionError{Field: "accountName", Problem: "has neither {number} nor {name}, so that all accounts would be one"}
	}
	if o.FileName != "" {
		return exporters.CheckFileName("fileName", o.FileName)
	}
	return nil
}
