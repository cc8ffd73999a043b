// Command compatibility runs the tests that speak to a server against each version of it that this machine has or can build, and writes
// what it ran into the table of docs/compatibility.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerport/ledgerport/test/environment"
)

// binariesVariable names directories with the programs of other versions of PostgreSQL, such as /usr/lib/postgresql/14/bin.
const binariesVariable = "LEDGERPORT_TEST_POSTGRES_BINDIRS"

// oldestKubernetes is the newest patch of the oldest version that is supported.
const oldestKubernetes = "v1.30.14"

// The servers, as the table names them, and the tests that speak to each.
const (
	apiServer = "Kubernetes"
	database  = "PostgreSQL"
	pooler    = "PgBouncer, both modes"
)

var testsOf = map[string][]string{
	apiServer: {"./internal/controller/...", "./test/admission", "./test/samples"},
	database:  {"./internal/claims", "./internal/pipeline"},
	pooler:    {"./internal/claims", "-run", "^TestPgBouncer$"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	kubernetes := flag.String("kubernetes", oldestKubernetes+","+environment.KubernetesVersion, "`versions` of Kubernetes, each of which is built once; empty for none")
	postgres := flag.Bool("postgres", true, "run with each PostgreSQL, and with PgBouncer")
	only := flag.String("only", "", "run with those alone whose `name` begins so, such as \"PostgreSQL 14\"")
	page := flag.String("page", "docs/compatibility.md", "`page` whose table gets what was run")
	flag.Parse()
	if err := run(ctx, *kubernetes, *postgres, *only, *page); err != nil {
		fmt.Fprintln(os.Stderr, "compatibility:", err)
		os.Exit(1)
	}
}

// candidate is a version of a server, and the variables by which tests find it.
type candidate struct {
	server, version string
	variables       []string
}

func run(ctx context.Context, kubernetes string, postgres bool, only, page string) (err error) {
	var candidates []candidate
	for version := range strings.SplitSeq(kubernetes, ",") {
		if version == "" || !strings.HasPrefix(apiServer+" "+version, only) {
			continue
		}
		assets, err := environment.ControlPlaneOf(ctx, version, os.Stderr)
		if err != nil {
			return err
		}
		candidates = append(candidates, candidate{apiServer, version, []string{"KUBEBUILDER_ASSETS=" + assets}})
	}
	if postgres {
		place, err := os.MkdirTemp("", "ledgerport-postgres-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(place)) }()
		if err := os.Chmod(place, 0o755); err != nil { // #nosec G302 -- servers do not run as root
			return err
		}
		databases, err := databases(ctx, place)
		if err != nil {
			return err
		}
		candidates = append(candidates, databases...)
	}
	var failed error
	for _, candidate := range candidates {
		if !strings.HasPrefix(candidate.server+" "+candidate.version, only) {
			continue
		}
		err := candidate.test(ctx)
		failed = errors.Join(failed, err)
		if err := record(page, candidate, err == nil, time.Now()); err != nil {
			return err
		}
	}
	return failed
}

// databases are the PostgreSQL that tests would choose, those that others publish, those that the environment names, and PgBouncer before the
// first.
func databases(ctx context.Context, place string) (candidates []candidate, err error) {
	chosen, err := environment.PostgresBinaries(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	others, err := published(ctx, place)
	if err != nil {
		return nil, err
	}
	for _, directory := range slices.Concat([]string{chosen}, others, filepath.SplitList(os.Getenv(binariesVariable))) {
		version, err := versionOf(ctx, filepath.Join(directory, "postgres"))
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, candidate{database, version, []string{"PATH=" + directory + string(os.PathListSeparator) + os.Getenv("PATH")}})
	}
	program, err := environment.PgBouncerProgram(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	version, err := versionOf(ctx, program)
	return append(candidates, candidate{pooler, version, nil}), err
}

var number = regexp.MustCompile(`\d+(\.\d+)+`)

func versionOf(ctx context.Context, program string) (string, error) {
	said, err := exec.CommandContext(ctx, program, "--version").Output() // #nosec G204 -- a server of tests
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", program, err)
	}
	return number.FindString(string(said)), nil
}

// command is what the table says was run.
func (c candidate) command() string { return "go test " + strings.Join(testsOf[c.server], " ") }

func (c candidate) test(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout=60m"}, testsOf[c.server]...)...) // #nosec G204 -- our own arguments
	command.Env = append(os.Environ(), c.variables...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	fmt.Printf("==> %s %s: %s\n", c.server, c.version, c.command())
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", c.server, c.version, err)
	}
	return nil
}

// record writes the row of a version, in place of the one that it had.
func record(page string, c candidate, passed bool, when time.Time) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), "|---|---|---|---|---|\n")
	if !found {
		return fmt.Errorf("%s has no table", page)
	}
	rows, after, _ := strings.Cut(rest, "\n\n")
	result := "passed"
	if !passed {
		result = "**failed**"
	}
	begin := fmt.Sprintf("| %s | %s | ", c.server, c.version)
	row := begin + fmt.Sprintf("%#q | %s | %s |", c.command(), when.UTC().Format(time.DateOnly), result)
	var kept []string
	for line := range strings.SplitSeq(rows, "\n") {
		if strings.HasPrefix(line, begin) {
			line, row = row, ""
		}
		kept = append(kept, line)
	}
	if row != "" {
		kept = append(kept, row)
	}
	text := before + "|---|---|---|---|---|\n" + strings.TrimPrefix(strings.Join(kept, "\n"), "\n") + "\n\n" + after
	return os.WriteFile(page, []byte(text), 0o644) // #nosec G306 -- a page
}
