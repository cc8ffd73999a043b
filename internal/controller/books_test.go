package controller_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestTwoExportsOfDifferentBooksExportTheSameClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	posting, paying := w.export(), w.export()
	paying.Name, paying.Spec.Book = "paying", "payments"
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(posting), requested(paying))
	for _, export := range []*v1alpha1.AccountingExport{posting, paying} {
		last := eventually(w, export, lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
		if last.Claims != 3 {
			t.Errorf("%s has exported %d claims, want 3", export.Name, last.Claims)
		}
	}
	change := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"book":"main"}}`))
	if err := api.client.Patch(t.Context(), paying, change); err == nil || !strings.Contains(err.Error(), "book cannot be changed") {
		t.Errorf("the book was changed: %v", err)
	}
}
