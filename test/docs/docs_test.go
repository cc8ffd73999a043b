// Package docs_test compares what docs/ lists with what there is: a new reason, flag or table must be documented.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/command"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/controller/exportrun"
	"github.com/ledgerport/ledgerport/test/testdb"
)

func TestEveryReasonIsDocumented(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	must(t, filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			all.WriteString(read(t, path))
		}
		return err
	}))
	constants := reasons(t)
	if len(constants) < 50 {
		t.Fatalf("api/v1alpha1 has %d constants Reason…; were they moved?", len(constants))
	}
	for name, value := range constants {
		if !strings.Contains(all.String(), "`"+value+"`") {
			t.Errorf("no page under docs/ explains `%s` (%s); docs/reasons.md is the place for it", value, name)
		}
	}
}

// reasons returns the values of the constants Reason… by their names.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../api/v1alpha1/*.go")
	must(t, err)
	found := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(parsed, func(node ast.Node) bool {
			spec, is := node.(*ast.ValueSpec)
			if !is || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			must(t, err)
			found[spec.Names[0].Name] = value
			return true
		})
	}
	return found
}

func TestTheTableOfFlagsIsThatOfTheManager(t *testing.T) {
	t.Parallel()
	manager, _, err := command.New(builtin.Registry()).Find([]string{"manager"})
	must(t, err)
	documented := firstColumn(t, "../../docs/operations.md", "| flag of `ledgerport manager` |")
	manager.Flags().VisitAll(func(flag *pflag.Flag) {
		if name := "--" + flag.Name; flag.Name != "help" && !slices.Contains(documented, name) {
			t.Errorf("the table in docs/operations.md lacks %s: add a row with its default (%q) and what it means (%s)", name, flag.DefValue, flag.Usage)
		}
	})
	for _, name := range documented {
		if manager.Flags().Lookup(strings.TrimPrefix(name, "--")) == nil {
			t.Errorf("the table in docs/operations.md has %s, and `ledgerport manager` does not", name)
		}
	}
}

func TestEveryCommandIsDocumented(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs/cli.md")
	for _, child := range command.New(builtin.Registry()).Commands() {
		if name := "ledgerport " + child.Name(); child.Runnable() && !strings.Contains(page, "`"+name) && !strings.Contains(page, "\n"+name) {
			t.Errorf("docs/cli.md does not have `%s`", name)
		}
	}
}

func TestThePageOfTheConsoleHasItsFlags(t *testing.T) {
	t.Parallel()
	console, _, err := command.New(builtin.Registry()).Find([]string{"console"})
	must(t, err)
	var documented []string
	for _, column := range firstColumn(t, "../../docs/console-server.md", "| flag of `ledgerport console` |") {
		documented = append(documented, strings.Split(strings.ReplaceAll(column, "`", ""), ", ")...)
	}
	console.Flags().VisitAll(func(flag *pflag.Flag) {
		if name := "--" + flag.Name; flag.Name != "help" && !slices.Contains(documented, name) {
			t.Errorf("the table in docs/console-server.md lacks %s", name)
		}
	})
	for _, name := range documented {
		if console.Flags().Lookup(strings.TrimPrefix(name, "--")) == nil {
			t.Errorf("the table in docs/console-server.md has %s, and `ledgerport console` does not", name)
		}
	}
}

func TestEveryFlagInConfigIsOneOfTheProgram(t *testing.T) {
	t.Parallel()
	programs := map[bool]*cobra.Command{}
	for console, name := range map[bool]string{false: "manager", true: "console"} {
		program, _, err := command.New(builtin.Registry()).Find([]string{name})
		must(t, err)
		programs[console] = program
	}
	flag, found := regexp.MustCompile(`--[a-z][a-z-]+[a-z]`), 0
	must(t, filepath.WalkDir("../../config", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		for line := range strings.Lines(read(t, path)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") || !strings.HasPrefix(line, "- ") {
				continue
			}
			for _, name := range flag.FindAllString(line, -1) {
				found++
				program := programs[strings.Contains(filepath.ToSlash(path), "/console/")]
				if program.Flags().Lookup(strings.TrimPrefix(name, "--")) == nil {
					t.Errorf("%s has %s, and `ledgerport %s` does not", path, name, program.Name())
				}
			}
		}
		return nil
	}))
	if found < 10 {
		t.Errorf("config/ has %d flags of the manager; are they written otherwise now?", found)
	}
}

