package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// ofLedger runs a command of the ledger and returns what it says.
func ofLedger(t *testing.T, url string, arguments ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := New(builtin.Registry())
	command.SetOut(&out)
	command.SetArgs(append([]string{"ledger", "--allow-insecure-databases", "--database-url", url}, arguments...))
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func TestLedgerCommand(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	if _, err := ofLedger(t, url, "show"); err == nil || !strings.Contains(err.Error(), "ledgerport migrate") {
		t.Errorf("without a schema: %v", err)
	}
	database, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: claims.Allowances{Insecure: true}})
	must(t, err)
	t.Cleanup(database.Close)
	must(t, database.Migrate(t.Context()))
	_, err = database.StartAttempt(t.Context(), claims.Attempt{
		RunIdentity: claims.RunIdentity{ID: "1", Namespace: "acme", Export: "monthly", Name: "first", OrganizationID: "1"},
		Holder:      "pod", Cluster: "old", Deadline: time.Minute, Series: "E", Cutoff: time.Now(), Inputs: []byte(`{}`),
	})
	must(t, err)
	first, err := database.Ledger(t.Context())
	must(t, err)

	said, err := ofLedger(t, url, "show")
	must(t, err)
	for _, words := range []string{first.ID, "sequence", `"old"`, `acme/first`, `"started"`} {
		if !strings.Contains(said, words) {
			t.Errorf("show says %q, without %s", said, words)
		}
	}
	if said, err := ofLedger(t, url, "accept"); err != nil || !strings.Contains(said, first.ID) {
		t.Errorf("accept says %q, %v", said, err)
	}
	said, err = ofLedger(t, url, "accept", "--renew")
	must(t, err)
	if renewed, err := database.Ledger(t.Context()); err != nil || renewed.ID == first.ID ||
		!strings.Contains(said, "accounting.ledgerport.dev/accepted-ledger: "+renewed.ID) {
		t.Errorf("the ledger is %+v, %v; and accept says %q", renewed, err, said)
	}
	for _, arguments := range [][]string{{"hand-over"}, {"hand-over", "--run", "1"}, {"hand-over", "--to", "new"}} {
		if _, err := ofLedger(t, url, arguments...); err == nil {
			t.Errorf("%q was done", arguments)
		}
	}
	if said, err := ofLedger(t, url, "hand-over", "--from", "old", "--to", "new"); err != nil || !strings.Contains(said, "handed over: 1") {
		t.Errorf("hand-over says %q, %v", said, err)
	}
	if run, _, err := database.Run(t.Context(), "1"); err != nil || run.Cluster != "new" {
		t.Errorf("the run is of %q, %v", run.Cluster, err)
	}
}

func TestClusterIsTheUIDOfItsSystemNamespace(t *testing.T) {
	t.Parallel()
	system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "4711"}}
	if id, err := clusterID(t.Context(), fake.NewClientBuilder().WithObjects(system).Build(), ""); err != nil || id != "4711" {
		t.Errorf("it is %q, %v", id, err)
	}
	nothing := fake.NewClientBuilder().Build()
	if _, err := clusterID(t.Context(), nothing, ""); err == nil || !strings.Contains(err.Error(), "--cluster-id") {
		t.Errorf("if it cannot be read: %v", err)
	}
	if id, err := clusterID(t.Context(), nothing, "mine"); err != nil || id != "mine" {
		t.Errorf("by the flag it is %q, %v", id, err)
	}
}
