package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/destinations/filesystem"
	"github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/testdb"
)

const (
	organization = "3f2c9a1e-0000-4000-8000-000000000001"
	claimCount   = 20
)

// approvedUntil and the run's times are fixed, so that every test renders the same bytes.
var approvedUntil = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// dying is one attempt that a process of its own makes, and that ends the process at a point.
type dying struct {
	Database, Exports string
	Options           json.RawMessage `json:",omitempty"` // of the exporter that sends vouchers; none where files are delivered
	SplitBy           []v1alpha1.VoucherSplit
	Receipts          v1alpha1.ReceiptPolicy
	Task              pipeline.Task
	Point             failpoint.Point
}

const dyingVariable = "LEDGERPORT_TEST_DYING_ATTEMPT"

// TestMain is also the process that dies.
func TestMain(m *testing.M) {
	if text := os.Getenv(dyingVariable); text != "" {
		os.Exit(die(text))
	}
	os.Exit(m.Run())
}

func die(text string) int {
	var d dying
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := newPipeline(d.Database, d.Exports, "dying", func(point failpoint.Point) {
		if point == d.Point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if d.Options != nil {
		if err := sendVouchers(context.Background(), p.Resolver.Objects.(client.Client), d.Options); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := splitVouchers(context.Background(), p.Resolver.Objects.(client.Client), d.SplitBy); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := askForReceipts(context.Background(), p.Resolver.Objects.(client.Client), d.Receipts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, err := p.Run(context.Background(), d.Task, &pipeline.Progress{})
	fmt.Fprintf(os.Stderr, "the attempt never came to %s (%v)\n", d.Point, err)
	return 1
}

// stage is one organisation's database and destination.
type stage struct {
	*testing.T
	database, exports string
	options           json.RawMessage // of the exporter that sends vouchers; none where files are delivered
	splitBy           []v1alpha1.VoucherSplit
	receipts          v1alpha1.ReceiptPolicy
	keepsNone         bool // no session is kept for the next attempt
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, database: testdb.New(t), exports: t.TempDir()}
	leaks.AtEnd(t, func(_ context.Context, scan *leaks.Scan) error { return scan.Files(s.exports) })
	s.sql(application.CreateTables)
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: claimCount, Seed: 7,
			ApprovedFrom: approvedUntil.AddDate(0, -1, 0), ApprovedTo: approvedUntil,
		})
		return err
	})
	return s
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) sql(do func(context.Context, *pgx.Conn) error) {
	s.Helper()
	conn, err := pgx.Connect(s.Context(), s.database)
	s.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	s.must(do(s.Context(), conn))
}

// text returns the one text that a query selects.
func (s *stage) text(query string, args ...any) (text string) {
	s.Helper()
	s.sql(func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, query, args...).Scan(&text) })
	return text
}

// attempt makes one in this process.
func (s *stage) attempt(task pipeline.Task, hook failpoint.Hook) (pipeline.Outcome, error) {
	s.Helper()
	p := newPipeline(s.database, s.exports, "living", hook)
	s.must(splitVouchers(s.Context(), p.Resolver.Objects.(client.Client), s.splitBy))
	s.must(askForReceipts(s.Context(), p.Resolver.Objects.(client.Client), s.receipts))
	return p.Run(s.Context(), task, &pipeline.Progress{})
}

// crash makes an attempt in a process that is killed at a point.
func (s *stage) crash(task pipeline.Task, point failpoint.Point) {
	s.Helper()
	text, err := json.Marshal(dying{Database: s.database, Exports: s.exports, Options: s.options, SplitBy: s.splitBy, Receipts: s.receipts, Task: task, Point: point})
	s.must(err)
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), dyingVariable+"="+string(text))
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		s.Fatalf("the attempt was not killed at %s: %v\n%s", point, err, said)
	}
}

// file is what can be told of one that was delivered: another inode is another writing.
type file struct {
	content string
	inode   uint64
}

func (s *stage) files() map[string]file {
	s.Helper()
	found := map[string]file{}
	s.must(filepath.WalkDir(s.exports, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == ".ledgerport-destination" {
			return err
		}
		content, err := os.ReadFile(path)
		s.must(err)
		info, err := entry.Info()
		s.must(err)
		name, err := filepath.Rel(s.exports, path)
		s.must(err)
		found[name] = file{string(content), info.Sys().(*syscall.Stat_t).Ino}
		return nil
	}))
	return found
}

