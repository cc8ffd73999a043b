package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// operator is the user that the operator is to the API server.
const operator = "system:serviceaccount:ledgerport-system:ledgerport-manager"

// TestWho has several people and the operator ask for runs and cancel them: first where names are only compared, then where they are
// written, too.
func TestWho(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.namespace("acme", map[string]string{label: acme})
	every := rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"accountingexports", "exportruns"}, Verbs: []string{"get", "create", "update", "patch", "delete"}}
	for _, user := range []string{"alice", "bob", "system:serviceaccount:acme:application", long()} {
		c.grantAs(user, every)
	}
	t.Run("nobody writes another name than their own", func(t *testing.T) { c.of(t).namesAreCompared() })
	t.Run("an export passes on who changed its request", func(t *testing.T) { c.of(t).requestsAreCompared() })
	t.Run("a mark of an import has the name of who makes it, and is of a run that has files", func(t *testing.T) { c.of(t).marksAreCompared() })
	if !c.stamps() {
		t.Log("this API server has no mutating policies")
		return
	}
	t.Run("names are written, whatever the request says", func(t *testing.T) { c.of(t).namesAreWritten() })
	t.Run("a mark of an import is written with the name of who makes it", func(t *testing.T) { c.of(t).marksAreWritten() })
	t.Run("an export has the name of who changed its request", func(t *testing.T) { c.of(t).requestsAreWritten() })
}

func (c *cluster) of(t *testing.T) *cluster { return &cluster{T: t, admin: c.admin, config: c.config} }

// long is a name that is not written whole.
func long() string { return "ümlaut-" + strings.Repeat("x", 300) }

// grantAs lets a user of any name do what a rule says, in namespace acme.
func (c *cluster) grantAs(user string, rule rbacv1.PolicyRule) {
	c.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "granted-", Namespace: "acme"}, Rules: []rbacv1.PolicyRule{rule}}
	c.must(c.admin.Create(c.Context(), role))
	c.must(c.admin.Create(c.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name, Namespace: "acme"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
}

// stamps applies config/stamps, and reports whether the API server knows such policies.
func (c *cluster) stamps() bool {
	c.Helper()
	_, err := c.admin.RESTMapper().RESTMapping(schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}, "v1")
	if meta.IsNoMatchError(err) {
		return false
	}
	c.must(err)
	c.apply("config/stamps")
	return true
}

// run returns a run that is asked for with some annotations.
func run(name string, annotations map[string]string) *v1alpha1.ExportRun {
	return &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, Annotations: maps.Clone(annotations)},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}},
	}
}

// change has a user patch a run by a merge patch.
func (c *cluster) change(user, name string, cancel *bool, annotations map[string]any) error {
	c.Helper()
	document := map[string]any{"metadata": map[string]any{"annotations": annotations}}
	if cancel != nil {
		document["spec"] = map[string]any{"cancel": *cancel}
	}
	patch, err := json.Marshal(document)
	c.must(err)
	return c.as(user).Patch(c.Context(), run(name, nil), client.RawPatch(types.MergePatchType, patch))
}

// named returns what an object of namespace acme says in an annotation.
func (c *cluster) named(object client.Object, annotation string) string {
	c.Helper()
	c.must(c.admin.Get(c.Context(), client.ObjectKeyFromObject(object), object))
	return object.GetAnnotations()[annotation]
}

