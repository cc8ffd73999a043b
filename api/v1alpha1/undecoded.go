package v1alpha1

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
)

// Undecoded says what of a stored object does not decode into its Go type, field by field: an object may be older than the
// rule that refuses such a value. Those fields are left out, so that one object does not end the watch of all the others.
// What Spec names makes the object unusable. What Status names the operator writes again.
type Undecoded struct {
	Spec, Status string
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *AccountingExport) UnmarshalJSON(data []byte) error {
	type plain AccountingExport
	return unmarshal(data, (*plain)(o), &o.Undecoded)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ExportRun) UnmarshalJSON(data []byte) error {
	type plain ExportRun
	return unmarshal(data, (*plain)(o), &o.Undecoded)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ChartOfAccounts) UnmarshalJSON(data []byte) error {
	type plain ChartOfAccounts
	return unmarshal(data, (*plain)(o), &o.Undecoded)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ClaimSource) UnmarshalJSON(data []byte) error {
	type plain ClaimSource
	return unmarshal(data, (*plain)(o), &o.Undecoded)
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ExportDestination) UnmarshalJSON(data []byte) error {
	type plain ExportDestination
	return unmarshal(data, (*plain)(o), &o.Undecoded)
}

// unmarshal decodes an object whose type has no UnmarshalJSON, without the fields of spec and status that do not decode.
func unmarshal[T any](data []byte, object *T, undecoded *Undecoded) error {
	*undecoded = Undecoded{}
	err := json.Unmarshal(data, object)
	if err == nil {
		return nil
	}
	var content map[string]any
	if json.Unmarshal(data, &content) != nil {
		return err
	}
	*object = *new(T)
	for name, problems := range map[string]*string{"spec": &undecoded.Spec, "status": &undecoded.Status} {
		if part, present := content[name]; present {
			content[name], *problems = decodable(part, name, func(part any) error { return decode(map[string]any{name: part}, new(T)) })
		}
	}
	if decode(content, object) != nil {
		return err // it is no object of the API server
	}
	return nil
}

func decode(content, into any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// mostNamed bounds how many fields are named of one object.
const mostNamed = 5

// decodable returns what of a value decodes, nil if nothing does, and names the rest.
func decodable(value any, path string, decodes func(any) error) (kept any, problem string) {
	err := decodes(value)
	if err == nil {
		return value, ""
	}
	var problems []string
	part := func(value any, path string, decodes func(any) error) any {
		kept, problem := decodable(value, path, decodes)
		switch {
		case problem == "":
		case len(problems) < mostNamed:
			problems = append(problems, problem)
		case len(problems) == mostNamed:
			problems = append(problems, "and more")
		}
		return kept
	}
	switch value := value.(type) {
	case map[string]any:
		fields := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			decodes := func(field any) error { return decodes(map[string]any{name: field}) }
			if field := part(value[name], fmt.Sprintf("%s.%.63q", path, name), decodes); field != nil {
				fields[name] = field
			}
		}
		kept = fields
	case []any:
		items := []any{}
		for i, item := range value {
			decodes := func(item any) error { return decodes([]any{item}) }
			if item := part(item, fmt.Sprintf("%s[%d]", path, i), decodes); item != nil {
				items = append(items, item)
			}
		}
		kept = items
	}
	if len(problems) == 0 || decodes(kept) != nil {
		return nil, fmt.Sprintf("%s: %.200s", strings.ReplaceAll(path, `"`, ""), err)
	}
	return kept, strings.Join(problems, "; ")
}
