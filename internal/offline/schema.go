package offline

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/config/crd"
)

// schema validates one kind as the API server does, with the API server's own code.
type schema struct {
	apiVersion string
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// schemas returns the schemas of the kinds that are installed, by kind. Their rules are compiled once.
var schemas = sync.OnceValues(func() (map[string]*schema, error) {
	byKind := map[string]*schema{}
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(content, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for i := range definition.Spec.Versions {
			version := &definition.Spec.Versions[i]
			made, err := newSchema(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			made.apiVersion = definition.Spec.Group + "/" + version.Name
			byKind[definition.Spec.Names.Kind] = made
		}
	}
	return byKind, nil
})

func newSchema(declared *apiextensionsv1.JSONSchemaProps) (*schema, error) {
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(declared, &props, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	return &schema{structural: structural, validator: validator, rules: cel.NewValidator(structural, true, celconfig.PerCallLimit)}, err
}

// complete sets the defaults in a manifest, and says what the API server would refuse.
func (s *schema) complete(ctx context.Context, m *manifest) (findings []Finding) {
	object := m.object.Object
	unknown := pruning.PruneWithOptions(m.object.DeepCopy().Object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		findings = append(findings, m.at(path, "there is no such field"))
	}
	for _, problem := range apivalidation.NameIsDNSSubdomain(m.object.GetName(), false) {
		findings = append(findings, m.at("metadata.name", problem))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	problems := validation.ValidateCustomResource(nil, object, s.validator)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(problems) == 0 { // rules assume the right types
		broken, _ := s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
		problems = append(problems, broken...)
	}
	for _, problem := range problems {
		field := problem.Field
		if field == "<nil>" { // the resource as a whole
			field = ""
		}
		findings = append(findings, m.at(field, problem.ErrorBody()+inQuotes(m, field, problem.Detail)))
	}
	return findings
}

// inQuotes says what to do where YAML makes a number of what is meant as a text.
func inQuotes(m *manifest, field, detail string) string {
	if text, is := m.unquoted(field); is && strings.Contains(detail, "must be of type string") {
		return fmt.Sprintf("; write it in quotes: %q", text)
	}
	return ""
}
