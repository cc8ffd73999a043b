package failure_test

import (
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestAMessageIsOneShortLineThatNoTerminalObeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain, größer €":                       "plain, größer €",
		"red \x1b[31m, \r\n and \x00\u202e\x9b": `red \x1b[31m,    and \x00\u202e\x9b`,
		"\u2028next":                            " next",
		strings.Repeat("x", 1<<20):              strings.Repeat("x", 4093) + "…",
	} {
		for _, failed := range []*failure.Error{
			failure.Transient(v1alpha1.ReasonDatabaseError, nil, "%s", text), failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "%s", text),
		} {
			if failed.Message != want {
				t.Errorf("%.40q became %.80q, want %.80q", text, failed.Message, want)
			}
		}
	}
}
