package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestThePagesAreWhatTheDefinitionsSay(t *testing.T) {
	t.Parallel()
	generated, committed := t.TempDir(), filepath.Join("..", "..", "docs", "reference")
	if err := writeAll(filepath.Join("..", "..", "config", "crd", "bases"), generated); err != nil {
		t.Fatal(err)
	}
	pages, err := os.ReadDir(generated)
	if err != nil || len(pages) != 5 {
		t.Fatalf("%d pages were written (%v), want one for each of five kinds", len(pages), err)
	}
	for _, page := range pages {
		want, _ := os.ReadFile(filepath.Join(generated, page.Name())) // it was just written
		have, err := os.ReadFile(filepath.Join(committed, page.Name()))
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("docs/reference/%s is not what `make manifests` writes (%v)", page.Name(), err)
		}
		if _, err := os.Stat(filepath.Join("..", "..", "docs", "kinds", page.Name())); err != nil {
			t.Errorf("the page leads to one about the kind: %v", err)
		}
	}
}

const definition = `
spec:
  group: example.org
  names: {kind: BoxOfThings, shortNames: [box]}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |-
          BoxOfThings has things, *.all of them
          in one <box>.
        x-kubernetes-validations:
        - {rule: "true", message: the name is short}
        properties:
          spec:
            description: What it has.
            required: [things, color]
            properties:
              things:
                description: The things.
                type: array
                minItems: 1
                maxItems: 9
                items:
                  type: object
                  required: [name]
                  properties:
                    name: {type: string, maxLength: 63, pattern: "^(a|b)_c$"}
              labels:
                type: object
                maxProperties: 1
                additionalProperties: {type: string}
              color: {type: string, enum: [red, blue], default: red}
              tags: {type: array, items: {type: string, minLength: 1}}
              size: {type: integer, minimum: 1, maximum: 10}
              open: {type: object, x-kubernetes-preserve-unknown-fields: true}
              from:
                properties: {matchLabels: {type: object}, matchExpressions: {type: array}}
                x-kubernetes-validations: [{rule: "true", message: spec.from has labels}]
          status:
            description: How it is.
            properties:
              since: {type: string, format: date-time}
              conditions:
                type: array
                items: {properties: {lastTransitionTime: {type: string}, reason: {type: string}}}
`

const want = "# Fields of BoxOfThings\n" + `
Every field of the kind ` + "`BoxOfThings` (`kubectl get box`) of `example.org/v1`, as `kubectl explain`" + ` has it too. [BoxOfThings](../kinds/box-of-things.md) says how they are used.
` + "`make manifests`" + ` writes this page from the types.

BoxOfThings has things, \*.all of them in one \<box>.

- The name is short.

## spec

What it has.

| field | type | default | meaning |
|---|---|---|---|
| <a id="spec.color"></a>'color' | string | '"red"' | One of 'red', 'blue'. |
| <a id="spec.from"></a>'from' | label selector |  | spec.from has labels. |
| <a id="spec.labels"></a>'labels' | map to strings |  | At most 1 key. |
| <a id="spec.open"></a>'open' | any object |  |  |
| <a id="spec.size"></a>'size' | integer |  | 1 to 10. |
| <a id="spec.tags"></a>'tags' | list of strings |  | Each: at least 1 character. |
| <a id="spec.things"></a>'things' | list of objects | required | The things. 1 to 9 elements. |
| <a id="spec.things[].name"></a>'things[].name' | string | required | At most 63 characters. It matches '^(a\|b)_c$'. |

## status

How it is.

| field | type | default | meaning |
|---|---|---|---|
| <a id="status.conditions"></a>'conditions' | list of conditions |  |  |
| <a id="status.since"></a>'since' | time (RFC 3339) |  |  |
`

func TestAPageHasEveryFieldWithWhatItAllows(t *testing.T) {
	t.Parallel()
	var parsed apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict([]byte(definition), &parsed); err != nil {
		t.Fatal(err)
	}
	got, err := page(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(want, "'", "`"); string(got) != want {
		t.Errorf("it is\n%s\nand not\n%s", got, want)
	}
}

func TestADefinitionThatAPageCannotBeAboutIsRefused(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*apiextensionsv1.CustomResourceDefinition){
		"two versions": func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Versions = append(d.Spec.Versions, d.Spec.Versions[0])
		},
		"no status": func(d *apiextensionsv1.CustomResourceDefinition) {
			delete(d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties, "status")
		},
	} {
		var parsed apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(definition), &parsed); err != nil {
			t.Fatal(err)
		}
		change(&parsed)
		if got, err := page(&parsed); err == nil {
			t.Errorf("%s: it is\n%s", what, got)
		}
	}
	if err := writeAll(t.TempDir(), t.TempDir()); err == nil {
		t.Error("a directory without definitions is accepted")
	}
}