// reserved is every claim of the run with its number, as one text.
func (s *stage) reserved() string {
	s.Helper()
	return s.text(`select coalesce(string_agg(position || ' ' || claim_id || ' ' || fiscal_year || '/' || voucher_number, ',' order by position), '')
		from ledgerport.exported_claims`)
}

// reversing is every reversed and reversing voucher with its number, as one text.
func (s *stage) reversing() string {
	s.Helper()
	return s.text(`select coalesce(string_agg(run_id || ' ' || position || ' ' || claim_id || ' ' || fiscal_year || '/' || voucher_number, ',' order by run_id, position), '')
		from ledgerport.reversal_vouchers`)
}

func (s *stage) state(run string) string {
	s.Helper()
	return s.text(`select coalesce((select state from ledgerport.runs where id = $1), 'unknown')`, run)
}

func (s *stage) voided() string {
	s.Helper()
	return s.text(`select coalesce(sum(last - first + 1), 0)::text from ledgerport.voided_vouchers`)
}

func task(number int32) pipeline.Task {
	return pipeline.Task{
		RunID: "11111111-0000-4000-8000-000000000001", Namespace: "acme", Export: "monthly", Name: "monthly-1", Number: number,
		Cutoff: approvedUntil, CreatedAt: approvedUntil, Deadline: time.Minute,
	}
}

// run is the nth of the export, at its first attempt.
func run(n int) pipeline.Task {
	t := task(1)
	t.RunID, t.Name = fmt.Sprintf("22222222-0000-4000-8000-%012d", n), fmt.Sprintf("monthly-%d", n)
	return t
}

// released is an attempt that gives the claims of a run back.
func released(t pipeline.Task) pipeline.Task {
	t.Release, t.ReleaseReason = true, "Cancelled"
	return t
}

// keptSessions are those of all pipelines here, as those of an operator: what an attempt leaves behind the next one finds.
var keptSessions = claims.NewSessions(claims.IdleSessions)

func newPipeline(database, exports, holder string, hook failpoint.Hook) *pipeline.Pipeline {
	objects := resources(database)
	settings := destinationtypes.Settings{
		Filesystem: filesystem.Settings{Root: exports}, S3: s3.Settings{AllowPlainHTTP: true}, ReceiptsRoot: receiptsOf(exports),
	}
	policy, _ := outbound.New([]string{"127.0.0.0/8"}) // a literal that is right; where the test's PostgreSQL is
	return &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: objects, Secrets: credentials.Secrets{API: objects},
			Databases:    claims.Allowances{Insecure: true}, // the server of a test speaks no TLS
			Sessions:     keptSessions,
			Destinations: destinationtypes.Registry(settings), Exporters: builtin.Registry(),
			ReceiptStores: destinationtypes.Stores(settings), LargestReceipt: largestReceipt,
			Outbound: policy,
		},
		Holder: holder, Program: "Ledgerport", ProgramVersion: "test", Failpoints: hook,
	}
}

func resources(database string) client.Reader {
	scheme := runtime.NewScheme()
	_ = errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)) // both only fail where a type is registered twice
	meta := metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}
	return fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.ExportRun{}, references.LedgerIndex, references.LedgerKeys).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}},
		&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"url": []byte(database)}},
		&v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
			ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: "monthly", Key: "url"},
		}}},
		&v1alpha1.ExportDestination{ObjectMeta: meta, Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "books"}}},
		&v1alpha1.ExportDestination{
			ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "elsewhere"},
			Spec:       v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "elsewhere"}},
		},
		&v1alpha1.ChartOfAccounts{ObjectMeta: meta, Spec: v1alpha1.ChartOfAccountsSpec{
			Currency: "EUR", FiscalYearStart: "01-01",
			Accounts: []v1alpha1.Account{{Number: "4670", Name: "Travel"}, {Number: "1576", Name: "Input tax"}, {Number: "1740", Name: "Owed"}},
			TaxCodes: []v1alpha1.TaxCode{{Code: "9", Rate: "19", Account: "1576"}},
			Rules:    []v1alpha1.MappingRule{{Account: "4670", TaxCode: "9"}},
			Offset:   v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
			Unmapped: v1alpha1.UnmappedHold,
		}},
		&v1alpha1.AccountingExport{ObjectMeta: meta, Spec: v1alpha1.AccountingExportSpec{
			OrganizationID: organization, SourceRef: v1alpha1.NamespacedReference{Name: "monthly"},
			ChartOfAccountsRef: v1alpha1.LocalReference{Name: "monthly"}, DestinationRef: v1alpha1.NamespacedReference{Name: "monthly"},
			Exporter: v1alpha1.ExporterSpec{Type: "csv"}, TimeZone: "Europe/Berlin", VoucherSeries: "E",
			Posting: v1alpha1.PostingPolicy{Date: "ExpenseDate"},
		}},
	).Build()
}

