package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/businesscentral"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	bc "github.com/ledgerport/ledgerport/test/businesscentral"
)

// office is an organisation whose vouchers are sent to an accounting system.
type office struct {
	*stage
	server *bc.Server
	books  *pipeline.Pipeline
	// line is what a request goes through on its way to the system.
	line    func(http.RoundTripper) http.RoundTripper
	objects client.Client
}

// tapped is an exporter whose requests a test can get hold of.
type tapped struct {
	exporters.Submitter
	office *office
}

func (t tapped) Open(ctx context.Context, batch exporters.Batch) (exporters.Session, error) {
	if t.office.line != nil {
		batch.HTTPClient = &http.Client{Transport: t.office.line(batch.HTTPClient.Transport)}
	}
	return t.Submitter.Open(ctx, batch)
}

// CredentialKeys implements exporters.NeedsCredentials.
func (t tapped) CredentialKeys(options []byte) []string {
	return t.Submitter.(exporters.NeedsCredentials).CredentialKeys(options)
}

// OptionalCredentialKeys implements exporters.UsesCredentials.
func (t tapped) OptionalCredentialKeys(options []byte) []string {
	return t.Submitter.(exporters.UsesCredentials).OptionalCredentialKeys(options)
}

// AttachesReceipts implements exporters.AttachesReceipts.
func (t tapped) AttachesReceipts(options []byte) bool {
	return t.Submitter.(exporters.AttachesReceipts).AttachesReceipts(options)
}

// newOffice has no claims yet. Options are those that have to do with rejection and posting.
func newOffice(t *testing.T, settings bc.Settings, options map[string]any) *office {
	t.Helper()
	o := &office{stage: newStage(t), server: bc.New(settings)}
	t.Cleanup(o.server.Close)
	o.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `TRUNCATE claims, claim_lines`)
		return err
	})
	o.books = newPipeline(o.database, o.exports, "office", nil)
	o.objects = o.books.Resolver.Objects.(client.Client)
	all := map[string]any{"tenantID": bc.Tenant, "companyID": bc.Company, "baseURL": o.server.BaseURL(), "tokenURL": o.server.TokenURL()}
	maps.Copy(all, options)
	var err error
	o.options, err = json.Marshal(all)
	o.must(err)
	o.must(sendVouchers(t.Context(), o.objects, o.options))
	o.books.Resolver.Exporters, err = exporters.NewRegistry(tapped{businesscentral.New(), o})
	o.must(err)
	return o
}

// sendVouchers lets the export send its vouchers to an accounting system that the options name.
func sendVouchers(ctx context.Context, objects client.Client, options json.RawMessage) error {
	if err := objects.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "businesscentral"},
		Data:       map[string][]byte{"clientID": []byte(bc.ClientID), "clientSecret": []byte(bc.ClientSecret), "hosts": []byte("127.0.0.1")},
	}); err != nil {
		return err
	}
	key := types.NamespacedName{Namespace: "acme", Name: "monthly"}
	var export v1alpha1.AccountingExport
	var chart v1alpha1.ChartOfAccounts
	if err := errors.Join(objects.Get(ctx, key, &export), objects.Get(ctx, key, &chart)); err != nil {
		return err
	}
	export.Spec.Exporter = v1alpha1.ExporterSpec{Type: "businesscentral", Options: &kruntime.RawExtension{Raw: options}}
	export.Spec.Credentials = &v1alpha1.CredentialsSpec{SecretRef: &v1alpha1.LocalReference{Name: "businesscentral"}}
	chart.Spec.Accounts = append(chart.Spec.Accounts, v1alpha1.Account{Number: "4680", Name: "Hotels"})
	chart.Spec.Rules = append([]v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Categories: []string{"hotel"}}, Account: "4680"}}, chart.Spec.Rules...)
	return errors.Join(objects.Update(ctx, &export), objects.Update(ctx, &chart))
}

// claims adds approved claims of nine lines each, so that about ten vouchers go into one request.
func (o *office) claims(n int) {
	o.Helper()
	o.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `
			WITH added AS (
				INSERT INTO claims (id, organization_id, claimant_id, claimant_name, status, approved_at, currency, description)
				SELECT gen_random_uuid(), $1, '1042', 'Employee 1042', 'approved', $2::timestamptz + i * interval '1 s', 'EUR', 'Journey ' || i
				FROM generate_series(1, $3::int) i RETURNING id)
			INSERT INTO claim_lines (claim_id, line_no, expense_date, category, gross_amount, tax_amount)
			SELECT id, line, '2026-10-20', 'travel', 10 * line + 0.25, 0 FROM added, generate_series(1, 9) line`,
			organization, approvedUntil.Add(-24*time.Hour), n)
		return err
	})
}

