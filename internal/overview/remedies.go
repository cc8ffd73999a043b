package overview

import (
	"io/fs"
	"regexp"
	"strings"
	"sync"

	"github.com/ledgerport/ledgerport/docs"
)

// pages has the pages with tables of what reasons mean, by what the reasons are of.
var pages = map[string]string{
	claimSource:       "kinds/claim-source.md",
	chartOfAccounts:   "kinds/chart-of-accounts.md",
	exportDestination: "kinds/export-destination.md",
	accountSecret:     "credentials.md",
	everything:        "reasons.md",
}

// everything has the reasons of exports and runs, and of all kinds.
const everything = ""

// remedies has what is to be done for a reason, for each of pages.
var remedies = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for of, name := range pages {
		page, err := fs.ReadFile(docs.Reasons, name)
		if err != nil {
			panic(err) // it is embedded
		}
		all[of] = remediesOf(string(page))
	}
	return all
})

// Remedy is what a person does for a reason of a kind; empty if that is nothing, or the pages do not have it.
func Remedy(kind, reason string) string {
	for _, of := range []string{kind, everything, accountSecret} {
		if do := remedies()[of][reason]; do != "" {
			return do
		}
	}
	return ""
}

var (
	code = regexp.MustCompile("`([A-Z][A-Za-z]+)`")
	link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// remediesOf reads the tables of a page that have reasons first and what to do last.
func remediesOf(page string) map[string]string {
	found := map[string]string{}
	reading, before := false, ""
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 {
			reading = false
			continue
		}
		first, last := strings.TrimSpace(cells[0]), plain(cells[len(cells)-1])
		if strings.HasPrefix(first, "reason") && last == "what to do" {
			reading = true
			continue
		}
		if last == "the same" || last == "as above" {
			last = before
		}
		before = last
		if !reading || strings.HasPrefix(last, "nothing") || strings.HasPrefix(last, "see ") { // which another page says better
			continue
		}
		for _, reason := range code.FindAllStringSubmatch(first, -1) {
			if found[reason[1]] == "" {
				found[reason[1]] = last
			}
		}
	}
	return found
}

// plain is a cell of a table as a line of a terminal.
func plain(cell string) string {
	return strings.TrimSpace(strings.ReplaceAll(link.ReplaceAllString(cell, "$1"), "`", ""))
}
