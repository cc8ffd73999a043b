package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// cluster is what the API server of one cluster keeps, with an operator: the exports monthly and weekly of one organisation, whose
// claims they take by two ClaimSources that lead to one database.
type cluster struct {
	*stage
	uid     string
	objects client.Client
	runs    int
}

func newCluster(s *stage, uid string) *cluster {
	s.Helper()
	objects, is := resources(s.database).(client.Client)
	if !is {
		s.Fatal("the objects cannot be written")
	}
	s.keepsNone = true // nobody else may have a database open that is copied
	c := &cluster{stage: s, uid: uid, objects: objects}
	var source v1alpha1.ClaimSource
	var export v1alpha1.AccountingExport
	at := types.NamespacedName{Namespace: "acme", Name: "monthly"}
	s.must(errors.Join(objects.Get(s.Context(), at, &source), objects.Get(s.Context(), at, &export)))
	source.ObjectMeta = metav1.ObjectMeta{Namespace: "acme", Name: "weekly"}
	export.ObjectMeta = metav1.ObjectMeta{Namespace: "acme", Name: "weekly"}
	export.Spec.SourceRef.Name, export.Spec.VoucherSeries = "weekly", "W"
	s.must(errors.Join(objects.Create(s.Context(), &source), objects.Create(s.Context(), &export)))
	return c
}

// uses leads both sources to a database.
func (c *cluster) uses(database string) {
	c.Helper()
	var secret corev1.Secret
	c.must(c.objects.Get(c.Context(), types.NamespacedName{Namespace: "acme", Name: "monthly"}, &secret))
	secret.Data["url"] = []byte(database)
	c.must(c.objects.Update(c.Context(), &secret))
}

// create makes an ExportRun.
func (c *cluster) create(export, name string) *v1alpha1.ExportRun {
	c.Helper()
	c.runs++
	run := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name, UID: types.UID(fmt.Sprintf("%s-%d", c.uid, c.runs))}}
	run.Spec.ExportRef.Name = export
	run.Status.SourceRef = &v1alpha1.NamespacedReference{Namespace: "acme", Name: export}
	c.must(c.objects.Create(c.Context(), run))
	return run
}

// attempt makes one attempt of a run, and keeps in its status what the reconciler would.
func (c *cluster) attempt(run *v1alpha1.ExportRun, cutoff time.Time, hook failpoint.Hook) (pipeline.Outcome, error) {
	c.Helper()
	p := newPipeline(c.database, c.exports, c.uid, hook)
	p.Resolver.Objects, p.Resolver.Secrets.API, p.Cluster = c.objects, c.objects, c.uid
	p.Resolver.Sessions = nil
	run.Status.Attempts++
	outcome, err := p.Run(c.Context(), c.task(run, cutoff), &pipeline.Progress{})
	if outcome.Ledger != nil {
		run.Status.Ledger = outcome.Ledger
	}
	if err == nil {
		run.Status.Phase, run.Status.CompletedAt = v1alpha1.RunSucceeded, &metav1.Time{Time: outcome.EndedAt}
	}
	c.must(c.objects.Update(c.Context(), run))
	return outcome, err
}

// task is the next attempt of a run.
func (c *cluster) task(run *v1alpha1.ExportRun, cutoff time.Time) pipeline.Task {
	return pipeline.Task{
		RunID: string(run.UID), Namespace: run.Namespace, Name: run.Name, Export: run.Spec.ExportRef.Name, Source: *run.Status.SourceRef,
		Number: max(1, run.Status.Attempts), Cutoff: cutoff, CreatedAt: approvedUntil, Deadline: time.Minute,
	}
}

// exported is what a run has of claims in the database.
func (c *cluster) exported(run string) []string {
	c.Helper()
	ids := c.text(`select coalesce(string_agg(claim_id, ',' order by claim_id), '') from ledgerport.exported_claims where run_id = $1`, run)
	return slices.DeleteFunc(strings.Split(ids, ","), func(id string) bool { return id == "" })
}

