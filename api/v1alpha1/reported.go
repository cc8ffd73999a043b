package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Reported is what every kind of this API has in its status, and what of its spec does not decode.
// +kubebuilder:object:generate=false
type Reported struct {
	Conditions         *[]metav1.Condition
	ObservedGeneration *int64
	Undecoded          string
	Status             any // a pointer to all of it
}

// Reported returns what the operator reports of the export.
func (o *AccountingExport) Reported() Reported {
	return Reported{&o.Status.Conditions, &o.Status.ObservedGeneration, o.Undecoded.Spec, &o.Status}
}

// Reported returns what the operator reports of the run.
func (o *ExportRun) Reported() Reported {
	return Reported{&o.Status.Conditions, &o.Status.ObservedGeneration, o.Undecoded.Spec, &o.Status}
}

// Reported returns what the operator reports of the chart.
func (o *ChartOfAccounts) Reported() Reported {
	return Reported{&o.Status.Conditions, &o.Status.ObservedGeneration, o.Undecoded.Spec, &o.Status}
}

// Reported returns what the operator reports of the source.
func (o *ClaimSource) Reported() Reported {
	return Reported{&o.Status.Conditions, &o.Status.ObservedGeneration, o.Undecoded.Spec, &o.Status}
}

// Reported returns what the operator reports of the destination.
func (o *ExportDestination) Reported() Reported {
	return Reported{&o.Status.Conditions, &o.Status.ObservedGeneration, o.Undecoded.Spec, &o.Status}
}
