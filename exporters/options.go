package exporters

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
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

// DecodeOptions decodes options, a JSON object or nothing, into a struct. Decoding is strict: an unknown field, a field that
// occurs twice or is written in another case, and a value of another type are an *OptionError.
//
// Tags of the struct's fields, beside json, say what the exporter's page shows, so that the page can not lie:
//   - default: the value where the option is left out, such as `default:";"` on a string, `default:"true"` on a bool,
//     `default:"4"` on an int, or JSON on a list or a map, which hold where the option is null, too;
//   - required: `required:"true"` makes an option that is left out, or empty, an *OptionError;
//   - absent: in words, what holds where the option is left out and no default says it. Only the page reads it.
//
// Fields of an object within the options may have the same tags; those of the elements of a list may be required, but have
// no defaults.
func DecodeOptions(options []byte, into any) error {
	if len(options) > MaxOptionsSize {
		return &OptionError{Problem: fmt.Sprintf("the options have %d bytes, more than %d", len(options), MaxOptionsSize)}
	}
	value := reflect.ValueOf(into).Elem()
	if err := setDefaults(value); err != nil {
		return err
	}
	if err := decodeStrictly(options, into); err != nil {
		return err
	}
	if err := setDefaultsOfCollections(value); err != nil {
		return err
	}
	return checkRequired(value, "")
}

func decodeStrictly(options []byte, into any) error {
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

// setDefaults sets the fields that have a default in their tag, except for collections. An error is a mistake of the
// exporter's author.
func setDefaults(into reflect.Value) error {
	for i := range into.NumField() {
		field, err := into.Field(i), error(nil)
		if field.Kind() == reflect.Struct {
			err = setDefaults(field)
		}
		if text, tagged := into.Type().Field(i).Tag.Lookup("default"); tagged {
			err = setDefault(field, text)
		}
		if err != nil {
			return fmt.Errorf("the default of the field %s of the options: %w", into.Type().Field(i).Name, err)
		}
	}
	return nil
}

func setDefault(field reflect.Value, text string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		value, err := strconv.ParseBool(text)
		field.SetBool(value)
		return err
	case reflect.Int, reflect.Int64:
		value, err := strconv.ParseInt(text, 10, 64)
		field.SetInt(value)
		return err
	case reflect.Slice, reflect.Map:
		// After decoding: what is decoded would be merged into it.
	default:
		return fmt.Errorf("a %s has no default in a tag", field.Kind())
	}
	return nil
}

// setDefaultsOfCollections sets the lists and maps that are still nil.
func setDefaultsOfCollections(into reflect.Value) error {
	for i := range into.NumField() {
		field, err := into.Field(i), error(nil)
		text, tagged := into.Type().Field(i).Tag.Lookup("default")
		switch {
		case field.Kind() == reflect.Struct:
			err = setDefaultsOfCollections(field)
		case tagged && (field.Kind() == reflect.Slice || field.Kind() == reflect.Map) && field.IsNil():
			err = decodeStrictly([]byte(text), field.Addr().Interface())
		}
		if err != nil {
			return fmt.Errorf("the default of the field %s of the options: %s", into.Type().Field(i).Name, err) //nolint:errorlint // it is not the user's option that is wrong
		}
	}
	return nil
}

// checkRequired refuses the first field that is required and empty. The prefix is the path of the struct.
func checkRequired(in reflect.Value, prefix string) error {
	for i := range in.NumField() {
		field, tag := in.Field(i), in.Type().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		name = prefix + name
		if tag.Get("required") == "true" && empty(field) {
			return &OptionError{Field: name, Problem: "is required"}
		}
		if field.Kind() == reflect.Struct {
			if err := checkRequired(field, name+"."); err != nil {
				return err
			}
		}
		for at := 0; field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && at < field.Len(); at++ {
			if err := checkRequired(field.Index(at), fmt.Sprintf("%s[%d].", name, at)); err != nil {
				return err
			}
		}
	}
	return nil
}

func empty(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.String:
		return strings.TrimSpace(field.String()) == ""
	case reflect.Slice, reflect.Map:
		return field.Len() == 0
	default:
		return field.IsZero()
	}
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

// CheckChoice refuses, with an *OptionError of that field, a value that is none of the choices.
func CheckChoice(field, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return &OptionError{Field: field, Problem: fmt.Sprintf("%.40q is not one of %q", value, choices)}
}
