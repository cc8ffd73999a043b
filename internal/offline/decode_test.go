package offline

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// shapes are objects that have every field of their schemas, but for those that exclude each other. A new field is in them by
// itself; one that needs a value of its own, or excludes another, is named here.
var shapes = []shape{
	{
		kind: "AccountingExport", without: []string{"spec.credentials.externalSecretRef", "spec.notify[].webhook"},
		with: map[string]any{"spec.notify[].mail.from": "books@example.com", "spec.notify[].mail.to": []any{"finance@example.com"}},
	},
	{
		kind: "AccountingExport", without: []string{"spec.credentials.secretRef", "spec.notify[].mail"},
		with: map[string]any{"spec.notify[].webhook.url": "https://example.com/runs"},
	},
	{kind: "ExportRun", without: []string{"spec.reverses", "spec.redelivers", "spec.destinationRef"}},
	{kind: "ExportRun", without: []string{"spec.cutoff", "spec.slot", "spec.redelivers", "spec.destinationRef"}, with: map[string]any{"spec.type": "Reversal"}},
	{kind: "ExportRun", without: []string{"spec.claims", "spec.cutoff", "spec.slot", "spec.reverses"}, with: map[string]any{"spec.type": "Redeliver"}},
	{kind: "ChartOfAccounts", without: []string{"spec.rules[].split"}},
	{kind: "ChartOfAccounts", without: []string{"spec.rules[].account"}, with: map[string]any{"spec.rules[].split": []any{half(), half()}}},
	{
		kind: "ClaimSource", without: []string{"spec.postgres.connectionExternalSecretRef", "spec.access[].organizationIDs", "spec.receipts.filesystem", "spec.receipts.http", "spec.receipts.s3.credentialsSecretRef"},
		with: map[string]any{"spec.receipts.table.columns": map[string]any{"key": "key"}, "spec.postgres.claims.columns": map[string]any{"id": "id"}, "spec.postgres.lines.columns": map[string]any{"unit": "unit"}},
	},
	{
		kind: "ClaimSource", without: []string{"spec.postgres.connectionSecretRef", "spec.access[].organizationIDFromNamespaceLabel", "spec.receipts.s3", "spec.receipts.http"},
		with: map[string]any{"spec.receipts.table.columns": map[string]any{"key": "key"}, "spec.postgres.claims.columns": map[string]any{"id": "id"}, "spec.postgres.lines.columns": map[string]any{"unit": "unit"}},
	},
	{
		kind: "ClaimSource", without: []string{"spec.postgres.connectionSecretRef", "spec.access[].organizationIDs", "spec.receipts.filesystem", "spec.receipts.http", "spec.receipts.s3.credentialsExternalSecretRef"},
		with: map[string]any{"spec.receipts.table.columns": map[string]any{"key": "key"}, "spec.postgres.claims.columns": map[string]any{"id": "id"}, "spec.postgres.lines.columns": map[string]any{"unit": "unit"}},
	},
	{
		kind: "ClaimSource", without: []string{"spec.postgres.connectionSecretRef", "spec.access[].organizationIDs", "spec.receipts.filesystem", "spec.receipts.s3", "spec.receipts.http.tokenSecretRef"},
		with: map[string]any{"spec.receipts.table.columns": map[string]any{"key": "key"}, "spec.postgres.claims.columns": map[string]any{"id": "id"}, "spec.postgres.lines.columns": map[string]any{"unit": "unit"}},
	},
	{
		kind: "ClaimSource", without: []string{"spec.postgres.connectionSecretRef", "spec.access[].organizationIDs", "spec.receipts.filesystem", "spec.receipts.s3", "spec.receipts.http.tokenExternalSecretRef"},
		with: map[string]any{"spec.receipts.table.columns": map[string]any{"key": "key"}, "spec.postgres.claims.columns": map[string]any{"id": "id"}, "spec.postgres.lines.columns": map[string]any{"unit": "unit"}},
	},
	{kind: "ExportDestination", without: []string{"spec.s3", "spec.sftp"}},
	{kind: "ExportDestination", without: []string{"spec.filesystem", "spec.sftp", "spec.s3.credentialsSecretRef"}},
	{kind: "ExportDestination", without: []string{"spec.filesystem", "spec.sftp", "spec.s3.credentialsExternalSecretRef"}},
	{kind: "ExportDestination", without: []string{"spec.filesystem", "spec.s3", "spec.sftp.credentialsSecretRef"}},
	{kind: "ExportDestination", without: []string{"spec.filesystem", "spec.s3", "spec.sftp.credentialsExternalSecretRef"}},
}

