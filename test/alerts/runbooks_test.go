package alerts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const runbooks = "https://github.com/ledgerport/ledgerport/blob/main/docs/runbooks/"

func TestEachAlertHasItsPageAndEachPageItsAlert(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	must(t, yaml.Unmarshal(rules(t), &file))
	var named []string
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			named = append(named, rule.Alert)
			if want := runbooks + rule.Alert + ".md"; rule.Annotations["runbook_url"] != want {
				t.Errorf("the runbook_url of %s is %q, want %q", rule.Alert, rule.Annotations["runbook_url"], want)
			}
			page, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbooks", rule.Alert+".md"))
			if err != nil {
				t.Errorf("%s has no page: %v", rule.Alert, err)
				continue
			}
			for _, part := range []string{"# " + rule.Alert + "\n", "\n## What it means\n", "\n## What to look at\n", "\n## What to do\n"} {
				if !strings.Contains(string(page), part) {
					t.Errorf("the page of %s lacks %q", rule.Alert, strings.TrimSpace(part))
				}
			}
			if len(regexp.MustCompile("(?m)^```").FindAll(page, -1)) < 2 {
				t.Errorf("the page of %s has no command", rule.Alert)
			}
		}
	}
	pages, err := filepath.Glob("../../docs/runbooks/*.md")
	must(t, err)
	for _, page := range pages {
		if name := strings.TrimSuffix(filepath.Base(page), ".md"); !slices.Contains(named, name) {
			t.Errorf("docs/runbooks/%s.md is about no alert", name)
		}
	}
}
