package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/closedport"
)

// newRefusedWorld is one whose API server may refuse the operator something.
func newRefusedWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, func(w *world) { w.writes.mayBeRefused = true })
}

// forbid lets the API server refuse an operation on a kind in the test's namespace, until it is allowed again. The probe is a
// request of that kind: the API server learns of policies after a while.
func (w *world) forbid(operation admissionv1.OperationType, kind, expression string, probe func(context.Context) error) (allow func()) {
	w.Helper()
	name := w.namespace + "-" + strings.ReplaceAll(kind, "/", "-") + "-" + strings.ToLower(string(operation))
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: ptr.To(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{operation},
					Rule:       admissionv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{kind}},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: expression, Message: "the freeze of\x1b[31m December"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}
	w.must(api.client.Create(w.Context(), policy))
	w.must(api.client.Create(w.Context(), binding))
	remove := func() {
		_ = api.client.Delete(context.Background(), binding) // gone already, where the test has allowed it
		_ = api.client.Delete(context.Background(), policy)
	}
	w.Cleanup(remove)
	inForce := func(want bool) {
		w.until(func(ctx context.Context) string {
			err := probe(ctx)
			if is := err != nil && strings.Contains(err.Error(), "the freeze of"); is != want {
				return fmt.Sprintf("that the policy is in force is not yet %t: %v", want, err)
			}
			return ""
		})
	}
	inForce(true)
	return func() {
		remove()
		inForce(false)
	}
}

func (w *world) probeCreate(ctx context.Context) error {
	return api.client.Create(ctx, w.run("probe"), client.DryRunAll)
}

// refusedExport waits until an export reports what the API server refuses, in words that are harmless.
func (w *world) refusedExport(words ...string) {
	w.Helper()
	export := eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRequestRefused, words...)
	})
	if problem := condition(export.Status.Conditions, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonRequestRefused); problem != "" {
		w.Error(problem)
	}
	if said := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady).Message; strings.Contains(said, "\x1b") {
		w.Errorf("the message %q is obeyed by terminals", said)
	}
	w.expectEvent("monthly", v1alpha1.ReasonRequestRefused)
}

func TestRefusalToCreateTheRunThatIsDue(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		refuse func(*world) (allow func())
		words  string
	}{
		"by a quota": {func(w *world) func() {
			quota := w.quota(0, 0)
			return func() { w.must(api.client.Delete(w.Context(), quota)) }
		}, "exceeded quota: runs"},
		"by a policy": {func(w *world) func() {
			return w.forbid(admissionv1.Create, "exportruns", "false", w.probeCreate)
		}, "the freeze of"},
		"by a webhook that does not answer": {func(w *world) func() { return w.brokenWebhook() }, "failed calling webhook"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRefusedWorld(t)
			allow := test.refuse(w)
			w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
			w.refusedExport("create ExportRun monthly-", test.words)
			allow()
			export := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)) // by itself
			if problem := exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady)(export); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// quota lets the API server admit so many runs, of which some are used. Its controller is not there: the test counts.
func (w *world) quota(hard, used int64) *corev1.ResourceQuota {
	w.Helper()
	const runs = "count/exportruns.accounting.ledgerport.dev"
	list := func(n int64) corev1.ResourceList {
		return corev1.ResourceList{runs: *resource.NewQuantity(n, resource.DecimalSI)}
	}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "runs", Namespace: w.namespace}, Spec: corev1.ResourceQuotaSpec{Hard: list(hard)}}
	w.must(api.client.Create(w.Context(), quota))
	w.useQuota(quota, used)
	w.until(func(ctx context.Context) string {
		err := w.probeCreate(ctx)
		if full := err != nil && strings.Contains(err.Error(), "exceeded quota"); full != (hard <= used) {
			return fmt.Sprintf("the quota is not in force yet: %v", err)
		}
		return ""
	})
	return quota
}

func (w *world) useQuota(quota *corev1.ResourceQuota, used int64) {
	w.Helper()
	w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(quota), quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{}}
	for counted := range quota.Spec.Hard {
		quota.Status.Used[counted] = *resource.NewQuantity(used, resource.DecimalSI)
	}
	w.must(api.client.Status().Update(w.Context(), quota))
}

