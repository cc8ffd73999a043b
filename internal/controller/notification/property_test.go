package notification

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"pgregory.net/rapid"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/controller/watch"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/metrics"
	"github.com/ledgerport/ledgerport/internal/notify"
)

// began is when the clock of a test begins.
var began = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

// fataler is a testing.T, or rapid's.
type fataler interface{ Fatal(args ...any) }

// scene is an export with targets that fail as a test wants, and processes that end.
type scene struct {
	client client.Client
	clock  *clocktesting.FakeClock
	fails  func(target string) error
	opens  func(target string) // nil does nothing
	// taken are the events that each target has taken, each as often as it was sent.
	taken map[string][]string
	// killedAt reports whether the process is killed at a point. It does nothing more then, and another one follows.
	killedAt func(failpoint.Point) bool
	died     chan failpoint.Point
	mu       sync.Mutex
	// process is at work, and has a memory.
	process *process
	runs    int
}

func newScene(t fataler, targets ...string) *scene {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly", UID: "export", Generation: 1}}
	for _, name := range targets {
		export.Spec.Notify = append(export.Spec.Notify, v1alpha1.NotificationTarget{Name: name})
	}
	s := &scene{clock: clocktesting.NewFakeClock(began), taken: map[string][]string{}, fails: func(string) error { return nil }, killedAt: func(failpoint.Point) bool { return false }, died: make(chan failpoint.Point, 1)}
	s.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(export).WithStatusSubresource(export, &v1alpha1.ExportRun{}).
		WithIndex(&v1alpha1.ExportRun{}, watch.UntoldIndex, func(o client.Object) []string { return watch.UntoldOf(o.(*v1alpha1.ExportRun)) }).Build()
	s.restart()
	return s
}

// process is one operator.
type process struct {
	*scene
	reconciler *Reconciler
	killed     bool
}

// restart is another process, which knows what is recorded.
func (s *scene) restart() {
	p := &process{scene: s}
	recorder := &report.Recorder{Client: s.client, Events: events.NewFakeRecorder(10_000), Failpoints: p.reach}
	p.reconciler = &Reconciler{Recorder: recorder, Targets: p, Clock: s.clock, Metrics: metrics.New(s.client, &exporters.Registry{}, s.clock.Now)}
	s.process = p
}

func (p *process) reach(at failpoint.Point) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dies := !p.killed && p.killedAt(at); dies {
		p.killed = true
		p.died <- at
	}
	p.alive()
}

// alive returns if the process is: what is killed neither goes on nor ends.
func (p *process) alive() {
	if p.killed {
		p.mu.Unlock()
		select {}
	}
}

// Open implements Opener.
func (p *process) Open(_ context.Context, _ *v1alpha1.AccountingExport, target *v1alpha1.NotificationTarget) (notify.Target, error) {
	if p.opens != nil {
		p.opens(target.Name)
	}
	return &taker{p, target.Name}, nil
}

// taker is one target. Targets have goroutines of their own.
type taker struct {
	*process
	name string
}

func (t *taker) Send(_ context.Context, message *notify.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alive()
	if err := t.fails(t.name); err != nil {
		return err
	}
	t.taken[t.name] = append(t.taken[t.name], message.ID)
	return nil
}

func (*taker) Close() {}

// end ends a run now, as its reconciler does.
func (s *scene) end(t fataler, phase v1alpha1.RunPhase, held int64) *v1alpha1.ExportRun {
	return s.record(t, s.create(t), phase, held)
}

// create makes a run that has not begun.
func (s *scene) create(t fataler) *v1alpha1.ExportRun {
	s.runs++
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: fmt.Sprintf("run-%03d", 999-s.runs), UID: types.UID(fmt.Sprintf("uid-%d", s.runs))}}
	run.Spec.ExportRef.Name = "monthly"
	if err := s.client.Create(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	return run
}

// record lets a run end, or wait for its approval, now.
func (s *scene) record(t fataler, run *v1alpha1.ExportRun, phase v1alpha1.RunPhase, held int64) *v1alpha1.ExportRun {
	s.clock.Step(time.Second)
	now := s.clock.Now()
	if err := s.client.Get(context.Background(), client.ObjectKeyFromObject(run), run); err != nil {
		t.Fatal(err)
	}
	var export v1alpha1.AccountingExport
	if err := s.client.Get(context.Background(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &export); err != nil {
		t.Fatal(err)
	}
	run.Status.Phase = phase
	if phase.Finished() {
		run.Status.CompletedAt = &metav1.Time{Time: now}
	}
	run.Status.RunResult = v1alpha1.RunResult{Claims: 1, Held: held}
	notify.Record(run, &export, now)
	if err := s.client.Status().Update(context.Background(), run); err != nil {
		t.Fatal(err)
	}
	return run
}

// reconcile lets the process work once, or until it is killed.
func (s *scene) reconcile(t fataler) (result ctrl.Result) {
	ended, process := make(chan error, 1), s.process.reconciler
	var came ctrl.Result
	go func() {
		var err error
		came, err = process.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "acme", Name: "monthly"}})
		ended <- err
	}()
	select {
	case <-s.died:
		s.restart()
		return result
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
		return came
	}
}

