// Command monitoring generates what config/ has for Grafana and for a Prometheus without its operator: dashboards, and the alerts as a plain
// file of rules. It is a module of its own, so that the product does not depend on Grafana's.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	config := flag.String("config", filepath.Join("..", "..", "config"), "the directory of the manifests")
	flag.Parse()
	if err := generate(*config); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

// generate brings config/grafana and config/alerts up to date.
func generate(config string) error {
	for name, board := range map[string]func() (dashboard.Dashboard, error){"fleet": fleet, "export": export, "operator": operator} {
		built, err := board()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text, err := written(built)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(config, "grafana", "ledgerport-"+name+".json"), text, 0o644); err != nil {
			return err
		}
	}
	rule, err := os.ReadFile(filepath.Join(config, "prometheus", "rules.yaml"))
	if err != nil {
		return err
	}
	plain, err := plainRules(string(rule))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(config, "alerts", "ledgerport.rules.yaml"), []byte(plain), 0o644)
}

// written is a dashboard as people read it in a diff.
func written(board dashboard.Dashboard) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(board)
	return text.Bytes(), err
}

// plainRules takes the groups out of a PrometheusRule. Its spec is what Prometheus reads from a file.
func plainRules(rule string) (string, error) {
	_, spec, found := strings.Cut(rule, "\nspec:\n")
	if !found {
		return "", fmt.Errorf("config/prometheus/rules.yaml has no spec")
	}
	var plain strings.Builder
	plain.WriteString("# The alerts of config/prometheus/rules.yaml for a Prometheus without its operator, made by `make manifests`: name this file in\n# rule_files. They expect the job to be called ledgerport-metrics.\n")
	for line := range strings.Lines(spec) {
		cut, indented := strings.CutPrefix(line, "  ")
		if !indented {
			return "", fmt.Errorf("config/prometheus/rules.yaml has a line outside of its spec: %q", line)
		}
		plain.WriteString(cut)
	}
	return plain.String(), nil
}
