package offline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/ledger"
)

// Validation is what was found out about resources in files.
type Validation struct {
	// Objects that could be read, with the defaults of the API set.
	Objects *Objects
	// Checked counts the resources of this API.
	Checked int
	// Findings by file and line; none where all is well.
	Findings []Finding
	// Exports among the objects, in the order of the files.
	Exports []*v1alpha1.AccountingExport
	// Sources among the objects, in the order of the files.
	Sources []*v1alpha1.ClaimSource
}

// Source returns the source of a name, as NAME or NAMESPACE/NAME; without one it returns the only one.
func (v *Validation) Source(name string) (*v1alpha1.ClaimSource, error) {
	var found []*v1alpha1.ClaimSource
	for _, source := range v.Sources {
		if name == "" || name == source.Name || name == source.Namespace+"/"+source.Name {
			found = append(found, source)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("there are %d such ClaimSources in the files, and one is needed", len(found))
	}
	return found[0], nil
}

// validator gathers findings.
type validator struct {
	*Validation
	resolver  *references.Resolver
	partial   bool
	manifests map[client.Object]*manifest
}

// Validate reads files, directories with all that is below them and, for Stdin, standard input. It says of every resource
// of this API what the API server and the operator would refuse: fields that do not exist, what breaks a rule of the
// schema, references to what is not among the files (unless partial), an access rule that does not admit, schedules, time
// zones, options of exporters, accounts and expressions. The error is one of reading.
func Validate(ctx context.Context, registry *exporters.Registry, destinationTypes *destinations.Registry, paths []string, stdin io.Reader, partial bool) (*Validation, error) {
	kinds, err := schemas()
	if err != nil {
		return nil, err
	}
	manifests, findings, err := read(paths, stdin)
	if err != nil {
		return nil, err
	}
	objects := &Objects{}
	v := &validator{
		Validation: &Validation{Objects: objects, Findings: findings}, partial: partial,
		resolver:  &references.Resolver{Objects: objects, Exporters: registry, Destinations: destinationTypes},
		manifests: map[client.Object]*manifest{},
	}
	for _, m := range manifests {
		v.admit(ctx, kinds, m)
	}
	for object, m := range v.manifests {
		v.check(ctx, object, m)
	}
	slices.SortStableFunc(v.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Problem, b.Problem))
	})
	return v.Validation, nil
}

// newObject returns an empty object of a kind of this API, or of another that says whom an access rule admits.
func newObject(kind string) client.Object {
	switch kind {
	case "AccountingExport":
		return &v1alpha1.AccountingExport{}
	case "ExportRun":
		return &v1alpha1.ExportRun{}
	case "ChartOfAccounts":
		return &v1alpha1.ChartOfAccounts{}
	case "ClaimSource":
		return &v1alpha1.ClaimSource{}
	case "ExportDestination":
		return &v1alpha1.ExportDestination{}
	case "Namespace":
		return &corev1.Namespace{}
	}
	return nil
}

// admit checks a manifest by itself, as the API server does. Resources of other APIs pass.
func (v *validator) admit(ctx context.Context, kinds map[string]*schema, m *manifest) {
	kind := m.object.GetKind()
	ours := strings.HasPrefix(m.object.GetAPIVersion(), v1alpha1.GroupVersion.Group+"/")
	namespace := m.object.GetAPIVersion() == "v1" && kind == "Namespace"
	if !ours && !namespace {
		return
	}
	if ours {
		v.Checked++
		if m.object.GetNamespace() == "" {
			m.object.SetNamespace("default") // as kubectl does
		}
		found, known := kinds[kind]
		if !known || m.object.GetAPIVersion() != found.apiVersion {
			v.report(m.at("", fmt.Sprintf("the API has no kind %s in version %s", kind, m.object.GetAPIVersion())))
			return
		}
		refused := found.complete(ctx, m)
		v.report(refused...)
		if len(refused) > 0 {
			return // what is said of it further on would be guesses
		}
	}
	object := newObject(kind)
	if err := v.Objects.add(m, object); err != nil {
		v.report(m.at("", err.Error()))
		return
	}
	v.manifests[object] = m
	if export, ok := object.(*v1alpha1.AccountingExport); ok {
		v.Exports = append(v.Exports, export)
	}
}

func (v *validator) report(findings ...Finding) { v.Findings = append(v.Findings, findings...) }