func (s *scene) states(t fataler) (states []v1alpha1.NotificationState) {
	var runs v1alpha1.ExportRunList
	if err := s.client.List(context.Background(), &runs); err != nil {
		t.Fatal(err)
	}
	for i := range runs.Items {
		for _, one := range runs.Items[i].Status.Notifications {
			states = append(states, one.State)
		}
	}
	return states
}

// firsts returns what a target has taken, each once, in the order in which it first came.
func firsts(taken []string) (once []string) {
	for _, id := range taken {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// TestEachEventArrivesAtLeastOnceAndInOrder lets runs end, targets fail, and time pass, at random. In the end every target has taken every
// event, first in the order in which they have happened, and none that has not.
func TestEachEventArrivesAtLeastOnceAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t, "erp", "finance")
		var want []string
		var waits *v1alpha1.ExportRun // for its approval
		happened := func(run *v1alpha1.ExportRun, events int) {
			for _, one := range run.Status.Notifications[len(run.Status.Notifications)-events:] {
				if one.Target == "erp" {
					want = append(want, notify.MessageOf(run, &v1alpha1.AccountingExport{}, one.Event, "").ID)
				}
			}
		}
		failing := map[string]bool{}
		s.fails = func(target string) error {
			if failing[target] {
				return failure.Transient(v1alpha1.ReasonTargetRefused, nil, "not now")
			}
			return nil
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0, 1:
				phase := rapid.SampledFrom([]v1alpha1.RunPhase{v1alpha1.RunSucceeded, v1alpha1.RunFailed, v1alpha1.RunCancelled, v1alpha1.RunIncomplete}).Draw(t, "phase")
				held := rapid.Int64Range(0, 1).Draw(t, "held")
				run := s.end(t, phase, held)
				happened(run, len(run.Status.Notifications))
			case 6: // others may end while one waits
				if waits == nil {
					waits = s.record(t, s.create(t), v1alpha1.RunAwaitingApproval, 0)
					happened(waits, 2)
				} else {
					happened(s.record(t, waits, v1alpha1.RunSucceeded, 0), 2)
					waits = nil
				}
			case 2:
				target := rapid.SampledFrom([]string{"erp", "finance"}).Draw(t, "target")
				failing[target] = !failing[target]
			case 3:
				s.clock.Step(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "later"))
			case 4:
				s.restart()
			case 5:
				point, killed := rapid.SampledFrom(failpoint.NotificationPoints()).Draw(t, "killed at"), false
				s.mu.Lock()
				s.killedAt = func(at failpoint.Point) bool {
					dies := at == point && !killed
					killed = killed || dies
					return dies
				}
				s.mu.Unlock()
			}
			s.reconcile(t)
		}
		clear(failing)
		s.mu.Lock()
		s.killedAt = func(failpoint.Point) bool { return false }
		s.mu.Unlock()
		s.clock.Step(2 * longestBackoff)
		s.reconcile(t)
		for target, taken := range s.taken {
			if !slices.Equal(firsts(taken), want) {
				t.Fatalf("%s has taken %v, want %v", target, taken, want)
			}
		}
		if len(want) > 0 && len(s.taken) != 2 || slices.ContainsFunc(s.states(t), func(is v1alpha1.NotificationState) bool { return is != v1alpha1.NotificationSent }) {
			t.Fatalf("taken are %v, recorded %v", s.taken, s.states(t))
		}
	})
}

// TestAProcessKilledBetweenTwoStepsIsFollowed kills the process at each point, at each event in turn.
func TestAProcessKilledBetweenTwoStepsIsFollowed(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.NotificationPoints() {
		for nth := range 3 {
			t.Run(fmt.Sprintf("%s of event %d", point, nth), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, "erp")
				for range 3 {
					s.end(t, v1alpha1.RunSucceeded, 0)
				}
				left, died := nth, false
				s.killedAt = func(at failpoint.Point) bool {
					if at != point || died {
						return false
					}
					left--
					died = left < 0
					return died
				}
				for range 3 {
					s.reconcile(t)
				}
				if want := []string{"uid-1-succeeded", "uid-2-succeeded", "uid-3-succeeded"}; !died || !slices.Equal(firsts(s.taken["erp"]), want) {
					t.Errorf("it died: %t; taken are %v, want %v", died, s.taken, want)
				}
				for _, state := range s.states(t) {
					if state != v1alpha1.NotificationSent {
						t.Errorf("recorded are %v", s.states(t))
					}
				}
			})
		}
	}
}

