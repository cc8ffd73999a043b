package v1alpha1

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// decoder is that of a watch.
var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme).UniversalDeserializer()
}()

func read[T runtime.Object](t *testing.T, data string) T {
	t.Helper()
	object, _, err := decoder.Decode([]byte(`{"apiVersion":"accounting.ledgerport.dev/v1alpha1",`+strings.TrimPrefix(data, "{")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return object.(T)
}

func TestUndecodableObject(t *testing.T) {
	t.Parallel()
	const bad = `{"kind":"ExportRun","metadata":{"name":"bad","namespace":"acme"},
		"spec":{"exportRef":{"name":"monthly"},"cutoff":"2026-11-01t00:00:00z"},
		"status":{"phase":"Running","attempts":3000000000,"conditions":[
			{"type":"Ready","status":"False","reason":"Running","message":"","lastTransitionTime":"2026-11-01T00:00:00Z"},
			{"type":"Stalled","status":"False","reason":"Running","message":"","lastTransitionTime":"soon"}]}}`
	const good = `{"kind":"ExportRun","metadata":{"name":"good"},"spec":{"exportRef":{"name":"monthly"},"cutoff":"2026-11-01T00:00:00Z"}}`

	t.Run("names the fields and keeps all others", func(t *testing.T) {
		t.Parallel()
		run := read[*ExportRun](t, bad)
		if run.Name != "bad" || run.Spec.ExportRef.Name != "monthly" || run.Spec.Cutoff != nil || run.Status.Phase != RunRunning {
			t.Errorf("decoded %+v", run)
		}
		if conditions := run.Status.Conditions; len(conditions) != 2 || conditions[0].LastTransitionTime.IsZero() || conditions[1].Type != "Stalled" {
			t.Errorf("conditions %+v", conditions)
		}
		if problem := run.Undecoded.Spec; !strings.HasPrefix(problem, `spec.cutoff: parsing time "2026-11-01t00:00:00z"`) {
			t.Errorf("spec: %s", problem)
		}
		for _, field := range []string{"status.attempts: ", "status.conditions[1].lastTransitionTime: "} {
			if problem := run.Undecoded.Status; !strings.Contains(problem, field) {
				t.Errorf("status: %s, want %s", problem, field)
			}
		}
	})
	t.Run("does not end a list", func(t *testing.T) {
		t.Parallel()
		runs := read[*ExportRunList](t, `{"kind":"ExportRunList","metadata":{"resourceVersion":"7","continue":"more"},"items":[`+bad+`,`+good+`]}`).Items
		if len(runs) != 2 || runs[0].Undecoded.Spec == "" || runs[1].Undecoded != (Undecoded{}) || runs[1].Spec.Cutoff == nil {
			t.Errorf("decoded %+v", runs)
		}
	})
	t.Run("is forgotten when the object is read again", func(t *testing.T) {
		t.Parallel()
		run := read[*ExportRun](t, bad)
		if err := run.UnmarshalJSON([]byte(good)); err != nil || run.Undecoded != (Undecoded{}) {
			t.Errorf("%+v, %v", run.Undecoded, err)
		}
	})
	t.Run("names each field of a long list no more than it must", func(t *testing.T) {
		t.Parallel()
		condition := `,{"type":"` + strings.Repeat("x", 1000) + `","lastTransitionTime":"` + strings.Repeat("\\u001b", 1000) + `"}`
		chart := read[*ChartOfAccounts](t, `{"kind":"ChartOfAccounts","status":{"conditions":[`+strings.Repeat(condition, 1000)[1:]+`]}}`)
		if problem := chart.Undecoded.Status; len(problem) > 2000 || !strings.HasSuffix(problem, "and more") {
			t.Errorf("%d bytes: %s", len(problem), problem)
		}
	})
	t.Run("of each kind decodes", func(t *testing.T) {
		t.Parallel()
		const bad = `"spec":"none","status":{"conditions":7}}`
		for problem, decoded := range map[*Undecoded]string{
			&read[*AccountingExport](t, `{"kind":"AccountingExport",`+bad).Undecoded:   "AccountingExport",
			&read[*ExportRun](t, `{"kind":"ExportRun",`+bad).Undecoded:                 "ExportRun",
			&read[*ChartOfAccounts](t, `{"kind":"ChartOfAccounts",`+bad).Undecoded:     "ChartOfAccounts",
			&read[*ClaimSource](t, `{"kind":"ClaimSource",`+bad).Undecoded:             "ClaimSource",
			&read[*ExportDestination](t, `{"kind":"ExportDestination",`+bad).Undecoded: "ExportDestination",
		} {
			if !strings.HasPrefix(problem.Spec, "spec: ") || !strings.HasPrefix(problem.Status, "status.conditions: ") {
				t.Errorf("%s: %+v", decoded, problem)
			}
		}
	})
}
