package inhouse

import (
	"regexp"

	"github.com/ledgerport/ledgerport/exporters"
)

// options of the exporter: what a user writes under spec.exporter.options.
type options struct {
	// The company's code in the ledger system.
	Company string `json:"company" required:"true"`
	// A name without a path.
	FileName string `json:"fileName" absent:"<run>.txt"`
}

var company = regexp.MustCompile(`^[A-Z0-9]{1,8}$`)

func decodeOptions(raw []byte) (*options, error) {
	o := &options{}
	if err := exporters.DecodeOptions(raw, o); err != nil {
		return nil, err
	}
	if !company.MatchString(o.Company) {
		return nil, &exporters.OptionError{Field: "company", Problem: "is not one to eight capital letters or digits"}
	}
	if o.FileName != "" {
		if err := exporters.CheckFileName("fileName", o.FileName); err != nil {
			return nil, err
		}
	}
	return o, nil
}
