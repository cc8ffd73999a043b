package command

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// What the command ends with.
const (
	exitError      = 1 // it could not do what it was asked for
	exitFailed     = 2 // it waited for a run, which failed or was cancelled
	exitIncomplete = 3 // it waited for a run of which the accounting system has a part
	exitUnderWay   = 4 // it waited for a run, which is still under way
	exitDiffers    = 5 // it was asked to report a difference, and there is one
)

// ended is the end of a run that a person has waited for, and that is not what they asked for.
type ended struct {
	code    int
	message string
}

// Error implements error.
func (e *ended) Error() string { return e.message }

// exitCode is what the process ends with for an error.
func exitCode(err error) int {
	if as := (*ended)(nil); errors.As(err, &as) {
		return as.code
	}
	return exitError
}

// endOf returns an error if a run did not end as it should.
func endOf(run *v1alpha1.ExportRun) error {
	if run.Status.Phase == v1alpha1.RunSucceeded {
		return nil
	}
	code, condition := exitFailed, readyOf(run)
	if run.Status.Phase == v1alpha1.RunIncomplete {
		code = exitIncomplete
	}
	return &ended{code, fmt.Sprintf("ExportRun %s/%s: %s (%s): %s", run.Namespace, run.Name, run.Status.Phase, condition.Reason, condition.Message)}
}

// endOfCancelled returns an error if a run that was cancelled has exported claims all the same.
func endOfCancelled(run *v1alpha1.ExportRun) error {
	if !run.Status.Phase.Exported() {
		return nil
	}
	err := endOf(run)
	if err == nil {
		err = &ended{exitFailed, fmt.Sprintf("ExportRun %s/%s was completed before it could be cancelled", run.Namespace, run.Name)}
	}
	return err
}

// readyOf is the condition Ready of a run, which says how it is.
func readyOf(run *v1alpha1.ExportRun) metav1.Condition {
	if found := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.ConditionReady); found != nil {
		return *found
	}
	return metav1.Condition{}
}
