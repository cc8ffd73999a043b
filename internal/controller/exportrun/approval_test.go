package exportrun

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/executor"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
)

const digest = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"

// awaitingApproval lets a run wait for its approval for another hour, asked for by alice.
func awaitingApproval(in *Inputs) {
	requiring(in)
	in.Run.Status = running(1, 0, "")
	in.Run.Status.Attempt.EndedAt = &metav1.Time{Time: noon}
	in.Run.Status.Phase = v1alpha1.RunAwaitingApproval
	in.Run.Status.Approval = &v1alpha1.RunApproval{Digest: digest, Until: &metav1.Time{Time: noon.Add(time.Hour)}}
	askedBy("alice")(in)
}

func requiring(in *Inputs) { in.Export.Spec.Approval = v1alpha1.ApprovalRequired }

func askedBy(name string) func(*Inputs) {
	return func(in *Inputs) {
		in.Run.Annotations = map[string]string{v1alpha1.RequestedByAnnotation: name}
		in.Run.Status.RequestedBy = name
	}
}

func approvedBy(name, what string) func(*Inputs) {
	return func(in *Inputs) {
		in.Run.Annotations[v1alpha1.ApprovedAnnotation], in.Run.Annotations[v1alpha1.ApprovedByAnnotation] = what, name
	}
}

func unenforced(in *Inputs) {
	in.Unenforced = failure.Transient(v1alpha1.ReasonApprovalNotEnforced, nil, "no policy")
}

func later(in *Inputs) { in.Now = noon.Add(2 * time.Hour) }

// decisionsOfApprovals are cases of TestDecide.
func decisionsOfApprovals() []struct {
	name    string
	step    Step
	wait    time.Duration
	changes []func(*Inputs)
} {
	return []struct {
		name    string
		step    Step
		wait    time.Duration
		changes []func(*Inputs)
	}{
		{"a run that nobody is named for may have begun before it was applied again", Begin, 0, []func(*Inputs){requiring}},
		{"one of which nobody knows whether the name is true does not begin", RefuseUnapprovable, 0, []func(*Inputs){requiring, askedBy("alice"), unenforced}},
		{"and begins with a name that is compared", Begin, 0, []func(*Inputs){requiring, askedBy("alice")}},
		{"a preview needs no approval", Begin, 0, []func(*Inputs){requiring, func(in *Inputs) { in.Run.Spec.Type = v1alpha1.RunPreview }}},
		{"nor does a redelivery", Begin, 0, []func(*Inputs){requiring, redelivering}},
		{"a reversal does", RefuseUnapprovable, 0, []func(*Inputs){requiring, askedBy("alice"), unenforced, func(in *Inputs) { in.Run.Spec.Type = v1alpha1.RunReversal }}},
		{"a run that has begun goes on when its export comes to need approvals", Begin, 0, []func(*Inputs){attempted(retrying(0)), requiring}},
		{"a run waits for its approval", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval}},
		{"also when its export needs none any more", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, func(in *Inputs) { in.Export.Spec.Approval = "" }}},
		{"also when its export is suspended", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, func(in *Inputs) { in.Export.Spec.Suspend = true }}},
		{"and for no other run, and no readiness", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, unreadySource, func(in *Inputs) { in.Turn.next = in.Run }}},
		{"it goes on when another person has approved it", Approve, 0, []func(*Inputs){awaitingApproval, approvedBy("bob", digest)}},
		{"also when that was seen late", Approve, 0, []func(*Inputs){awaitingApproval, approvedBy("bob", digest), later}},
		{"a slot is approved by anybody", Approve, 0, []func(*Inputs){awaitingApproval, askedBy(v1alpha1.RequestedBySchedule), approvedBy("alice", digest)}},
		{"who asked does not approve", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("alice", digest)}},
		{"not even by changing who asked", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("alice", digest), func(in *Inputs) { in.Run.Annotations[v1alpha1.RequestedByAnnotation] = "bob" }}},
		{"or by taking that away", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("bob", digest), func(in *Inputs) { delete(in.Run.Annotations, v1alpha1.RequestedByAnnotation) }}},
		{"nobody does", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("", digest)}},
		{"an approval of something else is none", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("bob", "another")}},
		{"nor is one that could be forged", AwaitApproval, time.Hour, []func(*Inputs){awaitingApproval, approvedBy("bob", digest), unenforced}},
		{"nobody approves in time", Expire, 0, []func(*Inputs){awaitingApproval, later}},
		{"nor does a forged approval count then", Expire, 0, []func(*Inputs){awaitingApproval, later, approvedBy("alice", digest)}},
		{"a run that is cancelled while it waits gives its claims back", Begin, 0, []func(*Inputs){awaitingApproval, func(in *Inputs) { cancelling(in.Run) }}},
		{"so does one that is deleted", Begin, 0, []func(*Inputs){awaitingApproval, approvedBy("bob", digest), func(in *Inputs) { deleted(in.Run) }}},
		{"what is approved begins its next attempt", Begin, 0, []func(*Inputs){awaitingApproval, func(in *Inputs) { in.Run.Status.Approval.ApprovedBy = "bob" }}},
	}
}

