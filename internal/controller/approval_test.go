package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failpoint"
)

// installPolicies installs policies of config/admission for the namespace of a test alone.
func (w *world) installPolicies(files ...string) {
	w.Helper()
	for _, file := range files {
		content, err := os.ReadFile("../../config/admission/" + file)
		w.must(err)
		for document := range strings.SplitSeq(string(content), "\n---\n") {
			object := &unstructured.Unstructured{}
			w.must(yaml.Unmarshal([]byte(document), &object.Object))
			object.SetName(object.GetName() + "-" + w.namespace)
			if object.GetKind() == "ValidatingAdmissionPolicyBinding" {
				name, _, _ := unstructured.NestedString(object.Object, "spec", "policyName")
				w.must(unstructured.SetNestedField(object.Object, name+"-"+w.namespace, "spec", "policyName"))
				w.must(unstructured.SetNestedStringMap(object.Object, map[string]string{"kubernetes.io/metadata.name": w.namespace}, "spec", "matchResources", "namespaceSelector", "matchLabels"))
			}
			w.must(api.client.Create(w.Context(), object))
			w.Cleanup(func() { _ = api.client.Delete(context.Background(), object) })
		}
	}
}

// person is a client of somebody who may do everything in the cluster, under a name.
func (w *world) person(name string) client.Client {
	w.Helper()
	config := rest.CopyConfig(api.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	made, err := client.New(config, client.Options{Scheme: everyScheme()})
	w.must(err)
	return made
}

// asks has a person ask for a run.
func (w *world) asks(name, person string) *v1alpha1.ExportRun {
	w.Helper()
	asked := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Annotations: map[string]string{v1alpha1.RequestedByAnnotation: person}},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: w.export().Name}},
	}
	w.must(w.person(person).Create(w.Context(), asked))
	return asked
}

// approves has a person approve what a run waits with.
func (w *world) approves(run *v1alpha1.ExportRun, person string) error {
	w.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		v1alpha1.ApprovedAnnotation: run.Status.Approval.Digest, v1alpha1.ApprovedByAnnotation: person,
	}}})
	w.must(err)
	return w.person(person).Patch(w.Context(), run.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
}

// TestNothingIsDeliveredBeforeAnotherPersonHasApprovedIt has two people, and the operator restarted while a run waits.
func TestNothingIsDeliveredBeforeAnotherPersonHasApprovedIt(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.writes.mayBeRefused = true }) // a forged approval, on purpose
	w.fill(3)
	export := w.export()
	export.Spec.Approval, export.Spec.ApprovalTimeout, export.Spec.Deadline = v1alpha1.ApprovalRequired, &metav1.Duration{Duration: time.Hour}, &metav1.Duration{Duration: time.Minute}
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApprovalNotEnforced)
	})
	early := w.asks("early", "alice")
	eventually(w, early, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonApprovalNotEnforced)
	})
	w.installPolicies("who.yaml", "approval.yaml")
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})

	nameless := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "nameless"}, Spec: early.Spec}
	w.create(nameless)
	eventually(w, nameless, func(run *v1alpha1.ExportRun) string {
		return condition(run.Status.Conditions, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonRequesterUnknown)
	})

	waits := eventually(w, w.asks("asked", "alice"), runIs(v1alpha1.RunAwaitingApproval))
	if waits.Status.Claims != 3 || waits.Status.Total == "" || len(waits.Status.Files) != 2 || waits.Status.SHA256 == "" || waits.Status.Attempt.UnderWay() || waits.Status.RequestedBy != "alice" {
		t.Errorf("what waits is %+v", waits.Status)
	}
	if files := w.files(); slices.ContainsFunc(files, func(name string) bool { return strings.Contains(name, "asked") }) {
		t.Errorf("before it is approved there are %v", files)
	}
	w.stopOperator()
	if err := w.approves(waits, "alice"); !apierrors.IsForbidden(err) {
		t.Errorf("alice approves her own run: %v", err)
	}
	w.must(w.approves(waits, "bob"))
	w.clock.ahead.Store(int64(2 * time.Hour)) // approved in time, and seen late
	w.startOperator(w.namespace)
	done := eventually(w, waits, runIs(v1alpha1.RunSucceeded))
	if approval := done.Status.Approval; approval == nil || approval.ApprovedBy != "bob" || done.Status.SHA256 != waits.Status.SHA256 || done.Status.Claims != 3 || done.Status.Location == "" {
		t.Errorf("the run that was approved ended as %+v", done.Status)
	}
	if n := w.count(`select count(*) from ledgerport.runs where name = 'asked' and requested_by = 'alice' and approved_by = 'bob' and approved_at is not null`); n != 1 {
		t.Error("the database does not say who asked and who approved")
	}

	w.must(api.client.Delete(t.Context(), done))
	w.gone(done)
	again := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "asked"}, Spec: early.Spec}
	w.create(again)
	if told := eventually(w, again, runIs(v1alpha1.RunSucceeded)); !told.Status.Recovered || told.Status.SHA256 != done.Status.SHA256 {
		t.Errorf("applied again without a name, it says %+v", told.Status)
	}
}

