// Command rbac-rules shows that the operator's account has no rule too many: it takes each rule of each role that the account is
// bound to away in turn, and runs tests under what is left, of which some must fail. With all rules they pass. What it says of
// a rule is the first thing that a test missed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/rights"
	"github.com/ledgerport/ledgerport/texts"
)

// suite is tests of one package that need every rule of a role between them.
type suite struct {
	pkg, tests string
	binary     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rbac-rules:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	manifests, err := environment.Render(ctx, "config/rbac")
	if err != nil {
		return err
	}
	rules, err := rights.Of(manifests)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "ledgerport-rbac-rules-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }() // a leftover in the temporary directory is no failure
	work := &suite{pkg: "internal/controller", tests: "TestHistoryLimitsRemoveRunsAndKeepTheLedger|TestSourceAndDestinationFollowExternalSecrets|" +
		"TestDestinationOfAnotherNamespaceMustAdmitTheNamespace"}
	process := &suite{pkg: "command", tests: "TestTheOperatorWithTheRightsThatItIsInstalledWith"} // leader election and metrics
	for _, s := range []*suite{work, process} {
		if err := s.build(ctx, directory); err != nil {
			return err
		}
		if passed, output := s.run(ctx, ""); !passed {
			return fmt.Errorf("the tests of %s fail with every rule:\n%s", s.pkg, output)
		}
	}
	fmt.Printf("with all %d rules: pass\n", len(rules))
	var superfluous []string
	for _, rule := range rules {
		needs := process
		if rule.Role == rights.Account {
			needs = work
		}
		passed, output := needs.run(ctx, rule.String())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case passed:
			superfluous = append(superfluous, rule.String())
		}
		fmt.Printf("without %s (%s of %s): %s\n", rule, strings.Join(rule.Verbs, ", "), strings.Join(rule.Resources, ", "), verdict(passed, output))
	}
	if len(superfluous) > 0 {
		return errors.New("no test needs " + strings.Join(superfluous, ", nor "))
	}
	return nil
}

func (s *suite) build(ctx context.Context, directory string) error {
	s.binary = filepath.Join(directory, path.Base(s.pkg)+".test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.binary, "github.com/ledgerport/ledgerport/"+s.pkg) // #nosec G204 -- our own arguments
	build.Stderr = os.Stderr
	return build.Run()
}

// run reports whether the tests pass without a rule.
func (s *suite) run(ctx context.Context, withoutRule string) (passed bool, output []byte) {
	command := exec.CommandContext(ctx, s.binary, "-test.failfast", "-test.timeout=5m", "-test.run", s.tests) // #nosec G204 -- the binary just built
	root, err := environment.ModuleRoot()
	if err != nil {
		return false, []byte(err.Error())
	}
	command.Dir = filepath.Join(root, s.pkg)
	command.Env = append(os.Environ(), rights.WithoutRule+"="+withoutRule)
	output, err = command.CombinedOutput()
	return err == nil, output
}

// missed is the first line with which a test fails.
var missed = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*)$`)

// longest is how much of such a line is shown, in bytes.
const longest = 150

func verdict(passed bool, output []byte) string {
	if passed {
		return "PASS, which they should not"
	}
	found := missed.FindSubmatch(output)
	if found == nil {
		return "fail:\n" + string(output)
	}
	return "fail: " + texts.Printable(string(found[1]), longest)
}
