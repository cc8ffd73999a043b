package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

const (
	firstFile = "voucher,claim,debit,credit\r\nE/2026/1,a,10.00,\r\nE/2026/1,a,,10.00\r\nE/2026/2,b,0.50,\r\nE/2026/2,b,,0.50\r\n"
	siePart   = "#RAR 0 20260101 20261231\r\n#VER \"E\" 5 20261101 \"c\" 20261124\r\n{\r\n#TRANS 4670 {} 7.05 \"\" \"\"\r\n#TRANS 1740 {7 \"1000\"} -7.05 \"\" \"\"\r\n}\r\n"
)

// books is where the files of these tests are.
const books = "file:///books/"

// record is a committed run with one file.
func record(id, name, file, content string, claims int64) recordedRun {
	return recordedRun{
		id: id, namespace: "acme", name: name, organization: "org", book: "main", series: "E", state: "committed", claims: claims, location: books + file,
		files: []recordedFile{{Name: file, Size: int64(len(content)), SHA256: hashOf([]byte(content))}},
	}
}

// resourceOf is the ExportRun of a run.
func resourceOf(run recordedRun, phase v1alpha1.RunPhase) resource {
	r := resource{run.cluster, v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: run.name, UID: types.UID(run.id)}}}
	r.Status.Phase = phase
	if phase == v1alpha1.RunSucceeded {
		r.Status.RunResult = v1alpha1.RunResult{Claims: run.claims, Location: run.location, SHA256: run.files[0].SHA256}
	}
	return r
}

// sound is what two committed runs and a released one leave where all went well.
func sound() *evidence {
	first, second := record("1", "first", "first.csv", firstFile, 2), record("2", "second", "second.si", siePart, 1)
	released := recordedRun{id: "3", namespace: "acme", name: "third", organization: "org", book: "main", series: "E", state: "released"}
	return &evidence{
		claims:    []approvedClaim{{"a", "org", 1000, 0, false}, {"b", "org", 50, 0, false}, {"c", "org", 705, 0, false}},
		runs:      []recordedRun{first, second, released},
		voided:    []numberRange{{"org/main/E/2026", 3, 4}},
		numbering: []numbering{{"org/main/E/2026", 6}},
		files:     map[string][]byte{books + "first.csv": []byte(firstFile), books + "second.si": []byte(siePart)},
		resources: []resource{resourceOf(first, v1alpha1.RunSucceeded), resourceOf(second, v1alpha1.RunSucceeded), resourceOf(released, v1alpha1.RunFailed)},
	}
}

// told lets the runs follow each other, and the inbox be told of all of them.
func told(e *evidence) {
	e.notified = map[string]bool{"acme": true}
	at := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	for i := range e.resources {
		status := &e.resources[i].Status
		status.StartedAt, status.CompletedAt = &metav1.MicroTime{Time: at.Add(time.Second)}, &metav1.Time{Time: at.Add(2 * time.Second)}
		at = status.CompletedAt.Time
		for _, event := range eventsOf(&e.resources[i]) {
			e.arrivals = append(e.arrivals, arrival{id: string(e.resources[i].UID) + "-" + event})
		}
	}
}

func TestSoundEvidenceShowsNoDamage(t *testing.T) {
	t.Parallel()
	if found, report := judge(sound()); found != (damage{}) || len(report) > 0 {
		t.Errorf("found %+v: %q", found, report)
	}
}

