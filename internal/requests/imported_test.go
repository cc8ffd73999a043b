package requests_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/requests"
)

// delivered is a run that can be marked as imported, with some annotations.
func delivered(annotations map[string]string) *v1alpha1.ExportRun {
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "october", Annotations: annotations}}
	run.Status.Phase, run.Status.Location = v1alpha1.RunSucceeded, "file:///october.csv"
	return run
}

func marked(by, reference string) map[string]string {
	return map[string]string{v1alpha1.ImportedAnnotation: reference, v1alpha1.ImportedByAnnotation: by}
}

func TestARunIsImportable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*v1alpha1.ExportRun)
		is     bool
		why    string
	}{
		"a run that has delivered files":  {func(*v1alpha1.ExportRun) {}, true, ""},
		"a reversal":                      {func(r *v1alpha1.ExportRun) { r.Spec.Type = v1alpha1.RunReversal }, true, ""},
		"a preview is not":                {func(r *v1alpha1.ExportRun) { r.Spec.Type = v1alpha1.RunPreview }, false, "is a preview"},
		"a run that failed is not":        {func(r *v1alpha1.ExportRun) { r.Status.Phase = v1alpha1.RunFailed }, false, "it is Failed"},
		"a run that is incomplete is not": {func(r *v1alpha1.ExportRun) { r.Status.Phase = v1alpha1.RunIncomplete }, false, "it is Incomplete"},
		"a run that has not begun is not": {func(r *v1alpha1.ExportRun) { r.Status.Phase = "" }, false, "it is Pending"},
		"a run without files is not":      {func(r *v1alpha1.ExportRun) { r.Status.Location = "" }, false, "no files"},
		"a redelivery is not, but its run is": {func(r *v1alpha1.ExportRun) {
			r.Spec.Type, r.Spec.Redelivers = v1alpha1.RunRedeliver, &v1alpha1.RunReference{Name: "september"}
		}, false, "files of ExportRun september again; mark that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := delivered(marked("alice", "1"))
			test.change(run)
			if requests.Importable(run) != test.is || (requests.ImportOf(run) != nil) != test.is {
				t.Errorf("that it can be marked is %t, and its mark %v", requests.Importable(run), requests.ImportOf(run))
			}
			delete(run.Annotations, v1alpha1.ImportedAnnotation)
			_, err := requests.MarkImported(t.Context(), cluster(run, nil), client.ObjectKeyFromObject(run), "alice", "1")
			var refused *requests.NotImportable
			if errors.As(err, &refused) == test.is || !test.is && (!strings.Contains(err.Error(), test.why) || !apierrors.IsConflict(err)) {
				t.Errorf("to mark it ends with %v", err)
			}
		})
	}
}

func TestWhatAnImportSaysIsBoundedAndPrints(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an escape sequence":            "\x1b[2J\u202e4711",
		"what is much too long":         strings.Repeat("\x1b", 200_000),
		"as much as nobody would write": strings.Repeat("\U0010FFFF", 64),
		"what is not text":              "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := delivered(marked(text, text))
			mark := requests.ImportOf(run)
			for _, shown := range []string{mark.By, mark.Reference, requests.ImportSummary(mark)} {
				if len(shown) > 1000 || !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("it shows %q", shown)
				}
			}
			kept := delivered(requests.ImportAnnotations(run))
			if again := requests.ImportOf(kept); *again != *mark || len(kept.Annotations[v1alpha1.ImportedAnnotation]) > 1024 {
				t.Errorf("of what is kept it is %+v, want %+v", again, mark)
			}
		})
	}
}

func TestAMarkHasATimeOnceItWasSeen(t *testing.T) {
	t.Parallel()
	run, at := delivered(marked("alice", "")), metav1.NewTime(time.Date(2026, time.November, 30, 12, 0, 0, 0, time.UTC))
	if mark := requests.ImportOf(run); mark.At != nil || requests.ImportSummary(mark) != "by alice" {
		t.Errorf("before it is %+v", mark)
	}
	run.Status.Imported = &v1alpha1.RunImport{By: "alice", At: &at}
	if mark := requests.ImportOf(run); mark.At == nil || requests.ImportSummary(mark) != "by alice at 2026-11-30T12:00:00Z" {
		t.Errorf("then it is %+v", mark)
	}
	run.Annotations[v1alpha1.ImportedAnnotation] = "4711"
	if mark := requests.ImportOf(run); mark.At != nil {
		t.Errorf("another mark has the time of the one before: %+v", mark)
	}
	run.Annotations = map[string]string{v1alpha1.ImportedByAnnotation: "bob"}
	if back := requests.TakenBackFrom(run); back == nil || back.By != "bob" || requests.ImportOf(run) != nil {
		t.Errorf("after it was taken back it is %+v", back)
	}
}