// brokenWebhook is asked about every run that is created in the namespace, and does not answer.
func (w *world) brokenWebhook() (allow func()) {
	w.Helper()
	webhook := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "runs.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr.To(admissionv1.SideEffectClassNone), TimeoutSeconds: ptr.To[int32](1),
			ClientConfig:      admissionv1.WebhookClientConfig{URL: ptr.To("https://" + closedport.New(w.T).String() + "/")},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"exportruns"}},
			}},
		}},
	}
	w.must(api.client.Create(w.Context(), webhook))
	allow = func() { _ = api.client.Delete(context.Background(), webhook) } // gone already, where the test has allowed it
	w.Cleanup(allow)
	w.until(func(ctx context.Context) string {
		if err := w.probeCreate(ctx); err == nil {
			return "the webhook is not in force yet"
		}
		return ""
	})
	return allow
}

func TestQuotaOfRunsIsMetByPruningFirst(t *testing.T) {
	t.Parallel()
	w := newRefusedWorld(t)
	first := w.history(w.destination())
	w.nextRun("second")
	quota := w.quota(2, 2)
	w.request("third")
	w.refusedExport("exceeded quota")
	w.hoursPass()
	w.gone(first)
	w.useQuota(quota, 1)
	w.touch(w.export())
	eventually(w, w.export(), lastRunIsNot("second"))
}

func TestRefusalToDeleteWhatIsBeyondHistory(t *testing.T) {
	t.Parallel()
	w := newRefusedWorld(t)
	first := w.history(w.destination())
	w.nextRun("second")
	allow := w.forbid(admissionv1.Delete, "exportruns", "false", func(ctx context.Context) error {
		return api.client.Delete(ctx, w.run("first"), client.DryRunAll)
	})
	w.hoursPass()
	w.request("third")
	refused := func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionHistoryPruned, metav1.ConditionFalse, v1alpha1.ReasonRequestRefused, "delete ExportRun first", "the freeze of")
	}
	eventually(w, w.export(), refused)
	export := eventually(w, w.export(), lastRunIsNot("second")) // runs begin meanwhile
	if problem := exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady)(export); problem != "" {
		t.Error(problem)
	}
	w.expectEvent("monthly", v1alpha1.ReasonRequestRefused)
	allow()
	w.touch(w.export()) // by the clock it has been refused for hours, and the next try is in minutes
	w.gone(first)
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionHistoryPruned) != nil {
			return "it still says that runs cannot be deleted"
		}
		return ""
	})
}

func TestRefusalToProtectARunOrItsExport(t *testing.T) {
	t.Parallel()
	w := newRefusedWorld(t)
	allow := w.forbid(admissionv1.Update, "accountingexports", "!has(object.metadata.finalizers)", func(ctx context.Context) error {
		probe := w.export()
		probe.Name, probe.Spec.Suspend = "probe", true
		if err := client.IgnoreAlreadyExists(api.client.Create(ctx, probe)); err != nil {
			return err
		}
		return api.client.Patch(ctx, probe, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":["example.com/probe"]}}`)), client.DryRunAll)
	})
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	w.refusedExport("put a finalizer on AccountingExport monthly", "the freeze of")
	allow()
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))

	w.create(w.run("waiting"))
	eventually(w, w.run("waiting"), runIs(v1alpha1.RunSucceeded))
	allow = w.forbid(admissionv1.Update, "exportruns", "!has(object.metadata.finalizers)", func(ctx context.Context) error {
		return api.client.Patch(ctx, w.run("waiting"), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":["example.com/probe"]}}`)), client.DryRunAll)
	})
	w.create(w.run("by-hand"))
	run := eventually(w, w.run("by-hand"), func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRequestRefused, "put owner and finalizer on ExportRun by-hand")
	})
	if run.Status.Phase != v1alpha1.RunPending || run.Status.Attempts != 0 {
		t.Errorf("a run that nothing protects has begun: %+v", run.Status)
	}
	allow()
	eventually(w, w.run("by-hand"), runIs(v1alpha1.RunSucceeded))
}

