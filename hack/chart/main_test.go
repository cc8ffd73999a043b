package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestTheChartIsGenerated generates the chart again, and compares it with the one that is committed.
func TestTheChartIsGenerated(t *testing.T) {
	t.Parallel()
	committed, generated := filepath.Join("..", "..", "charts", "ledgerport"), t.TempDir()
	must(t, os.CopyFS(generated, os.DirFS(committed)))
	must(t, generate(generated, filepath.Join("..", "..", "config")))
	compared := 0
	must(t, filepath.WalkDir(generated, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		compared++
		name, err := filepath.Rel(generated, path)
		must(t, err)
		if have, want := read(t, filepath.Join(committed, name)), read(t, path); have != want {
			t.Errorf("%s is not what `make manifests` writes", name)
		}
		return nil
	}))
	if compared < 20 {
		t.Errorf("only %d files were compared", compared)
	}
}

func TestValuesAreDescribed(t *testing.T) {
	t.Parallel()
	values, err := readValues([]byte("# All of them.\n\nimage:\n  # Where it is,\n  # such as *.a|b.\n  repository: a|b\n# How many.\nreplicas: 2\n# Bounds.\nresources:\n  requests: {cpu: 1}\n"))
	must(t, err)
	const want = "| value | default | meaning |\n|---|---|---|\n" +
		"| `image.repository` | `\"a\\|b\"` | Where it is, such as \\*.a\\|b. |\n| `replicas` | `2` | How many. |\n| `resources` | `{\"requests\":{\"cpu\":1}}` | Bounds. |\n"
	if have := table(values); have != want {
		t.Errorf("the table is\n%s\nwant\n%s", have, want)
	}
	if _, err := readValues([]byte("image: {}\n")); err == nil || !strings.Contains(err.Error(), "image has no comment") {
		t.Errorf("without a comment: %v", err)
	}
}

func TestTheSchemaHasEveryValueAndNoOther(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		`{"properties": {"image": {"properties": {"tag": {}}}}}`:                             "",
		`{"properties": {"image": {"properties": {}}}}`:                                      "image.tag has no schema",
		`{"properties": {"image": {"properties": {"tag": {}, "name": {}}}, "replicas": {}}}`: "image.name, replicas, which values.yaml does not have",
		`{}`: "no properties",
		`{"`: "unexpected end",
	} {
		path := filepath.Join(t.TempDir(), "values.schema.json")
		must(t, os.WriteFile(path, []byte(schema), 0o600))
		values := []value{{path: []string{"image", "tag"}, meaning: "Its tag."}, {path: []string{"flags"}, meaning: "Flags."}}
		err := writeSchema(path, pflag.NewFlagSet("", pflag.ContinueOnError), values)
		switch {
		case want == "" && (err != nil || !strings.Contains(read(t, path), `"description": "Its tag."`)):
			t.Errorf("%s: %v, and it becomes %s", schema, err, read(t, path))
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", schema, err, want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return string(content)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
