// Package overview is what a person is told of an export: a tree of it, what it refers to, and its newest runs, each with how it is,
// why, and what to do.
package overview

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/references"
)

const (
	accountingExport  = "AccountingExport"
	exportRun         = "ExportRun"
	claimSource       = "ClaimSource"
	chartOfAccounts   = "ChartOfAccounts"
	exportDestination = "ExportDestination"
	accountSecret     = "Secret"
)

// Node is one resource of the tree.
type Node struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// State is Ready, NotReady or Unknown; of a run it is its phase.
	State string `json:"state"`
	Note
	// Notes are of conditions and claims that are not as they should be.
	Notes []Note `json:"notes,omitempty"`
	// RequestedBy, CancelledBy and ApprovedBy are users, as a run names them.
	RequestedBy string `json:"requestedBy,omitempty"`
	CancelledBy string `json:"cancelledBy,omitempty"`
	ApprovedBy  string `json:"approvedBy,omitempty"`
	// Imported is who has marked a run as imported, when, and under what reference.
	Imported string `json:"imported,omitempty"`
	// Location of the artifact of a run.
	Location string `json:"location,omitempty"`
	// Next is what comes next, or how to ask for it.
	Next string `json:"next,omitempty"`
	// Children are what an export refers to and its runs.
	Children []Node `json:"children,omitempty"`
}

// Note says why something is as it is, and what to do.
type Note struct {
	// About is a condition, or the id of a held claim.
	About   string `json:"about,omitempty"`
	OfClaim bool   `json:"ofClaim,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Do      string `json:"do,omitempty"`
}

// parts are an export and what belongs to it. What the person may not read, or what does not exist, is nil.
type parts struct {
	export      *v1alpha1.AccountingExport
	source      *v1alpha1.ClaimSource
	destination *v1alpha1.ExportDestination
	runs        []v1alpha1.ExportRun // newest first
}

// Of returns the tree of an export, with all runs that have not finished and so many of those that have.
func Of(ctx context.Context, cluster client.Client, key types.NamespacedName, finished int) (*Node, error) {
	p := parts{export: &v1alpha1.AccountingExport{}}
	if err := cluster.Get(ctx, key, p.export); err != nil {
		return nil, err
	}
	var err error
	if p.source, err = readable(ctx, cluster, references.SourceKey(p.export), &v1alpha1.ClaimSource{}); err != nil {
		return nil, err
	}
	if p.destination, err = readable(ctx, cluster, references.DestinationKey(p.export), &v1alpha1.ExportDestination{}); err != nil {
		return nil, err
	}
	runs, err := Runs(ctx, cluster, key.Namespace, key.Name)
	if err != nil {
		return nil, err
	}
	p.runs = newest(runs.Items, finished)
	return p.tree(), nil
}

// readable reads an object, which is nil if it does not exist or the person may not read it: the export says what is wrong with it.
func readable[T client.Object](ctx context.Context, cluster client.Client, key types.NamespacedName, object T) (_ T, err error) {
	var none T
	if err = cluster.Get(ctx, key, object); apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return none, nil
	}
	return object, err
}

// Runs lists the runs of a namespace, empty for all of them, newest first: those of one export, or of all. Of runs that were made in the same second the one
// that began last is first, after those that have not begun.
func Runs(ctx context.Context, cluster client.Client, namespace, export string) (*v1alpha1.ExportRunList, error) {
	var runs v1alpha1.ExportRunList
	if err := cluster.List(ctx, &runs, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing ExportRuns: %w", err)
	}
	runs.Items = slices.DeleteFunc(runs.Items, func(run v1alpha1.ExportRun) bool { return export != "" && run.Spec.ExportRef.Name != export })
	slices.SortFunc(runs.Items, func(a, b v1alpha1.ExportRun) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), compareBeginnings(b.Status.StartedAt, a.Status.StartedAt),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return &runs, nil
}

// compareBeginnings compares when two runs began. One that has not begun comes after all that have.
func compareBeginnings(a, b *metav1.MicroTime) int {
	switch {
	case a != nil && b != nil:
		return a.Compare(b.Time)
	case a == b:
		return 0
	case a == nil:
		return 1
	}
	return -1
}

// newest returns the runs that have not finished, and the first of those that have.
func newest(runs []v1alpha1.ExportRun, finished int) (shown []v1alpha1.ExportRun) {
	for _, run := range runs {
		if run.Status.Phase.Finished() {
			if finished == 0 {
				continue
			}
			finished--
		}
		shown = append(shown, run)
	}
	return shown
}
