// Package builtin is the list of the exporters in this binary. To add an accounting system, add its folder beside this
// one, and one line here.
package builtin

import (
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/businesscentral"
	"github.com/ledgerport/ledgerport/exporters/csv"
	"github.com/ledgerport/ledgerport/exporters/datev"
	"github.com/ledgerport/ledgerport/exporters/gbat10"
	"github.com/ledgerport/ledgerport/exporters/hledger"
	"github.com/ledgerport/ledgerport/exporters/pain001"
	"github.com/ledgerport/ledgerport/exporters/saft"
	"github.com/ledgerport/ledgerport/exporters/sie"
	"github.com/ledgerport/ledgerport/exporters/xledger"
)

// Exporters returns the built-in exporters.
func Exporters() []exporters.Exporter {
	return []exporters.Exporter{
		businesscentral.New(),
		csv.New(),
		datev.New(),
		gbat10.New(),
		hledger.New(),
		pain001.New(),
		saft.New(),
		sie.New(),
		xledger.New(),
	}
}

// Registry returns a registry of the built-in exporters.
func Registry() *exporters.Registry {
	registry, err := exporters.NewRegistry(Exporters()...)
	if err != nil {
		panic(err) // the list above is constant
	}
	return registry
}