// accept is what a person does who has seen to the books: the ledger is another one, and both sources and exports may use it.
func (c *cluster) accept() {
	c.Helper()
	database, err := claims.Open(c.Context(), claims.Options{URL: c.database, Allowed: claims.Allowances{Insecure: true}})
	c.must(err)
	defer database.Close()
	ledger, err := database.AcceptLedger(c.Context(), true)
	c.must(err)
	for _, name := range []string{"monthly", "weekly"} {
		for _, object := range []client.Object{&v1alpha1.ClaimSource{}, &v1alpha1.AccountingExport{}} {
			c.must(c.objects.Get(c.Context(), types.NamespacedName{Namespace: "acme", Name: name}, object))
			object.SetAnnotations(map[string]string{v1alpha1.AcceptedLedgerAnnotation: ledger.ID})
			c.must(c.objects.Update(c.Context(), object))
		}
	}
}

func refusedWith(t *testing.T, err error, reason v1alpha1.Reason, words ...string) {
	t.Helper()
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != reason {
		t.Fatalf("the attempt ended with %v, want %s", err, reason)
	}
	for _, word := range words {
		if !strings.Contains(failed.Message, word) {
			t.Errorf("the message %q lacks %q", failed.Message, word)
		}
	}
}

// restored is a cluster that has seen one run of the export monthly end, whose database was restored from a backup before it.
func restored(t *testing.T) *cluster {
	t.Helper()
	s := newStage(t)
	c := newCluster(s, "here")
	if _, err := c.attempt(c.create("monthly", "first"), approvedUntil.AddDate(0, 0, -20), nil); err != nil {
		t.Fatal(err)
	}
	backup := testdb.Copy(t, s.database)
	if outcome, err := c.attempt(c.create("monthly", "second"), approvedUntil, nil); err != nil || outcome.Result.Claims == 0 {
		t.Fatalf("the run ended with %+v, %v", outcome, err)
	}
	s.database = backup
	c.uses(backup)
	return c
}

