// Command chart generates what charts/ledgerport has from elsewhere: files of config/, a value and its schema for each flag of
// `ledgerport manager`, the descriptions in values.schema.json, and the table of values in README.md.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
)

func main() {
	chart := flag.String("chart", filepath.Join("charts", "ledgerport"), "the directory of the chart")
	config := flag.String("config", "config", "the directory of the manifests")
	flag.Parse()
	if err := generate(*chart, *config); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// generate brings the chart up to date.
func generate(chart, config string) error {
	for from, to := range map[string]string{
		"crd/bases/*.yaml":                        "files/crds",
		"admission/*.yaml":                        "files/admission",
		"stamps/stamps.yaml":                      "files",
		"rbac/operator/role.yaml":                 "files",
		"rbac/common/people_roles.yaml":           "files",
		"prometheus/rules.yaml":                   "files",
		"grafana/*.json":                          "files/dashboards",
		"books/component/finance_role.yaml":       "files",
		"books/component/reversal.yaml":           "files",
		"books/component/mark.yaml":               "files",
		"console/impersonating/console_role.yaml": "files",
	} {
		if err := copyAll(filepath.Join(config, filepath.FromSlash(from)), filepath.Join(chart, filepath.FromSlash(to))); err != nil {
			return err
		}
	}
	manager, _, err := command.New(builtin.Registry()).Find([]string{"manager"})
	if err != nil {
		return err
	}
	if err := writeFlags(filepath.Join(chart, "values.yaml"), manager.Flags()); err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	values, err := readValues(content)
	if err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	if err := writeSchema(filepath.Join(chart, "values.schema.json"), manager.Flags(), values); err != nil {
		return err
	}
	return writeBetween(filepath.Join(chart, "README.md"), "<!-- values -->\n", "<!-- /values -->", table(values))
}

// copyAll makes the files of a directory those that a pattern names, without the lists of kustomize.
func copyAll(pattern, directory string) error {
	sources, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("there is no file %s", pattern)
	}
	if filepath.Base(directory) != "files" { // what is only copied: a file that is no longer there goes
		if err := os.RemoveAll(directory); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	for _, source := range sources {
		if filepath.Base(source) == "kustomization.yaml" {
			continue
		}
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, filepath.Base(source)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeFlags writes the values of all flags between the markers of values.yaml.
func writeFlags(path string, flags *pflag.FlagSet) error {
	return writeBetween(path, "# flags: begin\n", "# flags: end", flagValues(flags))
}

// writeBetween replaces what is between two markers of a file.
func writeBetween(path, begin, end, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(content, []byte(begin))
	_, after, ended := bytes.Cut(rest, []byte(end))
	if !begun || !ended {
		return fmt.Errorf("%s lacks the line %q or, after it, %q", path, begin, end)
	}
	updated := bytes.Join([][]byte{before, []byte(begin), []byte(text), []byte(end), after}, nil)
	if bytes.Equal(updated, content) {
		return nil
	}
	return os.WriteFile(path, updated, 0o644)
}
