// Command ledgerport-inhouse is Ledgerport with one more exporter: an example of how to build one.
package main

import (
	"github.com/ledgerport/ledgerport/command"

	"example.com/ledgerport-inhouse/inhouse"
)

func main() { command.Main(inhouse.New()) }