// half is a part of a line that a rule splits.
func half() map[string]any {
	return map[string]any{"percent": "50", "account": "4670", "taxCode": "1", "dimensions": map[string]any{"key": "'x'"}}
}

// shape is an object with a value for every field, and the places of those values.
type shape struct {
	kind    string
	without []string
	with    map[string]any
	nodes   []node
}

// node is a place in an object: the steps to it, a name or an index each.
type node struct {
	path   string
	steps  []any
	schema *structuralschema.Structural
}

// seen are values that were accepted, or that a decoder reads in its own way.
var seen = map[string][]string{
	"time": {
		`"2026-11-01t00:00:00z"`, `"2026-11-01T00:00:00x5Z"`, `"2026-11-01T00:00:00+99:99"`, `"2026-11-01T00:00:00+24:00"`, `"2026-11-01T00:00:00"`,
		`"2026-11-01T00:00:00,5Z"`, `"2026-11-01T00:00:00.Z"`, `"2026-11-01T00:00:00.1234567890123Z"`, `"2026-02-30T00:00:00Z"`, `"2026-11-01T24:00:00Z"`,
		`"2026-11-01T23:59:60Z"`, `"0000-01-01T00:00:00Z"`, `"0000-01-01T00:00:00+01:00"`, `"0001-01-01T00:00:00Z"`, `"-001-01-01T00:00:00Z"`,
		`"9999-12-31T23:59:59-01:00"`, `"10000-01-01T00:00:00Z"`, `"2026-11-01"`, `"2026-11-01 00:00:00Z"`, `"2026-11-01T00:00:00Z "`, `"2026-11-01T00:00:00Z\n"`,
		`"2026-11-01T00:00:00.000000Z"`, `"2026-11-01T00:00:00.00000Z"`, `"2026-11-01T00:00:00.0000000Z"`, `"2026-11-01T00:00:00.000000+01:00"`, `"2026-11-01T0:00:00Z"`, `""`, `"now"`,
	},
	"string": {
		`""`, `"\u0000"`, `"\ud800"`, `"99999999h"`, `"9999999999999999h"`, `"-1s"`, `"1"`, `"1d"`, `"1h30m0.5s"`, `"１s"`, `"+10m"`, `"1e3s"`, `"10m "`, `".5h"`, `"1µs"`, `"24h0m0.000000001s"`,
		`"2026-11-01"`, `"0000-01-01"`, `"9999-12-31"`,
	},
	"integer": {
		"0", "-0", "-1", "1.0", "1e3", "1E3", "1.5", "1e-3", "2147483647", "2147483648", "-2147483649", "3000000000.0", "9007199254740993", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809", "1e19", "1e30", "1e400",
	},
	"boolean": {`"true"`, "0", "1"},
	"object":  {"{}", `{"a":null}`, `{"":{}}`},
	"array":   {"[]", "[null]", "[{}]", `[[]]`, `[1]`},
}

// TestDecodable gives every field of every kind values of every sort: what the API server accepts must decode.
func TestDecodable(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, s := range load(t) {
		for _, n := range s.nodes {
			if covered[s.kind+n.path] {
				continue
			}
			covered[s.kind+n.path] = true
			values := slices.Concat([]string{"null", `"x"`, "7", "true"}, seen[kindOf(n.schema)])
			for _, value := range values {
				if problem := s.try(t.Context(), n, value); problem != "" {
					t.Error(problem)
				}
			}
		}
	}
	for kind, s := range must(schemas()) {
		for _, n := range nodes(s.structural, nil, "") {
			if !covered[kind+n.path] {
				t.Errorf("%s.%s is in no shape", kind, n.path)
			}
		}
	}
}

// TestTimesThatGoDoesNotReadAreRefused names what was seen.
func TestTimesThatGoDoesNotReadAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range load(t) {
		for _, n := range s.nodes {
			if kindOf(n.schema) != "time" {
				continue
			}
			for _, value := range []string{`"2026-11-01t00:00:00z"`, `"2026-11-01T00:00:00x5Z"`, `"2026-11-01T00:00:00+99:99"`, `"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59-01:00"`} {
				if _, accepted := s.admit(t.Context(), n, value); accepted {
					t.Errorf("%s.%s: %s is accepted", s.kind, n.path, value)
				}
			}
		}
	}
}