func TestTheTableOfTablesIsThatOfTheMigrations(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	migrate := command.New(builtin.Registry())
	migrate.SetArgs([]string{"migrate", "--allow-insecure-databases", "--database-url", url})
	migrate.SetOut(t.Output())
	must(t, migrate.ExecuteContext(t.Context()))
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(t.Context())) })
	rows, err := conn.Query(t.Context(), `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'ledgerport' ORDER BY 1`)
	must(t, err)
	present, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	documented := firstColumn(t, "../../docs/kinds/claim-source.md", "| table | a row per |")
	slices.Sort(documented)
	if !slices.Equal(documented, present) {
		t.Errorf("the schema ledgerport has the tables and views\n%q, and docs/kinds/claim-source.md lists\n%q", present, documented)
	}
}

var arrow = regexp.MustCompile(`(?m)^ {4}([a-z]+) --> ([a-z]+):`)

func TestThePictureOfStatesIsThatOfTheProgram(t *testing.T) {
	t.Parallel()
	drawn := map[[2]claims.RunState]bool{}
	for _, move := range arrow.FindAllStringSubmatch(read(t, "../../docs/states.md"), -1) {
		drawn[[2]claims.RunState{claims.RunState(move[1]), claims.RunState(move[2])}] = true
	}
	for _, from := range claims.RunStates {
		for _, to := range claims.RunStates {
			if move := [2]claims.RunState{from, to}; to.Follows(from) != drawn[move] {
				t.Errorf("docs/states.md draws %s → %s: %t; the program makes it: %t", from, to, drawn[move], to.Follows(from))
			}
		}
	}
	described := firstColumn(t, "../../docs/states.md", "| state | phases that it is seen with")
	for i, state := range claims.RunStates {
		if i >= len(described) || described[i] != string(state) {
			t.Fatalf("docs/states.md describes %v, want %v", described, claims.RunStates)
		}
	}
	page := read(t, "../../docs/states.md")
	for _, phase := range []v1alpha1.RunPhase{v1alpha1.RunPending, v1alpha1.RunRunning, v1alpha1.RunRetrying, v1alpha1.RunReleasing,
		v1alpha1.RunSucceeded, v1alpha1.RunIncomplete, v1alpha1.RunFailed, v1alpha1.RunCancelled} {
		if !strings.Contains(page, "`"+string(phase)+"`") {
			t.Errorf("docs/states.md says of no state that it is seen with %s", phase)
		}
	}
}

func TestTheTableOfStepsIsThatOfTheProgram(t *testing.T) {
	t.Parallel()
	documented := firstColumn(t, "../../docs/states.md", "| step | if |")
	for i, step := range exportrun.Steps {
		if i >= len(documented) || documented[i] != string(step) {
			t.Fatalf("docs/states.md has the steps\n%q, and Decide\n%q", documented, exportrun.Steps)
		}
	}
	if len(documented) != len(exportrun.Steps) {
		t.Errorf("docs/states.md has the steps %q beyond those of Decide", documented[len(exportrun.Steps):])
	}
}

var code = regexp.MustCompile("`([^`]+)`")

// firstColumn returns what is written as code in the first column of the table with a head.
func firstColumn(t *testing.T, path, head string) (cells []string) {
	t.Helper()
	_, table, found := strings.Cut(read(t, path), "\n"+head)
	if !found {
		t.Fatalf("%s has no table with the head %q", path, head)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range strings.Split(table, "\n")[2:] {
		for _, cell := range code.FindAllStringSubmatch(strings.SplitN(row, "|", 3)[1], -1) {
			cells = append(cells, cell[1])
		}
	}
	return cells
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every direct dependency is in the decision on dependencies, and nothing else is.
func TestEveryDependencyIsDecided(t *testing.T) {
	t.Parallel()
	required := map[string]bool{}
	for line := range strings.Lines(read(t, "../../go.mod")) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "\t") && len(fields) == 2 && strings.HasPrefix(fields[1], "v") && !strings.HasPrefix(fields[0], "github.com/ledgerport/") {
			required[fields[0]] = true
		}
	}
	if len(required) < 20 {
		t.Fatalf("go.mod requires %d modules directly; is it written otherwise?", len(required))
	}
	const page = "docs/decisions/0020-what-is-not-written-here.md"
	decided := map[string]bool{}
	for line := range strings.Lines(read(t, "../../"+page)) {
		if modules, _, row := strings.Cut(strings.TrimPrefix(line, "| "), " |"); row && strings.HasPrefix(line, "| `") {
			for _, module := range strings.Split(modules, ", ") {
				decided[strings.Trim(module, "`")] = true
			}
		}
	}
	for module := range required {
		if !decided[module] {
			t.Errorf("%s lacks %s: add what it is for, and who keeps it", page, module)
		}
	}
	for module := range decided {
		if !required[module] {
			t.Errorf("%s names %s, which go.mod does not require", page, module)
		}
	}
}
