package requests_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ledgerport/ledgerport/internal/requests"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ user, want string }{
		"a name is written as it is":          {"oidc:alice@example.com", "oidc:alice@example.com"},
		"no name is none":                     {"", ""},
		"a name of as many characters stays":  {strings.Repeat("é", 256), strings.Repeat("é", 256)},
		"a longer one is cut at a character":  {strings.Repeat("é", 257), strings.Repeat("é", 255) + "…"},
		"what does not print is not replaced": {"a\u202eb", "a\u202eb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := requests.Stamp(test.user); got != test.want || utf8.RuneCountInString(got) > 256 {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
