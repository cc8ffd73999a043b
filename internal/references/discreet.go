package references

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// public are reasons whose messages name nothing of a database or a store: the one who refers to it has to act on them.
var public = []v1alpha1.Reason{
	v1alpha1.ReasonAccessDenied, v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonDestinationNotFound, v1alpha1.ReasonChecking, v1alpha1.ReasonSeriesBusy,
	v1alpha1.ReasonReservationConflict, v1alpha1.ReasonFenced, v1alpha1.ReasonTotalsMismatch, v1alpha1.ReasonLedgerIncomplete, v1alpha1.ReasonLedgerChanged,
	v1alpha1.ReasonLedgerMoved, v1alpha1.ReasonOtherCluster, v1alpha1.ReasonRecordInvalid, v1alpha1.ReasonTypeNotAllowed,
	v1alpha1.ReasonArtifactConflict, v1alpha1.ReasonDestinationChanged, v1alpha1.ReasonSpoolFull, v1alpha1.ReasonInternal,
	v1alpha1.ReasonRunNotFound, v1alpha1.ReasonReversesOtherExport, v1alpha1.ReasonRunNotCommitted, v1alpha1.ReasonReversesReversal,
	v1alpha1.ReasonNothingToReverse, v1alpha1.ReasonAlreadyReversed, v1alpha1.ReasonReceiptMissing,
}

// Discreet returns what a namespace may know of a failure that an object is to blame for: all of it in the object's own namespace,
// and elsewhere its name and the reason. Hosts, users, tables and Secrets are its owner's. Every other error stays as it is.
func Discreet(err error, kind string, object types.NamespacedName, reader string) error {
	var failed *failure.Error
	if object.Namespace == reader || !errors.As(err, &failed) || slices.Contains(public, failed.Reason) ||
		strings.HasPrefix(failed.Message, "spec.organizationID: ") { // which is the reader's own
		return err
	}
	said := *failed
	said.Message = ElsewhereNotReady(kind, object, failed.Reason)
	return &said
}

// ElsewhereNotReady says in another namespace that an object does not work.
func ElsewhereNotReady(kind string, object types.NamespacedName, reason v1alpha1.Reason) string {
	return kind + " " + object.String() + " is not ready (" + reason + "); its own status says more"
}
