package exporters

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Tags of an option that say what its value may be:
//   - choices: `choices:"run|importer"`, one of these texts;
//   - form: `form:"^[A-Z]{2}$" otherwise:"is not two capital letters"`, a text that a regular expression matches, and what is
//     said of another. Where the option may be empty the expression matches that, too. Of a map it is about each value;
//   - range: `range:"1 to 99999"`, a whole number within these bounds;
//   - fileName: `fileName:"true"`, the name of a file of the artifact, or empty.

// brokenRules returns every option of a struct whose value is not what its tags allow. The error is a mistake of the exporter's
// author.
func brokenRules(in reflect.Value) (problems []error, err error) {
	for i := range in.NumField() {
		tag, name := in.Type().Field(i).Tag, optionName(in.Type().Field(i))
		check, err := rule(tag)
		if err != nil {
			return nil, fmt.Errorf("the rule of the option %s: %w", name, err)
		}
		if check == nil {
			continue
		}
		for field, value := range values(name, in.Field(i)) {
			if problem := check(value); problem != "" {
				problems = append(problems, &OptionError{Field: field, Problem: problem})
			}
		}
	}
	return problems, nil
}

// rule returns what finds the problem with a value, if the tags have a rule.
func rule(tag reflect.StructTag) (func(reflect.Value) string, error) {
	if choices, ruled := tag.Lookup("choices"); ruled {
		return func(value reflect.Value) string { return choiceProblem(value.String(), strings.Split(choices, "|")) }, nil
	}
	if expression, ruled := tag.Lookup("form"); ruled {
		form, err := regexp.Compile(expression)
		return func(value reflect.Value) string {
			if form.MatchString(value.String()) {
				return ""
			}
			return tag.Get("otherwise")
		}, err
	}
	if bounds, ruled := tag.Lookup("range"); ruled {
		from, to, _ := strings.Cut(bounds, " to ")
		least, err := strconv.ParseInt(from, 10, 64)
		most, err2 := strconv.ParseInt(to, 10, 64)
		return func(value reflect.Value) string {
			if number := value.Int(); number < least || number > most {
				return fmt.Sprintf("%d is not within %s", number, bounds)
			}
			return ""
		}, errors.Join(err, err2)
	}
	if tag.Get("fileName") == "true" {
		return func(value reflect.Value) string {
			if value.String() == "" {
				return ""
			}
			return fileNameProblem(value.String())
		}, nil
	}
	return nil, nil
}

// values returns an option, or the entries of one that is a map, in the order of their keys.
func values(name string, value reflect.Value) func(yield func(string, reflect.Value) bool) {
	return func(yield func(string, reflect.Value) bool) {
		if value.Kind() != reflect.Map {
			yield(name, value)
			return
		}
		entries := map[string]reflect.Value{}
		for key, entry := range value.Seq2() {
			entries[key.String()] = entry
		}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			if !yield(name+"."+key, entries[key]) {
				return
			}
		}
	}
}

// joined makes one error of problems with options: the first with each.
func joined(problems []error) error {
	var all optionErrors
	said := map[string]bool{} // by field
	for _, problem := range problems {
		for _, err := range leaves(problem) {
			var option *OptionError
			if errors.As(err, &option) && option.Field != "" {
				if said[option.Field] {
					continue
				}
				said[option.Field] = true
			}
			all = append(all, err)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// optionErrors are several things that are wrong.
type optionErrors []error

// Error returns all of them on one line.
func (e optionErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns all of them.
func (e optionErrors) Unwrap() []error { return e }

// OptionErrors returns every *OptionError in an error of DecodeOptions or Validate, or in one that wraps it.
func OptionErrors(err error) (all []*OptionError) {
	for _, leaf := range leaves(err) {
		var option *OptionError
		if errors.As(leaf, &option) {
			all = append(all, option)
		}
	}
	return all
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return []error{err}
	}
	var all []error
	for _, part := range several.Unwrap() {
		all = append(all, leaves(part)...)
	}
	return all
}

// CheckFileName refuses, with an *OptionError of that field, what cannot be the name of a file of an artifact.
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
	if problem := choiceProblem(value, choices); problem != "" {
		return &OptionError{Field: field, Problem: problem}
	}
	return nil
}

func choiceProblem(value string, choices []string) string {
	if slices.Contains(choices, value) {
		return ""
	}
	return fmt.Sprintf("%.40q is not one of %q", value, choices)
}
