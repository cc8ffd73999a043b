package credentials

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/test/cputime"
)

func TestVariablesAreNamedAsDocumented(t *testing.T) {
	t.Parallel()
	const want = "LEDGERPORT_CREDENTIALS__ClaimSource__acme__claims_dof_d2026__ca_pcrt_ux"
	if got := EnvironmentVariable("ClaimSource", "acme", "claims-of-2026", "ca.crt_x"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNoTwoCredentialsShareAVariable draws parts from the characters that could run into each other.
func TestNoTwoCredentialsShareAVariable(t *testing.T) {
	t.Parallel()
	name, key := rapid.StringMatching(`[a_dpu][a-u0.-]{0,4}[a-u]?`), rapid.StringMatching(`[adpu0._-]{1,6}`)
	identifier := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	rapid.Check(t, func(t *rapid.T) {
		a := [3]string{name.Draw(t, "namespace"), name.Draw(t, "name"), key.Draw(t, "key")}
		b := [3]string{name.Draw(t, "other namespace"), name.Draw(t, "other name"), key.Draw(t, "other key")}
		of := func(x [3]string) string { return EnvironmentVariable("AccountingExport", x[0], x[1], x[2]) }
		if a != b && of(a) == of(b) {
			t.Fatalf("%q and %q share %s", a, b, of(a))
		}
		if !identifier.MatchString(of(a)) {
			t.Fatalf("%s is no name of a variable in every shell", of(a))
		}
	})
}

func TestOfTwoCredentialsOfAResourceEachFallbackAndTheEarlierEndCount(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for _, test := range []struct{ one, other, want Credentials }{
		{Credentials{StaleAt: late}, Credentials{StaleAt: early, Fallback: "b"}, Credentials{StaleAt: early, Fallback: "b"}},
		{Credentials{StaleAt: early, Fallback: "a"}, Credentials{StaleAt: late, Fallback: "b"}, Credentials{StaleAt: early, Fallback: "a"}},
		{Credentials{}, Credentials{StaleAt: late}, Credentials{StaleAt: late}},
		{Credentials{StaleAt: late}, Credentials{}, Credentials{StaleAt: late}},
	} {
		if got := test.one.Beside(test.other); got.StaleAt != test.want.StaleAt || got.Fallback != test.want.Fallback {
			t.Errorf("%+v beside %+v is %+v", test.one, test.other, got)
		}
	}
}

func TestTheEnvironmentIsNotAskedWithoutKeys(t *testing.T) {
	t.Parallel()
	secrets := Secrets{Environment: func(string) (string, bool) { return "value", true }}
	broken := refused(v1alpha1.ReasonSecretNotFound, nil, "there is none")
	if _, err := secrets.fromEnvironment(Reference{}, broken); failure.From(err).Reason != v1alpha1.ReasonSecretNotFound {
		t.Errorf("%v, want the failure of the store", err)
	}
}

func TestOnlyABrokenStoreIsReplaced(t *testing.T) {
	t.Parallel()
	tests := map[v1alpha1.Reason]bool{
		v1alpha1.ReasonExternalSecretsNotInstalled: true, v1alpha1.ReasonExternalSecretNotReady: true,
		v1alpha1.ReasonExternalSecretStale: true, v1alpha1.ReasonSecretNotFound: true,
		v1alpha1.ReasonExternalSecretNotFound: false, v1alpha1.ReasonExternalSecretUnreadable: false,
		v1alpha1.ReasonSecretKeyMissing: false, v1alpha1.ReasonSecretUnreadable: false, v1alpha1.ReasonLoginRefused: false,
	}
	for reason, want := range tests {
		if got := storeIsBroken(refused(reason, nil, "")); got != want {
			t.Errorf("%s: %t, want %t", reason, got, want)
		}
	}
}

func TestAMessageThatQuotesAValueIsNotPassedOn(t *testing.T) {
	t.Parallel()
	data := map[string][]byte{"password": []byte("hunter2\n"), "port": []byte("22"), "empty": nil, "key": []byte("BEGIN\nlittle-by-little\nEND\n")}
	for message, want := range map[string]bool{
		"no access for hunter2": true, "no access at port 22": false, "": false, strings.Repeat("x", 1000): false,
		strings.Repeat("x", 296) + "hunter2": true, strings.Repeat("x", 301) + "hunter2": false,
		"no access for aHVudGVyMgo=": true, "no access for aHVudGVyMgo": true, "BEGIN little-by-little END": true, `"little-by-little\n"`: true,
	} {
		if got := quotes(message, 300, data); got != want {
			t.Errorf("%q: %t, want %t", message, got, want)
		}
	}
}

// TestALongMessageAndALargeSecretAreComparedOnce has both at the size that the API server takes.
func TestALongMessageAndALargeSecretAreComparedOnce(t *testing.T) {
	t.Parallel()
	data := map[string][]byte{"lines": []byte(strings.Repeat("aaab\n", 100_000))}
	for i := range 50_000 {
		data[fmt.Sprint(i)] = fmt.Appendf(nil, "aab%d", i)
	}
	message := strings.Repeat("a", 1<<20)
	took := cputime.Of(t, func() {
		if quotes(message, 300, data) {
			t.Error("a value is found that the message does not have")
		}
	})
	if took > 2*time.Second {
		t.Errorf("a look takes %s", took)
	}
}

func TestAForeignMessageIsOneShortLine(t *testing.T) {
	t.Parallel()
	secrets := Secrets{API: fake.NewClientBuilder().Build()}
	for message, want := range map[string]string{
		"403 from\nvault":          "403 from vault",
		"\x1b[31mred\x00\u202e":    `\x1b[31mred\x00\u202e`,
		strings.Repeat("x", 1<<20): strings.Repeat("x", 297) + "…",
		strings.Repeat("ø", 1<<10): strings.Repeat("ø", 148) + "…",
	} {
		if got := secrets.passOn(t.Context(), message, "acme", "portal"); got != want {
			t.Errorf("%.40q became %.400q", message, got)
		}
	}
}
