package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// notesFile is what a release says of itself where it is published.
const notesFile = "NOTES.md"

// kindsOfChanges are those of Keep a Changelog.
var kindsOfChanges = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

var versionHeading = regexp.MustCompile(`^## \[(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?|Unreleased)\](?: - (\d{4}-\d{2}-\d{2}))?( \[YANKED\])?$`)

// section is what the changelog has of one version.
type section struct {
	version, date, text string
}

// readChangelog returns the sections of a changelog in the form of Keep a Changelog 1.1.0, the newest first.
func readChangelog(text string) (sections []section, err error) {
	for number, line := range strings.Split(text, "\n") {
		wrong := func(problem string) error { return fmt.Errorf("CHANGELOG.md:%d: %s: %q", number+1, problem, line) }
		switch {
		case strings.HasPrefix(line, "## "):
			next, err := heading(line, sections)
			if err != nil {
				return nil, wrong(err.Error())
			}
			sections = append(sections, next)
			continue
		case strings.HasPrefix(line, "### ") && (len(sections) == 0 || !slices.Contains(kindsOfChanges, line[len("### "):])):
			return nil, wrong("below a version there are " + strings.Join(kindsOfChanges, ", "))
		case number == 0 && line != "# Changelog":
			return nil, wrong("it begins with # Changelog")
		}
		if len(sections) > 0 {
			sections[len(sections)-1].text += line + "\n"
		}
	}
	if len(sections) == 0 || sections[0].version != "Unreleased" {
		return nil, fmt.Errorf("CHANGELOG.md does not begin with ## [Unreleased], where the next change is written")
	}
	return sections, nil
}

func heading(line string, before []section) (section, error) {
	parts := versionHeading.FindStringSubmatch(line)
	if parts == nil {
		return section{}, fmt.Errorf("a version is ## [1.2.3] - 2006-01-02, or ## [Unreleased]")
	}
	found := section{version: parts[1], date: parts[2]}
	if found.version == "Unreleased" {
		if len(before) > 0 || found.date != "" {
			return section{}, fmt.Errorf("[Unreleased] is first, and has no date")
		}
		return found, nil
	}
	if _, err := time.Parse(time.DateOnly, found.date); err != nil {
		return section{}, fmt.Errorf("the version has no date")
	}
	if last := len(before) - 1; last > 0 && (compareVersions(before[last].version, found.version) <= 0 || before[last].date < found.date) {
		return section{}, fmt.Errorf("the newest version is first")
	}
	return found, nil
}

// compareVersions compares numbers, and a version with one before it such as 1.0.0-rc.1.
func compareVersions(a, b string) int {
	numbers := func(version string) []int {
		core, before, isBefore := strings.Cut(version, "-")
		var all []int
		for part := range strings.SplitSeq(core, ".") {
			number, _ := strconv.Atoi(part) // the heading has digits only
			all = append(all, number)
		}
		if !isBefore {
			return append(all, 1)
		}
		last, _ := strconv.Atoi(before[strings.LastIndexAny(before, ".-")+1:]) // 0 for one without a number
		return append(all, 0, last)
	}
	return slices.Compare(numbers(a), numbers(b))
}

// writeNotes writes what the changelog has of this version. A version without a tag has what is unreleased; one with a tag must be there.
func (r *release) writeNotes() error {
	content, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	sections, err := readChangelog(string(content))
	if err != nil {
		return err
	}
	wanted := "Unreleased"
	if regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?$`).MatchString(r.version) {
		wanted = r.semantic()
	}
	for _, found := range sections {
		if found.version == wanted {
			return r.writeText(notesFile, strings.TrimSpace(found.text)+"\n")
		}
	}
	return fmt.Errorf("CHANGELOG.md has no ## [%s]: give [Unreleased] that name and a date, in the commit that gets the tag", wanted)
}
