package exporters

import "testing"

type posting struct{ Exporter }

// PostingOptions implements Posts.
func (posting) PostingOptions() []string {
	return PostingOptions(&struct {
		TaxKeys  map[string]string `json:"taxKeys" posts:"true"`
		Account  string            `json:"account,omitempty" posts:"true"`
		FileName string            `json:"fileName"`
	}{})
}

type layout struct{ Exporter }

func TestAReversalPostsAsItsRunDid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                string
		exporter            Exporter
		present, then, want string
	}{
		{"options that were corrected", posting{}, `{"taxKeys":{"7":"8"},"fileName":"b"}`, `{"taxKeys":{"7":"9"},"fileName":"a"}`, `{"fileName":"b","taxKeys":{"7":"9"}}`},
		{"an option that was left out then", posting{}, `{"account":"70000"}`, `{}`, `{}`},
		{"an option that is left out now", posting{}, ``, `{"account":"70000","fileName":"a"}`, `{"account":"70000"}`},
		{"nothing now or then", posting{}, ``, ``, `{}`},
		{"an exporter whose options are about files", layout{}, `{"taxKeys":{}}`, `{"taxKeys":{"7":"9"}}`, `{"taxKeys":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			options, err := ReversalOptions(test.exporter, []byte(test.present), []byte(test.then))
			if err != nil || string(options) != test.want {
				t.Errorf("the options are %s (%v), want %s", options, err, test.want)
			}
		})
	}
}