// undisturbed is what a run leaves that nothing happens to.
func undisturbed(t *testing.T) (files map[string]file, reserved string) {
	t.Helper()
	s := newStage(t)
	if outcome, err := s.attempt(task(1), nil); err != nil || outcome.Result.Claims != claimCount {
		t.Fatalf("the undisturbed run ended with %+v (%v)", outcome, err)
	}
	return s.files(), s.reserved()
}

func TestAnAttemptThatDiesAnywhereIsResumedWithTheSameClaimsNumbersAndBytes(t *testing.T) {
	t.Parallel()
	want, wantReserved := undisturbed(t)
	for _, point := range failpoint.ExportPoints() {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.crash(task(1), point)
			left := s.files()
			outcome, err := s.attempt(task(2), nil)
			if err != nil || !outcome.Committed || outcome.Result.Claims != claimCount || outcome.Recovered {
				t.Fatalf("the resumed run ended with %+v (%v)", outcome, err)
			}
			if reserved := s.reserved(); reserved != wantReserved {
				t.Errorf("claims and numbers are %s, want %s", reserved, wantReserved)
			}
			sameContent(t, s.files(), want)
			s.untouched(left)
			if n := s.voided(); n != "0" {
				t.Errorf("%s numbers were voided", n)
			}
		})
	}
}

func TestAReleaseThatDiesAnywhereIsResumedAndTheNextRunTakesTheClaims(t *testing.T) {
	t.Parallel()
	for _, died := range []failpoint.Point{failpoint.Put.Before(), failpoint.Put.During(), failpoint.Put.After()} {
		for _, point := range failpoint.ReleasePoints() {
			t.Run(string(died+", "+point), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				s.crash(task(1), died)
				s.crash(released(task(2)), point)
				if outcome, err := s.attempt(released(task(3)), nil); err != nil || outcome.Committed {
					t.Fatalf("the release ended with %+v (%v)", outcome, err)
				}
				if state, files := s.state(task(1).RunID), s.files(); state != "released" || len(files) > 0 || s.voided() != fmt.Sprint(claimCount) {
					t.Errorf("the run is %s, %d files are left, %s numbers are voided", state, len(files), s.voided())
				}
				if outcome, err := s.attempt(run(2), nil); err != nil || outcome.Result.Claims != claimCount || outcome.FirstVoucher != fmt.Sprintf("E/2026/%d", claimCount+1) {
					t.Errorf("the next run ended with %+v (%v)", outcome, err)
				}
			})
		}
	}
}

func TestAnAttemptThatWakesUpLateChangesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]pipeline.Task{"after the run is committed": task(2), "after the run is released": released(task(2))} {
		for _, point := range []failpoint.Point{
			failpoint.Attempt.After(), failpoint.Reserve.After(), failpoint.Render.During(), failpoint.Record.Before(), failpoint.Record.After(),
			failpoint.Put.Before(), failpoint.Put.During(), failpoint.Put.After(), failpoint.MarkDelivered.Before(),
			failpoint.MarkDelivered.After(), failpoint.Commit.Before(),
		} {
			t.Run(name+", "+string(point), func(t *testing.T) {
				t.Parallel()
				newStage(t).wakesUpLate(task(1), point, end)
			})
		}
	}
}