// FuzzDecodable puts any JSON anywhere into an object: what the API server accepts must decode.
func FuzzDecodable(f *testing.F) {
	loaded := load(f)
	run := slices.IndexFunc(loaded, func(s shape) bool { return s.kind == "ExportRun" })
	for _, path := range []string{"spec.cutoff", "status.startedAt", "status.attempts"} { // TestDecodable tries all
		at := slices.IndexFunc(loaded[run].nodes, func(n node) bool { return n.path == path })
		for _, value := range seen[kindOf(loaded[run].nodes[at].schema)] {
			f.Add(uint8(run), uint16(at), value)
		}
	}
	f.Add(uint8(0), uint16(0), `{"schedule":"0 6 1 * *","startingDeadline":"99999999h","retry":{"limit":1e1}}`)
	f.Fuzz(func(t *testing.T, i uint8, j uint16, value string) {
		s := loaded[int(i)%len(loaded)]
		if problem := s.try(t.Context(), s.nodes[int(j)%len(s.nodes)], value); problem != "" {
			t.Error(problem)
		}
	})
}

// try puts a value into an object, and says what is wrong if that is accepted and does not survive.
func (s *shape) try(ctx context.Context, n node, value string) string {
	stored, accepted := s.admit(ctx, n, value)
	if !accepted {
		return ""
	}
	read := newObject(s.kind)
	problem := decodeInto(stored, read)
	if problem == "" {
		written, again := must(json.Marshal(read)), newObject(s.kind)
		problem = decodeInto(written, again)
		if problem == "" && !bytes.Equal(must(json.Marshal(again)), written) {
			problem = "what is read again differs"
		}
	}
	if problem == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s: the API server accepts %s, and %s; give the field a stricter rule in api/v1alpha1", s.kind, n.path, value, problem)
}

func decodeInto(data []byte, into runtime.Object) string {
	if err := json.Unmarshal(data, into); err != nil {
		return err.Error()
	}
	var undecoded v1alpha1.Undecoded
	switch object := into.(type) {
	case *v1alpha1.AccountingExport:
		undecoded = object.Undecoded
	case *v1alpha1.ExportRun:
		undecoded = object.Undecoded
	case *v1alpha1.ChartOfAccounts:
		undecoded = object.Undecoded
	case *v1alpha1.ClaimSource:
		undecoded = object.Undecoded
	case *v1alpha1.ExportDestination:
		undecoded = object.Undecoded
	}
	return strings.TrimSpace(undecoded.Spec + " " + undecoded.Status)
}

// admit puts a value into an object, and returns what the API server would store.
func (s *shape) admit(ctx context.Context, n node, value string) (stored []byte, accepted bool) {
	var parsed any
	if json.Unmarshal([]byte(value), &parsed) != nil {
		return nil, false
	}
	object := s.object(must(schemas())[s.kind])
	replace(object, n.steps, parsed)
	schema := must(schemas())[s.kind]
	pruning.Prune(object, schema.structural, true)
	findings := schema.complete(ctx, asManifest(object))
	return must(json.Marshal(object)), len(findings) == 0
}

func asManifest(object map[string]any) *manifest {
	return &manifest{object: &unstructured.Unstructured{Object: object}, node: &yamlv3.Node{}}
}

func replace(in any, steps []any, value any) {
	switch step := steps[0].(type) {
	case string:
		if in := in.(map[string]any); len(steps) == 1 {
			in[step] = value
		} else {
			replace(in[step], steps[1:], value)
		}
	case int:
		if in := in.([]any); len(steps) == 1 {
			in[step] = value
		} else {
			replace(in[step], steps[1:], value)
		}
	}
}

// load completes the shapes. Each is accepted as it is.
func load(t testing.TB) []shape {
	t.Helper()
	loaded := slices.Clone(shapes)
	for i := range loaded {
		s := &loaded[i]
		schema := must(schemas())[s.kind]
		object := s.object(schema)
		if findings := schema.complete(t.Context(), asManifest(object)); len(findings) > 0 {
			t.Fatalf("%s without %q is refused; complete the shapes: %v", s.kind, s.without, findings)
		}
		s.nodes = nodes(schema.structural, nil, "")
		s.nodes = slices.DeleteFunc(s.nodes, func(n node) bool {
			return slices.ContainsFunc(s.without, func(path string) bool {
				return n.path == path || strings.HasPrefix(n.path, path+".") || strings.HasPrefix(n.path, path+"[")
			}) || slices.ContainsFunc(slices.Collect(maps.Keys(s.with)), func(path string) bool { return strings.HasPrefix(n.path, path+"{") })
		})
	}
	return loaded
}

