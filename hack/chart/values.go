package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// value is a value of the chart that has no others below it with a meaning of their own.
type value struct {
	path     []string
	meaning  string
	standard string // as JSON
}

func (v value) name() string { return strings.Join(v.path, ".") }

// readValues returns the values of the chart in their order, with the comments above them.
func readValues(content []byte) ([]value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	return valuesBelow(document.Content[0], nil)
}

func valuesBelow(node *yaml.Node, path []string) (found []value, err error) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := node.Content[i], node.Content[i+1]
		at := append(slices.Clone(path), key.Value)
		if hasMeanings(content) {
			below, err := valuesBelow(content, at)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
			continue
		}
		v := value{path: at, meaning: comment(key.HeadComment)}
		if v.meaning == "" {
			return nil, fmt.Errorf("line %d: %s has no comment above it that says what it means", key.Line, v.name())
		}
		var decoded any
		if err := content.Decode(&decoded); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(decoded); err != nil {
			return nil, err
		}
		v.standard = strings.TrimSpace(out.String())
		found = append(found, v)
	}
	return found, nil
}

// hasMeanings reports whether values below a node are described one by one.
func hasMeanings(node *yaml.Node) bool {
	if node.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].HeadComment != "" || hasMeanings(node.Content[i+1]) {
			return true
		}
	}
	return false
}

func comment(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.Join(words, " ")
}

// table is Markdown. A bar would end a cell even in code, and an asterisk is one.
func table(values []value) string {
	var out strings.Builder
	out.WriteString("| value | default | meaning |\n|---|---|---|\n")
	bar, plain := strings.NewReplacer("|", `\|`), strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`)
	for _, v := range values {
		fmt.Fprintf(&out, "| `%s` | `%s` | %s |\n", v.name(), bar.Replace(v.standard), plain.Replace(v.meaning))
	}
	return out.String()
}

// writeSchema writes the schema of the flags, and the meanings of all values, into values.schema.json. It fails if that does not have a
// value, or has one that does not exist.
func writeSchema(path string, flags *pflag.FlagSet, values []value) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	top, ok := schema["properties"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no properties", path)
	}
	top["flags"] = flagSchema(flags)
	known := map[string]bool{}
	for _, v := range values {
		if err := describe(schema, v, known); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if more := unknown(schema, "", known); len(more) > 0 {
		return fmt.Errorf("%s has %s, which values.yaml does not have", path, strings.Join(more, ", "))
	}
	var updated bytes.Buffer
	encoder := json.NewEncoder(&updated)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return err
	}
	return os.WriteFile(path, updated.Bytes(), 0o644)
}

// describe writes the meaning of a value into its schema, and remembers it with all that it is below.
func describe(schema map[string]any, v value, known map[string]bool) error {
	for i, key := range v.path {
		properties, _ := schema["properties"].(map[string]any)
		below, ok := properties[key].(map[string]any)
		if !ok {
			return fmt.Errorf("%s has no schema", v.name())
		}
		schema = below
		known[strings.Join(v.path[:i+1], ".")] = true
	}
	schema["description"] = v.meaning
	return nil
}

// unknown lists the properties of a schema that no value is for. Those below a value with a meaning are its own.
func unknown(schema map[string]any, path string, known map[string]bool) (found []string) {
	properties, _ := schema["properties"].(map[string]any)
	for key, below := range properties {
		at := strings.TrimPrefix(path+"."+key, ".")
		if at == "global" { // Helm's own
			continue
		}
		if !known[at] {
			found = append(found, at)
		} else if below, ok := below.(map[string]any); ok && below["description"] == nil {
			found = append(found, unknown(below, at, known)...)
		}
	}
	slices.Sort(found)
	return found
}
