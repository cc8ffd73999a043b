package bundle

import (
	"bytes"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestObject(t *testing.T) {
	t.Parallel()
	const before = `
metadata:
  name: monthly
  managedFields: [{manager: kubectl}]
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"spec": "DE89370400440532013000"}'
    accounting.ledgerport.dev/requestedAt: now
spec:
  schedule: "@daily"
  exporter:
    type: pain001
    options:
      delimiter: ";"
      debtor: {name: Ola Nordmann, iban: NO9386011117947}
      columns: [{name: account, value: line.account}]
      remittance: pay DE89 3704 0044 0532 0130 00 soon
status:
  conditions:
  - {type: Ready, reason: SystemRefused, message: Kari Nordmann has no vendor}
  - {type: DestinationReady, reason: DestinationUnreachable, message: 'https://user:hunter2@example.com/?password=hunter2 does not answer'}
  heldClaims: [{id: "4711", reason: Rejected, message: Kari Nordmann is blocked}]
`
	var content map[string]any
	must(t, yaml.Unmarshal([]byte(before), &content))
	after, err := yaml.Marshal(Object(content))
	must(t, err)
	for _, private := range []string{"DE89", "NO93", "Nordmann", "hunter2", "last-applied", "managedFields"} {
		if bytes.Contains(after, []byte(private)) {
			t.Errorf("%s is left:\n%s", private, after)
		}
	}
	for _, useful := range []string{"requestedAt: now", "schedule: '@daily'", "type: pain001", "delimiter: ;", "value: line.account", "SystemRefused", "DestinationUnreachable", "https://(redacted)@example.com/?password=(redacted) does not answer", "Rejected", "id: \"4711\""} {
		if !strings.Contains(string(after), useful) {
			t.Errorf("%s is lost:\n%s", useful, after)
		}
	}
}

func TestLogLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, line, lacks, has string }{
		{"loses what an accounting system said", `{"msg":"the attempt has failed","reason":"SystemRefused","message":"Kari Nordmann has no vendor"}`, "Kari", "SystemRefused"},
		{"keeps the words of the operator", `{"msg":"the attempt has failed","reason":"SeriesBusy","message":"run x has the series E"}`, redacted, "has the series E"},
		{"loses logins, though it is no object", `dial postgres://app:hunter2@db/claims`, "hunter2", "db/claims"},
		{"loses a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "AAAA", redacted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if kept := logLine(test.line); strings.Contains(kept, test.lacks) || !strings.Contains(kept, test.has) {
				t.Errorf("it is %s", kept)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