// nodes of spec and status.
func nodes(in *structuralschema.Structural, steps []any, path string) (found []node) {
	down := func(schema *structuralschema.Structural, step any, path string) {
		steps := append(slices.Clone(steps), step)
		found = append(append(found, node{path, steps, schema}), nodes(schema, steps, path)...)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Properties)) {
		if below := in.Properties[name]; path != "" {
			down(&below, name, path+"."+name)
		} else if name == "spec" || name == "status" {
			down(&below, name, name)
		}
	}
	if in.Items != nil {
		down(in.Items, 0, path+"[]")
	}
	return found
}

func kindOf(schema *structuralschema.Structural) string {
	if schema.ValueValidation != nil && schema.ValueValidation.Format == "date-time" {
		return "time"
	}
	return schema.Type
}

func (s *shape) object(schema *schema) map[string]any {
	return map[string]any{
		"apiVersion": schema.apiVersion, "kind": s.kind, "metadata": map[string]any{"name": "monthly", "namespace": "acme"},
		"spec": s.value(property(schema.structural, "spec"), "spec"), "status": s.value(property(schema.structural, "status"), "status"),
	}
}

func property(of *structuralschema.Structural, name string) *structuralschema.Structural {
	below := of.Properties[name]
	return &below
}

// value is one that a schema accepts.
func (s *shape) value(schema *structuralschema.Structural, path string) any {
	if value, given := s.with[path]; given {
		return runtime.DeepCopyJSONValue(value)
	}
	switch {
	case schema.Type == "object" && schema.AdditionalProperties != nil:
		return map[string]any{"key": s.value(schema.AdditionalProperties.Structural, path+"{}")}
	case schema.Type == "object":
		fields := map[string]any{}
		for name := range schema.Properties {
			if below := path + "." + name; !slices.Contains(s.without, below) {
				fields[name] = s.value(property(schema, name), below)
			}
		}
		return fields
	case schema.Type == "array":
		return []any{s.value(schema.Items, path+"[]")}
	case schema.Type == "integer":
		return int64(1)
	case schema.Type == "boolean":
		return true
	}
	return text(schema)
}

// candidates are tried in this order.
var candidates = []string{"acme", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000000Z", "2026-11-01", "10m", "EUR", "E", "1.00", "01-01", "https://storage.example", "UTC"}

func text(schema *structuralschema.Structural) any {
	rules := schema.ValueValidation
	if rules != nil && len(rules.Enum) > 0 {
		return rules.Enum[0].Object
	}
	if schema.Default.Object != nil {
		return schema.Default.Object
	}
	for _, rule := range schema.XValidations {
		if strings.Contains(rule.Rule, "duration(self)") {
			return "10m"
		}
	}
	for _, text := range candidates {
		switch {
		case rules == nil, rules.Pattern != "" && regexp.MustCompile(rules.Pattern).MatchString(text), rules.Pattern == "" && rules.Format == "":
			return text
		case rules.Pattern == "" && rules.Format == "date-time" && strings.Contains(text, "T"), rules.Pattern == "" && rules.Format == "date" && strings.Contains(text, "-"):
			return text
		}
	}
	return "acme"
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// TestNamesFitIntoThoseOfFiles: a run's name is part of the names of its files, and an export's of those of its runs.
func TestNamesFitIntoThoseOfFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind    string
		longest int
	}{{"ExportRun", 128}, {"AccountingExport", 52}} {
		schema := must(schemas())[test.kind]
		i := slices.IndexFunc(shapes, func(s shape) bool { return s.kind == test.kind })
		for length, accepted := range map[int]bool{test.longest: true, test.longest + 1: false, 253: false} {
			object := shapes[i].object(schema)
			object["metadata"].(map[string]any)["name"] = strings.Repeat("a", length)
			findings := schema.complete(t.Context(), asManifest(object))
			if accepted != (len(findings) == 0) {
				t.Errorf("a name of %d characters for %s: %v", length, test.kind, findings)
			}
		}
	}
	for _, name := range []string{fmt.Sprintf("%s-%d", strings.Repeat("e", 52), time.Date(2999, 12, 31, 23, 59, 0, 0, time.UTC).Unix()/60), strings.Repeat("e", 52) + "-r00000000"} {
		if len(name) > 63 {
			t.Errorf("the schedule makes a run with a name of %d characters", len(name))
		}
	}
}
