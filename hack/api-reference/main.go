// Command api-reference writes a page with every field of each kind, docs/reference/<kind>.md, from the CustomResourceDefinitions, which
// controller-gen makes of the types: so what a page says of a field is its comment, and what it allows is what the API server allows.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	definitions := flag.String("definitions", filepath.Join("config", "crd", "bases"), "the directory with a CustomResourceDefinition for each kind")
	pages := flag.String("pages", filepath.Join("docs", "reference"), "the directory with a page for each kind")
	flag.Parse()
	if err := writeAll(*definitions, *pages); err != nil {
		fmt.Fprintln(os.Stderr, "api-reference:", err)
		os.Exit(1)
	}
}

// writeAll brings the pages of all kinds up to date.
func writeAll(definitions, pages string) error {
	files, err := filepath.Glob(filepath.Join(definitions, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no definitions", definitions)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &definition); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		text, err := page(&definition)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(pages, fileName(definition.Spec.Names.Kind)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var hump = regexp.MustCompile(`([a-z])([A-Z])`)

// fileName is that of the page about a kind, here and in docs/kinds.
func fileName(kind string) string {
	return strings.ToLower(hump.ReplaceAllString(kind, "$1-$2")) + ".md"
}

// page is a page about a kind: its spec, and its status.
func page(definition *apiextensionsv1.CustomResourceDefinition) ([]byte, error) {
	if len(definition.Spec.Versions) != 1 {
		return nil, fmt.Errorf("it has %d versions: a page is about one", len(definition.Spec.Versions))
	}
	names, version := definition.Spec.Names, definition.Spec.Versions[0]
	schema := version.Schema.OpenAPIV3Schema
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Fields of %s\n\n", names.Kind)
	fmt.Fprintf(&out, "Every field of the kind `%s` (`kubectl get %s`) of `%s/%s`, as `kubectl explain` has it too. [%s](../kinds/%s) says how they are used.\n"+
		"`make manifests` writes this page from the types.\n\n", names.Kind, strings.Join(names.ShortNames, "|"), definition.Spec.Group, version.Name, names.Kind, fileName(names.Kind))
	fmt.Fprintf(&out, "%s\n", sentences(schema.Description))
	rules(&out, schema)
	for _, part := range []string{"spec", "status"} {
		below, is := schema.Properties[part]
		if !is {
			return nil, fmt.Errorf("it has no %s", part)
		}
		fmt.Fprintf(&out, "\n## %s\n\n%s\n", part, sentences(below.Description))
		rules(&out, &below)
		fmt.Fprintf(&out, "\n| field | type | default | meaning |\n|---|---|---|---|\n")
		t := table{&out, part}
		t.fields("", &below)
	}
	return out.Bytes(), nil
}

// rules lists what the API server checks of an object as a whole.
func rules(out *bytes.Buffer, schema *apiextensionsv1.JSONSchemaProps) {
	if len(schema.XValidations) > 0 {
		out.WriteByte('\n')
	}
	for _, rule := range schema.XValidations {
		fmt.Fprintf(out, "- %s\n", sentence(rule.Message))
	}
}