// hotel makes the nth claim one that the system refuses, where it does not have the account of hotels.
func (o *office) hotel(n ...int) {
	o.Helper()
	for _, nth := range n {
		o.sql(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `UPDATE claim_lines SET category = 'hotel' WHERE line_no = 1 AND claim_id =
				(SELECT id FROM claims ORDER BY approved_at, id OFFSET $1 LIMIT 1)`, nth-1)
			return err
		})
	}
}

// attempt makes one, and reports whether it came to its end.
func (o *office) attempt(task pipeline.Task) (outcome pipeline.Outcome, err error, ended bool) { //nolint:revive // the error is not the last word
	done := make(chan struct{})
	go func() {
		defer close(done)
		outcome, err = o.books.Run(context.Background(), task, &pipeline.Progress{})
		ended = true
	}()
	<-done
	return outcome, err, ended
}

// documents returns what the system has of each voucher: how many lines on the offset account, and the sum of all lines.
func (o *office) documents() map[string][2]string {
	counts, sums := map[string]int{}, map[string]*apd.Decimal{}
	for _, entry := range append(o.server.Posted(), o.server.Waiting()...) {
		if sums[entry.Document] == nil {
			sums[entry.Document] = new(apd.Decimal)
		}
		_, _ = apd.BaseContext.WithPrecision(30).Add(sums[entry.Document], sums[entry.Document], &entry.Amount) // small sums
		if entry.Account == "1740" {
			counts[entry.Document]++
		}
	}
	documents := map[string][2]string{}
	for document, count := range counts {
		documents[document] = [2]string{fmt.Sprint(count), sums[document].Text('f')}
	}
	return documents
}

// exported returns the vouchers of a run whose claims are exported.
func (o *office) exported(runID string) []string {
	list := o.text(`SELECT coalesce(string_agg('E/' || fiscal_year || '/' || voucher_number, ' ' ORDER BY position), '') FROM ledgerport.exported_claims WHERE run_id = $1`, runID)
	return strings.Fields(list)
}

// manifestAndReceipt are what was delivered of a run.
func (o *office) manifestAndReceipt(name string) (manifest artifact.Manifest, receipt []string) {
	o.Helper()
	files := o.files()
	directory := path.Join("acme", "books", "acme", "monthly", name)
	o.must(json.Unmarshal([]byte(files[path.Join(directory, "manifest.json")].content), &manifest))
	return manifest, strings.Split(strings.TrimSpace(files[path.Join(directory, "receipt.jsonl")].content), "\n")
}

// killer ends an attempt at one of its requests, as if its process had ended: nothing of the attempt goes on but what is
// deferred.
type killer struct {
	at       int
	manner   manner
	requests int
	inFlight *sync.WaitGroup
}

type manner int

const (
	before     manner = iota // the request never leaves
	after                    // the system has answered, and nobody has read it
	underway                 // the request is on its way while the next attempt begins
	allManners = 3
)

