package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// approvalTimeout is the shortest that there is.
const approvalTimeout = time.Minute

// approvals are what people have done with runs that wait for their approval.
type approvals struct {
	mu    sync.Mutex
	given []approval
	early []string
	fates map[types.UID]fate
	next  int
}

// approval that somebody has tried to give, with what they saw.
type approval struct {
	run              string // UID
	name             string // with its namespace
	by, asked        string
	digest, sha256   string
	claims           int64
	forged, accepted bool
	refused          bool // for certain
}

// fate is what people do with a run.
type fate int

const (
	approved  fate = iota
	forged         // and approved in the end
	cancelled      // while it waits
	left           // until its time is over, or there is no operator
)

// fates come in this order, from another one on for each seed.
var fates = []fate{left, approved, forged, approved, cancelled, approved, forged, approved}

// requireApprovals has the exports with a book of their own need approvals, and lets people give them.
func (w *world) requireApprovals(ctx context.Context) error {
	w.approvals.fates, w.approvals.next = map[types.UID]fate{}, w.random.IntN(len(fates))
	for i := range w.tenants {
		t := &w.tenants[i]
		if !slices.Contains(t.exports, payments) {
			continue
		}
		t.approval = payments
		for name, role := range roles {
			if err := w.bind(ctx, t.namespace, name, role); err != nil {
				return err
			}
		}
		export := t.export(payments)
		if err := w.api.Patch(ctx, export, merge(fmt.Sprintf(`{"spec": {"approval": %q, "approvalTimeout": %q}}`, v1alpha1.ApprovalRequired, approvalTimeout))); err != nil {
			return err
		}
		if err := w.untilReady(ctx, export); err != nil {
			return err
		}
	}
	return nil
}

// readyPatience is how long operators that have just started may take to do so, on a machine that builds at the same time.
const readyPatience = 3 * time.Minute

// untilReady waits until the operators have seen an export as it is.
func (w *world) untilReady(ctx context.Context, export *v1alpha1.AccountingExport) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for ; ; pause(ctx, 100*time.Millisecond) {
		err := w.api.Get(ctx, client.ObjectKeyFromObject(export), export)
		ready := meta.FindStatusCondition(export.Status.Conditions, v1alpha1.ConditionReady)
		if err == nil && ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == export.Generation {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s/%s is not ready: %+v (%w)", export.Namespace, export.Name, export.Status.Conditions, errors.Join(err, ctx.Err()))
		}
	}
}

// request asks for a run of one of the tenant's exports, as somebody whose name is known where that is needed.
func (w *world) request(ctx context.Context, t tenant, export string) error {
	if export != t.approval {
		return t.request(ctx, w.api, export, w.nextRequest())
	}
	return w.people[controller].Patch(ctx, t.export(export), annotations(map[string]string{
		v1alpha1.RequestedAtAnnotation: w.nextRequest(), v1alpha1.RequestedByAnnotation: controller,
	}))
}

// askAsChief has the chief create a run that needs an approval.
func (w *world) askAsChief(ctx context.Context, t tenant) error {
	return w.people[chief].Create(ctx, &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: w.nextRequest(), Annotations: map[string]string{v1alpha1.RequestedByAnnotation: chief}},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: t.approval}},
	})
}

// annotations is a patch that sets them.
func annotations(set map[string]string) client.Patch {
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": set}}) // texts can always be written
	return merge(string(patch))
}

// review looks at the runs of a tenant that wait for their approval, all the while.
func (w *world) review(ctx context.Context, t tenant, random *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(200+random.IntN(600))*time.Millisecond)
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		for _, run := range w.awaiting(limited, t) {
			w.decide(limited, t, run)
		}
		cancel()
	}
}

// awaiting are the runs of a tenant that wait for an approval, and for which none was given.
func (w *world) awaiting(ctx context.Context, t tenant) (waiting []*v1alpha1.ExportRun) {
	if t.approval == "" {
		return nil
	}
	var list v1alpha1.ExportRunList
	_ = w.api.List(ctx, &list, client.InNamespace(t.namespace)) // the API server may be away
	for i := range list.Items {
		run := &list.Items[i]
		awaits := run.Status.Phase == v1alpha1.RunAwaitingApproval && run.Status.Approval != nil && run.Status.Approval.Digest != "" && !run.Status.Approval.Given()
		if awaits && run.Annotations[v1alpha1.ApprovedAnnotation] != run.Status.Approval.Digest {
			waiting = append(waiting, run)
		}
	}
	return waiting
}