// TestARunThatIsReleasedBeforeItIsRecordedNeverBegins stops an attempt before it has recorded anything. The process is taken for dead, and
// the run ends: nobody would give claims back that it took then, and its series would be in use for ever.
func TestARunThatIsReleasedBeforeItIsRecordedNeverBegins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stage func(*testing.T) *stage
		of    func(number int32) pipeline.Task
	}{
		"an export":    {newStage, task},
		"a reversal":   {newExportedStage, reversal},
		"a redelivery": {newExportedStage, redelivery},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := test.stage(t)
			s.wakesUpLate(test.of(1), failpoint.Attempt.Before(), released(test.of(2)))
			if state := s.state(test.of(1).RunID); state != "released" {
				t.Errorf("the run is %s", state)
			}
			if outcome, err := s.attempt(released(test.of(3)), nil); err != nil || outcome.Committed {
				t.Errorf("releasing it again ended with %+v (%v)", outcome, err)
			}
			next := test.of(1)
			next.RunID, next.Name = "99999999-0000-4000-8000-000000000001", "next"
			if outcome, err := s.attempt(next, nil); err != nil || outcome.Result.Claims != claimCount {
				t.Errorf("the next run ended with %+v (%v)", outcome, err)
			}
		})
	}
}

// wakesUpLate stops an attempt at a point, lets another process bring the run to its end, and lets the first go on.
func (s *stage) wakesUpLate(first pipeline.Task, point failpoint.Point, end pipeline.Task) {
	s.Helper()
	wake, late := s.stopAt(first, point)
	if _, err := s.attempt(end, nil); err != nil {
		s.Fatalf("the other process: %s", err)
	}
	state, bound, files := s.state(first.RunID), s.reserved()+"; "+s.reversing(), s.files()
	wake()
	if err := <-late; err == nil {
		s.Error("the attempt that woke up believes that it succeeded")
	}
	if now := s.reserved() + "; " + s.reversing(); s.state(first.RunID) != state || now != bound {
		s.Errorf("the record changed from %s, %s to %s, %s", state, bound, s.state(first.RunID), now)
	}
	s.untouched(files)
	if now := s.files(); len(now) != len(files) {
		s.Errorf("there are %d files, want %d", len(now), len(files))
	}
}

// stopAt makes an attempt that stops at a point until it is woken up, and then tells how it ended.
func (s *stage) stopAt(task pipeline.Task, point failpoint.Point) (wake func(), late <-chan error) {
	s.Helper()
	stopped, woken, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	once := false
	go func() {
		_, err := s.attempt(task, func(reached failpoint.Point) {
			if reached == point && !once {
				once = true
				close(stopped)
				<-woken
			}
		})
		ended <- err
	}()
	select {
	case <-stopped:
	case err := <-ended:
		s.Fatalf("the attempt ended before it came to the point: %v", err)
	}
	return func() { close(woken) }, ended
}

// untouched insists that files which were there before, and are there now, are what they were.
func (s *stage) untouched(before map[string]file) {
	s.Helper()
	now := s.files()
	for name, was := range before {
		if is, there := now[name]; there && is != was {
			s.Errorf("%s was there whole, and was changed or written again", name)
		}
	}
}

// untilNoBackendWorks waits for the server to notice that the operator's connections are closed. A query that was not
// cancelled would go on for longer than that.
func (s *stage) untilNoBackendWorks() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		query := `select count(*)::text from pg_stat_activity where datname = current_database() and application_name like 'ledgerport%'`
		if !s.keepsNone {
			query += ` and state <> 'idle'`
		}
		n := s.text(query)
		if n == "0" {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s backends still work", n)
		case <-tick.C:
		}
	}
}

func TestProgressTellsStageAndClaimsDoneOfTotal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	type told struct {
		stage      v1alpha1.RunStage
		claims, of int64
	}
	look := func(task pipeline.Task, points ...failpoint.Point) (seen []told) {
		var progress pipeline.Progress
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, _ = newPipeline(s.database, s.exports, "living", func(reached failpoint.Point) {
			if len(seen) < len(points) && reached == points[len(seen)] {
				if seen = append(seen, told{progress.Stage(), progress.Claims(), progress.Total()}); len(seen) == len(points) && reached == failpoint.Put.Before() {
					cancel() // so that there is something to resume
				}
			}
		}).Run(ctx, task, &progress)
		return seen
	}
	for _, attempt := range []struct {
		name   string
		task   pipeline.Task
		points []failpoint.Point
		want   []told
	}{
		{"claims are read for the first time", task(1), []failpoint.Point{failpoint.Render.During(), failpoint.Put.Before()},
			[]told{{v1alpha1.StageRender, 1, 0}, {v1alpha1.StageDeliver, claimCount, 0}}},
		{"they are recorded", task(2), []failpoint.Point{failpoint.Attempt.After(), failpoint.Put.After(), failpoint.Commit.After()},
			[]told{{v1alpha1.StagePreflight, 0, 0}, {v1alpha1.StageDeliver, claimCount, claimCount}, {v1alpha1.StageCommit, claimCount, claimCount}}},
		{"they are reversed", reversal(1), []failpoint.Point{failpoint.Render.During(), failpoint.Commit.After()},
			[]told{{v1alpha1.StageRender, 1, claimCount}, {v1alpha1.StageCommit, claimCount, claimCount}}},
	} {
		if seen := look(attempt.task, attempt.points...); !slices.Equal(seen, attempt.want) {
			t.Errorf("%s: told %v, want %v", attempt.name, seen, attempt.want)
		}
	}
}

