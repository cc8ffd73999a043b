package exporters

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"sigs.k8s.io/json"
)

const (
	// MaxOptionsSize bounds the options of an exporter, in bytes.
	MaxOptionsSize = 64 << 10
	// maxFileNameSize leaves room for what a destination puts around a file name.
	maxFileNameSize = 200
)

// DecodeOptions decodes options, a JSON object or nothing, into a struct. Decoding is strict: an unknown field, a field that
// occurs twice or is written in another case, and a value of another type are an *OptionError. The error has one for every
// option that is wrong, as far as that can be told: OptionErrors returns them.
//
// Tags of the struct's fields, beside json, say what the exporter's page shows, so that the page cannot lie:
//   - default: the value where the option is left out, such as `default:";"` on a string, `default:"true"` on a bool,
//     `default:"4"` on an int, or JSON on a list or a map, which hold where the option is null, too;
//   - required: `required:"true"` makes an option that is left out, or empty, an *OptionError;
//   - absent: in words, what holds where the option is left out and no default says it. Only the page reads it;
//   - posts: `posts:"true"` where the option decides what is posted, and a reversal has it as the reversed run had it.
//
// Fields of an object within the options may have the same tags; those of the elements of a list may be required, but have
// no defaults. Other tags say what a value may be (rules.go). What no tag can say a struct checks itself, as Checked.
func DecodeOptions(options []byte, into any) error {
	if len(options) > MaxOptionsSize {
		return &OptionError{Problem: fmt.Sprintf("the options have %d bytes, more than %d", len(options), MaxOptionsSize)}
	}
	value := reflect.ValueOf(into).Elem()
	if err := setDefaults(value); err != nil {
		return err
	}
	unknown, err := decodeStrictly(options, into)
	if err != nil {
		return err
	}
	if err := setDefaultsOfCollections(value); err != nil {
		return err
	}
	broken, err := brokenRules(value)
	if err != nil {
		return err
	}
	found := append(append(unknown, missing(value, "")...), broken...)
	if checked, own := into.(Checked); own {
		found = append(found, checked.Check())
	}
	return joined(found)
}

// Checked is implemented by options with rules that no tag can say.
type Checked interface {
	// Check returns an *OptionError for each option that is wrong, joined by errors.Join. It is called whatever the rules in
	// tags have found; of an option that breaks one of them nothing else is said.
	Check() error
}

func decodeStrictly(options []byte, into any) (unknown []error, err error) {
	if len(options) == 0 {
		return nil, nil
	}
	problems, err := json.UnmarshalStrict(options, into)
	var mistyped *gojson.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field == "":
		return nil, &OptionError{Problem: fmt.Sprintf("the options are a JSON %s, not an object", mistyped.Value)}
	case errors.As(err, &mistyped):
		return nil, &OptionError{Field: mistyped.Field, Problem: fmt.Sprintf("is or has a JSON %s where %s belongs", mistyped.Value, jsonName(mistyped.Type.Kind()))}
	case err != nil:
		return nil, &OptionError{Problem: fmt.Sprintf("the options are not JSON: %s", err)}
	}
	for _, problem := range problems {
		unknown = append(unknown, &OptionError{Field: fieldOf(problem), Problem: strictProblem(problem)})
	}
	return unknown, nil
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
			var unknown []error
			if unknown, err = decodeStrictly([]byte(text), field.Addr().Interface()); err == nil {
				err = joined(unknown)
			}
		}
		if err != nil {
			return fmt.Errorf("the default of the field %s of the options: %s", into.Type().Field(i).Name, err) //nolint:errorlint // it is not the user's option that is wrong
		}
	}
	return nil
}

// missing returns every field that is required and empty. The prefix is the path of the struct.
func missing(in reflect.Value, prefix string) (problems []error) {
	for i := range in.NumField() {
		field, name := in.Field(i), prefix+optionName(in.Type().Field(i))
		if in.Type().Field(i).Tag.Get("required") == "true" && empty(field) {
			problems = append(problems, &OptionError{Field: name, Problem: "is required"})
			continue
		}
		if field.Kind() == reflect.Struct {
			problems = append(problems, missing(field, name+".")...)
		}
		for at := 0; field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && at < field.Len(); at++ {
			problems = append(problems, missing(field.Index(at), fmt.Sprintf("%s[%d].", name, at))...)
		}
	}
	return problems
}

// optionName is what a field is called in JSON.
func optionName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
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
