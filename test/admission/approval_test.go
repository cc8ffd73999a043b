package admission_test

import (
	"errors"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/controller/approval"
	"github.com/ledgerport/ledgerport/internal/failure"
)

const (
	digest  = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
	another = "0000000000000000000000000000000000000000000000000000000000000000"
	// robot is a service account of the namespace: someone with Kubernetes' role edit there may act as it.
	robot = "system:serviceaccount:acme:robot"
)

// TestFourEyes has alice ask for runs, bob approve them, carol change runs without the verb, and dave approve with the role for that alone.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.namespace("acme", map[string]string{label: acme})
	of := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"accountingexports", "exportruns"}, Verbs: verbs}
	}
	for _, user := range []string{"alice", "bob", robot} {
		c.grantAs(user, of("get", "create", "update", "patch", "approve"))
	}
	c.grantAs("carol", of("get", "create", "update", "patch"))
	c.must(c.admin.Create(c.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "dave", Namespace: "acme"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "ledgerport-approver"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "dave"}},
	}))
	c.must(c.admin.Create(c.Context(), probed()))
	t.Run("the operator sees that a forged approval is refused", func(t *testing.T) { c.of(t).forgeriesAreSeen() })
	t.Run("the operator sees that names of who asked are compared", func(t *testing.T) { c.of(t).namesOfAskersAreSeen() })
	t.Run("another person than who asked approves what was seen", func(t *testing.T) { c.of(t).anotherApproves() })
	t.Run("who may only approve changes nothing else", func(t *testing.T) { c.of(t).approversOnlyApprove() })
	t.Run("a run that nobody is named for is not approved", func(t *testing.T) { c.of(t).namelessRunsAreNotApproved() })
	t.Run("the need for an approval is not taken away by who may not approve", func(t *testing.T) { c.of(t).theNeedStays() })
	t.Run("another export does not do without one where the namespace needs approvals", func(t *testing.T) { c.of(t).namespacesNeedApprovals() })
	if c.stamps() {
		t.Run("the name is written for kubectl", func(t *testing.T) { c.of(t).approversAreWritten() })
		t.Run("the operator believes in names that are written", func(t *testing.T) { c.of(t).writtenNamesAreBelieved() })
	}
}

// probed is the export of which the operator finds out whether its approvals are worth something.
func probed() *v1alpha1.AccountingExport {
	asks := export("acme", acme)
	asks.Name = "probed"
	return asks
}

func (c *cluster) forgeriesAreSeen() {
	c.eventually("the policy is seen", func() error {
		unenforced, err := approval.Unenforced(c.Context(), c.as(operator), probed())
		c.must(err)
		if unenforced != nil {
			return unenforced
		}
		return nil
	})
	c.must(c.admin.Delete(c.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "ledgerport-approval"}}))
	c.eventually("the policy is missed", func() error {
		unenforced, err := approval.Unenforced(c.Context(), c.as(operator), probed())
		c.must(err)
		if unenforced == nil {
			return errors.New("it is still seen")
		}
		return is(unenforced.Reason, v1alpha1.ReasonApprovalNotEnforced)
	})
	c.apply("config/admission")
	c.refusedWith("approved when it waits for that", func() error {
		return c.as("bob").Create(c.Context(), run("forged", map[string]string{v1alpha1.ApprovedAnnotation: digest}), client.DryRunAll)
	})
}

// namesOfAskersAreSeen takes away the policies of who.yaml, without which alice asks in the name of bob, and approves.
func (c *cluster) namesOfAskersAreSeen() {
	named := probed()
	seen := func(name string) *failure.Error {
		unenforced, err := approval.Unenforced(c.Context(), c.as(operator), named)
		if err != nil {
			c.Fatalf("%s: %v", name, err)
		}
		return unenforced
	}
	for _, policy := range []string{"ledgerport-who", "ledgerport-who-of-exports"} {
		c.must(c.admin.Delete(c.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: policy}}))
		c.eventually(policy+" is missed", func() error {
			unenforced := seen(policy)
			if unenforced == nil {
				return errors.New("it is still seen")
			}
			return is(unenforced.Reason, v1alpha1.ReasonApprovalNotEnforced)
		})
		c.apply("config/admission")
		c.eventually(policy+" is seen", func() error {
			if unenforced := seen(policy); unenforced != nil {
				return unenforced
			}
			return nil
		})
	}
}

