package hledger

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter. docs/exporters/hledger.md has a table of them, made by make generate.
type options struct {
	// `hledger`: a journal that hledger and ledger read; `beancount`
	Format string `json:"format" default:"hledger" choices:"hledger|beancount"`
	// Top-level account of the accounts whose number begins with a prefix, such as `{"1": Assets, "29": Liabilities}`; the
	// longest prefix counts. Beancount knows `Assets`, `Liabilities`, `Equity`, `Income` and `Expenses`.
	TopLevel map[string]string `json:"topLevel" posts:"true" absent:"by what the chart uses an account for: accounts of the offset, of what others have paid and of reverse charge are below Liabilities, those of tax codes and of advances below Assets, all others below Expenses"`
	// Name of an account below its top-level account, with `{number}` and `{name}` for those of the chart; a colon begins an
	// account further down. At most 500 bytes, as each name that it makes.
	AccountName string `json:"accountName" posts:"true" default:"{number} {name}" form:"{(number|name)}" otherwise:"has neither {number} nor {name}, so that all accounts would be one"`
	// Whether the file declares its accounts, currencies and tags. Say `false` if the books that include the file do.
	Declarations bool `json:"declarations" default:"true"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.journal, or <run>.beancount" fileName:"true"`
}

const beancountFormat = "beancount"

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
	return o, exporters.DecodeOptions(raw, o)
}

// Check implements exporters.Checked.
func (o *options) Check() error {
	var problems []error
	if len(o.AccountName) > maxAccountName {
		problems = append(problems, &exporters.OptionError{Field: "accountName", Problem: fmt.Sprintf("has more than %d bytes", maxAccountName)})
	}
	for _, prefix := range slices.Sorted(maps.Keys(o.TopLevel)) {
		top, field := o.TopLevel[prefix], "topLevel."+prefix
		switch {
		case o.Format == beancountFormat:
			problems = append(problems, exporters.CheckChoice(field, top, beancountTopLevel...))
		case !journalTopLevel.MatchString(top):
			problems = append(problems, &exporters.OptionError{Field: field, Problem: fmt.Sprintf("%.40q is not a word or a few", top)})
		}
	}
	return errors.Join(problems...)
}