func (c *cluster) namesAreCompared() {
	by, cancelled := v1alpha1.RequestedByAnnotation, v1alpha1.CancelledByAnnotation
	c.refusedWith("is who created the run, alice", func() error {
		return c.as("alice").Create(c.Context(), run("forged", map[string]string{by: "bob"}), client.DryRunAll)
	})
	c.refusedWith("is who created the run", func() error {
		return c.as("system:serviceaccount:acme:application").Create(c.Context(), run("forged", map[string]string{by: "alice"}), client.DryRunAll)
	})
	c.refusedWith("is who created the run", func() error {
		return c.as("alice").Create(c.Context(), run("forged", map[string]string{by: v1alpha1.RequestedBySchedule}), client.DryRunAll)
	})
	c.refusedWith("is written when spec.cancel is set", func() error {
		return c.as("alice").Create(c.Context(), run("forged", map[string]string{cancelled: "alice"}), client.DryRunAll)
	})
	c.must(c.as("alice").Create(c.Context(), run("own", map[string]string{by: "alice"})))
	c.must(c.as(long()).Create(c.Context(), run("long", map[string]string{by: requests.Stamp(long())})))
	c.must(c.as(operator).Create(c.Context(), run("scheduled", map[string]string{by: v1alpha1.RequestedBySchedule})))
	c.must(c.as("alice").Create(c.Context(), run("unnamed", nil)))
	for what, change := range map[string]map[string]any{"is replaced": {by: "bob"}, "is taken away": {by: nil}, "is another's cancellation": {cancelled: "bob"}} {
		for _, user := range []string{"alice", "bob", ""} {
			if err := c.change(user, "own", nil, change); !apierrors.IsForbidden(err) {
				c.Errorf("a name %s by %q: %v", what, user, err)
			}
		}
	}
	if err := c.change("alice", "unnamed", nil, map[string]any{by: "alice"}); !apierrors.IsForbidden(err) {
		c.Errorf("a name that is added later: %v", err)
	}
	if err := c.change("bob", "own", new(true), map[string]any{cancelled: "alice"}); !apierrors.IsForbidden(err) {
		c.Errorf("bob cancels as alice: %v", err)
	}
	c.must(c.change("bob", "own", new(true), map[string]any{cancelled: "bob", "example.com/note": "x"}))
	if err := c.change("bob", "own", nil, map[string]any{cancelled: nil}); !apierrors.IsForbidden(err) {
		c.Errorf("who cancelled is taken away: %v", err)
	}
	c.must(c.change("alice", "own", nil, map[string]any{"example.com/note": "y"})) // all else may change
}

// ended makes a run of a type that has ended, and perhaps delivered files.
func (c *cluster) ended(name string, of v1alpha1.RunType, phase v1alpha1.RunPhase, location string) {
	c.Helper()
	made := run(name, nil)
	made.Spec.Type = of
	if of == v1alpha1.RunReversal {
		made.Spec.Reverses = &v1alpha1.RunReference{Name: "delivered"}
	}
	c.must(c.admin.Create(c.Context(), made))
	made.Status.Phase, made.Status.Location = phase, location
	c.must(c.admin.Status().Update(c.Context(), made))
}

func (c *cluster) marksAreCompared() {
	imported, by := v1alpha1.ImportedAnnotation, v1alpha1.ImportedByAnnotation
	mark := func(reference, by any) map[string]any {
		return map[string]any{imported: reference, v1alpha1.ImportedByAnnotation: by}
	}
	c.ended("delivered", v1alpha1.RunExport, v1alpha1.RunSucceeded, "file:///delivered.csv")
	c.refusedWith("imported-by is who changes accounting.ledgerport.dev/imported, alice", func() error { return c.change("alice", "delivered", nil, mark("1", "bob")) })
	for what, change := range map[string]map[string]any{
		"a mark without a name": {imported: "1"}, "a name without a mark": {by: "alice"}, "65 characters": mark(strings.Repeat("é", 65), "alice"), "200 kB": mark(strings.Repeat("x", 200_000), "alice"),
	} {
		if err := c.change("alice", "delivered", nil, change); !apierrors.IsForbidden(err) {
			c.Errorf("%s: %v", what, err)
		}
	}
	c.ended("failed", v1alpha1.RunExport, v1alpha1.RunFailed, "")
	c.ended("nothing", v1alpha1.RunExport, v1alpha1.RunSucceeded, "")
	c.ended("preview", v1alpha1.RunPreview, v1alpha1.RunSucceeded, "file:///_preview/preview.csv")
	for _, name := range []string{"failed", "nothing", "preview"} {
		c.refusedWith("has Succeeded and has delivered files", func() error { return c.change("alice", name, nil, mark("1", "alice")) })
	}
	if err := c.as("alice").Create(c.Context(), run("born", map[string]string{imported: "1", by: "alice"}), client.DryRunAll); !apierrors.IsForbidden(err) {
		c.Errorf("a run is created as imported: %v", err)
	}
	c.must(c.change("alice", "delivered", nil, mark(strings.Repeat("é", 64), "alice")))
	c.must(c.change("alice", "delivered", nil, map[string]any{imported: ""})) // her own mark is corrected
	for what, change := range map[string]map[string]any{"another's mark is taken back in their name": {imported: nil}, "the name alone is replaced": {by: "bob"}, "the name alone is taken away": {by: nil}} {
		if err := c.change("bob", "delivered", nil, change); !apierrors.IsForbidden(err) {
			c.Errorf("%s: %v", what, err)
		}
	}
	c.must(c.change("bob", "delivered", nil, mark(nil, "bob")))
	c.must(c.as(operator).Create(c.Context(), run("restored", map[string]string{imported: "1", by: "alice"}), client.DryRunAll))
}

