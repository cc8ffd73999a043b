package submission

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerport/ledgerport/test/cputime"
)

func TestAMessageOfASystemShowsNoSecret(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		message string
		secrets []string
		want    string
	}{
		"a secret is hidden wherever it is":               {" token abc is not abcd\n", []string{"abc"}, "token … is not …d"},
		"of two that begin alike the longer one is":       {"it is abcd", []string{"abc", "abcd"}, "it is …"},
		"a value that is empty hides nothing":             {"it is abcd", []string{""}, "it is abcd"},
		"one behind what is not shown is not cut":         {strings.Repeat("x", 298) + "abcdef", []string{"abcdef"}, strings.Repeat("x", 297) + "…"},
		"one within another within another is":            {"abcdef abcdeg abd", []string{"ab", "abcd", "abcdef", "abcdex", "abce"}, "… …eg …d"},
		"one that is all of a message is":                 {"abc", []string{"ab", "abc", "abcd"}, "…"},
		"what hides a secret is not looked for again":     {"…", manySecrets(24), "………"},
		"a secret of all that is said leaves an ellipsis": {strings.Repeat("a", 1<<20), []string{strings.Repeat("a", 1<<19)}, "……"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := &System{Secrets: map[string][]byte{}}
			for i, secret := range test.secrets {
				system.Secrets[fmt.Sprint(i)] = []byte(secret)
			}
			if got := system.quoted(test.message); got != test.want {
				t.Errorf("%q is shown, want %q", got, test.want)
			}
		})
	}
}

// TestAMessageOfASystemIsLookedAtOnce has a hundred thousand values, and nested ones, which a message of a megabyte begins with
// again and again.
func TestAMessageOfASystemIsLookedAtOnce(t *testing.T) {
	t.Parallel()
	values := map[string][]byte{}
	for i := range 100_000 {
		values[fmt.Sprint(i)] = fmt.Appendf(nil, "q%d", i)
	}
	for i := range 1_400 {
		values["nested"+fmt.Sprint(i)] = []byte(strings.Repeat("a", i+1) + "b")
	}
	system := &System{Secrets: values}
	messages := []string{strings.Repeat("a", 1<<20), strings.Repeat("q", 1<<20), strings.Repeat("x", 1<<20)}
	const each = 20
	took := cputime.Of(t, func() {
		for range each {
			for _, message := range messages {
				system.quoted(message)
			}
		}
	})
	if took > 2*time.Second {
		t.Errorf("%d messages take %s", each*len(messages), took)
	}
}

// manySecrets are the bytes of an ellipsis, again and again: to put one in place of each makes more of them.
func manySecrets(n int) (secrets []string) {
	const ellipsis = "…"
	for i := range n {
		secrets = append(secrets, ellipsis[i%len(ellipsis):][:1])
	}
	return secrets
}
