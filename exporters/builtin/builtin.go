// Package builtin is the list of the exporters in this binary. To add an accounting system, add its folder beside this
// one, and one line here.
package builtin

import (
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/csv"
	"github.com/ledgerport/ledgerport/exporters/hledger"
	"github.com/ledgerport/ledgerport/exporters/sie"
)

// Registry gives the built-in exporters.
func Registry() *exporters.Registry {
	registry, err := exporters.NewRegistry(
		csv.New(),
		hledger.New(),
		sie.New(),
	)
	if err != nil {
		panic(err) // the list above is constant
	}
	return registry
}
