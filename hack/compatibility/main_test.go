package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/test/environment"
)

const page = "../../docs/compatibility.md"

const again = "run `make compatibility`, and commit the table that it writes"

// row is a line of the table of what was run.
type row struct{ server, version, command, on, result string }

var cells = regexp.MustCompile("(?m)^\\| ([^|]+) \\| ([^|]+) \\| `([^|]+)` \\| ([^|]+) \\| ([^|]+) \\|$")

func rows(t *testing.T, path string) (all []row) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	for _, match := range cells.FindAllStringSubmatch(string(content), -1) {
		all = append(all, row{match[1], match[2], match[3], match[4], match[5]})
	}
	return all
}

// pinned are the versions of which this command knows beforehand that it runs them. The others are those of the distribution.
func pinned(t *testing.T) (all []candidate) {
	t.Helper()
	all = []candidate{{server: apiServer, version: oldestKubernetes}, {server: apiServer, version: environment.KubernetesVersion}}
	content, err := packages.ReadFile("package.json")
	must(t, err)
	var wanted struct{ Dependencies map[string]string }
	must(t, json.Unmarshal(content, &wanted))
	for name, from := range wanted.Dependencies {
		version := number.FindString(from[strings.LastIndex(from, "@"):])
		if major := strings.TrimPrefix(name, "postgres-"); !strings.HasPrefix(version, major+".") {
			t.Errorf("package.json has %s of %s", name, from)
		}
		all = append(all, candidate{server: database, version: version[:strings.LastIndex(version, ".")]}) // 14.23.0 is 14.23
	}
	if len(all) < 6 {
		t.Errorf("only %v are run", all)
	}
	return all
}

// TestTheTableIsWhatIsRun holds the page to the versions and the tests of this command: a change of either needs another run.
func TestTheTableIsWhatIsRun(t *testing.T) {
	t.Parallel()
	table := rows(t, page)
	for _, c := range pinned(t) {
		if !slices.ContainsFunc(table, func(r row) bool { return r.server == c.server && r.version == c.version }) {
			t.Errorf("docs/compatibility.md lacks %s %s: %s", c.server, c.version, again)
		}
	}
	servers := map[string]int{}
	for _, r := range table {
		servers[r.server]++
		if want := (candidate{server: r.server}).command(); r.command != want {
			t.Errorf("docs/compatibility.md has %s %s with %q, and what is run is %q: %s", r.server, r.version, r.command, want, again)
		}
		if _, err := time.Parse(time.DateOnly, r.on); err != nil || r.result != "passed" {
			t.Errorf("docs/compatibility.md has %s %s on %s as %s: %s", r.server, r.version, r.on, r.result, again)
		}
	}
	for server, least := range map[string]int{apiServer: 2, database: 5, pooler: 1} {
		if servers[server] < least {
			t.Errorf("docs/compatibility.md has %d rows of %s, want at least %d, those of the distribution among them: %s", servers[server], server, least, again)
		}
		delete(servers, server)
	}
	for server := range servers {
		t.Errorf("docs/compatibility.md has a row of %s, with which nothing is run", server)
	}
}

// TestARowTakesThePlaceOfTheOneBefore writes rows as runs do.
func TestARowTakesThePlaceOfTheOneBefore(t *testing.T) {
	t.Parallel()
	copied := filepath.Join(t.TempDir(), "page.md")
	must(t, os.WriteFile(copied, []byte("# Page\n\n| server | version | tests | on | result |\n|---|---|---|---|---|\n| PgBouncer, both modes | 1.18.0 | `go test` | 2026-11-01 | passed |\n\nMore.\n"), 0o600))
	day := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, ran := range []struct {
		version string
		passed  bool
	}{{"v1.30.14", false}, {"v1.37.2", true}, {"v1.30.14", true}, {"v1.37.2", false}} {
		must(t, record(copied, candidate{server: apiServer, version: ran.version}, ran.passed, day))
		day = day.AddDate(0, 0, 1)
	}
	command := (candidate{server: apiServer}).command()
	if have, want := rows(t, copied), []row{{pooler, "1.18.0", "go test", "2026-11-01", "passed"}, {apiServer, "v1.30.14", command, "2026-12-02", "passed"}, {apiServer, "v1.37.2", command, "2026-12-03", "**failed**"}}; !slices.Equal(have, want) {
		t.Errorf("the table is\n%v, want\n%v", have, want)
	}
	content, err := os.ReadFile(copied)
	must(t, err)
	if !strings.HasSuffix(string(content), " |\n\nMore.\n") {
		t.Errorf("what comes after the table is lost:\n%s", content)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