func TestADeadlineLeavesNothingBehindInTheDatabaseOrAtTheDestination(t *testing.T) {
	t.Parallel()
	for _, point := range []failpoint.Point{failpoint.Render.During(), failpoint.Put.During()} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := newPipeline(s.database, s.exports, "living", func(reached failpoint.Point) {
				if reached == point {
					cancel()
				}
			}).Run(ctx, task(1), &pipeline.Progress{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the attempt ended with %v", err)
			}
			if left := s.files(); len(left) > 0 {
				t.Errorf("%d files are left", len(left))
			}
			s.untilNoBackendWorks()
			if outcome, err := s.attempt(task(2), nil); err != nil || outcome.Result.Claims != claimCount {
				t.Errorf("the resumed run ended with %+v (%v)", outcome, err)
			}
		})
	}
}

// TestARunThatIsAppliedAgainGoesOnWithTheRecordOfItsName: the object has another UID, and the export must not differ.
func TestARunThatIsAppliedAgainGoesOnWithTheRecordOfItsName(t *testing.T) {
	t.Parallel()
	want, wantReserved := undisturbed(t)
	again := task(1)
	again.RunID = "22222222-0000-4000-8000-000000000002"
	for _, point := range []failpoint.Point{failpoint.Record.After(), failpoint.Put.After(), failpoint.MarkDelivered.After(), failpoint.Commit.After()} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.crash(task(1), point)
			outcome, err := s.attempt(again, nil)
			if err != nil || !outcome.Committed || outcome.Recovered != (point == failpoint.Commit.After()) || outcome.Result.Claims != claimCount {
				t.Fatalf("the run applied again ended with %+v (%v)", outcome, err)
			}
			if s.reserved() != wantReserved || s.text(`select count(*)::text from ledgerport.runs`) != "1" {
				t.Errorf("claims and numbers are %s, want %s in one run", s.reserved(), wantReserved)
			}
			sameContent(t, s.files(), want)
			if _, err := s.attempt(task(2), nil); err != nil { // the first, should it still be there
				t.Error(err)
			}
		})
	}
}

// TestACommitOutlivesTheServerWhateverItsDefault: with synchronous_commit off a server that crashes forgets what it
// confirmed, and a delivered claim would be exported again.
func TestACommitOutlivesTheServerWhateverItsDefault(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.sql(func(ctx context.Context, conn *pgx.Conn) error {
		var name string
		if err := conn.QueryRow(ctx, `select current_database()`).Scan(&name); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, `alter database `+pgx.Identifier{name}.Sanitize()+` set synchronous_commit = off`)
		return err
	})
	watched := false
	watch := func(point failpoint.Point) { // from when the schema was looked at: it is not trusted with a trigger of others
		if point != failpoint.Reserve.Before() {
			return
		}
		watched = true
		s.sql(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `create table public.seen (setting text);
				create function public.see() returns trigger language plpgsql as 'begin insert into public.seen values (current_setting(''synchronous_commit'')); return new; end';
				create trigger see after insert or update on ledgerport.runs for each row execute function public.see()`)
			return err
		})
	}
	if _, err := s.attempt(task(1), watch); err != nil || !watched {
		t.Fatalf("the attempt ended with %v; watched: %t", err, watched)
	}
	if seen := s.text(`select string_agg(distinct setting, ',') from seen`); seen != "local" {
		t.Errorf("the run was changed with synchronous_commit %s, want local alone", seen)
	}
}

func sameContent(t *testing.T, have, want map[string]file) {
	t.Helper()
	for name := range want {
		if have[name].content != want[name].content {
			t.Errorf("%s has other bytes than an undisturbed run", name)
		}
	}
	if len(have) != len(want) {
		t.Errorf("there are %d files, want %d", len(have), len(want))
	}
}
