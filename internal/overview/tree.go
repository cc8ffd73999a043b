package overview

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/requests"
	"github.com/ledgerport/ledgerport/texts"
)

// States of all kinds but runs.
const (
	ready    = "Ready"
	notReady = "NotReady"
	unknown  = "Unknown"
)

// tree puts the parts together.
func (p *parts) tree() *Node {
	export := p.export
	node := &Node{Kind: accountingExport, Namespace: export.Namespace, Name: export.Name}
	node.State, node.Note = stateOf(accountingExport, export.Status.Conditions, v1alpha1.ConditionReady)
	if export.Status.ObservedGeneration != export.Generation {
		node.State, node.Note = unknown, Note{Message: "the operator has not looked at this export since it was changed", Do: "if that stays so, look whether the operator runs"}
	}
	node.Notes = notes(accountingExport, export.Status.Conditions, v1alpha1.ConditionLastRunSucceeded, v1alpha1.ConditionHistoryPruned)
	node.Next = p.next()
	node.Children = p.references()
	for i := range p.runs {
		node.Children = append(node.Children, runNode(&p.runs[i]))
	}
	return node
}

// references are what the export refers to, as the export sees it: that includes whether the owner admits it.
func (p *parts) references() []Node {
	spec, conditions := &p.export.Spec, p.export.Status.Conditions
	source, destination := references.SourceKey(p.export), references.DestinationKey(p.export)
	nodes := []Node{
		{Kind: claimSource, Namespace: source.Namespace, Name: source.Name},
		{Kind: chartOfAccounts, Namespace: p.export.Namespace, Name: spec.ChartOfAccountsRef.Name},
		{Kind: exportDestination, Namespace: destination.Namespace, Name: destination.Name},
	}
	for i, condition := range []string{v1alpha1.ConditionSourceReady, v1alpha1.ConditionMappingReady, v1alpha1.ConditionDestinationReady} {
		nodes[i].State, nodes[i].Note = stateOf(nodes[i].Kind, conditions, condition)
	}
	if p.source != nil {
		nodes[0].Notes = notes(claimSource, p.source.Status.Conditions, v1alpha1.ConditionIndexed, v1alpha1.ConditionIsolated, v1alpha1.ConditionEncrypted)
	}
	if p.destination != nil {
		nodes[2].Notes = notes(exportDestination, p.destination.Status.Conditions, v1alpha1.ConditionEncrypted)
	}
	if secret := spec.Credentials; secret != nil {
		node := Node{Kind: accountSecret, Namespace: p.export.Namespace}
		switch {
		case secret.SecretRef != nil:
			node.Name = secret.SecretRef.Name
		case secret.ExternalSecretRef != nil:
			node.Kind, node.Name = "ExternalSecret", secret.ExternalSecretRef.Name
		}
		node.State, node.Note = stateOf(accountSecret, conditions, v1alpha1.ConditionCredentialsReady)
		nodes = append(nodes, node)
	}
	return nodes
}

// stateOf reads one condition.
func stateOf(kind string, conditions []metav1.Condition, condition string) (string, Note) {
	found := meta.FindStatusCondition(conditions, condition)
	switch {
	case found == nil:
		return unknown, Note{Message: "the operator has not looked at it yet", Do: "if that stays so, look whether the operator runs"}
	case found.Status == metav1.ConditionTrue && found.Reason == v1alpha1.ReasonReady:
		return ready, Note{}
	case found.Status == metav1.ConditionTrue:
		return ready, Note{Reason: found.Reason, Message: found.Message}
	case found.Status == metav1.ConditionFalse:
		return notReady, Note{Reason: found.Reason, Message: found.Message, Do: Remedy(kind, found.Reason)}
	}
	return unknown, Note{Reason: found.Reason, Message: found.Message, Do: Remedy(kind, found.Reason)}
}

