package exporters_test

import (
	"fmt"

	"github.com/ledgerport/ledgerport/exporters"
)

// Options are a struct: tags say what holds if an option is left out, and what a value may be.
func ExampleDecodeOptions() {
	type options struct {
		// What separates two fields.
		Delimiter string `json:"delimiter" default:";"`
		// The company in the accounting system.
		Company string `json:"company" required:"true"`
	}
	var o options
	if err := exporters.DecodeOptions([]byte(`{"company": "ACME"}`), &o); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%+v\n", o)

	err := exporters.DecodeOptions([]byte(`{"firm": "ACME"}`), &options{})
	for _, wrong := range exporters.OptionErrors(err) {
		fmt.Println(wrong.Field)
	}
	// Output:
	// {Delimiter:; Company:ACME}
	// firm
	// company
}
