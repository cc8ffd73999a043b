package offline_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
)

// resources are valid together. Lines matter: the tests change some and name them.
const resources = `# A comment.
apiVersion: v1
kind: Namespace
metadata: {name: acme, labels: {tenant: "true", org: o1}}
---
apiVersion: accounting.ledgerport.dev/v1alpha1
kind: ClaimSource
metadata: {name: claims, namespace: expenses}
spec:
  postgres:
    connectionSecretRef: {name: claims-db, key: url}
    claims: {table: public.claims}
    lines: {table: public.claim_lines}
  access:
  - namespaceSelector: {matchLabels: {tenant: "true"}}
    organizationIDFromNamespaceLabel: org
---
apiVersion: accounting.ledgerport.dev/v1alpha1
kind: ChartOfAccounts
metadata: {name: acme, namespace: acme}
spec:
  currency: EUR
  accounts:
  - {number: "4660", name: Travel}
  - {number: "1740", name: Owed to employees}
  rules:
  - match:
      expression: line.category == 'travel'
    account: "4660"
  offset: {account: "1740"}
---
apiVersion: accounting.ledgerport.dev/v1alpha1
kind: ExportDestination
metadata: {name: finance, namespace: acme}
spec:
  filesystem: {path: finance}
---
apiVersion: accounting.ledgerport.dev/v1alpha1
kind: AccountingExport
metadata:
  name: monthly
  namespace: acme
spec:
  organizationID: o1
  sourceRef: {name: claims, namespace: expenses}
  chartOfAccountsRef: {name: acme}
  destinationRef: {name: finance}
  exporter:
    type: csv
    options:
      columns:
      - name: account
        value: line.account
  schedule: "0 6 1 * *"
  timeZone: Europe/Berlin
  posting: {date: ExpenseDate, openFrom: "2026-10-01"}
`

func validate(t *testing.T, content string, partial bool) []string {
	t.Helper()
	found, err := offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), []string{offline.Stdin}, strings.NewReader(content), partial)
	if err != nil {
		t.Fatal(err)
	}
	findings := []string{}
	for _, finding := range found.Findings {
		findings = append(findings, finding.String())
	}
	return findings
}

func TestEveryWrongOptionIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	spoilt := strings.Replace(resources, "      columns:\n", "      delimiter: \"+\"\n      quote: never\n      column: 1\n      fileName: a/b\n      columns:\n", 1)
	want := []string{
		`<stdin>:51: AccountingExport acme/monthly: spec.exporter.options.delimiter: "+" is not one of`,
		`<stdin>:52: AccountingExport acme/monthly: spec.exporter.options.quote: "never" is not one of ["minimal" "always"]`,
		`<stdin>:53: AccountingExport acme/monthly: spec.exporter.options.column: is not an option of this exporter`,
		`<stdin>:54: AccountingExport acme/monthly: spec.exporter.options.fileName: has a path separator`,
	}
	got := validate(t, spoilt, false)
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%s, want %s…", got[i], want[i])
		}
	}
}

func TestWhatIsWrongIsNamedWithItsLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"a field that does not exist", "  timeZone:", "  timezone:", `<stdin>:55: AccountingExport acme/monthly: spec.timezone: there is no such field`},
		{"a field that is missing", "  chartOfAccountsRef: {name: acme}\n", "", `<stdin>:43: AccountingExport acme/monthly: spec.chartOfAccountsRef: Required value`},
		{"a wrong type", "  currency: EUR", "  currency: 7", `<stdin>:22: ChartOfAccounts acme/acme: spec.currency: Invalid value: "integer"`},
		{"an organisation that is a number", "organizationID: o1", "organizationID: 007", `spec.organizationID in body must be of type string: "integer"; write it in quotes: "007"`},
		{"an account that is a number", "    account: \"4660\"", "    account: 4660", `must be of type string: "integer"; write it in quotes: "4660"`},
		{"a text that is a map", "  currency: EUR", "  currency: {}", `must be of type string: "object"`},
		{"a value that breaks a pattern", "  offset: {", "  fiscalYearStart: 31-12\n  offset: {", `<stdin>:30: ChartOfAccounts acme/acme: spec.fiscalYearStart: Invalid value`},
		{"a rule of the schema in CEL", "  schedule:", "  deadline: 1ms\n  schedule:", `<stdin>:54: AccountingExport acme/monthly: spec.deadline: Invalid value: "1ms": deadline is between 1s and 24h`},
		{"a field twice", "  schedule:", "  timeZone: UTC\n  schedule:", `<stdin>:56: is not YAML: key "timeZone" already set in map`},
		{"no YAML", "  currency: EUR", "  currency: [", `<stdin>:23: is not YAML:`},
		{"no resource", "kind: ChartOfAccounts\n", "", `<stdin>:18: has no apiVersion or no kind`},
		{"no such kind", "kind: ExportDestination", "kind: ExportDestiny", `<stdin>:32: ExportDestiny acme/finance: the API has no kind ExportDestiny`},
		{"another version", "/v1alpha1\nkind: ChartOfAccounts", "/v1\nkind: ChartOfAccounts", `the API has no kind ChartOfAccounts in version accounting.ledgerport.dev/v1`},
		{"a name that is none", "name: monthly", "name: Monthly", `<stdin>:41: AccountingExport acme/Monthly: metadata.name: a lowercase RFC 1123 subdomain`},
		{"an account that is not defined", "    account: \"4660\"", "    account: \"4661\"", `<stdin>:29: ChartOfAccounts acme/acme: spec.rules[0].account: account "4661" is not in spec.accounts`},
		{"an expression that does not compile", "line.category ==", "line.colour ==", `<stdin>:28: ChartOfAccounts acme/acme: spec.rules[0].match.expression: the expression does not compile: 1:1`},
		{"a schedule that is none", "0 6 1 * *", "0 6 1 *", `<stdin>:54: AccountingExport acme/monthly: spec.schedule: `},
		{"a schedule that never falls due", "0 6 1 * *", "0 6 30 2 *", `<stdin>:54: AccountingExport acme/monthly: spec.schedule: "0 6 30 2 *" never falls due`},
		{"a time zone that is none", "Europe/Berlin", "Europe/Berln", `<stdin>:55: AccountingExport acme/monthly: spec.timeZone: "Europe/Berln" is not a time zone`},
		{"a date that is none", "2026-10-01", "2026-13-01", `<stdin>:56: AccountingExport acme/monthly: spec.posting.openFrom: `},
		{"an unknown exporter", "type: csv", "type: cvs", `<stdin>:49: AccountingExport acme/monthly: spec.exporter.type "cvs" is not built into this operator`},
		{"an unknown option", "      columns:", "      column: 1\n      columns:", `<stdin>:51: AccountingExport acme/monthly: spec.exporter.options.column: is not an option of this exporter`},
		{"an option that does not compile", "value: line.account", "value: line.acount", `<stdin>:53: AccountingExport acme/monthly: spec.exporter.options.columns[0].value: the expression does not compile: 1:1`},
		{"a source that is not there", "sourceRef: {name: claims", "sourceRef: {name: claim", `<stdin>:45: AccountingExport acme/monthly: spec.sourceRef: ClaimSource expenses/claim is not among the files`},
		{"a chart that is not there", "chartOfAccountsRef: {name: acme}", "chartOfAccountsRef: {name: acne}", `<stdin>:46: AccountingExport acme/monthly: spec.chartOfAccountsRef: ChartOfAccounts acme/acne is not among the files`},
		{"a destination that is not there", "destinationRef: {name: finance}", "destinationRef: {name: france}", `<stdin>:47: AccountingExport acme/monthly: spec.destinationRef: ExportDestination acme/france is not among the files`},
		{"an organisation that is not admitted", "organizationID: o1", "organizationID: o2", `<stdin>:45: AccountingExport acme/monthly: spec.sourceRef: ClaimSource expenses/claims does not admit organisation o2`},
		{"host keys that are none", "  filesystem: {path: finance}", "  sftp: {host: a, user: b, knownHosts: SHA256 abc def, credentialsSecretRef: {name: c}}",
			`<stdin>:36: ExportDestination acme/finance: spec.sftp.knownHosts has a line that is none of a known_hosts file`},
		{"a resource twice", "# A comment.", "apiVersion: v1\nkind: Namespace\nmetadata: {name: acme}\n---", `<stdin>:5: Namespace /acme: there is another Namespace of this name`},
	} {
		got := validate(t, strings.Replace(resources, test.old, test.new, 1), false)
		if test.want == "" && len(got) > 0 || test.want != "" && !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, test.want) }) {
			t.Errorf("%s:\n%s\nwant %s", test.name, strings.Join(got, "\n"), test.want)
		}
	}
}

func TestWhatIsElsewhereIsAcceptedWhereSaid(t *testing.T) {
	t.Parallel()
	documents := strings.Split(resources, "---\n")
	alone := documents[len(documents)-1]
	if got := validate(t, alone, false); len(got) != 3 {
		t.Errorf("an export alone: %q, want three references that are missing", got)
	}
	if got := validate(t, alone, true); len(got) > 0 {
		t.Errorf("an export alone, in part: %q", got)
	}
	withoutNamespace := strings.Join(documents[1:], "---\n")
	if got := validate(t, withoutNamespace, false); len(got) > 0 {
		t.Errorf("the labels of the namespace are not known, and yet: %q", got)
	}
}

func TestAllSamplesAreValid(t *testing.T) {
	t.Parallel()
	found, err := offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), []string{filepath.Join("..", "..", "config", "samples")}, nil, false)
	if err != nil || len(found.Findings) > 0 || found.Checked < 7 {
		t.Errorf("%d resources (%v): %v", found.Checked, err, found.Findings)
	}
}

func TestFilesThatAreNotThereAreAnError(t *testing.T) {
	t.Parallel()
	if _, err := offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), []string{"no-such-file.yaml"}, nil, false); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(resources)
	f.Add("{}")
	f.Add("a: &a [*a]")
	f.Add("---\n--- {kind: AccountingExport, apiVersion: accounting.ledgerport.dev/v1alpha1}\n")
	f.Fuzz(func(t *testing.T, content string) { validate(t, content, false) })
}
