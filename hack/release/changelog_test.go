package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheChangelogIsInTheFormOfKeepAChangelog(t *testing.T) {
	content, err := os.ReadFile("../../CHANGELOG.md")
	must(t, err)
	if _, err := readChangelog(string(content)); err != nil {
		t.Error(err)
	}
}

func TestAWrongChangelogIsRefusedWithItsLine(t *testing.T) {
	const head = "# Changelog\n\n"
	for name, test := range map[string]struct{ text, want string }{
		"no title":                {"Changes\n", `CHANGELOG.md:1: it begins with # Changelog`},
		"nothing unreleased":      {head + "## [1.0.0] - 2026-01-01\n", "does not begin with ## [Unreleased]"},
		"a version without date":  {head + "## [Unreleased]\n## [1.0.0]\n", "CHANGELOG.md:4: the version has no date"},
		"a date that is none":     {head + "## [Unreleased]\n## [1.0.0] - 2026-02-30\n", "CHANGELOG.md:4: the version has no date"},
		"a version in other form": {head + "## [Unreleased]\n## v1.0.0\n", "CHANGELOG.md:4: a version is ## [1.2.3]"},
		"an older version first":  {head + "## [Unreleased]\n## [1.9.0] - 2026-01-01\n## [1.10.0] - 2026-01-01\n", "CHANGELOG.md:5: the newest version is first"},
		"a version after its rc":  {head + "## [Unreleased]\n## [1.0.0-rc.2] - 2026-01-01\n## [1.0.0] - 2026-01-01\n", "the newest version is first"},
		"a kind of its own":       {head + "## [Unreleased]\n### News\n", "CHANGELOG.md:4: below a version there are Added"},
		"unreleased twice":        {head + "## [Unreleased]\n## [Unreleased]\n", "[Unreleased] is first"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readChangelog(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
	right := head + "## [Unreleased]\n## [1.10.0] - 2026-02-01\n### Fixed\n- A.\n## [1.10.0-rc.1] - 2026-02-01\n## [1.9.0] - 2026-01-01 [YANKED]\n"
	sections, err := readChangelog(right)
	must(t, err)
	if len(sections) != 4 || sections[1].version != "1.10.0" || sections[1].text != "### Fixed\n- A.\n" {
		t.Errorf("it was read as %+v", sections)
	}
}

// TestAVersionWithATagNeedsItsChanges lets the release of a tag fail that the changelog does not have.
func TestAVersionWithATagNeedsItsChanges(t *testing.T) {
	for version, want := range map[string]string{"v9.9.9": "CHANGELOG.md has no ## [9.9.9]", "v0.1.0-3-gabcdef0": "", "abcdef0-dirty": ""} {
		r := &release{root: "../..", into: t.TempDir(), version: version}
		if err := r.writeNotes(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

// TestActionsAreNamedByCommit keeps the release from what somebody else moves a tag to.
func TestActionsAreNamedByCommit(t *testing.T) {
	files, err := filepath.Glob("../../.github/workflows/*.yaml")
	must(t, err)
	pinned, found := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`), 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(content)) {
			if _, action, is := strings.Cut(line, "uses: "); is {
				found++
				if !pinned.MatchString(strings.TrimSpace(action)) {
					t.Errorf("%s: %s: name the commit, and its version as a comment", filepath.Base(file), strings.TrimSpace(action))
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("%d actions were found; are they written otherwise now?", found)
	}
}
