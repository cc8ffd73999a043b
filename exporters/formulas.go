package exporters

import "github.com/ledgerport/ledgerport/exporters/charset"

// GuardFormulas is charset.GuardFormulas, for a file beside those of an exporter.
func GuardFormulas(text string) string { return charset.GuardFormulas(text) }