// waits makes a run that alice has asked for and that waits for its approval.
func (c *cluster) waits(name string) *v1alpha1.ExportRun {
	c.Helper()
	asked := run(name, map[string]string{v1alpha1.RequestedByAnnotation: "alice"})
	c.must(c.as("alice").Create(c.Context(), asked))
	c.awaits(asked)
	return asked
}

// awaits writes into the status of a run what the operator does.
func (c *cluster) awaits(asked *v1alpha1.ExportRun) {
	c.Helper()
	asked.Status.ObservedGeneration, asked.Status.RequestedBy = 1, asked.Annotations[v1alpha1.RequestedByAnnotation]
	asked.Status.Phase, asked.Status.Approval = v1alpha1.RunAwaitingApproval, &v1alpha1.RunApproval{Digest: digest}
	c.must(c.admin.Status().Update(c.Context(), asked))
}

func (c *cluster) anotherApproves() {
	what, by := v1alpha1.ApprovedAnnotation, v1alpha1.ApprovedByAnnotation
	asked := c.waits("waits")
	for name, test := range map[string]struct {
		user        string
		annotations map[string]any
		words       string
	}{
		"one's own run":                     {"alice", map[string]any{what: digest, by: "alice"}, "another person than alice"},
		"in another's name":                 {"alice", map[string]any{what: digest, by: "bob"}, "is who approves the run, alice"},
		"by making the run another's first": {"alice", map[string]any{what: digest, by: "alice", v1alpha1.RequestedByAnnotation: "bob"}, "denied request"},
		"without the verb":                  {"carol", map[string]any{what: digest, by: "carol"}, "a verb that the roles"},
		"as a service account":              {robot, map[string]any{what: digest, by: robot}, "a person, and not by a service account"},
		"without a name":                    {"bob", map[string]any{what: digest}, "is who approves the run, bob"},
		"without saying what":               {"bob", map[string]any{by: "bob"}, "status.approval.digest"},
		"what another run has rendered":     {"bob", map[string]any{what: another, by: "bob"}, "status.approval.digest"},
	} {
		if err := c.change(test.user, asked.Name, nil, test.annotations); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.words) {
			c.Errorf("%s: %v, want %q", name, err, test.words)
		}
	}
	c.must(c.change("bob", asked.Name, nil, map[string]any{what: digest, by: "bob"}))
	for name, annotations := range map[string]map[string]any{
		"the approval is taken away": {what: nil, by: nil}, "it becomes another's": {by: "alice"}, "it is of something else": {what: another},
	} {
		if err := c.change("bob", asked.Name, nil, annotations); !apierrors.IsForbidden(err) {
			c.Errorf("%s: %v", name, err)
		}
	}
	c.must(c.change("carol", asked.Name, nil, map[string]any{"example.com/note": "x"}))
	early := run("early", map[string]string{v1alpha1.RequestedByAnnotation: "alice"})
	c.must(c.as("alice").Create(c.Context(), early))
	if err := c.change("bob", "early", nil, map[string]any{what: digest, by: "bob"}); !apierrors.IsForbidden(err) {
		c.Errorf("a run that does not wait: %v", err)
	}
	restored := run("restored", map[string]string{v1alpha1.RequestedByAnnotation: "alice", what: digest, by: "bob"})
	c.must(c.as(operator).Create(c.Context(), restored)) // by a service account that may vouch
}

func (c *cluster) approversOnlyApprove() {
	asked := c.waits("approvers")
	for what, patch := range map[string]string{
		"finalizers": `{"metadata":{"finalizers":["example.com/x"]}}`, "labels": `{"metadata":{"labels":{"a":"b"}}}`,
		"the reason": `{"metadata":{"annotations":{"accounting.ledgerport.dev/reason":"as carol has said"}}}`, "an annotation": `{"metadata":{"annotations":{"a":"b"}}}`,
	} {
		err := c.as("dave").Patch(c.Context(), run(asked.Name, nil), client.RawPatch("application/merge-patch+json", []byte(patch)))
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "may update it") {
			c.Errorf("%s: %v", what, err)
		}
		c.must(c.as("carol").Patch(c.Context(), run(asked.Name, nil), client.RawPatch("application/merge-patch+json", []byte(patch)), client.DryRunAll))
		c.must(c.as(operator).Patch(c.Context(), run(asked.Name, nil), client.RawPatch("application/merge-patch+json", []byte(patch)), client.DryRunAll))
	}
	c.must(c.change("dave", asked.Name, nil, map[string]any{v1alpha1.ApprovedAnnotation: digest, v1alpha1.ApprovedByAnnotation: "dave"}))
	c.must(c.change("dave", asked.Name, new(true), map[string]any{v1alpha1.CancelledByAnnotation: "dave"}))
}