func TestDatabaseThatWasRestored(t *testing.T) {
	t.Parallel()
	t.Run("stops every export, whatever its source is called", func(t *testing.T) {
		t.Parallel()
		c := restored(t)
		for _, export := range []string{"monthly", "weekly"} {
			_, err := c.attempt(c.create(export, export+"-next"), approvedUntil, nil)
			refusedWith(t, err, v1alpha1.ReasonLedgerIncomplete, "ExportRun second", "exported again", "ledgerport ledger accept --renew")
		}
		if n := c.text(`select count(*)::text from ledgerport.runs`); n != "1" {
			t.Errorf("%s runs are recorded, want the one from before the backup", n)
		}
	})
	t.Run("exports again once its ledger is renewed and accepted, and not before", func(t *testing.T) {
		t.Parallel()
		c := restored(t)
		database, err := claims.Open(t.Context(), claims.Options{URL: c.database, Allowed: claims.Allowances{Insecure: true}})
		c.must(err)
		renewed, err := database.AcceptLedger(t.Context(), true)
		database.Close()
		c.must(err)
		_, err = c.attempt(c.create("weekly", "unaccepted"), approvedUntil, nil)
		refusedWith(t, err, v1alpha1.ReasonLedgerChanged, renewed.ID, v1alpha1.AcceptedLedgerAnnotation)
		c.accept()
		if outcome, err := c.attempt(c.create("weekly", "accepted"), approvedUntil, nil); err != nil || outcome.Result.Claims == 0 {
			t.Errorf("the run ended with %+v, %v", outcome, err)
		}
	})
	t.Run("stops no export for what the server of another tenant says of its ledger", func(t *testing.T) {
		t.Parallel()
		c := newCluster(newStage(t), "here")
		first := c.create("monthly", "first")
		if _, err := c.attempt(first, approvedUntil.AddDate(0, 0, -20), nil); err != nil {
			t.Fatal(err)
		}
		foreign := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: "first", UID: "foreign"}}
		foreign.Status.SourceRef = &v1alpha1.NamespacedReference{Namespace: "hostile", Name: "monthly"}
		foreign.Status.Ledger = &v1alpha1.RunLedger{ID: first.Status.Ledger.ID, Sequence: 1 << 40, RunID: "foreign"}
		c.must(c.objects.Create(t.Context(), foreign))
		if _, err := c.attempt(c.create("monthly", "second"), approvedUntil, nil); err != nil {
			t.Error(err)
		}
		foreign.Status.SourceRef.Namespace = "acme" // the tenant's own source has named it to another namespace
		c.must(c.objects.Update(t.Context(), foreign))
		_, err := c.attempt(c.create("monthly", "third"), approvedUntil, nil)
		refusedWith(t, err, v1alpha1.ReasonLedgerIncomplete)
	})
	t.Run("is none whose answer to a commit was a refusal", func(t *testing.T) {
		t.Parallel()
		c := newCluster(newStage(t), "here")
		first := c.create("monthly", "first")
		refuse := func(point failpoint.Point) {
			if point == failpoint.Attempt.Before() {
				c.sql(func(ctx context.Context, conn *pgx.Conn) error {
					_, err := conn.Exec(ctx, `create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''not today''; end';
						create constraint trigger refuse after insert on ledgerport.runs deferrable initially deferred for each row execute function public.refuse()`)
					return err
				})
			}
		}
		if outcome, err := c.attempt(first, approvedUntil, refuse); err == nil || outcome.Ledger != nil {
			t.Fatalf("the run ended with %+v, %v, want an error and nothing of a record", outcome.Ledger, err)
		}
		c.sql(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `drop function public.refuse() cascade`)
			return err
		})
		if outcome, err := c.attempt(c.create("weekly", "next"), approvedUntil, nil); err != nil || outcome.Result.Claims == 0 {
			t.Errorf("the run ended with %+v, %v", outcome, err)
		}
	})
	t.Run("is neither resumed nor given back to", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		c := newCluster(s, "here")
		held := c.create("monthly", "held")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := newPipeline(s.database, s.exports, "here", func(at failpoint.Point) {
			if at == failpoint.Record.After() {
				cancel()
			}
		})
		p.Resolver.Objects, p.Resolver.Secrets.API, p.Cluster = c.objects, c.objects, c.uid
		p.Resolver.Sessions = nil
		task := c.task(held, approvedUntil.AddDate(0, 0, -20))
		if _, err := p.Run(ctx, task, &pipeline.Progress{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("the attempt ended with %v", err)
		}
		s.untilNoBackendWorks()
		backup := testdb.Copy(t, s.database)
		if _, err := c.attempt(c.create("weekly", "later"), approvedUntil, nil); err != nil {
			t.Fatal(err)
		}
		s.database = backup
		c.uses(backup)
		_, err := c.attempt(held, approvedUntil, nil)
		refusedWith(t, err, v1alpha1.ReasonLedgerIncomplete)
		task.Release, task.Number = true, 3
		p.Failpoints = nil
		_, err = p.Run(t.Context(), task, &pipeline.Progress{})
		refusedWith(t, err, v1alpha1.ReasonLedgerIncomplete)
		if state := s.state(string(held.UID)); state != "rendered" {
			t.Errorf("the run is %s", state)
		}
	})
	t.Run("on another server waits until that is accepted", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		c := newCluster(s, "here")
		if _, err := c.attempt(c.create("monthly", "first"), approvedUntil.AddDate(0, 0, -20), nil); err != nil {
			t.Fatal(err)
		}
		s.sql(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `update ledgerport.ledger set system_identifier = '4711'`)
			return err
		})
		next := c.create("monthly", "next")
		_, err := c.attempt(next, approvedUntil, nil)
		refusedWith(t, err, v1alpha1.ReasonLedgerMoved, "4711", `"ledgerport ledger accept"`)
		database, err := claims.Open(t.Context(), claims.Options{URL: s.database, Allowed: claims.Allowances{Insecure: true}})
		c.must(err)
		_, err = database.AcceptLedger(t.Context(), false)
		database.Close()
		c.must(err)
		if _, err := c.attempt(next, approvedUntil, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestLedgerThatIsNotAccepted has a tenant's own database say that it is a ledger, and that a run stands far ahead in it.
func TestLedgerThatIsNotAccepted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := newCluster(s, "here")
	if _, err := c.attempt(c.create("monthly", "first"), approvedUntil.AddDate(0, 0, -20), nil); err != nil {
		t.Fatal(err)
	}
	forged := c.create("monthly", "forged")
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `insert into ledgerport.runs (id, namespace, export, name, organization_id, series, state, attempt, holder, deadline, cutoff, inputs, cluster, sequence)
			select $1, 'acme', 'monthly', 'forged', $2, 'E', 'started', 1, 'x', now(), current_timestamp, '{}', 'here', 9000000000000000000`, string(forged.UID), organization)
		return err
	})
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `update ledgerport.ledger set system_identifier = '4711'`)
		return err
	})
	outcome, err := c.attempt(forged, approvedUntil, nil)
	refusedWith(t, err, v1alpha1.ReasonLedgerMoved)
	if outcome.Ledger != nil {
		t.Errorf("the attempt tells of the ledger %+v, which other runs would go by", outcome.Ledger)
	}
}

