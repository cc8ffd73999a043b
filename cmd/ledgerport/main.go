// Command ledgerport is the operator and its tools in one binary.
package main

import "github.com/ledgerport/ledgerport/command"

func main() { command.Main() }