func (c *cluster) marksAreWritten() {
	c.ended("stamped", v1alpha1.RunReversal, v1alpha1.RunSucceeded, "file:///stamped.csv")
	for i, step := range []struct {
		user        string
		annotations map[string]any
		want        string
	}{
		{"alice", map[string]any{v1alpha1.ImportedByAnnotation: "bob"}, ""},
		{"alice", map[string]any{v1alpha1.ImportedAnnotation: "4711", v1alpha1.ImportedByAnnotation: "bob"}, "alice"},
		{"bob", map[string]any{v1alpha1.ImportedByAnnotation: nil}, "alice"},
		{"bob", map[string]any{v1alpha1.ImportedAnnotation: "4712"}, "bob"},
		{"alice", map[string]any{v1alpha1.ImportedAnnotation: nil}, "alice"},
		{"bob", map[string]any{v1alpha1.ImportedAnnotation: ""}, "bob"},
	} {
		c.must(c.change(step.user, "stamped", nil, step.annotations))
		if found := c.named(run("stamped", nil), v1alpha1.ImportedByAnnotation); found != step.want {
			c.Errorf("step %d: %s writes %v, and the name is %q, want %q", i, step.user, step.annotations, found, step.want)
		}
	}
}

func (c *cluster) requestsAreCompared() {
	asked, by := v1alpha1.RequestedAtAnnotation, v1alpha1.RequestedByAnnotation
	monthly := export("acme", acme)
	c.must(c.as("alice").Create(c.Context(), monthly))
	change := func(user string, annotations map[string]any) error {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
		c.must(err)
		return c.as(user).Patch(c.Context(), export("acme", acme), client.RawPatch(types.MergePatchType, patch))
	}
	c.refusedWith("is who changes accounting.ledgerport.dev/requestedAt, bob", func() error { return change("bob", map[string]any{asked: "1", by: "alice"}) })
	c.must(change("alice", map[string]any{asked: "1", by: "alice"}))
	for what, annotations := range map[string]map[string]any{
		"a request in the name of the last one": {asked: "2"}, "a name without a request": {by: "bob"}, "no name any more": {by: nil},
	} {
		if err := change("bob", annotations); !apierrors.IsForbidden(err) {
			c.Errorf("%s: %v", what, err)
		}
	}
	c.must(change("bob", map[string]any{asked: "2", by: "bob"}))
	c.must(change("alice", map[string]any{asked: "3", by: nil}))
	c.must(change("bob", map[string]any{"example.com/note": "x"}))
	c.must(c.admin.Delete(c.Context(), monthly))
}

