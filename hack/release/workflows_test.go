package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	recipe = regexp.MustCompile(`(?m)^nightly:.*\n((?:\t.*\n)+)`)
	called = regexp.MustCompile(`\$\(MAKE\) ([a-z\d -]+)`)
	named  = regexp.MustCompile(`(?m)^ +- ((?:chaos|bench|fuzz|release)[^\n]*)$|^ +run: make ([a-z][^\n]*)$`)
)

// TestTheNightlyWorkflowRunsWhatMakeNightlyDoes compares the targets of make, and the seeds of chaos.
func TestTheNightlyWorkflowRunsWhatMakeNightlyDoes(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	must(t, err)
	var want []string
	lines := recipe.FindSubmatch(makefile)
	if lines == nil {
		t.Fatal("the Makefile has no target nightly")
	}
	for _, match := range called.FindAllSubmatch(lines[1], -1) {
		want = append(want, strings.Fields(string(match[1]))...)
	}
	workflow, err := os.ReadFile("../../.github/workflows/nightly.yaml")
	must(t, err)
	var have, seeds []string
	for _, match := range named.FindAllStringSubmatch(string(workflow), -1) {
		for word := range strings.FieldsSeq(match[1] + match[2]) {
			switch variable, value, is := strings.Cut(word, "="); {
			case !is:
				have = append(have, word)
			case variable == "SEED":
				seeds = append(seeds, value)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if have = slices.Compact(have); len(want) < 5 || !slices.Equal(have, want) {
		t.Errorf("nightly.yaml runs %q, and make nightly %q", have, want)
	}
	if !strings.Contains(string(lines[1]), "$(or $(SEEDS),"+strings.Join(seeds, " ")+")") {
		t.Errorf("nightly.yaml has chaos with the seeds %q, and make nightly others:\n%s", seeds, lines[1])
	}
}
