package exporters

import (
	gojson "encoding/json"
	"reflect"
)

// Posts is an Exporter some of whose options decide what is posted, such as the tax key of a tax code, the account of an employee or
// where a dimension goes. A reversal has these as the reversed run had them, because only so does it take back what was posted; all
// other options are about files.
type Posts interface {
	Exporter
	// PostingOptions are the names of these options, as PostingOptions returns them for the struct that the options are decoded into.
	PostingOptions() []string
}

// PostingOptions returns the names of the fields of an options struct that have the tag `posts:"true"`.
func PostingOptions(options any) (names []string) {
	kind := reflect.TypeOf(options).Elem()
	for i := range kind.NumField() {
		if kind.Field(i).Tag.Get("posts") == "true" {
			names = append(names, optionName(kind.Field(i)))
		}
	}
	return names
}

// ReversalOptions returns the options of a reversal: the present ones, and those that post as they were then. Both are JSON objects, or
// nothing, that the exporter has accepted.
func ReversalOptions(exporter Exporter, present, then []byte) ([]byte, error) {
	posts, some := exporter.(Posts)
	if !some {
		return present, nil
	}
	options, err := fieldsOf(present)
	if err != nil {
		return nil, err
	}
	before, err := fieldsOf(then)
	if err != nil {
		return nil, err
	}
	for _, name := range posts.PostingOptions() {
		delete(options, name)
		if value, had := before[name]; had {
			options[name] = value
		}
	}
	return gojson.Marshal(options)
}

func fieldsOf(options []byte) (map[string]gojson.RawMessage, error) {
	fields := map[string]gojson.RawMessage{}
	if len(options) == 0 {
		return fields, nil
	}
	return fields, gojson.Unmarshal(options, &fields)
}
