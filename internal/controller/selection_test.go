package controller_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestARunExportsTheClaimsThatItAndItsExportAreFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	export := w.export()
	export.Spec.Claims = &v1alpha1.ClaimSelection{Expression: `claim.categories.size() > 0`, ApprovedFrom: &metav1.Time{Time: approvedUntil.AddDate(-1, 0, 0)}}
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	var one string
	w.sql(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT id::text FROM claims WHERE organization_id = $1 LIMIT 1`, w.organization).Scan(&one)
	})
	first := w.run("first")
	first.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{one, "nothing"}}
	w.create(first)
	done := eventually(w, first, runIs(v1alpha1.RunSucceeded))
	ready := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionReady)
	if done.Status.Claims != 1 || !strings.Contains(ready.Message, "1 of the claims that the run names") {
		t.Errorf("it has exported %d claims: %s", done.Status.Claims, ready.Message)
	}
	change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"claims":{"ids":["another"]}}}`))
	if err := api.client.Patch(t.Context(), first, change); err == nil {
		t.Error("the claims of a run were changed")
	}
	rest := w.run("rest")
	w.create(rest)
	if done := eventually(w, rest, runIs(v1alpha1.RunSucceeded)); done.Status.Claims != 2 {
		t.Errorf("the next run has exported %d claims, want the other two", done.Status.Claims)
	}
}
