// Command rbac-rules shows that the operator's role has no rule too many: it takes each rule away in turn and runs tests of
// the controllers under what is left, of which some must fail. With all rules they pass.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/hack/environment"
)

// tests that need every rule between them.
const tests = "TestHistoryLimitsRemoveRunsAndKeepTheLedger|TestSourceAndDestinationFollowExternalSecrets|" +
	"TestRotationIsUsedByTheNextRun|TestDestinationOfAnotherNamespaceMustAdmitTheNamespace"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "rbac-rules:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := environment.ModuleRoot()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(root, "config", "rbac", "operator", "role.yaml"))
	if err != nil {
		return err
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(content, &role); err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "ledgerport-rbac-rules-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }() // a leftover in the temporary directory is no failure
	binary := filepath.Join(directory, "controllers.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "./controllers")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	if passed, output := runTests(root, binary, ""); !passed {
		return fmt.Errorf("the tests fail with every rule:\n%s", output)
	}
	fmt.Println("with every rule: pass")
	var superfluous []string
	for i, rule := range role.Rules {
		passed, _ := runTests(root, binary, fmt.Sprint(i))
		what := fmt.Sprintf("%s of %s in %q", strings.Join(rule.Verbs, ", "), strings.Join(rule.Resources, ", "), strings.Join(rule.APIGroups, ", "))
		if passed {
			superfluous = append(superfluous, what)
			fmt.Println("without", what+": PASS")
			continue
		}
		fmt.Println("without", what+": fail, as they should")
	}
	if len(superfluous) > 0 {
		return errors.New("no test needs " + strings.Join(superfluous, "; nor "))
	}
	return nil
}

// runTests says whether the tests pass without a rule.
func runTests(root, binary, withoutRule string) (passed bool, output []byte) {
	command := exec.Command(binary, "-test.failfast", "-test.run", tests)
	command.Dir = filepath.Join(root, "controllers")
	command.Env = append(os.Environ(), "LEDGERPORT_TEST_WITHOUT_RULE="+withoutRule)
	output, err := command.CombinedOutput()
	return err == nil, output
}