func (k *killer) line(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		k.requests++
		if k.requests != k.at {
			return next.RoundTrip(request)
		}
		switch k.manner {
		case after:
			if response, err := next.RoundTrip(request); err == nil {
				_ = response.Body.Close() // unread
			}
		case underway:
			body := []byte(nil)
			if request.Body != nil {
				body, _ = io.ReadAll(request.Body) // in memory
			}
			late := request.Clone(context.Background())
			late.Body = io.NopCloser(bytes.NewReader(body))
			k.inFlight.Go(func() {
				if response, err := http.DefaultTransport.RoundTrip(late); err == nil {
					_ = response.Body.Close() // nobody waits for it
				}
			})
		case before:
		}
		runtime.Goexit()
		return nil, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestARunKilledBetweenAnyTwoRequestsLeavesEachVoucherOnce kills a hundred runs, each at a request that chance chooses, many of
// them again, while the system fails now and then. In the end it has each voucher exactly once.
func TestARunKilledBetweenAnyTwoRequestsLeavesEachVoucherOnce(t *testing.T) {
	t.Parallel()
	for _, post := range []bool{false, true} {
		t.Run(fmt.Sprintf("post %t", post), func(t *testing.T) {
			t.Parallel()
			chance := rand.New(rand.NewPCG(2026, 11))
			faults := []bc.Fault{bc.Throttle, bc.Fail, bc.CutBefore, bc.CutAfter, bc.FailAfter, bc.ExpireToken}
			unsteady := bc.Settings{Faults: func(int, string) bc.Fault {
				if chance.IntN(25) == 0 {
					return faults[chance.IntN(len(faults))]
				}
				return bc.None
			}}
			o := newOffice(t, bc.Settings{}, map[string]any{"post": post})
			want := map[string][2]string{}
			kills := 0
			for trial := range 50 {
				o.claims(30)
				if trial%5 == 4 {
					o.server.Change(unsteady)
				}
				kills += o.killUntilItEnds(run(trial), chance, post)
				o.server.Change(bc.Settings{})
				vouchers := o.exported(run(trial).RunID)
				if len(vouchers) != 30 || o.state(run(trial).RunID) != "committed" {
					t.Fatalf("run %d is %s with %d vouchers", trial, o.state(run(trial).RunID), len(vouchers))
				}
				for _, voucher := range vouchers {
					want[voucher] = [2]string{"1", "0.00"}
				}
			}
			if got := o.documents(); !maps.Equal(got, want) {
				t.Errorf("the system has\n%v, want\n%v", got, want)
			}
			if left := len(o.server.Waiting()); (left == 0) != post {
				t.Errorf("%d lines are not posted", left)
			}
			if voided := o.voided(); voided != "0" || len(o.server.Journals()) != 50 {
				t.Errorf("%s numbers are voided, %d journals; want none, and one for each run", voided, len(o.server.Journals()))
			}
			t.Logf("50 runs were killed %d times and made %d requests", kills, o.server.Requests())
		})
	}
}

// killUntilItEnds makes attempts of a run, the first of which is killed and each other with a chance of a half.
func (o *office) killUntilItEnds(task pipeline.Task, chance *rand.Rand, post bool) (kills int) {
	o.Helper()
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	for {
		o.line = nil
		if kills == 0 || chance.IntN(2) == 0 {
			requests := 6 // that a run makes at least: token, journals, create the journal, three batches
			if post {
				requests = 8 // look up, post
			}
			k := &killer{at: 1 + chance.IntN(requests), manner: manner(chance.IntN(allManners)), inFlight: &inFlight}
			if post && k.manner == underway { // what arrives after the posting cannot be told apart any more
				k.manner = after
			}
			o.line = k.line
		}
		outcome, err, ended := o.attempt(task)
		switch {
		case !ended:
			kills++
		case err != nil && failure.From(err).Stalled:
			o.Fatalf("the run stalled: %v", err)
		case err == nil && outcome.Committed:
			return kills
		}
	}
}

func TestARunWithoutClaimsAsksTheSystemForNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	outcome, err, _ := o.attempt(run(1))
	if err != nil || !outcome.Committed || outcome.Result.Claims != 0 || len(o.files()) != 0 || o.server.Requests() != 0 {
		t.Errorf("the run ended with %+v (%v), files %v, after %d requests", outcome, err, o.files(), o.server.Requests())
	}
}