func TestDatabaseOfAnotherCluster(t *testing.T) {
	t.Parallel()
	for _, point := range []failpoint.Point{failpoint.Record.After(), failpoint.MarkDelivered.After(), failpoint.Commit.After()} {
		t.Run("begun there, and stopped at "+string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			there, here := newCluster(s, "there"), newCluster(s, "here")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			begun := there.create("monthly", "first")
			p := newPipeline(s.database, s.exports, "there", func(at failpoint.Point) {
				if at == point {
					cancel()
				}
			})
			p.Resolver.Objects, p.Resolver.Secrets.API, p.Cluster = there.objects, there.objects, "there"
			p.Resolver.Sessions = nil
			_, _ = p.Run(ctx, there.task(begun, approvedUntil), &pipeline.Progress{}) // it is stopped
			s.untilNoBackendWorks()
			was := s.state(string(begun.UID))
			same := here.create("monthly", "first")
			_, err := here.attempt(same, approvedUntil, nil)
			refusedWith(t, err, v1alpha1.ReasonOtherCluster, `"there"`, was, "ledgerport ledger hand-over --run "+string(begun.UID)+" --to here")
			if state := s.state(string(begun.UID)); state != was {
				t.Errorf("the run of the other cluster went from %s to %s", was, state)
			}
			database, err := claims.Open(t.Context(), claims.Options{URL: s.database, Allowed: claims.Allowances{Insecure: true}})
			s.must(err)
			_, err = database.HandOver(t.Context(), "", string(begun.UID), "here")
			database.Close()
			s.must(err)
			if outcome, err := here.attempt(same, approvedUntil, nil); err != nil || !outcome.Committed {
				t.Errorf("handed over, the run ended with %+v, %v", outcome, err)
			}
		})
	}
}

// TestNoClaimIsInTwoCommittedArtifacts lets two exports of an organisation, by two sources of one database, run, be interrupted,
// applied again and begun by a clone of the cluster, while the database is backed up and restored at any time. A person who is
// told of a ledger that is incomplete takes back what the database has forgotten.
func TestNoClaimIsInTwoCommittedArtifacts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("with the seed %d", seed), func(t *testing.T) {
			t.Parallel()
			newLife(t, seed).live(30)
		})
	}
}

// life is a history of a database.
type life struct {
	*cluster
	clone   *cluster
	random  *rand.Rand
	backups []string
	all     []*v1alpha1.ExportRun
	cutoffs map[string]time.Time
	books   map[string][]string // the claims of each committed run, by the id of its record
	noticed int
}

func newLife(t *testing.T, seed uint64) *life {
	s := newStage(t)
	return &life{
		cluster: newCluster(s, "here"), clone: newCluster(s, "clone"), random: rand.New(rand.NewPCG(seed, seed)),
		cutoffs: map[string]time.Time{}, books: map[string][]string{},
	}
}

func (l *life) live(steps int) {
	l.Helper()
	for range steps {
		switch l.random.IntN(10) {
		case 0:
			l.backups = append(l.backups, testdb.Copy(l.T, l.database))
		case 1:
			l.restore()
		case 2:
			l.applyAgain()
		case 3:
			l.cloned()
		case 4:
			l.advance(l.begin(), true)
		default:
			l.advance(l.begin(), false)
		}
		l.audit()
	}
	if len(l.books) == 0 {
		l.Error("nothing was exported")
	}
	l.Logf("%d runs, %d committed, %d backups, noticed %d times", len(l.all), len(l.books), len(l.backups), l.noticed)
}

// begin makes a run of one of the exports, up to some day, or goes on with one that has not ended.
func (l *life) begin() *v1alpha1.ExportRun {
	for _, run := range l.all {
		if !run.Status.Phase.Finished() {
			return run
		}
	}
	export := []string{"monthly", "weekly"}[l.random.IntN(2)]
	run := l.create(export, fmt.Sprintf("%s-%d", export, len(l.all)))
	l.all = append(l.all, run)
	l.cutoffs[run.Name] = approvedUntil.AddDate(0, 0, -l.random.IntN(30))
	return run
}