func TestWarnOfImport(t *testing.T) {
	t.Parallel()
	for asked, words := range map[v1alpha1.RunType]string{v1alpha1.RunReversal: "until the files of the reversal are imported", v1alpha1.RunRedeliver: "booked twice", v1alpha1.RunExport: ""} {
		said := requests.WarnOfImport(delivered(marked("alice", "4711")), asked)
		if !strings.Contains(said, words) || (said == "") != (words == "") {
			t.Errorf("of a %s it says %q", asked, said)
		}
		if said := requests.WarnOfImport(delivered(nil), asked); said != "" {
			t.Errorf("of a run without a mark it says %q", said)
		}
	}
}

// cluster has a run. Before it is changed for the first time, somebody else does something to it.
func cluster(run *v1alpha1.ExportRun, meanwhile func(client.Client)) client.Client {
	scheme := runtime.NewScheme()
	_ = v1alpha1.AddToScheme(scheme) // it only fails where a type is registered twice
	once := meanwhile == nil
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(run).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			if !once {
				once = true
				meanwhile(c)
			}
			return c.Patch(ctx, object, patch, options...)
		},
	}).Build()
}

func TestMarkImported(t *testing.T) {
	t.Parallel()
	key := client.ObjectKey{Namespace: "acme", Name: "october"}
	for name, test := range map[string]struct {
		before        map[string]string
		by, reference string
		want          map[string]string
		refused       string
	}{
		"a run is marked with name and reference":         {nil, "alice", " batch\t4711 ", marked("alice", "batch 4711"), ""},
		"the reference may be empty":                      {nil, "alice", "", marked("alice", ""), ""},
		"the same again changes nothing":                  {marked("alice", "1"), "alice", "1", marked("alice", "1"), ""},
		"somebody corrects their own reference":           {marked("alice", "1"), "alice", "2", marked("alice", "2"), ""},
		"the mark of another stays":                       {marked("alice", "1"), "bob", "2", marked("alice", "1"), "marked as imported already, by alice, reference 1"},
		"a run that was marked before is marked again":    {map[string]string{v1alpha1.ImportedByAnnotation: "alice"}, "bob", "2", marked("bob", "2"), ""},
		"a reference of more than 64 characters":          {nil, "alice", strings.Repeat("é", 65), nil, "more than 64 characters"},
		"somebody who is not known is not named":          {nil, "", "1", map[string]string{v1alpha1.ImportedAnnotation: "1"}, ""},
		"who is not known does not replace a mark either": {marked("alice", "1"), "", "2", marked("alice", "1"), "already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cluster(delivered(test.before), nil)
			_, err := requests.MarkImported(t.Context(), c, key, test.by, test.reference)
			if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("it ends with %v", err)
			}
			has(t, c, test.want)
		})
	}
	t.Run("of two who mark it at the same time one is told", func(t *testing.T) {
		t.Parallel()
		c := cluster(delivered(nil), func(c client.Client) {
			if _, err := requests.MarkImported(context.Background(), c, key, "alice", "1"); err != nil {
				t.Error(err)
			}
		})
		_, err := requests.MarkImported(t.Context(), c, key, "bob", "2")
		var already *requests.AlreadyImported
		if !errors.As(err, &already) || already.Mark.By != "alice" {
			t.Errorf("the second ends with %v", err)
		}
		has(t, c, marked("alice", "1"))
	})
	t.Run("a mark is taken back, with the name of who does, and only once", func(t *testing.T) {
		t.Parallel()
		c := cluster(delivered(marked("alice", "1")), nil)
		for _, by := range []string{"bob", "carol"} {
			if _, err := requests.TakeImportBack(t.Context(), c, key, by); err != nil {
				t.Fatal(err)
			}
			has(t, c, map[string]string{v1alpha1.ImportedByAnnotation: "bob"})
		}
	})
}

// has insists on the annotations of the run.
func has(t *testing.T, c client.Client, want map[string]string) {
	t.Helper()
	run := delivered(nil)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(run), run); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{v1alpha1.ImportedAnnotation, v1alpha1.ImportedByAnnotation} {
		got, is := run.Annotations[name]
		if wanted, wants := want[name]; got != wanted || is != wants {
			t.Errorf("%s is %q (%t), want %q (%t)", name, got, is, wanted, wants)
		}
	}
}