func TestWhatIsNotTakenInTimeIsDropped(t *testing.T) {
	t.Parallel()
	s := newScene(t, "erp")
	s.fails = func(string) error { return failure.Transient(v1alpha1.ReasonTargetRefused, nil, "never") }
	s.end(t, v1alpha1.RunFailed, 0)
	for range 200 { // which is beyond three days with every backoff
		result := s.reconcile(t)
		if result.RequeueAfter == 0 {
			break
		}
		s.clock.Step(max(result.RequeueAfter, 30*time.Minute))
	}
	if states := s.states(t); !slices.Equal(states, []v1alpha1.NotificationState{v1alpha1.NotificationDropped}) || len(s.taken) > 0 {
		t.Errorf("recorded are %v, taken %v", states, s.taken)
	}
	s.fails = func(string) error { return nil }
	s.end(t, v1alpha1.RunSucceeded, 0)
	s.clock.Step(longestBackoff * 2)
	s.reconcile(t)
	if want := []string{"uid-2-succeeded"}; !slices.Equal(s.taken["erp"], want) {
		t.Errorf("taken are %v, want %v", s.taken, want)
	}
}

// TestATargetThatIsGoneIsLeftAlone counts how often it is asked.
func TestATargetThatIsGoneIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, asked := newScene(t, "erp"), 0
	s.fails = func(string) error {
		asked++
		return failure.Stalled(v1alpha1.ReasonTargetGone, nil, "no more")
	}
	for range 5 {
		s.end(t, v1alpha1.RunSucceeded, 0)
		s.reconcile(t)
		s.clock.Step(time.Hour)
	}
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
}

func TestATargetThatAsksForMoreTimeHasIt(t *testing.T) {
	t.Parallel()
	s, asked := newScene(t, "erp"), 0
	s.fails = func(string) error {
		asked++
		return &notify.Later{Failure: failure.Transient(v1alpha1.ReasonTargetRefused, nil, "later"), Wait: time.Hour}
	}
	s.end(t, v1alpha1.RunSucceeded, 0)
	s.reconcile(t)
	s.clock.Step(59 * time.Minute)
	s.reconcile(t)
	if asked != 1 {
		t.Errorf("it was asked %d times within the hour", asked)
	}
	s.clock.Step(time.Minute)
	s.reconcile(t)
	if asked != 2 {
		t.Errorf("it was asked %d times after the hour", asked)
	}
}

// TestATargetThatPanicsFailsAlone has the library of a target panic, in the goroutine that opens it and sends to it.
func TestATargetThatPanicsFailsAlone(t *testing.T) {
	t.Parallel()
	panics := func(target string) {
		if target == "erp" {
			panic("what the target has answered")
		}
	}
	t.Run("as it is opened", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "erp", "finance")
		s.opens = panics
		s.failsAlone(t)
	})
	t.Run("as it is sent to", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "erp", "finance")
		s.fails = func(target string) error {
			panics(target)
			return nil
		}
		s.failsAlone(t)
	})
}

// failsAlone insists that one target fails, and that the other one is told.
func (s *scene) failsAlone(t *testing.T) {
	t.Helper()
	s.end(t, v1alpha1.RunSucceeded, 0)
	s.reconcile(t)
	if want := []string{"uid-1-succeeded"}; !slices.Equal(s.taken["finance"], want) || len(s.taken["erp"]) > 0 {
		t.Errorf("taken are %v, want %v of finance", s.taken, want)
	}
	var export v1alpha1.AccountingExport
	if err := s.client.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &export); err != nil {
		t.Fatal(err)
	}
	for _, condition := range export.Status.Conditions {
		if condition.Type == v1alpha1.ConditionNotified && (condition.Status != metav1.ConditionFalse || strings.Contains(condition.Message, "what the target")) {
			t.Errorf("the condition is %+v", condition)
		}
	}
}

// TestOfAnExportWithoutTargetsNothingIsRemembered has one beside it that has a target.
func TestOfAnExportWithoutTargetsNothingIsRemembered(t *testing.T) {
	t.Parallel()
	for want, targets := range [][]string{nil, {"books"}} {
		s := newScene(t, targets...)
		s.reconcile(t)
		if got := len(s.process.reconciler.memories.all); got != want {
			t.Errorf("%d exports with the targets %q are remembered, want %d", got, targets, want)
		}
	}
}
