package docs_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// TestTheTableOfVersionsIsWhatIsRun compares the page with what these tests run on, and with what the chart lets be installed.
func TestTheTableOfVersionsIsWhatIsRun(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs/compatibility.md")
	const again = "run `make compatibility`, which writes the table"
	for server, version := range map[string]string{"Kubernetes": environment.KubernetesVersion, "PostgreSQL": postgresVersion(t)} {
		if !regexp.MustCompile(`\n\| ` + server + ` \| ` + regexp.QuoteMeta(version) + `[^|]* \| .* \| passed \|\n`).MatchString(page) {
			t.Errorf("docs/compatibility.md does not have %s %s as passed: %s", server, version, again)
		}
	}
	if strings.Contains(page, "**failed**") {
		t.Error("docs/compatibility.md has a version with which a test failed")
	}
	oldest := regexp.MustCompile(`\| Kubernetes \| (1\.\d+) and newer \|`).FindStringSubmatch(page)
	if oldest == nil {
		t.Fatal("docs/compatibility.md does not say which Kubernetes is the oldest")
	}
	if chart := read(t, "../../charts/ledgerport/Chart.yaml"); !strings.Contains(chart, fmt.Sprintf("kubeVersion: \">=%s.0-0\"", oldest[1])) {
		t.Errorf("docs/compatibility.md says Kubernetes %s, and Chart.yaml says another", oldest[1])
	}
	if !strings.Contains(page, "\n| Kubernetes | v"+oldest[1]+".") {
		t.Errorf("docs/compatibility.md has no run with Kubernetes %s: %s", oldest[1], again)
	}
}

// postgresVersion is the major version that these tests run on, with its dot.
func postgresVersion(t *testing.T) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), testdb.New(t))
	must(t, err)
	t.Cleanup(func() { must(t, conn.Close(t.Context())) })
	var version int
	must(t, conn.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&version))
	return fmt.Sprintf("%d.", version)
}
