package exporters

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"sigs.k8s.io/json"
)

const (
	// MaxOptionsSize bounds the options of an exporter, in bytes.
	MaxOptionsSize = 64 << 10
	// maxFileNameSize leaves room for what a destination puts around a file name.
	maxFileNameSize = 200
)

// DecodeOptions decodes options, a JSON object or nothing, over the defaults: those that into already holds, and those in
// the tags of its fields, such as `default:";"` on a string, `default:"true"` on a bool or `default:"4"` on an int. A tag
// is what the exporter's page shows, so prefer it. Decoding is strict: an unknown field, a field that occurs twice or is
// written in another case, and a value of another type are an *OptionError.
//
// A slice in the defaults would lend its elements' fields to the elements decoded; leave it nil, and fill it in after.
func DecodeOptions(options []byte, into any) error {
	if len(options) > MaxOptionsSize {
		return &OptionError{Problem: fmt.Sprintf("the options have %d bytes, more than %d", len(options), MaxOptionsSize)}
	}
	if err := setDefaults(reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	if len(options) == 0 {
		return nil
	}
	unknown, err := json.UnmarshalStrict(options, into)
	var mistyped *gojson.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field == "":
		return &OptionError{Problem: fmt.Sprintf("the options are a JSON %s, not an object", mistyped.Value)}
	case errors.As(err, &mistyped):
		return &OptionError{Field: mistyped.Field, Problem: fmt.Sprintf("is or has a JSON %s where %s belongs", mistyped.Value, jsonName(mistyped.Type.Kind()))}
	case err != nil:
		return &OptionError{Problem: fmt.Sprintf("the options are not JSON: %s", err)}
	}
	for _, problem := range unknown {
		return &OptionError{Field: fieldOf(problem), Problem: strictProblem(problem)}
	}
	return nil
}

// setDefaults sets the fields that have a default in their tag. An error is a mistake of the exporter's author.
func setDefaults(into reflect.Value) error {
	for i := range into.NumField() {
		text, tagged := into.Type().Field(i).Tag.Lookup("default")
		if !tagged {
			continue
		}
		field, err := into.Field(i), error(nil)
		switch field.Kind() {
		case reflect.String:
			field.SetString(text)
		case reflect.Bool:
			var value bool
			value, err = strconv.ParseBool(text)
			field.SetBool(value)
		case reflect.Int, reflect.Int64:
			var value int64
			value, err = strconv.ParseInt(text, 10, 64)
			field.SetInt(value)
		default:
			err = fmt.Errorf("a %s has no default in a tag", field.Kind())
		}
		if err != nil {
			return fmt.Errorf("the default of the field %s of the options: %w", into.Type().Field(i).Name, err)
		}
	}
	return nil
}

func jsonName(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "a " + kind.String()
	}
}

func fieldOf(problem error) string {
	var field json.FieldError
	if errors.As(problem, &field) {
		return field.FieldPath()
	}
	return ""
}

func strictProblem(problem error) string {
	if strings.HasPrefix(problem.Error(), "duplicate field") {
		return "occurs twice"
	}
	return "is not an option of this exporter; options are case-sensitive"
}

// CheckFileName refuses, with an *OptionError of that field, what can not be the name of a file of an artifact.
func CheckFileName(field, name string) error {
	if problem := fileNameProblem(name); problem != "" {
		return &OptionError{Field: field, Problem: problem}
	}
	return nil
}

func fileNameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxFileNameSize:
		return fmt.Sprintf("has %d bytes, more than %d", len(name), maxFileNameSize)
	case strings.HasPrefix(name, "."):
		return "begins with a dot"
	case name == "manifest.json":
		return "is the name of the manifest beside the file"
	case strings.ContainsAny(name, `/\`), strings.ContainsFunc(name, unicode.IsControl):
		return "has a path separator or a control character; give the name of a file without a path"
	}
	return ""
}
