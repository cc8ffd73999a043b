package crd_test

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// TestTheRulesOfAnObjectNeverCostMoreThanAnAPIServerHas: a write that costs more is refused, also that of a status or of a finalizer. An object that
// costs almost as much when it is made would take no status, and could never be deleted.
func TestTheRulesOfAnObjectNeverCostMoreThanAnAPIServerHas(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no definitions", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file) // #nosec G304 -- the repository's own
			if err != nil {
				t.Fatal(err)
			}
			var definition apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal(content, &definition); err != nil {
				t.Fatal(err)
			}
			for _, version := range definition.Spec.Versions {
				var schema apiextensions.JSONSchemaProps
				if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &schema, nil); err != nil {
					t.Fatal(err)
				}
				cost := costOf(t, &schema, validation.RootCELContext(&schema))
				if cost > celconfig.RuntimeCELCostBudget {
					t.Errorf("the rules of %s may cost %d in all, and a write has %d", version.Name, cost, celconfig.RuntimeCELCostBudget)
				}
			}
		})
	}
}

// costOf is what the rules of a schema, and of all within it, cost at most for one object.
func costOf(t *testing.T, schema *apiextensions.JSONSchemaProps, at *validation.CELSchemaContext) (cost uint64) {
	t.Helper()
	if len(schema.XValidations) > 0 {
		types, err := at.TypeInfo()
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := cel.Compile(types.Schema, types.DeclType, celconfig.PerCallLimit, environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.StoredExpressionsEnvLoader())
		if err != nil {
			t.Fatal(err)
		}
		if at.MaxCardinality == nil {
			t.Fatal("rules in a list or map without a bound")
		}
		for _, rule := range compiled {
			if rule.Error != nil {
				t.Fatal(rule.Error)
			}
			cost += rule.MaxCost * *at.MaxCardinality
		}
	}
	for name := range schema.Properties {
		property := schema.Properties[name]
		cost += costOf(t, &property, at.ChildPropertyContext(&property, name))
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		cost += costOf(t, schema.Items.Schema, at.ChildItemsContext(schema.Items.Schema))
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		cost += costOf(t, schema.AdditionalProperties.Schema, at.ChildAdditionalPropertiesContext(schema.AdditionalProperties.Schema))
	}
	return cost
}
