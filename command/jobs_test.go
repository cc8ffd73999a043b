package command

import (
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/builtin"
)

func TestAnAttemptIsGivenTheFlagsThatConcernIt(t *testing.T) {
	t.Parallel()
	manager := managerCommand(builtin.Registry())
	if err := manager.Flags().Parse([]string{
		"--executor=job", "--job-queue=x", "--leader-elect", "--metrics-bind-address=:8443", "--namespaces=a,b", "--cluster-id=here",
		"--allowed-hosts=*.example.com,10.0.0.0/8", "--spool-directory=/spool", "--allow-plain-http",
	}); err != nil {
		t.Fatal(err)
	}
	got := given(manager.Flags())
	slices.Sort(got)
	want := []string{"--allow-plain-http=true", "--allowed-hosts=*.example.com,10.0.0.0/8", "--spool-directory=/spool"}
	if !slices.Equal(got, want) {
		t.Errorf("an attempt is given %q, want %q", got, want)
	}
	if err := attemptCommand(builtin.Registry()).Flags().Parse(got); err != nil {
		t.Errorf("and it does not know them: %s", err)
	}
}

func TestAnExecutorThatDoesNotExistIsRefused(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{"Job": "--executor", "job": "--job-namespace"} {
		options := jobOptions{executor: flag, startTimeout: 1e10}
		if err := options.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--executor=%s outside of a cluster: %v, want one of %s", flag, err, want)
		}
	}
}

func TestAnAttemptWithoutAnOrderSaysWhoMakesOne(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "{}"} {
		_, err := makeAttempt(t.Context(), managerOptions{}, builtin.Registry(), text)
		if err == nil || !strings.Contains(err.Error(), "the operator makes the Job") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