func TestProgressCountsTheVouchersThatAreAnswered(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	o.claims(30)
	var progress pipeline.Progress
	var told [][2]int64
	note := func(point failpoint.Point) {
		if point == failpoint.Send.Before() || point == failpoint.Settle.Before() {
			told = append(told, [2]int64{progress.Claims(), progress.Total()})
		}
	}
	o.kill(run(1), secondBatch, after)
	o.books.Failpoints = note
	if outcome, err := o.books.Run(t.Context(), run(1), &progress); err != nil || outcome.Result.Claims != 30 {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	if want := [][2]int64{{20, 30}, {30, 30}}; !slices.Equal(told, want) { // the second batch was looked up
		t.Errorf("told %v, want %v", told, want)
	}
}

func TestAReversalIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	o.claims(3)
	if outcome, err, _ := o.attempt(run(1)); err != nil || outcome.Result.Claims != 3 {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	requests := o.server.Requests()
	back := reversal(1)
	back.Reverses = run(1).Name
	_, err, _ := o.attempt(back)
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonNotReversible || !failed.Stalled || !strings.Contains(failed.Message, "businesscentral") {
		t.Errorf("the reversal ended with %v", err)
	}
	if o.state(back.RunID) != "unknown" || o.server.Requests() != requests || len(o.exported(run(1).RunID)) != 3 {
		t.Errorf("the reversal is %s, %d requests were made, %q are exported", o.state(back.RunID), o.server.Requests()-requests, o.exported(run(1).RunID))
	}
}

var withoutHotels = bc.Settings{Accounts: []string{"4670", "1576", "1740"}}

func TestARejectedVoucherIsHeldAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, withoutHotels, map[string]any{"post": true})
	o.claims(30)
	o.hotel(4, 5, 20)
	outcome, err, _ := o.attempt(run(1))
	if err != nil || !outcome.Committed || outcome.Result.Claims != 27 || outcome.Result.Held != 3 || outcome.Result.Lines != 27*9 ||
		len(outcome.Held) != 3 || outcome.Held[0].Reason != "Rejected" || outcome.Held[0].Message == "" || outcome.Submitted.Unfinished != "" || outcome.FirstVoucher != "E/2026/1" || outcome.LastVoucher != "E/2026/30" {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	if got := o.documents(); len(got) != 27 || got["E/2026/4"][0] != "" || got["E/2026/6"] != [2]string{"1", "0.00"} || len(o.server.Waiting()) != 0 {
		t.Errorf("the system has %v", got)
	}
	if voided := o.voided(); voided != "3" {
		t.Errorf("%s numbers are voided, want 3", voided)
	}
	const words = `The "accountNumber" does not match to an Account.`
	if held := o.text(`SELECT count(*)::text FROM ledgerport.held_claims WHERE reason = 'Rejected' AND message = $1`, words); held != "3" {
		t.Errorf("%s claims are held with the system's words", held)
	}
	manifest, receipt := o.manifestAndReceipt("monthly-1")
	if manifest.Claims != 27 || manifest.Base.Debit != 1221075 || manifest.Base.Payable != 1221075 || len(manifest.Vouchers) != 3 || manifest.HeldTotal != 3 ||
		manifest.Submission == nil || manifest.Submission.Accepted != 27 || manifest.Submission.Rejected != 3 || manifest.Submission.System["posted"] != "yes" || manifest.Held[0].Detail != words {
		t.Errorf("the manifest is %+v", manifest)
	}
	if len(receipt) != 30 || !strings.Contains(receipt[3], `"voucher":"E/2026/4"`) || !strings.Contains(receipt[3], `"outcome":"rejected"`) || !strings.Contains(receipt[5], `"reference":"journal line `) {
		t.Errorf("the receipt is %s", strings.Join(receipt, "\n"))
	}

	o.server.Change(bc.Settings{}) // somebody adds the account
	outcome, err, _ = o.attempt(run(2))
	if err != nil || outcome.Result.Claims != 3 || outcome.FirstVoucher != "E/2026/31" || len(o.documents()) != 30 {
		t.Errorf("the next run ended with %+v (%v)", outcome, err)
	}
}

func TestARejectedVoucherStopsTheOthersWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	o := newOffice(t, withoutHotels, map[string]any{"post": true, "onRejection": "Stop"})
	o.claims(30)
	o.hotel(15)
	outcome, err, _ := o.attempt(run(1))
	if err != nil || !outcome.Committed || outcome.Result.Claims != 10 || outcome.Result.Held != 1 {
		t.Fatalf("the run ended with %+v (%v)", outcome, err)
	}
	manifest, _ := o.manifestAndReceipt("monthly-1")
	if p := manifest.Submission; p.Accepted != 10 || p.Rejected != 1 || p.Returned != 19 || p.Unfinished != v1alpha1.ReasonVouchersRejected || p.System["posted"] != "no" || len(o.server.Posted()) != 0 {
		t.Errorf("the manifest says %+v", p)
	}
	if voided := o.voided(); voided != "20" || len(o.exported(run(1).RunID)) != 10 {
		t.Errorf("%s numbers are voided, want 20", voided)
	}
	o.server.Change(bc.Settings{})
	if outcome, err, _ := o.attempt(run(2)); err != nil || outcome.Result.Claims != 20 || len(o.documents()) != 30 {
		t.Errorf("the next run ended with %+v (%v)", outcome, err)
	}
}