// advance makes an attempt, which is stopped at some point or not. Of one that is stopped the cluster is told nothing.
func (l *life) advance(run *v1alpha1.ExportRun, stop bool) {
	l.Helper()
	if stop {
		l.interrupted(run)
		return
	}
	outcome, err := l.attempt(run, l.cutoffs[run.Name], nil)
	reason := ""
	if err != nil {
		reason = failure.From(err).Reason
	}
	switch reason {
	case "":
		if outcome.Committed {
			l.books[outcome.Ledger.RunID] = l.exported(outcome.Ledger.RunID)
		}
	case v1alpha1.ReasonLedgerIncomplete, v1alpha1.ReasonLedgerChanged:
		l.noticed++
		l.seeToTheBooks()
	case v1alpha1.ReasonSeriesBusy, v1alpha1.ReasonArtifactConflict: // a record of before the backup is in the way, or a file of after it
		run.Status.Phase = v1alpha1.RunFailed
	default:
		l.Fatalf("the attempt of %s ended with %s", run.Name, err)
	}
}

func (l *life) interrupted(run *v1alpha1.ExportRun) {
	l.Helper()
	points := failpoint.ExportPoints()
	point := points[l.random.IntN(len(points))]
	ctx, cancel := context.WithCancel(l.Context())
	defer cancel()
	p := newPipeline(l.database, l.exports, l.uid, func(at failpoint.Point) {
		if at == point {
			cancel()
		}
	})
	p.Resolver.Objects, p.Resolver.Secrets.API, p.Cluster = l.objects, l.objects, l.uid
	p.Resolver.Sessions = nil
	_, _ = p.Run(ctx, l.task(run, l.cutoffs[run.Name]), &pipeline.Progress{}) // nobody is told
	l.untilNoBackendWorks()
	if l.state(string(run.UID)) == "committed" {
		l.books[string(run.UID)] = l.exported(string(run.UID))
	}
}

// restore leads the sources to a copy of a backup.
func (l *life) restore() {
	if len(l.backups) == 0 {
		return
	}
	l.database = testdb.Copy(l.T, l.backups[l.random.IntN(len(l.backups))])
	l.uses(l.database)
	l.clone.uses(l.database)
}

// seeToTheBooks takes back what the database has forgotten, and ends what it has begun and nobody goes on with.
func (l *life) seeToTheBooks() {
	l.Helper()
	for id := range l.books {
		if l.state(id) != "committed" {
			delete(l.books, id)
		}
	}
	l.accept()
}

// applyAgain deletes an ExportRun that has ended and applies it again.
func (l *life) applyAgain() {
	l.Helper()
	if len(l.all) == 0 {
		return
	}
	i := l.random.IntN(len(l.all))
	old := l.all[i]
	if !old.Status.Phase.Finished() {
		return
	}
	l.must(l.objects.Delete(l.Context(), old))
	l.all[i] = l.create(old.Spec.ExportRef.Name, old.Name)
	l.advance(l.all[i], false)
}

// cloned lets the clone, which has the same objects, begin a run of the cluster: it must fail.
func (l *life) cloned() {
	l.Helper()
	if len(l.all) == 0 {
		return
	}
	of := l.all[l.random.IntN(len(l.all))]
	if l.text(`select count(*)::text from ledgerport.runs where name = $1`, of.Name) == "0" {
		return // which the database has forgotten, and the clone never knew
	}
	run := l.clone.create(of.Spec.ExportRef.Name, of.Name)
	l.clone.database = l.database
	_, err := l.clone.attempt(run, l.cutoffs[of.Name], nil)
	l.must(l.clone.objects.Delete(l.Context(), run))
	refusedWith(l.T, err, v1alpha1.ReasonOtherCluster)
}

// audit looks for a claim in two artifacts.
func (l *life) audit() {
	l.Helper()
	in := map[string]string{}
	for run, ids := range l.books {
		for _, id := range ids {
			if other, twice := in[id]; twice {
				l.Fatalf("claim %s is in the artifacts of %s and %s", id, other, run)
			}
			in[id] = run
		}
	}
}
