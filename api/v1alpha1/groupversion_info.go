// Package v1alpha1 holds the kinds of the accounting.ledgerport.dev API: what an organisation exports
// (AccountingExport), each execution of it (ExportRun), its books (ChartOfAccounts), where its approved
// claims are (ClaimSource) and where the artifacts go (ExportDestination).
//
// +kubebuilder:object:generate=true
// +groupName=accounting.ledgerport.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion identifies this version of the API.
var GroupVersion = schema.GroupVersion{Group: "accounting.ledgerport.dev", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with a scheme.
var AddToScheme = schemeBuilder.AddToScheme

var schemeBuilder = runtime.NewSchemeBuilder(func(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&AccountingExport{}, &AccountingExportList{},
		&ExportRun{}, &ExportRunList{},
		&ChartOfAccounts{}, &ChartOfAccountsList{},
		&ClaimSource{}, &ClaimSourceList{},
		&ExportDestination{}, &ExportDestinationList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
})
