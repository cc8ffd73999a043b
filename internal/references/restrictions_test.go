package references

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/failure"
)

func TestRestrictions(t *testing.T) {
	t.Parallel()
	s3 := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{}}}
	files := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{}}}
	sftp := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{SFTP: &v1alpha1.SFTPDestination{}}}
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme"}}
	elsewhere, home := types.NamespacedName{Namespace: "expenses", Name: "claims"}, types.NamespacedName{Namespace: "acme", Name: "claims"}
	none, some := &Restrictions{}, &Restrictions{DestinationTypes: []string{"s3", "sftp"}, Exporters: []string{"csv"}, OwnNamespaceOnly: true}
	known := builtin.Registry(builtin.Settings{})
	free, bound := &Resolver{Destinations: known}, &Resolver{Destinations: known, Restrictions: *some}
	for name, test := range map[string]struct {
		err    error
		reason v1alpha1.Reason
	}{
		"nothing is refused without any: a destination": {free.RefuseDestination(files), ""},
		"nothing is refused without any: an exporter":   {none.refuseExporter("datev"), ""},
		"nothing is refused without any: a namespace":   {none.refuseNamespace("ClaimSource", elsewhere, export, ""), ""},
		"a type that is listed":                         {bound.RefuseDestination(s3), ""},
		"another that is listed":                        {bound.RefuseDestination(sftp), ""},
		"a type that is not listed":                     {bound.RefuseDestination(files), v1alpha1.ReasonTypeNotAllowed},
		"one without a type, if some are refused":       {bound.RefuseDestination(&v1alpha1.ExportDestination{}), v1alpha1.ReasonInvalidSpec},
		"an exporter that is listed":                    {some.refuseExporter("csv"), ""},
		"an exporter that is not listed":                {some.refuseExporter("datev"), v1alpha1.ReasonTypeNotAllowed},
		"the namespace of the export":                   {some.refuseNamespace("ClaimSource", home, export, ""), ""},
		"another namespace":                             {some.refuseNamespace("ClaimSource", elsewhere, export, ""), v1alpha1.ReasonAccessDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.reason == "" != (test.err == nil) || test.err != nil && failure.From(test.err).Reason != test.reason {
				t.Errorf("%v, want the reason %q", test.err, test.reason)
			}
		})
	}
}

// heavy is an exporter that takes long to say what is wrong with its options, and says much.
type heavy struct {
	exporters.Exporter
	asked *atomic.Int32
}

// Type implements exporters.Exporter.
func (heavy) Type() string { return "heavy" }

// Validate implements exporters.Exporter.
func (h heavy) Validate(options []byte) error {
	h.asked.Add(1)
	if strings.Contains(string(options), "wrong") {
		return &exporters.OptionError{Field: "x", Problem: strings.Repeat("long ", 10_000)}
	}
	return nil
}

func TestOptionsAreCompiledOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	registry, err := exporters.NewRegistry(heavy{asked: &asked})
	if err != nil {
		t.Fatal(err)
	}
	resolver := &Resolver{Exporters: registry}
	spec := func(options string) v1alpha1.ExporterSpec {
		return v1alpha1.ExporterSpec{Type: "heavy", Options: &runtime.RawExtension{Raw: []byte(options)}}
	}
	for range 3 {
		if _, err := resolver.Exporter("acme", spec(`{}`)); err != nil {
			t.Error(err)
		}
		failed := failure.From(func() error { _, err := resolver.Exporter("acme", spec(`{"x":"wrong"}`)); return err }())
		if failed.Reason != v1alpha1.ReasonInvalidOptions || failed.Condition != v1alpha1.ConditionMappingReady || len(failed.Message) > 5000 {
			t.Errorf("%s of %s, in %d bytes", failed.Reason, failed.Condition, len(failed.Message))
		}
	}
	if asked.Load() != 2 {
		t.Errorf("the exporter was asked %d times about two options", asked.Load())
	}
	for i := range 2 * validatedAtMost {
		_, _ = resolver.Exporter("acme", spec(fmt.Sprintf(`{"x":"wrong %d"}`, i)))
	}
	if known := resolver.validated.of("acme").Len(); known > validatedAtMost {
		t.Errorf("%d options are known, more than %d", known, validatedAtMost)
	}
}

func TestWhatIsKnownOfANamespaceIsForgottenForNoOther(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	registry, err := exporters.NewRegistry(heavy{asked: &asked})
	if err != nil {
		t.Fatal(err)
	}
	resolver := &Resolver{Exporters: registry}
	spec := func(i int) v1alpha1.ExporterSpec {
		return v1alpha1.ExporterSpec{Type: "heavy", Options: &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"n":%d}`, i)}}
	}
	_, err = resolver.Exporter("acme", spec(0))
	for i := range 2 * validatedAtMost {
		_, greedy := resolver.Exporter("greedy", spec(i))
		err = errors.Join(err, greedy)
	}
	before := asked.Load()
	if _, again := resolver.Exporter("acme", spec(0)); errors.Join(err, again) != nil || asked.Load() != before {
		t.Errorf("the exporter was asked again about the options of another namespace (%v)", errors.Join(err, again))
	}
}

func TestASelectionIsCompiledOnce(t *testing.T) {
	t.Parallel()
	resolver := &Resolver{}
	export := func(expression string) *v1alpha1.AccountingExport {
		return &v1alpha1.AccountingExport{
			ObjectMeta: metav1.ObjectMeta{Namespace: "acme"},
			Spec:       v1alpha1.AccountingExportSpec{Claims: &v1alpha1.ClaimSelection{Expression: expression}},
		}
	}
	for range 3 {
		if err := resolver.CheckSelection(export(`claim.currency == "EUR"`)); err != nil {
			t.Error(err)
		}
		if failed := failure.From(resolver.CheckSelection(export(`claim.`))); failed.Reason != v1alpha1.ReasonInvalidSelection {
			t.Errorf("%s: %s", failed.Reason, failed)
		}
	}
	if known := resolver.validated.of("acme").Len(); known != 2 {
		t.Errorf("%d expressions are known, want 2", known)
	}
}
