package notify

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

func TestEventsOfARun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*v1alpha1.ExportRun)
		want   []v1alpha1.NotificationEvent
	}{
		"it has delivered, and held a claim": {func(*v1alpha1.ExportRun) {}, []v1alpha1.NotificationEvent{v1alpha1.EventSucceeded, v1alpha1.EventClaimsHeld}},
		"it has found nothing": {func(r *v1alpha1.ExportRun) { r.Status.RunResult = v1alpha1.RunResult{} },
			[]v1alpha1.NotificationEvent{v1alpha1.EventEmpty}},
		"it has held everything": {func(r *v1alpha1.ExportRun) { r.Status.RunResult = v1alpha1.RunResult{Held: 2} },
			[]v1alpha1.NotificationEvent{v1alpha1.EventEmpty, v1alpha1.EventClaimsHeld}},
		"it has failed": {func(r *v1alpha1.ExportRun) { r.Status.Phase, r.Status.Held = v1alpha1.RunFailed, 0 },
			[]v1alpha1.NotificationEvent{v1alpha1.EventFailed}},
		"it is incomplete": {func(r *v1alpha1.ExportRun) { r.Status.Phase, r.Status.Held = v1alpha1.RunIncomplete, 0 },
			[]v1alpha1.NotificationEvent{v1alpha1.EventIncomplete}},
		"it was cancelled": {func(r *v1alpha1.ExportRun) { r.Status.Phase, r.Status.Held = v1alpha1.RunCancelled, 0 },
			[]v1alpha1.NotificationEvent{v1alpha1.EventCancelled}},
		"it has reversed another": {func(r *v1alpha1.ExportRun) { r.Spec.Type, r.Status.Held = v1alpha1.RunReversal, 0 },
			[]v1alpha1.NotificationEvent{v1alpha1.EventReversed}},
		"a reversal that failed": {func(r *v1alpha1.ExportRun) {
			r.Spec.Type, r.Status.Held, r.Status.Phase = v1alpha1.RunReversal, 0, v1alpha1.RunFailed
		},
			[]v1alpha1.NotificationEvent{v1alpha1.EventFailed}},
		"a preview":           {func(r *v1alpha1.ExportRun) { r.Spec.Type = v1alpha1.RunPreview }, nil},
		"it had ended before": {func(r *v1alpha1.ExportRun) { r.Status.Recovered = true }, nil},
		"it has not ended":    {func(r *v1alpha1.ExportRun) { r.Status.Phase = v1alpha1.RunReleasing }, nil},
		"there are too many": {func(r *v1alpha1.ExportRun) {
			r.Status.Phase = v1alpha1.RunFailed
			r.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonTooManyRuns}}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, export := anyRun()
			test.change(run)
			if got := eventsOf(run); !slices.Equal(got, test.want) {
				t.Errorf("events are %v, want %v", got, test.want)
			}
			export.Spec.Notify = []v1alpha1.NotificationTarget{{Name: "all"}, {Name: "one", Events: []v1alpha1.NotificationEvent{v1alpha1.EventEmpty}}}
			now := time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)
			Record(run, export, now)
			want := len(test.want) // one for each: what all are not told, one is
			if len(run.Status.Notifications) != want || Pending(run) != (want > 0) || KeptUntil(run).IsZero() != (want == 0) {
				t.Errorf("recorded are %+v", run.Status.Notifications)
			}
			Record(run, export, now.Add(time.Hour))
			if len(run.Status.Notifications) != want {
				t.Errorf("recorded twice are %+v", run.Status.Notifications)
			}
		})
	}
}

func TestEveryEventHasATypeAndASummary(t *testing.T) {
	t.Parallel()
	run, export := anyRun()
	seen := map[string]bool{}
	for _, event := range []v1alpha1.NotificationEvent{
		v1alpha1.EventSucceeded, v1alpha1.EventEmpty, v1alpha1.EventFailed, v1alpha1.EventIncomplete, v1alpha1.EventCancelled, v1alpha1.EventReversed, v1alpha1.EventClaimsHeld,
	} {
		message := MessageOf(run, export, event, "")
		for _, text := range []string{types[event], message.summary(), message.ID} {
			if text == "" || seen[text] {
				t.Errorf("%s has %q, which is empty or another's", event, text)
			}
			seen[text] = true
		}
	}
	if len(types) != 7 {
		t.Errorf("there are %d types", len(types))
	}
}

func TestCheckPage(t *testing.T) {
	t.Parallel()
	for page, ok := range map[string]bool{
		"": true, "https://books.example.com/{namespace}/{run}": true, "http://localhost:8080/?run={run}&export={export}": true,
		"books.example.com/{run}": false, "javascript:{run}": false, "https://books.example.com/{name}": false, "https:///{run}": false, "https://books.example.com/{run": false,
	} {
		if err := CheckPage(page); (err == nil) != ok {
			t.Errorf("%q: %v", page, err)
		}
	}
}

// TestTheBodyOnThePageIsOneThatIsSent reads the page as strictly as it can be.
func TestTheBodyOnThePageIsOneThatIsSent(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/notifications.md")
	must(t, err)
	_, body, _ := strings.Cut(string(page), "```json\n")
	body, _, _ = strings.Cut(body, "```\n")
	shown := cloudEvent{Data: &Data{}}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	must(t, decoder.Decode(&shown))
	again, err := json.MarshalIndent(shown, "", "  ")
	must(t, err)
	if string(again)+"\n" != body {
		t.Errorf("the page has\n%s\nand what is sent would be\n%s", body, again)
	}
}