// allAwaiting are those of all tenants.
func (w *world) allAwaiting(ctx context.Context) (waiting []*v1alpha1.ExportRun) {
	for _, t := range w.tenants {
		waiting = append(waiting, w.awaiting(ctx, t)...)
	}
	return waiting
}

// decide does with a run what its fate is.
func (w *world) decide(ctx context.Context, t tenant, run *v1alpha1.ExportRun) {
	w.lookEarly(ctx, t, run)
	switch w.fateOf(run) {
	case left:
	case cancelled:
		_ = w.people[controller].Patch(ctx, run, merge(fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}},"spec":{"cancel":true}}`, v1alpha1.CancelledByAnnotation, controller)))
	case forged:
		w.forge(ctx, run)
		w.approvals.mu.Lock()
		w.approvals.fates[run.UID] = approved
		w.approvals.mu.Unlock()
	default:
		w.approveFor(ctx, run)
	}
}

// fateOf is what people do with a run, each time they look at it.
func (w *world) fateOf(run *v1alpha1.ExportRun) fate {
	w.approvals.mu.Lock()
	defer w.approvals.mu.Unlock()
	if _, known := w.approvals.fates[run.UID]; !known {
		w.approvals.fates[run.UID] = fates[w.approvals.next%len(fates)]
		w.approvals.next++
	}
	return w.approvals.fates[run.UID]
}

// approveFor has another person than who asked approve what a run waits with.
func (w *world) approveFor(ctx context.Context, run *v1alpha1.ExportRun) {
	by := approver
	if run.Status.RequestedBy != chief && run.Status.Claims%2 == 0 {
		by = chief
	}
	w.approveAs(ctx, run, by, by, run.Status.Approval.Digest, false)
}

// forge tries what the API server is to refuse: an approval by who asked, by somebody who may not, in another's name, and of something else.
func (w *world) forge(ctx context.Context, run *v1alpha1.ExportRun) {
	digest := run.Status.Approval.Digest
	if asked := run.Status.RequestedBy; w.people[asked] != nil {
		w.approveAs(ctx, run, asked, asked, digest, true)
		w.approveAs(ctx, run, asked, approver, digest, true)
	}
	w.approveAs(ctx, run, controller, controller, digest, true)
	w.approveAs(ctx, run, approver, approver, hashOf([]byte(digest)), true)
}

// approveAs writes an approval, and remembers it. It is noted before anybody can act on it.
func (w *world) approveAs(ctx context.Context, run *v1alpha1.ExportRun, person, by, digest string, forged bool) {
	one := approval{
		run: string(run.UID), name: path.Join(run.Namespace, run.Name), by: by, asked: run.Status.RequestedBy, digest: digest,
		sha256: run.Status.SHA256, claims: run.Status.Claims, forged: forged,
	}
	w.approvals.mu.Lock()
	at := len(w.approvals.given)
	w.approvals.given = append(w.approvals.given, one)
	w.approvals.mu.Unlock()
	patch := annotations(map[string]string{v1alpha1.ApprovedAnnotation: digest, v1alpha1.ApprovedByAnnotation: by})
	err := w.people[person].Patch(ctx, run.DeepCopy(), patch)
	w.approvals.mu.Lock()
	defer w.approvals.mu.Unlock()
	w.approvals.given[at].accepted = err == nil
	w.approvals.given[at].refused = apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsNotFound(err)
}

// lookEarly insists that nothing of a run that waits is at its destination.
func (w *world) lookEarly(ctx context.Context, t tenant, run *v1alpha1.ExportRun) {
	found := w.delivered(ctx, t, run)
	w.approvals.mu.Lock()
	defer w.approvals.mu.Unlock()
	approved := slices.ContainsFunc(w.approvals.given, func(one approval) bool { return one.run == string(run.UID) && !one.forged })
	if len(found) > 0 && !approved {
		w.approvals.early = append(w.approvals.early, fmt.Sprintf("%s/%s waits for its approval, and at its destination are %q", run.Namespace, run.Name, found))
	}
}

// delivered are the files of a run that are at its destination.
func (w *world) delivered(ctx context.Context, t tenant, run *v1alpha1.ExportRun) (found []string) {
	of := path.Join(t.namespace, run.Spec.ExportRef.Name, run.Name)
	if !t.toStore {
		found, _ = filepath.Glob(filepath.Join(w.directory, "exports", t.namespace, "*", of, "*")) // the pattern is well formed
		return found
	}
	for _, prefix := range []string{of + "/", path.Join(elsewhere, of) + "/"} {
		page, err := w.objects().ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(prefix)})
		if err != nil {
			return nil
		}
		for _, object := range page.Contents {
			found = append(found, *object.Key)
		}
	}
	return found
}

// approveUnattended stops both operators, has what waits approved, and kills them. It returns how many it has killed: none if nothing waits.
func (w *world) approveUnattended(ctx context.Context) (killed int) {
	limited, cancel := context.WithTimeout(ctx, pointPatience)
	defer cancel()
	waiting := w.allAwaiting(limited)
	if len(waiting) == 0 {
		return 0
	}
	for _, o := range w.operators {
		o.signal(syscall.SIGSTOP)
	}
	for _, run := range waiting {
		w.approveFor(limited, run)
	}
	for _, o := range w.operators {
		o.signal(syscall.SIGKILL)
		killed++
	}
	return killed
}

// approveAll approves what waits of a tenant.
func (w *world) approveAll(ctx context.Context, t tenant) {
	for _, run := range w.awaiting(ctx, t) {
		w.lookEarly(ctx, t, run)
		w.approveFor(ctx, run)
	}
}

// needingApproval names the exports whose runs need one.
func (w *world) needingApproval() map[string]bool {
	needing := map[string]bool{}
	for _, t := range w.tenants {
		if t.approval != "" {
			needing[path.Join(t.namespace, t.approval)] = true
		}
	}
	return needing
}

// judgeApprovals insists that what needs an approval was delivered with one, by another person, of what was delivered; and that one which was
// given counts.
func (j *judgement) judgeApprovals() {
	e := j.evidence
	for _, early := range e.early {
		j.note(&j.found.Unapproved, "%s", early)
	}
	given := map[string][]approval{} // by UID
	for _, one := range e.approvals {
		if one.forged && one.accepted {
			j.note(&j.found.Unapproved, "an approval of ExportRun %s by %s, who asked is %s, was taken, and is forged", one.name, one.by, one.asked)
		}
		if !one.forged && !one.refused {
			given[one.run] = append(given[one.run], one)
		}
	}
	for i := range e.runs {
		j.judgeApproved(&e.runs[i], given[e.runs[i].id])
	}
	for i := range e.resources {
		run := &e.resources[i]
		waited := run.Status.Approval
		if run.cluster != e.home || waited == nil || !e.needing[path.Join(run.Namespace, run.Spec.ExportRef.Name)] {
			continue
		}
		by := func(one approval) bool { return one.by == waited.ApprovedBy && one.digest == waited.Digest }
		if waited.ApprovedBy != "" && !slices.ContainsFunc(given[string(run.UID)], by) {
			j.note(&j.found.Unapproved, "ExportRun %s/%s tells of an approval by %s, who has given none of %s", run.Namespace, run.Name, waited.ApprovedBy, waited.Digest)
		}
		expired := slices.ContainsFunc(run.Status.Conditions, func(c metav1.Condition) bool { return c.Reason == v1alpha1.ReasonApprovalExpired })
		if expired && run.Status.CompletedAt != nil && waited.Until != nil && run.Status.CompletedAt.Before(waited.Until) {
			j.note(&j.found.Unheeded, "ExportRun %s/%s waited until %s for its approval, which was to be until %s", run.Namespace, run.Name, run.Status.CompletedAt, waited.Until)
		}
	}
}

// judgeApproved looks at the record of a run, and the approvals that were given for it.
func (j *judgement) judgeApproved(run *recordedRun, given []approval) {
	if run.cluster != j.evidence.home || !j.evidence.needing[path.Join(run.namespace, run.export)] || run.redelivers != "" {
		return
	}
	what := func(one approval) bool {
		return one.by != one.asked && one.asked != "" && len(run.files) > 0 && one.sha256 == run.files[0].SHA256 && one.claims == run.claims
	}
	if run.state == "committed" && run.claims > 0 && !slices.ContainsFunc(given, what) {
		j.note(&j.found.Unapproved, "run %s/%s was delivered with %d claims, and what was approved is %+v", run.namespace, run.name, run.claims, given)
	}
	accepted := slices.IndexFunc(given, func(one approval) bool { return one.accepted })
	if accepted >= 0 && run.releaseReason == v1alpha1.ReasonApprovalExpired {
		j.note(&j.found.Unheeded, "run %s/%s was given up as not approved, though %s had approved it", run.namespace, run.name, given[accepted].by)
	}
}

// forged counts the approvals that were tried and are none.
func (e *evidence) forged() (n int) {
	for _, one := range e.approvals {
		if one.forged {
			n++
		}
	}
	return n
}