func TestRefusalOfAStatusIsAnEvent(t *testing.T) {
	t.Parallel()
	w := newRefusedWorld(t)
	w.create(w.chart())
	eventually(w, w.chartNow(), observedChart)
	allow := w.forbid(admissionv1.Update, "chartsofaccounts/status", "false", func(ctx context.Context) error {
		return api.client.Status().Patch(ctx, w.chartNow(), client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":7}}`)), client.DryRunAll)
	})
	w.merge(w.chartNow(), `{"spec":{"currency":"SEK"}}`)
	w.expectEvent("books", v1alpha1.ReasonRequestRefused)
	allow()
	eventually(w, w.chartNow(), observedChart)
}

func (w *world) chartNow() *v1alpha1.ChartOfAccounts {
	chart := w.chart()
	chart.Namespace = w.namespace
	return chart
}

func observedChart(chart *v1alpha1.ChartOfAccounts) string {
	if chart.Status.ObservedGeneration != chart.Generation {
		return "it was not looked at"
	}
	return condition(chart.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestRunOfAnExportThatIsBeingDeletedDoesNotBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	export := w.export()
	export.Finalizers = []string{"example.com/held"} // by something else
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	w.must(api.client.Delete(t.Context(), w.export()))
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		if slices.Contains(export.Finalizers, v1alpha1.ExportFinalizer) {
			return "our finalizer is still there"
		}
		return ""
	})
	w.create(w.run("late"))
	run := eventually(w, w.run("late"), runIs(v1alpha1.RunFailed))
	if run.Status.Attempts != 0 || w.count(`select count(*) from ledgerport.runs`) != 0 {
		t.Errorf("the run has begun: %+v", run.Status)
	}
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExportNotFound, "is being deleted"); problem != "" {
		t.Error(problem)
	}
	w.merge(w.export(), `{"metadata":{"finalizers":null}}`)
}

func TestRefusedRequestsAreTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	w := newRefusedWorld(t)
	w.forbid(admissionv1.Create, "exportruns", "false", w.probeCreate)
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	w.refusedExport("create ExportRun")
	w.hoursPass()
	w.until(func(context.Context) string {
		if len(w.writes.take()) == 0 {
			return "it is not tried again"
		}
		return ""
	})
	w.exec(`select pg_sleep(6)`)
	if written := w.writes.take(); len(written) > 3 { // what it refers to is looked at again, too, and each look may ask once
		t.Errorf("after an hour it is tried every second: %q", written)
	}
}

// TestARunThatCannotBeAnnouncedKeepsNoPlace has previews, which take no turns, in a namespace with one place.
func TestARunThatCannotBeAnnouncedKeepsNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.writes.mayBeRefused, w.perNamespace = true, 1 })
	w.create(w.secret(), w.source(), w.chart(), w.destination(), w.export())
	eventually(w, w.export(), exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
	preview := func(name string) *v1alpha1.ExportRun {
		run := w.run(name)
		run.Spec.Type = v1alpha1.RunPreview
		return run
	}
	refused := preview("refused")
	probe := preview("refused-probe")
	w.create(probe)
	eventually(w, probe, runIs(v1alpha1.RunSucceeded))
	w.forbid(admissionv1.Update, "exportruns/status", "!object.metadata.name.startsWith('refused')", func(ctx context.Context) error {
		if err := api.client.Get(ctx, client.ObjectKeyFromObject(probe), probe); err != nil {
			return err
		}
		return api.client.Status().Update(ctx, probe, client.DryRunAll)
	})
	w.create(refused)
	w.until(func(ctx context.Context) string {
		if err := api.client.Get(ctx, client.ObjectKeyFromObject(refused), refused); err != nil || len(refused.Finalizers) == 0 {
			return fmt.Sprintf("the run has not been looked at: %v", err)
		}
		return ""
	})
	other := preview("other")
	w.create(other)
	eventually(w, other, runIs(v1alpha1.RunSucceeded))
}
