package controller_test

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// The resources of a first export, ready to be changed by a test before it creates them.

func (w *world) secret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "claims-db"}, StringData: map[string]string{"url": w.database}}
}

func (w *world) source() *v1alpha1.ClaimSource {
	return &v1alpha1.ClaimSource{
		ObjectMeta: metav1.ObjectMeta{Name: "claims"},
		Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
			ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: "claims-db", Key: "url"},
		}},
	}
}

func (w *world) chart() *v1alpha1.ChartOfAccounts {
	return &v1alpha1.ChartOfAccounts{
		ObjectMeta: metav1.ObjectMeta{Name: "books"},
		Spec: v1alpha1.ChartOfAccountsSpec{
			Currency: "EUR",
			Accounts: []v1alpha1.Account{
				{Number: "4000", Name: "Expenses"}, {Number: "1576", Name: "Input tax"},
				{Number: "1740", Name: "Owed to employees"}, {Number: "2150", Name: "Rounding"},
			},
			TaxCodes: []v1alpha1.TaxCode{{Code: "9", Rate: "19", Account: "1576"}},
			Rules:    []v1alpha1.MappingRule{{Account: "4000", TaxCode: "9"}},
			Offset:   v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
			Rounding: &v1alpha1.RoundingPosting{Account: "2150", Limit: "1.00"},
		},
	}
}

func (w *world) destination() *v1alpha1.ExportDestination {
	return &v1alpha1.ExportDestination{
		ObjectMeta: metav1.ObjectMeta{Name: "files"},
		Spec:       v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "."}},
	}
}

func (w *world) export() *v1alpha1.AccountingExport {
	return &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Name: "monthly", Namespace: w.namespace},
		Spec: v1alpha1.AccountingExportSpec{
			OrganizationID:     w.organization,
			SourceRef:          v1alpha1.NamespacedReference{Name: "claims"},
			ChartOfAccountsRef: v1alpha1.LocalReference{Name: "books"},
			DestinationRef:     v1alpha1.NamespacedReference{Name: "files"},
			Exporter:           v1alpha1.ExporterSpec{Type: "csv"},
			Retry:              v1alpha1.RetryPolicy{Limit: ptr.To[int32](1), InitialBackoff: &metav1.Duration{Duration: 1e9}},
		},
	}
}

// requested is the export with a request for a run.
func requested(export *v1alpha1.AccountingExport) *v1alpha1.AccountingExport {
	export.Annotations = map[string]string{v1alpha1.RequestedAtAnnotation: "now"}
	return export
}

func (w *world) run(name string) *v1alpha1.ExportRun {
	return &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "monthly"}},
	}
}

func options(of map[string]any) *runtime.RawExtension {
	raw, err := json.Marshal(of)
	if err != nil {
		panic(err) // only values that JSON knows are given here
	}
	return &runtime.RawExtension{Raw: raw}
}

// merge applies a merge patch to an object.
func (w *world) merge(object client.Object, patch string) {
	w.Helper()
	w.must(api.client.Patch(w.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

// cancel asks for the end of a run.
func (w *world) cancel(run *v1alpha1.ExportRun) {
	w.Helper()
	w.merge(run, `{"spec":{"cancel":true}}`)
}
