package rounds_test

import (
	"testing"

	"github.com/ledgerport/ledgerport/internal/rounds"
)

func TestAffordable(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]bool{
		"r=abc,s=QSXCR+Q6sek8bf92,i=4096":                 true,
		"r=abc,s=QSXCR+Q6sek8bf92,i=1000000":              true,
		"r=abc,s=QSXCR+Q6sek8bf92,i=1000001":              false,
		"r=abc,s=QSXCR+Q6sek8bf92,i=4096,i=999999999":     false,
		"r=abc,s=QSXCR+Q6sek8bf92,i=0":                    false,
		"r=abc,s=QSXCR+Q6sek8bf92,i=-1":                   false,
		"r=abc,s=QSXCR+Q6sek8bf92,i=":                     false,
		"r=abc,s=QSXCR+Q6sek8bf92,i=99999999999999999999": false,
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=":                  true, // asks for none
	} {
		if have := rounds.Affordable([]byte(challenge)); have != want {
			t.Errorf("%s is affordable: %t", challenge, have)
		}
	}
}
