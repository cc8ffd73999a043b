package command

import (
	"bytes"
	"strings"
	"testing"
)

// TestLogsAreThoseOfOneRun reads lines as two pods of an operator write them.
func TestLogsAreThoseOfOneRun(t *testing.T) {
	t.Parallel()
	const first = `{"time":"2026-11-30T03:43:17.26Z","level":"INFO","msg":"the attempt begins","namespace":"acme","exportRun":"monthly-1","attempt":1,"work":"Export","deadline":"10m0s"}
{"time":"2026-11-30T03:43:17.30Z","level":"INFO","msg":"the attempt has failed","namespace":"acme","exportRun":"monthly-1","attempt":1,"stage":"Preflight","seconds":0.22,"reason":"DatabaseUnreachable","message":"the database does not answer\u001b[2J"}
{"time":"2026-11-30T03:43:17.40Z","level":"INFO","msg":"the attempt begins","namespace":"other","exportRun":"monthly-1","attempt":1}
{"time":"2026-11-30T03:43:17.50Z","level":"INFO","msg":"the attempt has failed","namespace":"other","exportRun":"weekly","message":"\"namespace\":\"acme\",\"exportRun\":\"monthly-1\""}
no JSON "namespace":"acme","exportRun":"monthly-1"
`
	const second = `{"time":"2026-11-30T03:43:17.28Z","level":"INFO","msg":"the attempt goes on elsewhere","namespace":"acme","exportRun":"monthly-1"}
{"time":"2026-11-30T03:43:17.29Z","level":"INFO","msg":"the attempt begins","namespace":"acme","exportRun":"monthly-10","attempt":1}
`
	for whole, want := range map[bool]string{
		false: "2026-11-30T03:43:17.26Z the attempt begins, attempt 1\n2026-11-30T03:43:17.30Z the attempt has failed, attempt 1, stage Preflight, 0.22 s (DatabaseUnreachable): the database does not answer\\x1b[2J\n" +
			"2026-11-30T03:43:17.28Z the attempt goes on elsewhere\n",
		true: strings.Join(strings.SplitAfter(first, "\n")[:2], "") + strings.SplitAfter(second, "\n")[0],
	} {
		var lines []logged
		for _, log := range []string{first, second} {
			var err error
			lines, err = appendLogged(lines, strings.NewReader(log), "acme", "monthly-1")
			must(t, err)
		}
		var out bytes.Buffer
		must(t, writeLogged(&out, lines, whole))
		if out.String() != want {
			t.Errorf("it prints\n%s\nwant\n%s", out.String(), want)
		}
	}
}