func (c *cluster) namelessRunsAreNotApproved() {
	nameless := run("nameless", nil)
	c.must(c.as("alice").Create(c.Context(), nameless))
	c.awaits(nameless)
	err := c.change("bob", "nameless", nil, map[string]any{v1alpha1.ApprovedAnnotation: digest, v1alpha1.ApprovedByAnnotation: "bob"})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "nobody is named") {
		c.Errorf("a run without a name: %v", err)
	}
	scheduled := run("scheduled", map[string]string{v1alpha1.RequestedByAnnotation: v1alpha1.RequestedBySchedule})
	c.must(c.as(operator).Create(c.Context(), scheduled))
	c.awaits(scheduled)
	c.must(c.change("alice", "scheduled", nil, map[string]any{v1alpha1.ApprovedAnnotation: digest, v1alpha1.ApprovedByAnnotation: "alice"}))
}

func (c *cluster) theNeedStays() {
	needs := export("acme", acme)
	needs.Spec.Approval = v1alpha1.ApprovalRequired
	c.must(c.as("carol").Create(c.Context(), needs))
	lower := func(user string) error {
		return c.as(user).Patch(c.Context(), export("acme", acme), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"approval":"NotRequired"}}`)))
	}
	c.refusedWith("spec.approval stays Required", func() error { return lower("carol") })
	c.must(lower("bob"))
}

// namespacesNeedApprovals has carol make an export of the same claims that needs no approval.
func (c *cluster) namespacesNeedApprovals() {
	create := func(user string, approval v1alpha1.ApprovalPolicy) error {
		another := export("acme", acme)
		another.Name, another.Spec.Approval = "another", approval
		return c.as(user).Create(c.Context(), another, client.DryRunAll)
	}
	c.must(create("carol", v1alpha1.ApprovalNotRequired))
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}
	c.must(c.admin.Patch(c.Context(), labelled, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"accounting.ledgerport.dev/approval":"Required"}}}`))))
	c.refusedWith("spec.approval is Required, but for someone who may approve", func() error { return create("carol", v1alpha1.ApprovalNotRequired) })
	c.refusedWith("spec.approval is Required", func() error { return create("carol", "") })
	c.must(create("carol", v1alpha1.ApprovalRequired))
	c.must(create("bob", v1alpha1.ApprovalNotRequired))
	c.must(c.as("carol").Patch(c.Context(), probed(), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`)))) // which was there before
}

func (c *cluster) approversAreWritten() {
	what, by := v1alpha1.ApprovedAnnotation, v1alpha1.ApprovedByAnnotation
	asked := c.waits("kubectl")
	c.eventually("the name is written", func() error { return c.change("bob", asked.Name, nil, map[string]any{what: digest}) })
	if found := c.named(run(asked.Name, nil), by); found != "bob" {
		c.Errorf("bob has approved, and the run says %q", found)
	}
	own := c.waits("own-kubectl")
	if err := c.change("alice", own.Name, nil, map[string]any{what: digest, by: "bob"}); !apierrors.IsForbidden(err) {
		c.Errorf("alice approves her own run as bob: %v", err)
	}
	if err := c.as("alice").Create(c.Context(), run("born-approved", map[string]string{what: digest})); !apierrors.IsForbidden(err) {
		c.Errorf("a run that is made with an approval: %v", err)
	}
}

// writtenNamesAreBelieved has the names of exports written for everybody, so that nothing is left to refuse.
func (c *cluster) writtenNamesAreBelieved() {
	unenforced, err := approval.Unenforced(c.Context(), c.as(operator), probed())
	c.must(err)
	if unenforced != nil {
		c.Error(unenforced)
	}
}