func TestEveryKindOfDamageIsFound(t *testing.T) {
	t.Parallel()
	// reversed lets a run reverse the first one, and one more export its claims again.
	reversed := func(e *evidence) {
		for i, name := range []string{"back", "again"} {
			content := strings.ReplaceAll(strings.ReplaceAll(firstFile, "/1,", fmt.Sprintf("/%d,", 6+2*i)), "/2,", fmt.Sprintf("/%d,", 7+2*i))
			run := record(name, name, name+".csv", content, 2)
			if name == "back" {
				run.reverses = e.runs[0].id
			}
			e.runs, e.files[run.location] = append(e.runs, run), []byte(content)
			e.resources = append(e.resources, resourceOf(run, v1alpha1.RunSucceeded))
		}
		e.numbering[0].next = 10
	}
	// redelivered lets a run deliver the files of the first one.
	redelivered := func(e *evidence) {
		run := record("5", "elsewhere", "first.csv", firstFile, e.runs[0].claims)
		run.files, run.redelivers, run.location = slices.Clone(e.runs[0].files), e.runs[0].id, "file:///books/elsewhere/first.csv"
		for _, file := range run.files {
			e.files["file:///books/elsewhere/"+file.Name] = e.files["file:///books/"+file.Name]
		}
		e.runs = append(e.runs, run)
		e.resources = append(e.resources, resourceOf(run, v1alpha1.RunSucceeded))
	}
	const third = "E/2026/3,c,7.05,\r\nE/2026/3,c,,7.05\r\n"
	const twoOfOne = "voucher,claim,debit,credit\r\nE/2026/1,a,4.00,\r\nE/2026/1,a,,4.00\r\nE/2026/2,a,6.00,\r\nE/2026/2,a,,6.00\r\nE/2026/4,b,0.50,\r\nE/2026/4,b,,0.50\r\n"
	inAnotherBook := func(e *evidence, content string, claims int64) {
		run := record("4", "paid", "paid.csv", content, claims)
		run.book = payments
		e.runs, e.files[run.location] = append(e.runs, run), []byte(content)
		e.resources = append(e.resources, resourceOf(run, v1alpha1.RunSucceeded))
		e.numbering = append(e.numbering, numbering{"org/payments/E/2026", claims + 1})
	}
	rewrite := func(e *evidence, at, old, replacement string) {
		content := bytes.ReplaceAll(e.files[at], []byte(old), []byte(replacement))
		e.files[at] = content
		for i := range e.runs {
			if e.runs[i].location == at {
				e.runs[i].files[0].Size, e.runs[i].files[0].SHA256 = int64(len(content)), hashOf(content)
				e.resources[i].Status.SHA256 = hashOf(content)
			}
		}
	}
	// rewriteReceipt lets the one receipt of the first run have other bytes.
	rewriteReceipt := func(e *evidence, content string) {
		e.files[books+"receipts/E-2026-1/E-2026-1-1.pdf"] = []byte(content)
		list := fmt.Sprintf("file,voucher,claim,line,media_type,size,sha256,problem\r\nreceipts/E-2026-1/E-2026-1-1.pdf,E-2026-1,a,1,,%d,%s,\r\n,E-2026-1,a,2,,,,missing\r\n", len(content), hashOf([]byte(content)))
		e.files[books+receiptList] = []byte(list)
		e.runs[0].files = append(e.runs[0].files[:1], recordedFile{receiptList, int64(len(list)), hashOf([]byte(list))})
	}
	// receipted lets the first claim have one receipt, and one that is lost.
	receipted := func(e *evidence) {
		e.receipts = map[string]receiptCount{"a": {2, 1}}
		rewriteReceipt(e, contentOfReceipt("a", "1"))
	}
	// answered lets an application have asked for the first run, and downloaded its file.
	answered := func(e *evidence) {
		e.asked = []asking{{namespace: "acme", export: "monthly", key: "k", ids: []string{"first"}}}
		e.told = []toldEnd{{"acme", "first", v1alpha1.RunSucceeded, 2}}
		e.loads = []download{{"acme", "first", "first.csv", hashOf([]byte(firstFile))}}
	}
	// approved lets the first run have needed an approval, and a person have given it.
	approved := func(e *evidence) {
		e.needing = map[string]bool{"acme/monthly": true}
		e.runs[0].export = "monthly"
		e.approvals = []approval{{run: "1", name: "acme/first", by: "bob", asked: "alice", digest: "d", sha256: hashOf([]byte(firstFile)), claims: 2, accepted: true}}
		e.resources[0].Spec.ExportRef.Name = "monthly"
		e.resources[0].Status.Approval = &v1alpha1.RunApproval{Digest: "d", ApprovedBy: "bob"}
	}
	// expired lets the third run have waited for an approval in vain.
	expired := func(e *evidence) {
		at := metav1.Time{Time: time.Date(2026, 11, 1, 6, 1, 0, 0, time.UTC)}
		e.needing = map[string]bool{"acme/monthly": true}
		e.runs[2].export, e.runs[2].releaseReason = "monthly", v1alpha1.ReasonApprovalExpired
		e.resources[2].Spec.ExportRef.Name = "monthly"
		status := &e.resources[2].Status
		status.Approval, status.CompletedAt = &v1alpha1.RunApproval{Digest: "d", Until: &at}, &at
		status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Reason: v1alpha1.ReasonApprovalExpired}}
	}
	// cancelled lets the third run have been cancelled as it came to wait for an approval.
	cancelled := func(e *evidence) {
		told(e)
		e.resources[2].Status.Phase, e.resources[2].Status.Approval = v1alpha1.RunCancelled, &v1alpha1.RunApproval{}
		e.arrivals[2].id = "3-cancelled"
	}
	for name, c := range map[string]struct {
		spoil func(*evidence)
		want  damage
	}{
		"a claim in no file": {func(e *evidence) { e.claims = append(e.claims, approvedClaim{"d", "org", 1, 0, false}) }, damage{Lost: 1}},
		"a claim twice": {func(e *evidence) {
			rewrite(e, "file:///books/second.si", `"c"`, `"a"`)
			e.claims[2].id, e.claims[0].cents = "a", 1000
			e.claims = e.claims[:2]
		}, damage{Duplicated: 1, Unbalanced: 1}},
		"a claim that was reversed and exported again": {reversed, damage{}},
		"a claim that was reversed alone and exported again": {func(e *evidence) {
			reversed(e)
			for _, run := range e.runs[3:5] { // of two claims, the first
				first, _, _ := strings.Cut(string(e.files[run.location]), "E/2026/"+map[string]string{"back": "7", "again": "9"}[run.name])
				rewrite(e, run.location, string(e.files[run.location]), first)
			}
			rewrite(e, e.runs[4].location, "E/2026/8", "E/2026/7")
			e.runs[3].claims, e.runs[4].claims, e.resources[3].Status.Claims, e.resources[4].Status.Claims, e.numbering[0].next = 1, 1, 1, 1, 8
		}, damage{}},
		"a run that was delivered again": {redelivered, damage{}},
		"a run that was delivered again in other bytes": {func(e *evidence) {
			redelivered(e)
			e.files[e.runs[len(e.runs)-1].location] = []byte("other")
			e.runs[len(e.runs)-1].files[0] = recordedFile{Name: "first.csv", Size: 5, SHA256: hashOf([]byte("other"))}
			e.resources[len(e.resources)-1].Status.SHA256 = hashOf([]byte("other"))
		}, damage{Partial: 1}},
		"a claim that was reversed and not exported again": {func(e *evidence) {
			reversed(e)
			e.runs, e.resources, e.numbering[0].next = e.runs[:4], e.resources[:4], 8
			delete(e.files, "file:///books/again.csv")
		}, damage{Lost: 2}},
		"claims that a second book has, too":       {func(e *evidence) { inAnotherBook(e, firstFile+third, 3) }, damage{}},
		"a claim that a second book does not have": {func(e *evidence) { inAnotherBook(e, firstFile, 2) }, damage{Lost: 1}},
		"a claim of two vouchers":                  {func(e *evidence) { inAnotherBook(e, twoOfOne+third, 3); e.numbering[1].next = 5 }, damage{}},
		"a claim of which a voucher is missing": {func(e *evidence) {
			inAnotherBook(e, strings.ReplaceAll(twoOfOne, "E/2026/1,a,4.00,\r\nE/2026/1,a,,4.00\r\n", "")+third, 3)
			e.voided = append(e.voided, numberRange{"org/payments/E/2026", 1, 1})
			e.numbering[1].next = 5
		}, damage{Unbalanced: 1}},
		"a claim that was exported again and never reversed": {func(e *evidence) { reversed(e); e.runs[3].reverses = "" }, damage{Duplicated: 2}},
		"a claim that was exported again before it was reversed": {func(e *evidence) {
			reversed(e)
			e.runs[3].reverses, e.runs[4].reverses = "", e.runs[0].id
		}, damage{Lost: 2, Duplicated: 2}},
		"a claim that was reversed twice":                {func(e *evidence) { reversed(e); e.runs[4].reverses = e.runs[0].id }, damage{Lost: 2}},
		"a reversal of claims that another run exported": {func(e *evidence) { reversed(e); e.runs[3].reverses = e.runs[1].id }, damage{Lost: 2, Duplicated: 2}},
		"a reversal that leaves out a claim": {func(e *evidence) {
			reversed(e)
			rewrite(e, "file:///books/back.csv", "E/2026/7,b,0.50,\r\nE/2026/7,b,,0.50\r\n", "")
			e.voided = append(e.voided, numberRange{"org/main/E/2026", 7, 7})
		}, damage{Duplicated: 1}},
		"a voucher that does not balance":                       {func(e *evidence) { rewrite(e, "file:///books/first.csv", ",,0.50", ",,0.49") }, damage{Unbalanced: 1}},
		"a cent too much on both sides":                         {func(e *evidence) { rewrite(e, "file:///books/first.csv", "10.00", "10.01") }, damage{Unbalanced: 1}},
		"a line on a company card that is owed to the claimant": {func(e *evidence) { e.claims[1].card = 50 }, damage{Unbalanced: 1}},
		"a line of the claimant that is owed to a company card": {func(e *evidence) { rewrite(e, "file:///books/second.si", "#TRANS 1740", "#TRANS 1730") }, damage{Unbalanced: 1}},
		"a number that nobody used":                             {func(e *evidence) { e.voided = nil }, damage{Gaps: 1}},
		"a number that was used and voided":                     {func(e *evidence) { e.voided[0].first = 2 }, damage{Gaps: 1}},
		"a series that stands elsewhere":                        {func(e *evidence) { e.numbering[0].next = 7 }, damage{Gaps: 1}},
		"a file of a released run":                              {func(e *evidence) { e.files["file:///books/third.csv"] = []byte("x") }, damage{Partial: 1}},
		"a hidden file":                                         {func(e *evidence) { e.files["file:///books/.first.csv.X"] = nil }, damage{Partial: 1}},
		"a file that is missing":                                {func(e *evidence) { delete(e.files, "file:///books/second.si") }, damage{Partial: 1, Lost: 1, Gaps: 1}},
		"a run that has not ended":                              {func(e *evidence) { e.runs[2].state = "rendered" }, damage{Stuck: 1}},
		"a resource that has not ended":                         {func(e *evidence) { e.resources[2].Status.Phase = v1alpha1.RunReleasing }, damage{Stuck: 1}},
		"a resource that claims success":                        {func(e *evidence) { e.resources[2].Status.Phase = v1alpha1.RunSucceeded }, damage{Disagree: 1}},
		"a resource that denies success":                        {func(e *evidence) { e.resources[0].Status.Phase = v1alpha1.RunCancelled }, damage{Disagree: 1}},
		"a resource that tells of another number":               {func(e *evidence) { e.resources[0].Status.Claims = 3 }, damage{Disagree: 1}},
		"a claim with a line number twice that was exported":    {func(e *evidence) { e.claims[0].held = true }, damage{Unheld: 1}},
		"a claim with a line number twice that was held":        {func(e *evidence) { e.claims = append(e.claims, approvedClaim{"d", "org", 2, 0, true}) }, damage{}},
		"a claim that a restored database exported again":       {func(e *evidence) { e.forgotten = []string{"a"} }, damage{Forgotten: 1}},
		"a record of another cluster under the name of a run that failed": {func(e *evidence) {
			e.runs[1].cluster, e.resources[1].UID = "another", "4"
			e.resources[1].Status = v1alpha1.ExportRunStatus{Phase: v1alpha1.RunFailed}
		}, damage{}},
		"a record of another cluster that a run tells as its own": {func(e *evidence) {
			e.runs[1].cluster, e.resources[1].UID = "another", "4"
		}, damage{Disagree: 1}},
		"a receipt beside its artifact": {receipted, damage{}},
		"a receipt that is missing":     {func(e *evidence) { receipted(e); delete(e.files, books+"receipts/E-2026-1/E-2026-1-1.pdf") }, damage{Receipts: 1}},
		"a receipt of another claim": {func(e *evidence) {
			receipted(e)
			rewriteReceipt(e, contentOfReceipt("b", "1"))
		}, damage{Receipts: 1}},
		"a receipt that is not listed":          {func(e *evidence) { receipted(e); e.receipts["b"] = receiptCount{1, 0} }, damage{Receipts: 1}},
		"a receipt that is listed as lost":      {func(e *evidence) { receipted(e); e.receipts["a"] = receiptCount{2, 0} }, damage{Receipts: 1}},
		"a receipt of a released run":           {func(e *evidence) { e.files[books+"receipts/E-2026-3/E-2026-3-1.pdf"] = []byte("x") }, damage{Partial: 1}},
		"an end that nobody was told of":        {func(e *evidence) { told(e); e.arrivals = e.arrivals[1:] }, damage{Untold: 1}},
		"an end that was told and has not come": {func(e *evidence) { told(e); e.arrivals = append(e.arrivals, arrival{id: "1-failed"}) }, damage{Untold: 1}},
		"ends that were told in another order":  {func(e *evidence) { told(e); slices.Reverse(e.arrivals) }, damage{Untold: 3}},
		"ends that were told twice":             {func(e *evidence) { told(e); e.arrivals = append(e.arrivals, e.arrivals...) }, damage{}},
		"held claims that nobody was told of":   {func(e *evidence) { told(e); e.resources[0].Status.Held = 1 }, damage{Untold: 1}},
		"an end of a run that nobody knows":     {func(e *evidence) { told(e); e.arrivals = append(e.arrivals, arrival{id: "4-succeeded"}) }, damage{Untold: 1}},
		"an end of a run that was deleted": {func(e *evidence) {
			told(e)
			e.deleted, e.arrivals = map[string]bool{"4": true}, append(e.arrivals, arrival{id: "4-cancelled"})
		}, damage{}},
		"a success of a run that was deleted and never recorded": {func(e *evidence) {
			told(e)
			e.deleted, e.arrivals = map[string]bool{"4": true}, append(e.arrivals, arrival{id: "4-succeeded"})
		}, damage{Untold: 1}},
		"a failure of a run that was deleted after its success": {func(e *evidence) {
			told(e)
			e.deleted, e.resources[1].UID = map[string]bool{"2": true}, "4"
			e.resources[1].Status.Recovered = true
			e.arrivals = []arrival{{id: "1-succeeded"}, {id: "2-failed"}, {id: "3-failed"}}
		}, damage{Untold: 1}},
		"a request that was answered":              {answered, damage{}},
		"a request that was never answered":        {func(e *evidence) { answered(e); e.asked[0].ids = nil }, damage{Repeated: 1}},
		"a request with two runs":                  {func(e *evidence) { answered(e); e.asked[0].ids = []string{"first", "second"} }, damage{Repeated: 1}},
		"a request with a run that does not exist": {func(e *evidence) { answered(e); e.asked[0].ids = []string{"fourth"} }, damage{Repeated: 1}},
		"a request with a run that somebody has deleted": {func(e *evidence) {
			answered(e)
			e.asked[0].ids, e.deleted = []string{"fourth"}, map[string]bool{"acme/fourth": true}
		}, damage{}},
		"a run of an application that no request was answered with": {func(e *evidence) {
			answered(e)
			e.resources[1].Annotations = map[string]string{v1alpha1.RequestedByAnnotation: accountOf("acme")}
		}, damage{Repeated: 1}},
		"a run of an application that was exported twice": {func(e *evidence) {
			answered(e)
			e.told, e.loads, e.runs[1].name, e.resources[1].Name = nil, nil, "first", "first"
		}, damage{Repeated: 1}},
		"an answer that is not so":                {func(e *evidence) { answered(e); e.told[0].phase = v1alpha1.RunFailed }, damage{Mistold: 1}},
		"an answer with another number of claims": {func(e *evidence) { answered(e); e.told[0].claims = 3 }, damage{Mistold: 1}},
		"an answer that may not be":               {func(e *evidence) { answered(e); e.untruths = []string{"404"} }, damage{Mistold: 1}},
		"a file that came otherwise":              {func(e *evidence) { answered(e); e.loads[0].sha256 = hashOf(nil) }, damage{Mistold: 1}},
		"a file of a run that has delivered none": {func(e *evidence) { answered(e); e.loads[0].run = "third" }, damage{Mistold: 1}},
		"a run that was approved":                 {approved, damage{}},
		"a run that nobody has approved": {func(e *evidence) {
			approved(e)
			e.approvals, e.resources[0].Status.Approval.ApprovedBy = nil, ""
		}, damage{Unapproved: 1}},
		"a run that tells of an approval that nobody has given": {func(e *evidence) { approved(e); e.resources[0].Status.Approval.ApprovedBy = "carol" }, damage{Unapproved: 1}},
		"a run that was approved by who asked":                  {func(e *evidence) { approved(e); e.approvals[0].asked = "bob" }, damage{Unapproved: 1}},
		"a run of which nobody knows who asked":                 {func(e *evidence) { approved(e); e.approvals[0].asked = "" }, damage{Unapproved: 1}},
		"a run that was approved with another file":             {func(e *evidence) { approved(e); e.approvals[0].sha256 = hashOf(nil) }, damage{Unapproved: 1}},
		"a run that was approved with other claims":             {func(e *evidence) { approved(e); e.approvals[0].claims = 1 }, damage{Unapproved: 1}},
		"a run whose approval the API server has refused": {func(e *evidence) {
			approved(e)
			e.approvals[0].refused, e.approvals[0].accepted = true, false
		}, damage{Unapproved: 2}},
		"a forged approval that was refused": {func(e *evidence) {
			approved(e)
			e.approvals = append(e.approvals, approval{run: "1", by: "alice", asked: "alice", forged: true, refused: true})
		}, damage{}},
		"a forged approval that was taken": {func(e *evidence) {
			approved(e)
			e.approvals = append(e.approvals, approval{run: "1", by: "alice", asked: "alice", forged: true, accepted: true})
		}, damage{Unapproved: 1}},
		"a file that was there before the approval": {func(e *evidence) { approved(e); e.early = []string{"first.csv"} }, damage{Unapproved: 1}},
		"a run that was delivered again without an approval": {func(e *evidence) {
			approved(e)
			redelivered(e)
			e.runs[len(e.runs)-1].export = "monthly"
		}, damage{}},
		"a run that nobody has approved in time": {expired, damage{}},
		"a run that was given up though it was approved": {func(e *evidence) {
			expired(e)
			e.approvals = []approval{{run: "3", by: "bob", asked: "alice", digest: "d", accepted: true}}
		}, damage{Unheeded: 1}},
		"a run that was given up too early": {func(e *evidence) {
			expired(e)
			e.resources[2].Status.CompletedAt = &metav1.Time{Time: e.resources[2].Status.Approval.Until.Add(-time.Second)}
		}, damage{Unheeded: 1}},
		"an operator that ended by itself":           {func(e *evidence) { e.crashed = []string{"operator-1 ended"} }, damage{Crashed: 1}},
		"a password in a log":                        {func(e *evidence) { e.leaks = []string{"a password in log line"} }, damage{Leaked: 1}},
		"a wait that nobody was told of":             {func(e *evidence) { told(e); e.resources[0].Status.Approval = &v1alpha1.RunApproval{} }, damage{Untold: 1}},
		"a wait of a run that was cancelled by then": {cancelled, damage{}},
		"a wait that was recorded before the run was cancelled, and nobody was told of": {func(e *evidence) {
			cancelled(e)
			e.resources[2].Status.Notifications = []v1alpha1.RunNotification{{Event: v1alpha1.EventAwaitingApproval, State: v1alpha1.NotificationSent}}
		}, damage{Untold: 1}},
		"a wait that was told and has not come": {func(e *evidence) { told(e); e.arrivals = append(e.arrivals, arrival{id: "1-awaitingapproval"}) }, damage{Untold: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sound()
			c.spoil(e)
			found, report := judge(e)
			if found != c.want {
				t.Errorf("found %+v, want %+v: %q", found, c.want, report)
			}
		})
	}
}

func TestMoneyIsReadExactly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "0.50": 50, "-7.05": -705, "12": 1200, "3.1": 310} {
		if got, err := cents(text); err != nil || got != want {
			t.Errorf("%q is %d cents (%v), want %d", text, got, err, want)
		}
	}
	if _, err := cents("1.005"); err == nil {
		t.Error("half a cent was read")
	}
	inFile, err := readSIE([]byte(siePart))
	if err != nil || !slices.Equal(inFile, []voucher{{year: "2026", claim: "c", number: 5, debit: 705, credit: 705}}) {
		t.Errorf("read %+v (%v)", inFile, err)
	}
}

func TestTheClaimOfAReversalIsReadFromSIE(t *testing.T) {
	t.Parallel()
	content := strings.Replace(siePart, `"c"`, `"Reverses E/2026/4: c"`, 1)
	if found, err := readSIE([]byte(content)); err != nil || len(found) != 1 || found[0].claim != "c" || found[0].number != 5 {
		t.Errorf("got %+v (%v)", found, err)
	}
}
