package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// undecodableTime is a time for the API server's format date-time, and none for Go.
const undecodableTime = "2026-11-01t00:00:00z"

// loosen takes away the rules that keep the API server from storing such values, as if its definitions were older than those.
func (w *world) loosen(ctx context.Context) error {
	for name, loosen := range map[string]func(spec, status map[string]apiextensionsv1.JSONSchemaProps){
		"exportruns": func(spec, status map[string]apiextensionsv1.JSONSchemaProps) {
			spec["cutoff"], status["nextAttemptAt"] = withoutPattern(spec["cutoff"]), withoutPattern(status["nextAttemptAt"])
		},
		"accountingexports": func(spec, status map[string]apiextensionsv1.JSONSchemaProps) {
			deadline := spec["deadline"]
			deadline.XValidations = nil
			spec["deadline"], status["nextScheduleTime"] = deadline, withoutPattern(status["nextScheduleTime"])
		},
	} {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := w.api.Get(ctx, client.ObjectKey{Name: name + "." + v1alpha1.GroupVersion.Group}, definition); err != nil {
			return err
		}
		properties := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
		loosen(properties["spec"].Properties, properties["status"].Properties)
		if err := w.api.Update(ctx, definition); err != nil {
			return fmt.Errorf("loosening the schema of %s: %w", name, err)
		}
	}
	return w.untilLoose(ctx)
}

func withoutPattern(field apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
	field.Pattern = ""
	return field
}

// untilLoose waits until the API server stores what does not decode.
func (w *world) untilLoose(ctx context.Context) error {
	var err error
	for range 100 {
		if err = errors.Join(
			w.api.Create(ctx, undecodableRun("default", "probe"), client.DryRunAll),
			w.api.Create(ctx, undecodableExport("default", "probe"), client.DryRunAll),
		); err == nil {
			return nil
		}
		pause(ctx, 100*time.Millisecond)
	}
	return err
}

func undecodableRun(namespace, name string) *unstructured.Unstructured {
	return untyped("ExportRun", namespace, name, map[string]any{"exportRef": map[string]any{"name": exportName}, "cutoff": undecodableTime})
}

func undecodableExport(namespace, name string) *unstructured.Unstructured {
	reference := map[string]any{"name": exportName}
	return untyped("AccountingExport", namespace, name, map[string]any{
		"organizationID": "1", "sourceRef": reference, "chartOfAccountsRef": reference, "destinationRef": reference,
		"exporter": map[string]any{"type": "csv"}, "deadline": "soon", "schedule": "* * * * *",
	})
}

func untyped(kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// garble makes objects that do not decode beside those of a tenant, or lets one of the tenant's own not decode for a while.
func (w *world) garble(ctx context.Context, t tenant, random *rand.Rand) error {
	name := fmt.Sprintf("undecodable-%d", random.IntN(1000))
	export := t.export(t.exports[random.IntN(len(t.exports))])
	switch random.IntN(4) {
	case 0:
		return w.api.Create(ctx, undecodableRun(t.namespace, name))
	case 1:
		return w.api.Create(ctx, undecodableExport(t.namespace, name))
	case 2:
		if err := w.api.Patch(ctx, export, merge(`{"spec": {"deadline": "soon"}}`)); err != nil {
			return err
		}
		pause(ctx, leaseGone)
		return w.correct(ctx, export)
	default:
		var runs v1alpha1.ExportRunList
		if err := w.api.List(ctx, &runs, client.InNamespace(t.namespace)); err != nil || len(runs.Items) == 0 {
			return err
		}
		return errors.Join(
			w.api.Status().Patch(ctx, export, merge(`{"status": {"nextScheduleTime": "`+undecodableTime+`"}}`)),
			w.api.Status().Patch(ctx, &runs.Items[random.IntN(len(runs.Items))], merge(`{"status": {"nextAttemptAt": "`+undecodableTime+`"}}`)),
		)
	}
}

// correct corrects what garble did to an export of a tenant.
func (w *world) correct(ctx context.Context, export *v1alpha1.AccountingExport) error {
	return w.api.Patch(ctx, export, merge(`{"spec": {"deadline": "`+attemptDeadline.String()+`"}}`))
}

func merge(patch string) client.Patch {
	return client.RawPatch("application/merge-patch+json", []byte(patch))
}

// fix removes or corrects what does not decode, and says what of it is still there.
func (w *world) fix(ctx context.Context, t tenant) string {
	var exports v1alpha1.AccountingExportList
	var runs v1alpha1.ExportRunList
	if err := errors.Join(w.api.List(ctx, &exports, client.InNamespace(t.namespace)), w.api.List(ctx, &runs, client.InNamespace(t.namespace))); err != nil {
		return err.Error()
	}
	left := ""
	for i := range exports.Items {
		export := &exports.Items[i]
		switch own := t.owns(export.Name); {
		case own && export.Undecoded.Spec != "":
			left = fmt.Sprintf("%s/%s is corrected: %v", t.namespace, export.Name, w.correct(ctx, export))
		case !own:
			left = fmt.Sprintf("%s/%s is not gone: %v", t.namespace, export.Name, w.api.Delete(ctx, bare(export.ObjectMeta, "AccountingExport")))
		}
	}
	for i := range runs.Items {
		if run := &runs.Items[i]; run.Undecoded.Spec != "" {
			w.deletes(run)
			left = fmt.Sprintf("%s/%s is not gone: %v", t.namespace, run.Name, w.api.Delete(ctx, bare(run.ObjectMeta, "ExportRun")))
		}
	}
	return left
}

// bare is an object of which nothing has to be decoded.
func bare(of metav1.ObjectMeta, kind string) *unstructured.Unstructured {
	return untyped(kind, of.Namespace, of.Name, nil)
}
