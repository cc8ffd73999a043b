package main

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// table has a row for each field below spec or status.
type table struct {
	out  *bytes.Buffer
	part string
}

// fields writes the rows of the fields of an object, each before those below it.
func (t table) fields(above string, object *apiextensionsv1.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(object.Properties)) {
		field := object.Properties[name]
		path := strings.TrimPrefix(above+"."+name, ".")
		standard := ""
		switch {
		case field.Default != nil:
			standard = "`" + bar.Replace(string(field.Default.Raw)) + "`"
		case slices.Contains(object.Required, name):
			standard = "required"
		}
		fmt.Fprintf(t.out, "| <a id=\"%s.%s\"></a>`%s` | %s | %s | %s |\n", t.part, path, path, kindOf(&field), standard, meaning(&field))
		t.below(path, &field)
	}
}

// below writes what is in a field: an object, the elements of a list, or the values of a map.
func (t table) below(path string, field *apiextensionsv1.JSONSchemaProps) {
	switch {
	case foreign(field):
	case field.Items != nil:
		if !foreign(field.Items.Schema) {
			t.fields(path+"[]", field.Items.Schema)
		}
	case field.AdditionalProperties != nil && field.AdditionalProperties.Schema != nil:
		t.fields(path+".*", field.AdditionalProperties.Schema)
	default:
		t.fields(path, field)
	}
}

// foreign are objects that Kubernetes describes: selectors of labels, and conditions.
func foreign(field *apiextensionsv1.JSONSchemaProps) bool {
	return isSelector(field) || isCondition(field)
}

func isSelector(field *apiextensionsv1.JSONSchemaProps) bool {
	return field.Properties["matchLabels"].Type != "" && field.Properties["matchExpressions"].Type != ""
}

func isCondition(field *apiextensionsv1.JSONSchemaProps) bool {
	return field.Properties["lastTransitionTime"].Type != "" && field.Properties["reason"].Type != ""
}

func kindOf(field *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case isSelector(field):
		return "label selector"
	case isCondition(field):
		return "condition"
	case field.Items != nil:
		return "list of " + plural(kindOf(field.Items.Schema))
	case field.AdditionalProperties != nil && field.AdditionalProperties.Schema != nil:
		return "map to " + plural(kindOf(field.AdditionalProperties.Schema))
	case field.XPreserveUnknownFields != nil && *field.XPreserveUnknownFields:
		return "any object"
	case field.Format == "date-time":
		return "time (RFC 3339)"
	default:
		return field.Type
	}
}

func plural(kind string) string {
	one, rest, of := strings.Cut(kind, " of ")
	if of {
		return one + "s of " + rest
	}
	return kind + "s"
}

// meaning is the comment of a field, and what the API server allows.
func meaning(field *apiextensionsv1.JSONSchemaProps) string {
	parts := []string{sentences(field.Description)}
	parts = append(parts, limits(field)...)
	if field.Items != nil && !foreign(field.Items.Schema) {
		for _, limit := range limits(field.Items.Schema) {
			parts = append(parts, "Each: "+lower(limit))
		}
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// limits are sentences about what the API server allows.
func limits(field *apiextensionsv1.JSONSchemaProps) (all []string) {
	if len(field.Enum) > 0 {
		var values []string
		for _, value := range field.Enum {
			values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
		}
		all = append(all, "One of "+strings.Join(values, ", ")+".")
	}
	for _, bounds := range []struct {
		least, most *int64
		of          string
	}{
		{field.MinLength, field.MaxLength, "character"}, {field.MinItems, field.MaxItems, "element"}, {nil, field.MaxProperties, "key"},
	} {
		if text := between(bounds.least, bounds.most, bounds.of); text != "" {
			all = append(all, text)
		}
	}
	switch {
	case field.Minimum != nil && field.Maximum != nil:
		all = append(all, fmt.Sprintf("%v to %v.", *field.Minimum, *field.Maximum))
	case field.Minimum != nil:
		all = append(all, fmt.Sprintf("At least %v.", *field.Minimum))
	case field.Maximum != nil:
		all = append(all, fmt.Sprintf("At most %v.", *field.Maximum))
	}
	if field.Pattern != "" {
		all = append(all, "It matches `"+bar.Replace(field.Pattern)+"`.")
	}
	for _, rule := range field.XValidations {
		all = append(all, sentence(rule.Message))
	}
	return all
}

func between(least, most *int64, of string) string {
	counted := func(number int64) string {
		if number == 1 {
			return "1 " + of
		}
		return fmt.Sprintf("%d %ss", number, of)
	}
	switch {
	case least != nil && *least > 0 && most != nil && *least == *most:
		return "Exactly " + counted(*most) + "."
	case least != nil && *least > 0 && most != nil:
		return fmt.Sprintf("%d to %s.", *least, counted(*most))
	case most != nil:
		return "At most " + counted(*most) + "."
	case least != nil && *least > 0:
		return "At least " + counted(*least) + "."
	default:
		return ""
	}
}

var (
	// bar would end a cell even in code.
	bar = strings.NewReplacer("|", `\|`)
	// special are characters that mean something in Markdown, where they do.
	special = regexp.MustCompile(`[*<|\[\]]|\b_|_\b`)
)

// sentences are a comment on one line, with nothing that Markdown would take for its own.
func sentences(comment string) string {
	return special.ReplaceAllStringFunc(strings.Join(strings.Fields(comment), " "), func(found string) string {
		return strings.NewReplacer("*", `\*`, "<", `\<`, "|", `\|`, "[", `\[`, "]", `\]`, "_", `\_`).Replace(found)
	})
}

// sentence is a message, which begins in lower case and has no full stop.
func sentence(message string) string {
	message = sentences(message)
	if word, _, _ := strings.Cut(message, " "); strings.ToLower(word) == word && !strings.Contains(word, ".") {
		message = strings.ToUpper(message[:1]) + message[1:]
	}
	return strings.TrimSuffix(message, ".") + "."
}

func lower(text string) string { return strings.ToLower(text[:1]) + text[1:] }