// kill makes an attempt that is killed at the nth request.
func (o *office) kill(task pipeline.Task, at int, how manner) {
	o.Helper()
	o.line = (&killer{at: at, manner: how}).line
	if _, err, ended := o.attempt(task); ended {
		o.Fatalf("the attempt was not killed: %v", err)
	}
	o.line = nil
}

// The requests of a run: token, journals, create the journal, three batches.
const secondBatch = 5

func TestARunThatHasSentIsReleasedOnlyOfWhatTheSystemDoesNotHave(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	o.claims(30)
	o.kill(run(1), secondBatch, after)
	outcome, err, _ := o.attempt(released(run(1)))
	if err != nil || !outcome.Committed || outcome.Result.Claims != 20 || len(o.documents()) != 20 || !slices.Equal(o.exported(run(1).RunID)[18:], []string{"E/2026/19", "E/2026/20"}) {
		t.Fatalf("the released run ended with %+v (%v)", outcome, err)
	}
	if manifest, receipt := o.manifestAndReceipt("monthly-1"); manifest.Submission.Returned != 10 ||
		manifest.Submission.Unfinished != "Cancelled" || manifest.Submission.System["journal"] == "" || *outcome.Submitted != manifest.Submission.Submitted || len(receipt) != 30 || o.voided() != "10" {
		t.Errorf("the manifest says %+v, %s numbers are voided", manifest.Submission, o.voided())
	}
	if outcome, err, _ := o.attempt(run(2)); err != nil || outcome.Result.Claims != 10 || len(o.documents()) != 30 {
		t.Errorf("the next run ended with %+v (%v)", outcome, err)
	}
}

func TestAVoucherOfUnknownOutcomeIsGivenBackOnlyWhenItCanNotArriveAnyMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{}, map[string]any{})
	o.claims(30)
	o.kill(run(1), secondBatch, before)
	_, err, _ := o.attempt(released(run(1)))
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonOutcomeUnknown || failed.Stalled || !strings.Contains(failed.Message, "voucher E/2026/11 was sent") {
		t.Fatalf("the release ended with %v", err)
	}
	if state := o.state(run(1).RunID); state != "rendered" {
		t.Errorf("the run is %s", state)
	}
	o.later()
	if outcome, err, _ := o.attempt(released(run(1))); err != nil || outcome.Result.Claims != 10 || o.voided() != "20" {
		t.Errorf("the release ended with %+v (%v)", outcome, err)
	}
}