// check looks at a resource as its reconciler does.
func (v *validator) check(ctx context.Context, object client.Object, m *manifest) {
	switch o := object.(type) {
	case *v1alpha1.ClaimSource:
		v.Sources = append(v.Sources, o)
	case *v1alpha1.AccountingExport:
		v.checkExport(ctx, o, m)
	case *v1alpha1.ChartOfAccounts:
		v.checkChart(&o.Spec, ledger.VoucherPolicy{Location: time.UTC}, m, "")
	case *v1alpha1.ExportDestination:
		v.reportFailure(m, v.resolver.Destinations.Validate(o), "")
	case *v1alpha1.ExportRun:
		if _, err := v.resolver.Export(ctx, o.Namespace, o.Spec.ExportRef.Name); err != nil {
			v.reportFailure(m, err, "spec.exportRef")
		}
	}
}

func (v *validator) checkExport(ctx context.Context, export *v1alpha1.AccountingExport, m *manifest) {
	location, _, err := references.Timing(export)
	v.reportFailure(m, err, "")
	_, err = v.resolver.Source(ctx, export, export.Spec.OrganizationID)
	v.reportFailure(m, v.known(ctx, export, err), "spec.sourceRef")
	_, err = v.resolver.Destination(ctx, export)
	v.reportFailure(m, v.known(ctx, export, err), "spec.destinationRef")
	exporter, err := v.resolver.Exporter(export.Namespace, export.Spec.Exporter)
	v.reportFailure(m, err, "")
	if needs, ok := exporter.(exporters.NeedsCredentials); ok && err == nil && export.Spec.Credentials == nil {
		if keys := needs.CredentialKeys(references.Options(export.Spec.Exporter)); len(keys) > 0 {
			v.report(m.at("spec.credentials", fmt.Sprintf("is missing: the exporter %s needs %q", export.Spec.Exporter.Type, keys)))
		}
	}
	_, err = references.Selection(export.Spec.Claims)
	v.reportFailure(m, err, "")
	chart, err := v.resolver.Chart(ctx, export)
	v.reportFailure(m, err, "spec.chartOfAccountsRef")
	if err == nil && location != nil {
		// What is wrong with the chart itself is reported there.
		v.checkChart(&chart.Spec, ledger.VoucherPolicy{Posting: export.Spec.Posting, Location: location}, m, "spec.posting")
	}
}

// known leaves out what cannot be known: whether a namespace that is not among the files has the labels of a rule.
func (v *validator) known(ctx context.Context, export *v1alpha1.AccountingExport, err error) error {
	var failed *failure.Error
	if v.Objects.Get(ctx, types.NamespacedName{Name: export.Namespace}, &corev1.Namespace{}) != nil && !errors.As(err, &failed) {
		return nil
	}
	return err
}

// checkChart reports what is wrong with fields that begin with a prefix.
func (v *validator) checkChart(chart *v1alpha1.ChartOfAccountsSpec, policy ledger.VoucherPolicy, m *manifest, prefix string) {
	_, err := ledger.NewMapper(chart, policy)
	for _, problem := range failure.Parts(err) {
		var wrong *ledger.ChartError
		switch {
		case errors.As(problem, &wrong) && strings.HasPrefix(wrong.Field, prefix) && (prefix != "" || !strings.HasPrefix(wrong.Field, "spec.posting")):
			v.report(m.at(wrong.Field, wrong.Problem))
		case !errors.As(problem, &wrong) && prefix == "":
			v.report(m.at("", problem.Error()))
		}
	}
}

var namedField = regexp.MustCompile(`^spec(\.[A-Za-z0-9]+)*`)

// reportFailure reports what the operator would say, at the field that it names or at the given one.
func (v *validator) reportFailure(m *manifest, err error, field string) {
	if err == nil {
		return
	}
	var failed *failure.Error
	missing := errors.As(err, &failed) && strings.HasSuffix(failed.Reason, "NotFound")
	switch {
	case missing && v.partial:
	case exporters.OptionErrors(err) != nil:
		for _, option := range exporters.OptionErrors(err) {
			v.report(m.at(strings.TrimSuffix("spec.exporter.options."+option.Field, "."), option.Problem))
		}
	case field == "":
		field = namedField.FindString(err.Error())
		v.report(Finding{File: m.file, Line: m.lineOf(field), Resource: m.name(), Problem: err.Error()})
	case missing:
		what, _, _ := strings.Cut(err.Error(), " does not exist")
		v.report(m.at(field, what+" is not among the files"))
	default:
		v.report(m.at(field, err.Error()))
	}
}
