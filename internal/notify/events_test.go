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
		"it waits for its approval": {func(r *v1alpha1.ExportRun) { r.Status.Phase = v1alpha1.RunAwaitingApproval },
			[]v1alpha1.NotificationEvent{v1alpha1.EventAwaitingApproval}},
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

// TestAWaitIsToldBeforeTheEndThatFollowsIt records both in one run, each once.
func TestAWaitIsToldBeforeTheEndThatFollowsIt(t *testing.T) {
	t.Parallel()
	run, export := anyRun()
	export.Spec.Notify = []v1alpha1.NotificationTarget{
		{Name: "all"}, {Name: "books", Events: []v1alpha1.NotificationEvent{v1alpha1.EventAwaitingApproval}}, {Name: "ends", Events: []v1alpha1.NotificationEvent{v1alpha1.EventSucceeded}},
	}
	waited := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	until := metav1.NewTime(waited.Add(time.Hour))
	run.Status.Phase, run.Status.Approval = v1alpha1.RunAwaitingApproval, &v1alpha1.RunApproval{Digest: "5a0d1f", Until: &until}
	Record(run, export, waited)
	Record(run, export, waited.Add(time.Second)) // it waits with something else
	early := MessageOf(run, export, v1alpha1.EventAwaitingApproval, "")
	if want := (Approval{Digest: "5a0d1f", Until: "2026-11-01T07:00:00Z"}); early.Data.Approval == nil || *early.Data.Approval != want || !early.Time.Equal(waited) {
		t.Errorf("of what waits is said %+v at %s", early.Data, early.Time)
	}
	if text := early.text(); !strings.Contains(text, "waits for its approval, with 3 claims, 1234.50 EUR") || !strings.Contains(text, "kubectl ledgerport approve monthly-1 --namespace acme") {
		t.Errorf("the letter is %q", text)
	}
	run.Status.Phase = v1alpha1.RunSucceeded
	Record(run, export, waited.Add(time.Minute))
	var told []string
	for _, one := range run.Status.Notifications {
		told = append(told, one.Target+" "+string(one.Event))
	}
	if want := []string{"all AwaitingApproval", "books AwaitingApproval", "all Succeeded", "all ClaimsHeld", "ends Succeeded"}; !slices.Equal(told, want) {
		t.Errorf("recorded are %q, want %q", told, want)
	}
	late := MessageOf(run, export, v1alpha1.EventAwaitingApproval, "")
	if text := late.text(); late.ID != early.ID || !late.Time.Equal(waited) || strings.Contains(text, "ledgerport approve") || !strings.Contains(text, "does so no longer") {
		t.Errorf("what is told late is %q at %s: %q", late.ID, late.Time, text)
	}
}

func TestEveryEventHasATypeAndASummary(t *testing.T) {
	t.Parallel()
	run, export := anyRun()
	seen := map[string]bool{}
	for _, event := range []v1alpha1.NotificationEvent{
		v1alpha1.EventSucceeded, v1alpha1.EventEmpty, v1alpha1.EventFailed, v1alpha1.EventIncomplete, v1alpha1.EventCancelled, v1alpha1.EventReversed, v1alpha1.EventClaimsHeld, v1alpha1.EventAwaitingApproval,
	} {
		message := MessageOf(run, export, event, "")
		for _, text := range []string{types[event], message.summary(), message.ID} {
			if text == "" || seen[text] {
				t.Errorf("%s has %q, which is empty or another's", event, text)
			}
			seen[text] = true
		}
	}
	if len(types) != 8 {
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
