package inhouse

import "github.com/ledgerport/ledgerport/exporters"

// options of the exporter: what a user writes under spec.exporter.options.
type options struct {
	// The company's code in the ledger system.
	Company string `json:"company" required:"true" form:"^[A-Z0-9]{1,8}$" otherwise:"is not one to eight capital letters or digits"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.txt" fileName:"true"`
}

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	return o, exporters.DecodeOptions(raw, o)
}