// notes are of the conditions among these that are False.
func notes(kind string, conditions []metav1.Condition, among ...string) (found []Note) {
	for _, name := range among {
		if condition := meta.FindStatusCondition(conditions, name); condition != nil && condition.Status == metav1.ConditionFalse {
			found = append(found, Note{About: name, Reason: condition.Reason, Message: condition.Message, Do: Remedy(kind, condition.Reason)})
		}
	}
	return found
}

// next is what the export does next, or how to have it do something.
func (p *parts) next() string {
	export := p.export
	for i := range p.runs {
		if run := &p.runs[i]; !run.Status.Phase.Finished() && run.Spec.Type.TakesTurns() {
			return "ExportRun " + run.Name + " has to end first"
		}
	}
	request := export.Annotations[v1alpha1.RequestedAtAnnotation]
	switch slot := export.Status.NextScheduleTime; {
	case !export.DeletionTimestamp.IsZero():
		return "the export is being deleted"
	case export.Spec.Suspend:
		return fmt.Sprintf("the export is suspended: \"ledgerport resume %s\" lets runs begin again", export.Name)
	case request != "" && request != export.Status.LastHandledRequest:
		return "the run that " + v1alpha1.RequestedAtAnnotation + " asks for"
	case slot != nil:
		return "a run for the slot of " + slotTime(slot.Time, export.Spec.TimeZone)
	}
	return fmt.Sprintf("nothing by itself: \"ledgerport run %s\" asks for a run", export.Name)
}

// slotTime writes a time as the export's people read it.
func slotTime(slot time.Time, zone string) string {
	location, err := time.LoadLocation(cmp.Or(zone, "UTC"))
	if err != nil { // which is a condition of the export
		location = time.UTC
	}
	return slot.In(location).Format("2006-01-02 15:04 MST")
}

// runNode tells of one run.
func runNode(run *v1alpha1.ExportRun) Node {
	status := &run.Status
	node := Node{Kind: exportRun, Namespace: run.Namespace, Name: run.Name, State: string(cmp.Or(status.Phase, v1alpha1.RunPending)), RequestedBy: status.RequestedBy, CancelledBy: status.CancelledBy}
	if status.Approval.Given() {
		node.ApprovedBy = status.Approval.ApprovedBy
	}
	if mark := requests.ImportOf(run); mark != nil {
		node.Imported = requests.ImportSummary(mark)
	}
	if condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); condition != nil {
		node.Note = Note{Reason: condition.Reason, Message: condition.Message}
		if status.Phase != v1alpha1.RunSucceeded {
			node.Do = Remedy(exportRun, condition.Reason)
		}
	}
	for _, held := range status.HeldClaims {
		node.Notes = append(node.Notes, Note{About: held.ID, OfClaim: true, Reason: held.Reason, Message: held.Message, Do: Remedy(chartOfAccounts, held.Reason)})
	}
	switch {
	case !status.Phase.Finished():
		node.Next = underWay(run)
	case status.Location != "":
		node.Location = status.Location
	}
	return node
}

// underWay says how far a run has come.
func underWay(run *v1alpha1.ExportRun) string {
	status := &run.Status
	switch {
	case status.Phase == v1alpha1.RunAwaitingApproval && !status.Approval.Given():
		return fmt.Sprintf("\"ledgerport approve %s\", by another person than who asked for it", run.Name)
	case status.NextAttemptAt != nil:
		return "the next attempt is at " + status.NextAttemptAt.UTC().Format(time.RFC3339)
	case status.Progress != nil && status.Progress.Total != nil:
		return fmt.Sprintf("stage %s, %d of %s", status.Stage, status.Progress.Claims, texts.Count(*status.Progress.Total, "claim", "claims"))
	case status.Progress != nil:
		return fmt.Sprintf("stage %s, %s", status.Stage, texts.Count(status.Progress.Claims, "claim", "claims"))
	case status.Stage != "":
		return "stage " + string(status.Stage)
	}
	return ""
}
