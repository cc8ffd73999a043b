package controller_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// postTo makes everything for a requested run whose vouchers are sent to an accounting system. One of its six claims is for a
// hotel, which is posted to the account 4680.
func (w *world) postTo(server *bc.Server, more map[string]any) {
	w.Helper()
	w.fill(6)
	w.exec(`update claim_lines set category = case when claim_id = (select id from claims order by approved_at limit 1) then 'hotel' else 'travel' end`)
	chart := w.chart()
	chart.Spec.Accounts = append(chart.Spec.Accounts, v1alpha1.Account{Number: "4680", Name: "Hotels"})
	chart.Spec.Rules = append([]v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Categories: []string{"hotel"}}, Account: "4680", TaxCode: "9"}}, chart.Spec.Rules...)
	all := map[string]any{"tenantID": bc.Tenant, "companyID": bc.Company, "baseURL": server.BaseURL(), "tokenURL": server.TokenURL(), "post": true}
	for name, value := range more {
		all[name] = value
	}
	export := requested(w.export())
	export.Spec.Exporter = v1alpha1.ExporterSpec{Type: "businesscentral", Options: options(all)}
	export.Spec.Credentials = &v1alpha1.CredentialsSpec{SecretRef: &v1alpha1.LocalReference{Name: "businesscentral"}}
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "businesscentral"}, StringData: map[string]string{
		"clientID": bc.ClientID, "clientSecret": bc.ClientSecret, "hosts": "127.0.0.1"}}
	w.create(w.secret(), login, w.source(), chart, w.destination(), export)
}

const (
	unknownAccount = `The "accountNumber" does not match to an Account.`
	closedPeriod   = "Posting Date is not within your range of allowed posting dates"
)

// TestARunTellsWhatTheAccountingSystemDidNotTake has the system refuse vouchers, or to complete them, in each way that ends a run.
func TestARunTellsWhatTheAccountingSystemDidNotTake(t *testing.T) {
	t.Parallel()
	withoutHotels := bc.Settings{Accounts: []string{"4000", "1576", "1740", "2150"}}
	tests := []struct {
		name    string
		system  bc.Settings
		options map[string]any
		phase   v1alpha1.RunPhase
		ready   metav1.ConditionStatus
		reason  string
		words   string
		claims  int64
		held    int64
		export  string // reason of what the export says of its newest run
	}{
		{"one is rejected, and the others are posted", withoutHotels, nil,
			v1alpha1.RunSucceeded, metav1.ConditionTrue, v1alpha1.ReasonVouchersRejected, unknownAccount, 5, 1, v1alpha1.ReasonVouchersRejected},
		{"all are rejected", bc.Settings{Accounts: []string{"1740"}}, nil,
			v1alpha1.RunFailed, metav1.ConditionFalse, v1alpha1.ReasonVouchersRejected, unknownAccount, 0, 6, v1alpha1.ReasonLastRunFailed},
		{"the first is rejected, and stops the run", withoutHotels, map[string]any{"onRejection": "Stop"},
			v1alpha1.RunFailed, metav1.ConditionFalse, v1alpha1.ReasonVouchersRejected, "5 vouchers were not sent", 0, 1, v1alpha1.ReasonLastRunFailed},
		{"all are in the journal, which is not posted", bc.Settings{PostingFrom: "2099-01-01"}, nil,
			v1alpha1.RunIncomplete, metav1.ConditionFalse, v1alpha1.ReasonSystemRefused, closedPeriod, 6, 0, v1alpha1.ReasonLastRunIncomplete},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := bc.New(test.system)
			t.Cleanup(server.Close)
			w := newWorld(t)
			w.postTo(server, test.options)
			export := eventually(w, w.export(), lastRunIs(test.phase))
			run := eventually(w, w.run(export.Status.LastRun.Name), func(run *v1alpha1.ExportRun) string {
				return condition(run.Status.Conditions, v1alpha1.ConditionReady, test.ready, test.reason, test.words)
			})
			if run.Status.Claims != test.claims || run.Status.Held != test.held {
				t.Errorf("%d claims are exported and %d held, want %d and %d", run.Status.Claims, run.Status.Held, test.claims, test.held)
			}
			for _, held := range run.Status.HeldClaims {
				if held.Reason != "Rejected" || held.Message != unknownAccount || held.ID == "" {
					t.Errorf("a claim is held with %+v", held)
				}
			}
			if n := w.count(`select count(*) from ledgerport.exported_claims`); n != test.claims {
				t.Errorf("%d claims are recorded as exported, want %d", n, test.claims)
			}
			if n := w.count(`select count(*) from ledgerport.held_claims where reason = 'Rejected' and message = $1`, unknownAccount); n != test.held {
				t.Errorf("%d claims are recorded as held, want %d", n, test.held)
			}
			eventually(w, w.export(), lastRunSaid(test.ready, test.export))
			if (export.Status.LastSuccessfulRun != nil) != (test.phase == v1alpha1.RunSucceeded) {
				t.Errorf("the last successful run is %v", export.Status.LastSuccessfulRun)
			}
			w.expectEvent(run.Name, test.reason)

			server.Change(bc.Settings{}) // somebody fixes it
			again := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Name: "again", Namespace: w.namespace}, Spec: run.Spec}
			w.create(again)
			rest := eventually(w, again, runIs(v1alpha1.RunSucceeded))
			if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 6 || rest.Status.Claims != 6-test.claims {
				t.Errorf("the next run exports %d claims, and %d are recorded", rest.Status.Claims, n)
			}
			if test.claims < 6 {
				eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
			}
		})
	}
}
