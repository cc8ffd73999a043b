package helm_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// files are values that golden files show the release of, by name.
var files = map[string]string{
	"default":    "",
	"everything": "testdata/values/everything.yaml",
	"lockdown":   chartDirectory + "/examples/lockdown.yaml",
	"namespaced": "testdata/values/namespaced.yaml",
}

// stubs stand for what is copied from config, which another test compares: golden files show what templates make of it.
var stubs = map[string]string{
	"files/crds/":         "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  annotations:\n    generated: \"true\"\n  name: stub\n",
	"files/admission/":    "kind: ValidatingAdmissionPolicy\nmetadata: {name: stub}\n---\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: stub}\n",
	"files/finance_role":  "rules:\n- {apiGroups: [example.com], resources: [stubs], verbs: [watch]}\n",
	"files/reversal.yaml": "kind: ValidatingAdmissionPolicy\nmetadata: {name: stub}\n",
	"files/mark.yaml":     "kind: ValidatingAdmissionPolicy\nmetadata: {name: stub-of-marks}\n",
	"files/role.yaml":     "rules:\n- {apiGroups: [example.com], resources: [stubs], verbs: [get]}\n",
	"files/people_roles":  "metadata:\n  name: ledgerport-reader\n  labels: {aggregate: \"true\"}\nrules:\n- {apiGroups: [example.com], resources: [stubs], verbs: [list]}\n",
	"files/rules.yaml":    "spec: {groups: [{name: stub, rules: [{expr: 'job=\"ledgerport-metrics\"', description: '{{ $labels.pod }} in ledgerport-system'}]}]}\n",
}

func stubbed(t *testing.T) *chart.Chart {
	t.Helper()
	loaded := load(t)
	for _, file := range loaded.Files {
		for name, stub := range stubs {
			if strings.HasPrefix(file.Name, name) {
				file.Data = []byte(stub)
			}
		}
	}
	return loaded
}

func TestReleasesAreTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendered, err := templates(stubbed(t), releaseName, read(t, file))
			must(t, err)
			var have strings.Builder
			for _, path := range slices.Sorted(maps.Keys(rendered)) {
				if content := strings.TrimSpace(rendered[path]); content != "" {
					have.WriteString("---\n# Source: " + path + "\n" + strings.TrimPrefix(content, "---\n") + "\n")
				}
			}
			golden := filepath.Join("testdata", "golden", name+".yaml")
			if *update {
				must(t, os.WriteFile(golden, []byte(have.String()), 0o600))
				return
			}
			want, err := os.ReadFile(golden)
			must(t, err)
			if have.String() != string(want) {
				t.Errorf("it differs from %s; compare them after `go test . -run TestReleasesAreTheGoldenFiles -update`. It is\n%s", golden, have.String())
			}
		})
	}
}

func TestLintHasNothingToSay(t *testing.T) {
	t.Parallel()
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lint := action.NewLint()
			lint.Strict, lint.Namespace = true, namespace
			for _, err := range lint.Run([]string{chartDirectory}, read(t, file)).Errors {
				t.Error(err)
			}
		})
	}
}

// A chart is packaged with the version of a tag, and is the same bytes each time.
func TestAPackageIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	var packages [2]string
	for i := range packages {
		packaging := action.NewPackage()
		packaging.Version, packaging.AppVersion, packaging.Destination = "1.2.3-4-gabcdef0", "v1.2.3-4-gabcdef0", t.TempDir()
		committed := committedAt(t)
		packaging.SourceDateEpoch = &committed
		path, err := packaging.Run(chartDirectory, nil)
		must(t, err)
		if want := "ledgerport-1.2.3-4-gabcdef0.tgz"; filepath.Base(path) != want {
			t.Errorf("it is called %s, want %s", filepath.Base(path), want)
		}
		content, err := os.ReadFile(path)
		must(t, err)
		packages[i] = string(content)
	}
	if packages[0] != packages[1] {
		t.Error("the second package has other bytes")
	}
}