// TestTheAPIServerIsAskedWhenItMatters counts for which decisions of a run the API server is asked whether it refuses what is forged.
func TestTheAPIServerIsAskedWhenItMatters(t *testing.T) {
	t.Parallel()
	others := func(in *Inputs) { in.Turn = turn{next: in.Run, before: 1, unfinished: 1} }
	for _, test := range []struct {
		name    string
		asked   bool
		changes []func(*Inputs)
	}{
		{"before a run begins that needs an approval", true, []func(*Inputs){requiring, askedBy("alice")}},
		{"not of one that waits for its turn", false, []func(*Inputs){requiring, askedBy("alice"), others}},
		{"not of one that nobody is named for", false, []func(*Inputs){requiring}},
		{"not of one that needs none", false, []func(*Inputs){askedBy("alice")}},
		{"not of one that is to end", false, []func(*Inputs){requiring, askedBy("alice"), func(in *Inputs) { cancelling(in.Run) }}},
		{"not of one that has begun", false, []func(*Inputs){attempted(retrying(0)), requiring}},
		{"not of one that waits for its approval", false, []func(*Inputs){awaitingApproval}},
		{"not of one whose approval does not count anyway", false, []func(*Inputs){awaitingApproval, approvedBy("alice", digest)}},
		{"before an approval is believed", true, []func(*Inputs){awaitingApproval, approvedBy("bob", digest)}},
		{"once a reconcile", false, []func(*Inputs){awaitingApproval, approvedBy("bob", digest), func(in *Inputs) { in.Asked = true }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			in := decisionInputs(test.changes...)
			if action := Decide(in); in.toAsk(action.Step) != test.asked {
				t.Errorf("before %s it is asked: %t", action.Step, !test.asked)
			}
		})
	}
}

func TestARunThatWaitsForItsApproval(t *testing.T) {
	t.Parallel()
	waits := executor.State{Phase: executor.Ended, Stage: v1alpha1.StageRender, Outcome: pipeline.Outcome{
		Awaits: digest, Record: pipeline.RecordOpen, FirstVoucher: "E/2026/1", LastVoucher: "E/2026/3", FileCount: 2,
		Result: v1alpha1.RunResult{Claims: 3, Total: "12.00 EUR", Debit: "12.00", SHA256: "abc"}, Files: []v1alpha1.RunFile{{Name: "a.csv"}},
	}}
	begun := func() (*v1alpha1.ExportRun, *v1alpha1.AccountingExport) {
		in := decisionInputs(requiring, attempted(unchanged), askedBy("alice"))
		in.Export.Spec.ApprovalTimeout = &metav1.Duration{Duration: time.Hour}
		return in.Run, in.Export
	}
	t.Run("shows what it is to deliver, and until when it waits", func(t *testing.T) {
		t.Parallel()
		run, export := begun()
		conclude(run, export, waits, noon)
		status := &run.Status
		if status.Phase != v1alpha1.RunAwaitingApproval || status.Claims != 3 || status.SHA256 != "abc" || len(status.Files) != 1 || status.Attempt.UnderWay() || !mayHoldClaims(run) {
			t.Errorf("the status is %+v", status)
		}
		if status.Approval.Digest != digest || !status.Approval.Until.Equal(&metav1.Time{Time: noon.Add(time.Hour)}) {
			t.Errorf("it waits for %+v", status.Approval)
		}
		if message := readyCondition(run).Message; !strings.Contains(message, "3 claims, 12.00 EUR in total, wait for the approval of another person than alice until") {
			t.Errorf("it says %q", message)
		}
		if next := task(run, export, Limits{}); !next.Awaited || next.Approved != "" {
			t.Errorf("the next attempt would deliver: %+v", next)
		}
	})
	t.Run("tells the next attempt what was approved, once it is", func(t *testing.T) {
		t.Parallel()
		run, export := begun()
		conclude(run, export, waits, noon)
		run.Annotations[v1alpha1.ApprovedByAnnotation] = "bob\u202e"
		approve(run, noon)
		if next := task(run, export, Limits{}); next.Approved != digest || next.RequestedBy != "alice" || next.ApprovedBy != run.Status.Approval.ApprovedBy || !next.ApprovedAt.Equal(noon) || run.Status.Approval.ApprovedBy != `bob\u202e` {
			t.Errorf("the next attempt has %q, approved by %q", next.Approved, run.Status.Approval.ApprovedBy)
		}
		changed := waits
		changed.Outcome.Awaits = "another"
		conclude(run, export, changed, noon.Add(time.Minute))
		if approval := run.Status.Approval; approval.Given() || approval.Digest != "another" || !approval.Until.Equal(&metav1.Time{Time: noon.Add(time.Hour)}) {
			t.Errorf("what has changed since waits for %+v", approval)
		}
	})
	t.Run("has exported nothing if it is not approved", func(t *testing.T) {
		t.Parallel()
		run, export := begun()
		conclude(run, export, waits, noon)
		expire(run, noon.Add(time.Hour))
		if run.Status.Phase != v1alpha1.RunReleasing || run.Status.ReleaseReason != v1alpha1.ReasonApprovalExpired {
			t.Errorf("it is %s for %s", run.Status.Phase, run.Status.ReleaseReason)
		}
		conclude(run, export, executor.State{Phase: executor.Ended}, noon.Add(time.Hour))
		status := &run.Status
		if status.Phase != v1alpha1.RunFailed || ReadyReason(run) != v1alpha1.ReasonApprovalExpired || status.Claims != 0 || status.Total != "" || status.Files != nil || status.FirstVoucher != "" {
			t.Errorf("it ended as %+v", status)
		}
	})
}