// later makes it so that everything was sent before the system can be processing it.
func (o *office) later() {
	o.Helper()
	o.sql(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE ledgerport.submitted_vouchers SET sent_at = sent_at - interval '11 minutes'`)
		return err
	})
}

// TestARejectionIsNoAnswerWhileAnEarlierRequestMayBeUnderWay has a request without an answer; when it is sent again, the
// system rejects a voucher of it, and may yet accept it from the first request.
func TestARejectionIsNoAnswerWhileAnEarlierRequestMayBeUnderWay(t *testing.T) {
	t.Parallel()
	for _, onRejection := range []string{"Continue", "Stop"} {
		t.Run(onRejection, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, withoutHotels, map[string]any{"onRejection": onRejection})
			o.claims(30)
			o.hotel(15)
			o.kill(run(1), secondBatch, before)
			_, err, _ := o.attempt(run(1))
			if failed := failure.From(err); failed.Reason != v1alpha1.ReasonOutcomeUnknown || !strings.Contains(failed.Message, "voucher E/2026/15 was sent") {
				t.Fatalf("the attempt ended with %v", err)
			}
			if n := o.text(`SELECT count(*)::text FROM ledgerport.submitted_vouchers WHERE state = 'rejected'`); n != "0" || o.state(run(1).RunID) != "rendered" {
				t.Errorf("%s vouchers are recorded as rejected, and the run is %s", n, o.state(run(1).RunID))
			}
			o.later()
			outcome, err, _ := o.attempt(run(1))
			if err != nil || !outcome.Committed || outcome.Result.Held != 1 {
				t.Errorf("the run ended with %+v (%v)", outcome, err)
			}
		})
	}
}

// TestVouchersOfUnknownOutcomeAreNotGivenBackWhereARejectionStopsTheRun has ten vouchers sent without an answer, of which the
// first is rejected when they are sent again.
func TestVouchersOfUnknownOutcomeAreNotGivenBackWhereARejectionStopsTheRun(t *testing.T) {
	t.Parallel()
	o := newOffice(t, withoutHotels, map[string]any{"onRejection": "Stop"})
	o.claims(30)
	o.hotel(12)
	o.kill(run(1), secondBatch, before)
	o.sql(func(ctx context.Context, conn *pgx.Conn) error { // all but the one that will be rejected may be under way yet
		_, err := conn.Exec(ctx, `UPDATE ledgerport.submitted_vouchers SET sent_at = sent_at - interval '11 minutes' WHERE voucher_number = 12`)
		return err
	})
	_, err, _ := o.attempt(run(1))
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonOutcomeUnknown || o.state(run(1).RunID) != "rendered" {
		t.Fatalf("the attempt ended with %v, the run is %s", err, o.state(run(1).RunID))
	}
	o.later()
	outcome, err, _ := o.attempt(run(1))
	if err != nil || !outcome.Committed || outcome.Result.Held != 1 || outcome.Submitted.Returned == 0 {
		t.Errorf("the run ended with %+v (%v)", outcome, err)
	}
	o.server.Change(bc.Settings{})
	if outcome, err, _ := o.attempt(run(2)); err != nil || !outcome.Committed || len(o.documents()) != 30 {
		t.Errorf("the next run ended with %+v (%v), and the system has %d vouchers", outcome, err, len(o.documents()))
	}
}

func TestARunOfWhichTheSystemHasNothingIsReleasedLikeAnyOther(t *testing.T) {
	t.Parallel()
	broken := withoutHotels
	broken.Faults = func(int, string) bc.Fault { return bc.Fail }
	o := newOffice(t, broken, map[string]any{})
	o.claims(2)
	if _, err, _ := o.attempt(run(1)); failure.From(err).Reason != v1alpha1.ReasonSystemUnreachable {
		t.Errorf("the attempt ended with %v", err)
	}
	if outcome, err, _ := o.attempt(released(run(1))); err != nil || outcome.Committed || o.state(run(1).RunID) != "released" || o.voided() != "2" {
		t.Errorf("the release ended with %+v (%v)", outcome, err)
	}
	o.server.Change(withoutHotels)
	o.hotel(1, 2)
	outcome, err, _ := o.attempt(run(2))
	if err != nil || !outcome.Committed || outcome.Result.Claims != 0 || outcome.Result.Held != 2 || outcome.Result.Location != "" || len(o.files()) != 0 {
		t.Errorf("a run whose vouchers are all rejected ended with %+v (%v), files %v", outcome, err, o.files())
	}
}

func TestWhatIsWrongWithTheSystemIsSaidWithoutASecret(t *testing.T) {
	t.Parallel()
	o := newOffice(t, bc.Settings{PostingFrom: "2026-11-01"}, map[string]any{"post": true})
	o.claims(3)
	var secret corev1.Secret
	o.must(o.objects.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "businesscentral"}, &secret))
	secret.Data["clientSecret"] = []byte("an-0ld-secret")
	o.must(o.objects.Update(t.Context(), &secret))
	_, err, _ := o.attempt(run(1))
	if failed := failure.From(err); failed.Condition != v1alpha1.ConditionCredentialsReady || failed.Reason != v1alpha1.ReasonLoginRefused || strings.Contains(failed.Message, "0ld") {
		t.Errorf("with an old secret: %+v", failed)
	}
	secret.Data["clientSecret"] = []byte(bc.ClientSecret)
	o.must(o.objects.Update(t.Context(), &secret))
	_, err, _ = o.attempt(run(1))
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonSystemRefused || !strings.Contains(failed.Message, "Posting Date is not within your range of allowed posting dates") {
		t.Errorf("in a closed period: %+v", failed)
	}
	o.server.Change(bc.Settings{}) // somebody opens the period
	if outcome, err, _ := o.attempt(run(1)); err != nil || outcome.Result.Claims != 3 || len(o.server.Posted()) != 30 {
		t.Errorf("the run ended with %+v (%v)", outcome, err)
	}
	o.server.Close()
	o.claims(1)
	_, err, _ = o.attempt(run(2))
	if failed := failure.From(err); failed.Reason != v1alpha1.ReasonSystemUnreachable || failed.Stalled {
		t.Errorf("without a system: %+v", failed)
	}
}
