package helm_test

import (
	"strings"
	"testing"
	"time"
)

func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ values, about string }{
		"an unknown value":                     {"replicaCount: 3", "replicaCount"},
		"an unknown flag":                      {"flags: {maxConcurrentRun: 3}", "maxConcurrentRun"},
		"a flag as the program writes it":      {"flags: {max-concurrent-runs: 3}", "max-concurrent-runs"},
		"a text for a number":                  {`flags: {maxConcurrentRuns: "3"}`, "maxConcurrentRuns"},
		"a number that is too small":           {"flags: {maxConcurrentRuns: 0}", "maxConcurrentRuns"},
		"a text for a boolean":                 {`flags: {allowPlainHttp: "true"}`, "allowPlainHttp"},
		"a duration without a unit":            {`flags: {recheckInterval: "5"}`, "recheckInterval"},
		"a number for a duration":              {"flags: {recheckInterval: 5}", "recheckInterval"},
		"a text for a list":                    {"flags: {namespaces: acme}", "namespaces"},
		"a list within a text":                 {`flags: {namespaces: ["acme,nordwind"]}`, "namespaces"},
		"a relative path":                      {"flags: {spoolDirectory: spool}", "spoolDirectory"},
		"an address without a port":            {"flags: {metricsBindAddress: localhost}", "metricsBindAddress"},
		"a level that the log does not have":   {"flags: {logLevel: trace}", "logLevel"},
		"a size that is none":                  {"spool: {sizeLimit: 10 GB}", "sizeLimit"},
		"a policy of admission that is none":   {"admissionPolicies: {organisation: true}", "organisation"},
		"a digest that is none":                {"image: {digest: latest}", "digest"},
		"a pull policy that is none":           {"image: {pullPolicy: Sometimes}", "pullPolicy"},
		"an access mode that cannot be shared": {"exports: {accessModes: [ReadOnlyMany]}", "accessModes"},
		"a number for a label":                 {"podLabels: {team: 7}", "podLabels"},
		"a port that is none":                  {"networkPolicy: {ports: [70000]}", "ports"},
		"metrics for no one":                   {"networkPolicy: {metricsFrom: []}", "metricsFrom"},
		"metrics without an address":           {`{metrics: {service: true}, flags: {metricsBindAddress: "0"}}`, "metricsBindAddress"},
		"books without an address":             {`{books: {enabled: true}, flags: {booksBindAddress: "0"}}`, "booksBindAddress"},
		"books without a certificate":          {"books: {enabled: true, certManager: false}", "caBundle"},
		"a console without books":              {"console: {enabled: true}", "books.enabled"},
		"a console without TLS":                {`console: {publicUrl: "http://ledgerport.example.com"}`, "publicUrl"},
		"impersonation without a provider":     {"{books: {enabled: true}, console: {enabled: true, oidc: {impersonate: true}}}", "issuerUrl"},
		"consoles without the same keys":       {"{books: {enabled: true}, console: {enabled: true, replicas: 2}}", "console.secret"},
		"two operators at once":                {"flags: {leaderElect: false}", "leaderElect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := templates(load(t), releaseName, values(t, test.values)); err == nil || !strings.Contains(err.Error(), test.about) {
				t.Errorf("%s: %v, want an error about %s", test.values, err, test.about)
			}
		})
	}
}

// committedAt stands for the time of a commit.
func committedAt(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, "2026-11-30T01:00:00Z")
	must(t, err)
	return at
}