func (c *cluster) namesAreWritten() {
	by, cancelled := v1alpha1.RequestedByAnnotation, v1alpha1.CancelledByAnnotation
	c.eventually("a name is written", func() error {
		asked := run("", nil)
		asked.GenerateName = "asked-"
		if err := c.as("alice").Create(c.Context(), asked); err != nil {
			return err
		}
		return is(asked.Annotations[by], "alice")
	})
	forged := run("mutated", map[string]string{by: "bob", cancelled: "bob", "example.com/note": "x"})
	c.must(c.as("alice").Create(c.Context(), forged))
	if forged.Annotations[by] != "alice" || forged.Annotations[cancelled] != "" || forged.Annotations["example.com/note"] != "x" {
		c.Errorf("a forged run has %v", forged.Annotations)
	}
	dry := run("dry", nil)
	c.must(c.as("bob").Create(c.Context(), dry, client.DryRunAll))
	if dry.Annotations[by] != "bob" {
		c.Errorf("a dry run shows %v", dry.Annotations)
	}
	cut := run("cut", nil)
	c.must(c.as(long()).Create(c.Context(), cut))
	if cut.Annotations[by] != requests.Stamp(long()) {
		c.Errorf("a long name is written as %q", cut.Annotations[by])
	}
	for name, annotations := range map[string]map[string]string{"slot": {by: v1alpha1.RequestedBySchedule}, "passed-on": {by: "alice"}, "unknown": nil} {
		made := run(name, annotations)
		c.must(c.as(operator).Create(c.Context(), made))
		if made.Annotations[by] != annotations[by] {
			c.Errorf("the operator's run %s has %v", name, made.Annotations)
		}
	}
	c.must(c.change("bob", "mutated", nil, map[string]any{by: nil, cancelled: "alice"}))
	if found := c.named(run("mutated", nil), by); found != "alice" {
		c.Errorf("after it was taken away the name is %q", found)
	}
	c.must(c.change("bob", "mutated", new(true), map[string]any{cancelled: "alice"}))
	c.must(c.change("alice", "mutated", new(true), map[string]any{cancelled: nil}))
	if found := c.named(run("mutated", nil), cancelled); found != "bob" {
		c.Errorf("bob has cancelled, and the run says %q", found)
	}
	born := run("born-cancelled", nil)
	born.Spec.Cancel = true
	c.must(c.as("bob").Create(c.Context(), born))
	if born.Annotations[cancelled] != "bob" {
		c.Errorf("a run that is cancelled from the beginning has %v", born.Annotations)
	}
}

func (c *cluster) requestsAreWritten() {
	asked, by := v1alpha1.RequestedAtAnnotation, v1alpha1.RequestedByAnnotation
	c.must(c.as("alice").Create(c.Context(), export("acme", acme)))
	change := func(user string, annotations map[string]any) string {
		c.Helper()
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
		c.must(err)
		changed := export("acme", acme)
		c.must(c.as(user).Patch(c.Context(), changed, client.RawPatch(types.MergePatchType, patch)))
		return changed.Annotations[by]
	}
	for i, step := range []struct {
		user        string
		annotations map[string]any
		want        string
	}{
		{"bob", map[string]any{"example.com/note": "x"}, ""},
		{"alice", map[string]any{by: "bob"}, ""},
		{"alice", map[string]any{asked: "1"}, "alice"},
		{"bob", map[string]any{by: "bob"}, "alice"},
		{"bob", map[string]any{by: nil}, "alice"},
		{"bob", map[string]any{asked: "2", by: "alice"}, "bob"},
		{"alice", map[string]any{asked: nil}, "alice"},
	} {
		if got := change(step.user, step.annotations); got != step.want {
			c.Errorf("step %d: %s writes %v, and the name is %q, want %q", i, step.user, step.annotations, got, step.want)
		}
	}
}

func is(got, want string) error {
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

// eventually waits until something holds: policies take effect a moment after they are created.
func (c *cluster) eventually(what string, holds func() error) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}
