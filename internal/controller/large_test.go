package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller"
	"github.com/ledgerport/ledgerport/internal/footprint"
)

// burden gives an object an owner, an annotation and a label of somebody else, of which the owner is large.
func burden[O client.Object](object O, owner int) O {
	object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: strings.Repeat("o", owner), UID: "theirs"}})
	object.SetAnnotations(map[string]string{"example.com/note": strings.Repeat("n", 10_000)})
	object.SetLabels(map[string]string{"example.com/team": "books"})
	return object
}

// bears insists that an object has its burden still.
func (w *world) bears(object client.Object, owner int) {
	w.Helper()
	w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(object), object))
	owned := slices.ContainsFunc(object.GetOwnerReferences(), func(other metav1.OwnerReference) bool { return other.UID == "theirs" && len(other.Name) == owner })
	if !owned || len(object.GetAnnotations()["example.com/note"]) != 10_000 || object.GetLabels()["example.com/team"] != "books" {
		w.Errorf("%T %s has lost what others have written", object, object.GetName())
	}
}

// TestLargeObjectsWork has all that an export consists of in objects of which the cache keeps a part.
func TestLargeObjectsWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5)
	const large = 70_000
	source, chart, destination, export := burden(w.source(), large), burden(w.chart(), 10), burden(w.destination(), large), burden(w.export(), large)
	for i := range 700 {
		chart.Spec.Accounts = append(chart.Spec.Accounts, v1alpha1.Account{Number: fmt.Sprintf("9%04d", i), Name: strings.Repeat("a", 100)})
	}
	source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDFromNamespaceLabel: organizationLabel}}
	destination.Spec.Access = []v1alpha1.DestinationAccessRule{{}}
	w.create(w.secret(), source, chart, destination, export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))

	// A run that a person makes becomes the export's, and stays theirs.
	first := burden(w.run("first"), large)
	first.Finalizers = []string{"example.com/theirs"}
	w.create(first)
	labelled := w.run("labelled") // of which the cache has all that is read
	labelled.Labels = map[string]string{}
	for i := range 1000 {
		labelled.Labels[fmt.Sprintf("example.com/%060d", i)] = strings.Repeat("x", 60)
	}
	w.create(labelled)
	eventually(w, labelled, runIs(v1alpha1.RunSucceeded))
	if len(labelled.Labels) < 1000 || !metav1.IsControlledBy(labelled, export) {
		t.Errorf("a run has %d labels and %d owners", len(labelled.Labels), len(labelled.OwnerReferences))
	}
	done := eventually(w, w.run("first"), func(run *v1alpha1.ExportRun) string {
		if missing := runIs(v1alpha1.RunSucceeded)(run); missing != "" {
			return missing
		}
		if !slices.Equal(run.Finalizers, []string{"example.com/theirs"}) {
			return fmt.Sprintf("the finalizers are %v", run.Finalizers)
		}
		return ""
	})
	if !metav1.IsControlledBy(done, export) || done.Status.Claims != 5 {
		t.Errorf("it has exported %d claims, and has %d owners", done.Status.Claims, len(done.OwnerReferences))
	}
	w.bears(w.run("first"), large)
	w.bears(w.export(), large)
	w.request("again")
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if export.Status.LastHandledRequest != "again" {
			return "the request is not answered"
		}
		return lastRunIs(v1alpha1.RunSucceeded)(export)
	})
	w.must(api.client.Delete(t.Context(), w.export()))
	w.gone(w.export())
}

// TestARunMayNameClaimsByLongIds has as many claims named as a run may name, with ids as long as they may be.
func TestARunMayNameClaimsByLongIds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	var one string
	w.sql(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT id::text FROM claims LIMIT 1`).Scan(&one)
	})
	run := w.run("named")
	run.Spec.Claims = &v1alpha1.NamedClaims{IDs: []string{one}}
	for i := range 999 {
		run.Spec.Claims.IDs = append(run.Spec.Claims.IDs, fmt.Sprintf("%03d%s", i, strings.Repeat("é", 197)))
	}
	w.create(run)
	done := eventually(w, w.run("named"), runIs(v1alpha1.RunSucceeded))
	if problem := condition(done.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "999 of the claims that the run names"); problem != "" || done.Status.Claims != 1 {
		t.Errorf("it has exported %d claims: %s", done.Status.Claims, problem)
	}
}

// TestLargeObjectsOfOneNamespaceCostOthersNothing measures what a cache keeps of what one tenant may store.
func TestLargeObjectsOfOneNamespaceCostOthersNothing(t *testing.T) {
	t.Parallel()
	theirs := home(t)
	const each, large = 2, 1_390_000
	w := newWorldWith(t, func(w *world) {
		for i := range each {
			name := fmt.Sprintf("large-%d", i)
			for _, object := range []client.Object{burden(w.export(), large), burden(w.run(""), large), burden(w.chart(), large), burden(w.source(), large), burden(w.destination(), large)} {
				object.SetNamespace(theirs)
				object.SetName(name)
				w.create(object)
			}
		}
	}, theirs)
	w.fill(3)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export(), w.run("first"))
	eventually(w, w.run("first"), runIs(v1alpha1.RunSucceeded))
	w.stopOperator() // what it has begun to say of the objects is said

	mgr, err := controller.NewManager(api.operator, ctrl.Options{
		Scheme: newScheme(), Metrics: metricsserver.Options{BindAddress: "0"}, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{theirs: {}}},
	})
	w.must(err)
	go func() { _ = mgr.Start(t.Context()) }() // it ends with the test
	for _, list := range []client.ObjectList{
		&v1alpha1.AccountingExportList{}, &v1alpha1.ExportRunList{}, &v1alpha1.ChartOfAccountsList{}, &v1alpha1.ClaimSourceList{}, &v1alpha1.ExportDestinationList{},
	} {
		w.must(mgr.GetCache().List(t.Context(), list))
		kept, err := json.Marshal(list)
		w.must(err)
		if bytes := footprint.Of(list); len(kept) < each*100 || bytes > each*16<<10 {
			t.Errorf("%d objects of %T with 1.4 MB each take %d bytes", each, list, bytes)
		}
	}
	var run v1alpha1.ExportRun
	w.must(mgr.GetClient().Get(t.Context(), client.ObjectKey{Namespace: theirs, Name: "large-0"}, &run))
	if bytes := footprint.Of(&run); bytes > 16<<10 || run.Spec.ExportRef.Name == "" {
		t.Errorf("a Get returns %d bytes, %+v", bytes, run.Spec)
	}
	w.bears(&run, large)
}