// TestARunThatNobodyApprovesGivesItsClaimsBack: after its time, and when it is cancelled.
func TestARunThatNobodyApprovesGivesItsClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.writes.mayBeRefused = true })
	w.fill(3)
	export := w.export()
	export.Spec.Approval, export.Spec.ApprovalTimeout = v1alpha1.ApprovalRequired, &metav1.Duration{Duration: time.Hour}
	w.installPolicies("who.yaml", "approval.yaml")
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	refused := eventually(w, w.asks("refused", "alice"), runIs(v1alpha1.RunAwaitingApproval))
	w.must(w.person("bob").Patch(w.Context(), refused.DeepCopy(), client.RawPatch(types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"`+v1alpha1.CancelledByAnnotation+`":"bob"}},"spec":{"cancel":true}}`))))
	cancelled := eventually(w, refused, runIs(v1alpha1.RunCancelled))
	if cancelled.Status.CancelledBy != "bob" || cancelled.Status.Claims != 0 || cancelled.Status.Total != "" || len(cancelled.Status.Files) > 0 {
		t.Errorf("what was cancelled says %+v", cancelled.Status)
	}
	expired := eventually(w, w.asks("expired", "alice"), runIs(v1alpha1.RunAwaitingApproval))
	w.stopOperator()
	w.clock.ahead.Store(int64(2 * time.Hour))
	w.startOperator(w.namespace)
	ended := eventually(w, expired, runIs(v1alpha1.RunFailed))
	if text := condition(ended.Status.Conditions, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonApprovalExpired); text != "" || ended.Status.Claims != 0 {
		t.Errorf("%s, and %d claims", text, ended.Status.Claims)
	}
	if n := w.count(`select count(*) from ledgerport.exported_claims`); n != 0 {
		t.Errorf("%d claims are still bound", n)
	}
}

// TestAnApprovalIsNotBelievedBeforeTheAPIServerIsAsked takes the policy away while an attempt is under way, and forges the approval of what the
// attempt comes to wait with.
func TestAnApprovalIsNotBelievedBeforeTheAPIServerIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, func(w *world) { w.writes.mayBeRefused = true })
	w.fill(3)
	export := w.export()
	export.Spec.Approval = v1alpha1.ApprovalRequired
	w.installPolicies("who.yaml", "approval.yaml")
	w.create(w.secret(), w.source(), w.chart(), w.destination(), export)
	eventually(w, export, func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	waits := eventually(w, w.asks("asked", "alice"), runIs(v1alpha1.RunAwaitingApproval))
	w.stopOperator()
	w.must(api.client.Delete(w.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "ledgerport-approval-" + w.namespace}}))
	forged := []byte(`{"metadata":{"annotations":{"` + v1alpha1.ApprovedAnnotation + `":"` + waits.Status.Approval.Digest + `","` + v1alpha1.ApprovedByAnnotation + `":"bob"}}}`)
	eventually(w, waits, func(run *v1alpha1.ExportRun) string { // a policy goes a moment after it is deleted
		if err := w.person("alice").Patch(w.Context(), run.DeepCopy(), client.RawPatch(types.MergePatchType, forged)); err != nil {
			return err.Error()
		}
		return ""
	})
	w.must(api.client.Get(w.Context(), client.ObjectKeyFromObject(waits), waits))
	waits.Status.Phase, waits.Status.Approval, waits.Status.Attempt.EndedAt = v1alpha1.RunRunning, nil, nil // as a process leaves it that is killed
	w.must(api.client.Status().Update(w.Context(), waits))
	w.startOperator(w.namespace)
	eventually(w, waits, func(run *v1alpha1.ExportRun) string {
		ready := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || run.Status.Phase != v1alpha1.RunAwaitingApproval || !strings.Contains(ready.Message, "the approval that is there does not count") {
			return fmt.Sprintf("it is %s: %v", run.Status.Phase, ready)
		}
		return ""
	})
	if files := w.files(); slices.ContainsFunc(files, func(name string) bool { return strings.Contains(name, "asked") }) {
		t.Errorf("what was not approved is at the destination: %v", files)
	}
}

// TestATargetIsToldOfWhatWaitsForAnApproval ends the operator where it records that a run waits, just before and just after, and lets another
// run end while one waits.
func TestATargetIsToldOfWhatWaitsForAnApproval(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"one that dies before it has recorded the wait": false, "one that dies after it has recorded the wait": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			erp, died := newReceiver(t), make(chan struct{})
			erp.answers.Store(http.StatusServiceUnavailable) // so that nobody is told by the operator that dies
			var writes, dead atomic.Bool
			w := newWorldWith(t, func(w *world) {
				erp.trusts(w)
				w.writes.mayBeRefused = true
				die := func() {
					if dead.CompareAndSwap(false, true) {
						close(died)
						runtime.Goexit() // nothing of this reconcile happens any more
					}
				}
				w.writes.hold = func(request *http.Request) {
					if dead.Load() || !strings.HasSuffix(request.URL.Path, "/exportruns/asked/status") || !bodyHas(request, `"phase":"AwaitingApproval"`) {
						return
					}
					writes.Store(true)
					if !after {
						die()
					}
				}
				w.failpoints = func(at failpoint.Point) {
					if at == failpoint.RunStatus.After() && writes.Load() {
						die()
					}
				}
			})
			w.fill(3)
			export := w.telling(erp.URL)
			export.Spec.Approval = v1alpha1.ApprovalRequired
			w.installPolicies("who.yaml", "approval.yaml")
			w.create(w.secret(), w.notifySecret(), w.source(), w.chart(), w.destination(), export)
			eventually(w, export, exportIs(metav1.ConditionTrue, v1alpha1.ReasonReady))
			asked := w.asks("asked", "alice")
			select {
			case <-died:
			case <-time.After(patience):
				t.Fatal("the run does not come to wait")
			}
			w.stopOperator()
			erp.answers.Store(0)
			w.startOperator(w.namespace)
			waits := eventually(w, asked, runIs(v1alpha1.RunAwaitingApproval))
			eventually(w, asked, saidOfAll(1, v1alpha1.NotificationSent))
			erp.took(w, "run.awaitingapproval asked")

			off := w.asks("off", "alice")
			w.cancel(off)
			eventually(w, off, saidOfAll(1, v1alpha1.NotificationSent))
			w.must(w.approves(waits, "bob"))
			eventually(w, waits, runIs(v1alpha1.RunSucceeded))
			erp.took(w, "run.awaitingapproval asked", "run.cancelled off", "run.succeeded asked")
		})
	}
}

// bodyHas reports whether the body of a request has a text.
func bodyHas(request *http.Request, text string) bool {
	if request.GetBody == nil {
		return false
	}
	body, err := request.GetBody()
	if err != nil {
		return false
	}
	defer func() { _ = body.Close() }()
	content, err := io.ReadAll(body)
	return err == nil && strings.Contains(string(content), text)
}
