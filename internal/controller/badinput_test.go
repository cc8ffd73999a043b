package controller_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/closedport"
	"github.com/ledgerport/ledgerport/test/hostilepg"
	"github.com/ledgerport/ledgerport/test/testsftp"
)

// parts are the resources of an export that a test of bad input changes before it creates them.
type parts struct {
	secret      *corev1.Secret
	source      *v1alpha1.ClaimSource
	chart       *v1alpha1.ChartOfAccounts
	destination *v1alpha1.ExportDestination
	export      *v1alpha1.AccountingExport
}

// TestBadInputGivesAConditionAReasonAndAnEvent looks at the export through the API: its Ready, the aspect that is to blame,
// and the event; nothing is reserved and nothing delivered.
func TestBadInputGivesAConditionAReasonAndAnEvent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(w *world, p *parts)
		aspect  string // the condition beside Ready that is False; empty where none is
		reason  string
		stalled bool
		words   []string // in the message
	}{
		{"the Secret is missing", func(_ *world, p *parts) { p.secret = nil },
			v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSecretNotFound, false, []string{"claims-db", "does not exist"}},
		{"the key is missing", func(_ *world, p *parts) { p.secret.StringData = map[string]string{"uri": "x"} },
			v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSecretKeyMissing, false, []string{`"url"`}},
		{"the URL is malformed", func(_ *world, p *parts) { p.secret.StringData["url"] = "mysql://root:hunter2@db/claims" },
			v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonMalformedURL, false, []string{"postgres://"}},
		{"the password is wrong", func(w *world, p *parts) {
			p.secret.StringData["url"] = changeURL(w, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") })
		}, v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonLoginRefused, false, nil},
		{"the database is down", func(w *world, p *parts) {
			p.secret.StringData["url"] = changeURL(w, func(u *url.URL) { u.Host = closedport.New(w).String() })
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonDatabaseUnreachable, false, nil},
		{"the database accepts and never answers", func(w *world, p *parts) {
			p.secret.StringData["url"] = changeURL(w, func(u *url.URL) { u.Host = silentAddress(w) })
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonDatabaseUnreachable, false, nil},
		{"the database lets the operator log in and answers nothing more", func(w *world, p *parts) {
			p.secret.StringData["url"] = hostilepg.Proxy(w, w.database, func(statement string, m hostilepg.Message, send func(hostilepg.Message) error) error {
				if statement != "" {
					return nil
				}
				return send(m)
			})
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonDatabaseUnreachable, false, []string{"within 10s"}},
		{"the database does not exist", func(w *world, p *parts) {
			p.secret.StringData["url"] = changeURL(w, func(u *url.URL) { u.Path = "/nowhere" })
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonDatabaseNotFound, false, []string{"nowhere"}},
		{"a table is missing", func(_ *world, p *parts) { p.source.Spec.Postgres.Lines.Table = "public.receipts" },
			v1alpha1.ConditionSourceReady, v1alpha1.ReasonTableNotFound, false, []string{"receipts"}},
		{"a column is missing", func(w *world, _ *parts) { w.exec(`alter table claim_lines drop column gross_amount`) },
			v1alpha1.ConditionSourceReady, v1alpha1.ReasonColumnMismatch, false, []string{"gross_amount"}},
		{"a renamed column is missing", func(_ *world, p *parts) {
			p.source.Spec.Postgres.Claims.Columns = map[string]v1alpha1.ColumnName{"approvedAt": "signed_off_at"}
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonColumnMismatch, false, []string{"signed_off_at"}},
		{"a column has the wrong type", func(w *world, _ *parts) {
			w.exec(`alter table claim_lines alter column gross_amount type double precision`)
		}, v1alpha1.ConditionSourceReady, v1alpha1.ReasonColumnMismatch, false, []string{"gross_amount", "double precision"}},
		{"the source does not exist", func(_ *world, p *parts) { p.export.Spec.SourceRef.Name = "nowhere" },
			v1alpha1.ConditionSourceReady, v1alpha1.ReasonSourceNotFound, false, []string{"nowhere"}},
		{"the chart does not exist", func(_ *world, p *parts) { p.export.Spec.ChartOfAccountsRef.Name = "nowhere" },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonChartNotFound, false, []string{"nowhere"}},
		{"a rule names an account that is not defined", func(_ *world, p *parts) { p.chart.Spec.Rules[0].Account = "9999" },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonInvalidChart, false, []string{"spec.rules[0].account", "9999"}},
		{"an expression of a rule does not compile", func(_ *world, p *parts) { p.chart.Spec.Rules[0].Match.Expression = "line.colour == 'red'" },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonInvalidChart, false, []string{"spec.rules[0].match.expression"}},
		{"the exporter is unknown", func(_ *world, p *parts) { p.export.Spec.Exporter.Type = "ledger-o-matic" },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonUnknownExporter, true, []string{"ledger-o-matic", "csv"}},
		{"an option is unknown", func(_ *world, p *parts) { p.export.Spec.Exporter.Options = options(map[string]any{"colour": "red"}) },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonInvalidOptions, true, []string{"colour"}},
		{"an option has a wrong value", func(_ *world, p *parts) { p.export.Spec.Exporter.Options = options(map[string]any{"delimiter": "--"}) },
			v1alpha1.ConditionMappingReady, v1alpha1.ReasonInvalidOptions, true, []string{"delimiter"}},
		{"the claims are selected by what there is not", func(_ *world, p *parts) {
			p.export.Spec.Claims = &v1alpha1.ClaimSelection{Expression: `line.category == "travel"`}
		}, v1alpha1.ConditionMappingReady, v1alpha1.ReasonInvalidSelection, true, []string{"spec.claims.expression", "line"}},
		{"the schedule is no cron expression", func(_ *world, p *parts) { p.export.Spec.Schedule = "every morning" },
			"", v1alpha1.ReasonInvalidSchedule, true, []string{"spec.schedule", "every morning"}},
		{"the time zone does not exist", func(_ *world, p *parts) { p.export.Spec.TimeZone = "Europe/Atlantis" },
			"", v1alpha1.ReasonInvalidTimeZone, true, []string{"spec.timeZone", "Europe/Atlantis"}},
		{"the destination does not exist", func(_ *world, p *parts) { p.export.Spec.DestinationRef.Name = "nowhere" },
			v1alpha1.ConditionDestinationReady, v1alpha1.ReasonDestinationNotFound, false, []string{"nowhere"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fill(3)
			p := &parts{w.secret(), w.source(), w.chart(), w.destination(), requested(w.export())}
			test.change(w, p)
			w.createParts(p)
			export := eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				return condition(export.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, test.reason, test.words...)
			})
			if test.aspect != "" {
				if problem := condition(export.Status.Conditions, test.aspect, metav1.ConditionFalse, test.reason); problem != "" {
					t.Error(problem)
				}
			}
			kind := v1alpha1.ConditionReconciling
			if test.stalled {
				kind = v1alpha1.ConditionStalled
			}
			if problem := condition(export.Status.Conditions, kind, metav1.ConditionTrue, test.reason); problem != "" {
				t.Error(problem)
			}
			w.expectEvent("", test.reason) // about what is wrong, which the export may only refer to
			w.nothingHappened()
			w.neverSays("hunter2")
		})
	}
}

// TestBreakageAfterTheCheckFailsTheRun creates the run by hand, so that its own preflight meets the fault.
func TestBreakageAfterTheCheckFailsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3)
	chart := w.chart()
	chart.Spec.Rules, chart.Spec.Unmapped = nil, v1alpha1.UnmappedFail
	w.create(w.secret(), w.source(), chart, w.destination(), w.export(), w.run("by-hand"))
	run := eventually(w, w.run("by-hand"), runIs(v1alpha1.RunFailed))
	if problem := condition(run.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnmappedClaim, "category"); problem != "" {
		t.Error(problem)
	}
	eventually(w, w.export(), lastRunSaid(metav1.ConditionFalse, v1alpha1.ReasonLastRunFailed))
	w.expectEvent("by-hand", v1alpha1.ReasonUnmappedClaim)
	w.nothingHappened()
}

// TestClaimsThatCanNotBePostedAreHeldAndTheOthersGoOn puts one bad claim of each kind among good ones.
func TestClaimsThatCanNotBePostedAreHeldAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	line := application.Line{Category: "travel", Gross: "10.00", Tax: "1.00"}
	with := func(change func(*application.Line)) []application.Line {
		changed := line
		change(&changed)
		return []application.Line{changed}
	}
	tests := []struct {
		name   string
		claim  application.Claim
		reason string
	}{
		{"no lines", application.Claim{Lines: []application.Line{}}, "NoLines"},
		{"an amount finer than its currency", application.Claim{Lines: with(func(l *application.Line) { l.Gross = "10.005" })}, "AmountTooPrecise"},
		{"a tax larger than its amount", application.Claim{Lines: with(func(l *application.Line) { l.Tax = "11.00" })}, "TaxExceedsAmount"},
		{"a text of a megabyte", application.Claim{Lines: with(func(l *application.Line) { l.Description = strings.Repeat("x", 1<<20) })}, "TooLarge"},
		{"control characters", application.Claim{Lines: with(func(l *application.Line) { l.Description = "a\x01b" })}, "InvalidText"},
		{"base amounts of another currency than that of the claim", application.Claim{Lines: with(func(l *application.Line) { l.BaseGross = "99.00" })}, "MixedCurrencies"},
		{"a foreign currency without base amounts", application.Claim{Currency: "USD", Lines: with(func(*application.Line) {})}, "MissingBaseAmount"},
		{"a currency that does not exist", application.Claim{Currency: "XXZ", Lines: with(func(*application.Line) {})}, "UnknownCurrency"},
	}
	w := newWorld(t)
	w.fill(5)
	held := map[string]string{}
	for _, test := range tests {
		held[w.insertClaim(test.claim)] = test.reason
	}
	w.create(w.secret(), w.source(), w.chart(), w.destination(), requested(w.export()))
	last := eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded)).Status.LastRun
	if last.Claims != 5 || last.Held != int64(len(tests)) {
		t.Errorf("exported %d and held %d claims, want 5 and %d", last.Claims, last.Held, len(tests))
	}
	run := eventually(w, w.run(last.Name), runIs(v1alpha1.RunSucceeded))
	for _, claim := range run.Status.HeldClaims {
		if held[claim.ID] != claim.Reason {
			t.Errorf("claim %s is held for %s, want %s", claim.ID, claim.Reason, held[claim.ID])
		}
		delete(held, claim.ID)
	}
	if len(held) > 0 {
		t.Errorf("not named as held: %v", held)
	}
	w.expectEvent(run.Name, v1alpha1.ReasonClaimsHeld)
	if n := w.count(`select count(*) from ledgerport.held_claims`); n != int64(len(tests)) {
		t.Errorf("%d claims are recorded as held, want %d", n, len(tests))
	}

	w.exec(`update claim_lines set gross_amount = 10.00 where gross_amount = 10.005`)
	w.request("again")
	fixed := eventually(w, w.export(), lastRunIsNot(run.Name)).Status.LastRun
	if fixed.Claims != 1 || fixed.Held != int64(len(tests))-1 {
		t.Errorf("after one was fixed: exported %d, held %d", fixed.Claims, fixed.Held)
	}
}

func TestSourceOfAnotherNamespaceMustAdmitNamespaceAndOrganisation(t *testing.T) {
	t.Parallel()
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "home-"}}
	if err := api.client.Create(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, home.Name)
	w.fill(2)
	secret, source, export := w.secret(), w.source(), requested(w.export())
	secret.Namespace, source.Namespace, export.Spec.SourceRef.Namespace = home.Name, home.Name, home.Name
	w.create(secret, source, w.chart(), w.destination(), export)
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, w.organization, w.namespace)
	})
	w.expectEvent("monthly", v1alpha1.ReasonAccessDenied)

	patch := client.MergeFrom(source.DeepCopy())
	source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDFromNamespaceLabel: organizationLabel}}
	w.must(api.client.Patch(t.Context(), source, patch))
	w.label(organizationLabel, "another-organisation")
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionSourceReady, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied)
	})
	w.nothingHappened()

	w.label(organizationLabel, w.organization)
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
}

func TestManifestsThatCanNotBeRightAreRefusedByTheAPIServer(t *testing.T) {
	t.Parallel()
	w := &world{T: t, namespace: "default", organization: testOrganization}
	tests := []struct {
		name   string
		object client.Object
		words  string
	}{
		{"a destination of two kinds", func() client.Object {
			d := w.destination()
			d.Spec.S3 = &v1alpha1.S3Destination{Bucket: "books"}
			return d
		}(), "exactly one of filesystem, s3 and sftp"},
		{"a host with its port", w.sftpDestination(testsftp.Account{Host: "sftp.example.com:22", Port: 22, User: "books", Path: ".", KnownHosts: "x"}), "spec.sftp.host"},
		{"an SFTP server without host keys", w.sftpDestination(testsftp.Account{Host: "sftp.example.com", Port: 22, User: "books", Path: "."}), "spec.sftp.knownHosts"},
		{"a path of an SFTP server that leaves it", w.sftpDestination(testsftp.Account{Host: "sftp.example.com", Port: 22, User: "books", Path: "../others", KnownHosts: "x"}), "no '..'"},
		{"a passphrase for a password", func() client.Object {
			d := w.sftpDestination(testsftp.Account{Host: "sftp.example.com", Port: 22, User: "books", Path: ".", KnownHosts: "x"})
			d.Spec.SFTP.CredentialsSecretRef.SFTPCredentialKeys = v1alpha1.SFTPCredentialKeys{PasswordKey: "password", PassphraseKey: "passphrase"}
			return d
		}(), "give privateKeyKey"},
		{"a path that leaves the root", func() client.Object {
			d := w.destination()
			d.Spec.Filesystem.Path = "a/../../b"
			return d
		}(), "no '..'"},
		{"a suspense policy without an account", func() client.Object {
			c := w.chart()
			c.Spec.Unmapped = v1alpha1.UnmappedSuspense
			return c
		}(), "suspenseAccount is required"},
		{"a currency of two letters", func() client.Object {
			c := w.chart()
			c.Spec.Currency = "EU"
			return c
		}(), "spec.currency"},
		{"vouchers split by what there is not", w.chartInVouchers("Week"), "spec.vouchers.splitBy[0]"},
		{"vouchers split twice by the same", w.chartInVouchers(v1alpha1.SplitByLine, v1alpha1.SplitByLine), "spec.vouchers.splitBy[1]"},
		{"fiscal years that are neither held nor posted", func() client.Object {
			c := w.chart()
			c.Spec.Vouchers.AcrossFiscalYears = "Perhaps"
			return c
		}(), "spec.vouchers.acrossFiscalYears"},
		{"a closed period that is neither held nor moved", func() client.Object {
			e := w.export()
			e.Spec.Posting.Closed = "Ignore"
			return e
		}(), "spec.posting.closed"},
		{"a split of more than all", func() client.Object {
			c := w.chart()
			c.Spec.Rules = []v1alpha1.MappingRule{{Split: []v1alpha1.SplitPart{{Percent: "70", Account: "4660"}, {Percent: "31", Account: "4660"}}}}
			return c
		}(), "the percentages of split must sum to 100"},
		{"a split of one part", func() client.Object {
			c := w.chart()
			c.Spec.Rules = []v1alpha1.MappingRule{{Split: []v1alpha1.SplitPart{{Percent: "99", Account: "4660"}}}}
			return c
		}(), "should have at least 2 items"},
		{"a rule with an account and a split", func() client.Object {
			c := w.chart()
			c.Spec.Rules = []v1alpha1.MappingRule{{Account: "4660", Split: []v1alpha1.SplitPart{{Percent: "70", Account: "4660"}, {Percent: "30", Account: "4660"}}}}
			return c
		}(), "exactly one of account and split"},
		{"a tax deducted to nowhere", w.chartWith(v1alpha1.TaxCode{Code: "x", Rate: "19", Deductible: "50"}), "deductible needs an account"},
		{"a tax deducted more than all", w.chartWith(v1alpha1.TaxCode{Code: "x", Rate: "19", Account: "4660", Deductible: "101"}), "deductible"},
		{"a rest of tax that there is not", w.chartWith(v1alpha1.TaxCode{Code: "x", Rate: "19", Account: "4660", NonDeductibleAccount: "4660"}), "nonDeductibleAccount is for codes with deductible"},
		{"a reverse charge without a rate", w.chartWith(v1alpha1.TaxCode{Code: "x", Rate: "0", Account: "4660", ReverseCharge: &v1alpha1.ReverseCharge{Account: "4660"}}), "reverseCharge needs a rate"},
		{"a reverse charge deducted to nowhere", w.chartWith(v1alpha1.TaxCode{Code: "x", Rate: "19", ReverseCharge: &v1alpha1.ReverseCharge{Account: "4660"}}), "reverseCharge needs an account"},
		{"an offset that matches every line", func() client.Object {
			c := w.chart()
			c.Spec.Offsets = []v1alpha1.PaidPosting{{Account: c.Spec.Offset.Account}}
			return c
		}(), "paymentMethods or expression is required"},
		{"a debt to a card", func() client.Object {
			c := w.chart()
			c.Spec.Offset.Subledger = v1alpha1.SubledgerPaymentReference
			return c
		}(), "what the offset takes is owed to the claimant"},
		{"an advance to a card", func() client.Object {
			c := w.chart()
			c.Spec.Advances = &v1alpha1.AdvancePosting{Account: c.Spec.Offset.Account, Subledger: v1alpha1.SubledgerPaymentReference}
			return c
		}(), "an advance was paid to the claimant"},
		{"a column of the contract that does not exist", func() client.Object {
			s := w.source()
			s.Spec.Postgres.Claims.Columns = map[string]v1alpha1.ColumnName{"approved_at": "x"}
			return s
		}(), "columns may rename"},
		{"an access rule without organisations", func() client.Object {
			s := w.source()
			s.Spec.Access = []v1alpha1.AccessRule{{}}
			return s
		}(), "exactly one of organizationIDFromNamespaceLabel and organizationIDs"},
		{"a deadline of a day and more", func() client.Object {
			e := w.export()
			e.Spec.Deadline = &metav1.Duration{Duration: 1e9 * 3600 * 25}
			return e
		}(), "deadline is between"},
		{"an export with a name too long for its runs", func() client.Object {
			e := w.export()
			e.Name = strings.Repeat("x", 53)
			return e
		}(), "at most 52 characters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.object.SetNamespace("default")
			err := api.client.Create(t.Context(), test.object, client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("the API server said %v, want a refusal with %q", err, test.words)
			}
		})
	}
}

// chartInVouchers returns the chart with claims that become several vouchers.
func (w *world) chartInVouchers(by ...v1alpha1.VoucherSplit) client.Object {
	c := w.chart()
	c.Spec.Vouchers.SplitBy = by
	return c
}

// chartWith returns the chart with one tax code more.
func (w *world) chartWith(code v1alpha1.TaxCode) client.Object {
	c := w.chart()
	c.Spec.TaxCodes = append(c.Spec.TaxCodes, code)
	return c
}

func (w *world) createParts(p *parts) {
	w.Helper()
	if p.secret != nil {
		w.create(p.secret)
	}
	w.create(p.source, p.chart, p.destination, p.export)
}

// nothingHappened looks at the database and at the destination: no claim is bound to a run, no file is there.
func (w *world) nothingHappened() {
	w.Helper()
	if w.count(`select count(*) from pg_tables where schemaname = 'ledgerport' and tablename = 'exported_claims'`) > 0 {
		if n := w.count(`select count(*) from ledgerport.exported_claims`); n > 0 {
			w.Errorf("%d claims are reserved", n)
		}
	}
	if files := w.files(); len(files) > 0 {
		w.Errorf("files were delivered: %q", files)
	}
}

// neverSays fails if any event or resource in the test's namespace, Secrets apart, holds the text.
func (w *world) neverSays(secret string) {
	w.Helper()
	for _, list := range []client.ObjectList{
		&v1alpha1.AccountingExportList{}, &v1alpha1.ClaimSourceList{}, &v1alpha1.ExportRunList{}, &v1alpha1.ChartOfAccountsList{},
		&v1alpha1.ExportDestinationList{}, &eventsv1.EventList{},
	} {
		w.must(api.client.List(w.Context(), list, client.InNamespace(w.namespace)))
		said, err := json.Marshal(list)
		w.must(err)
		if bytes.Contains(said, []byte(secret)) {
			w.Errorf("%T holds the secret", list)
		}
	}
}

func (w *world) label(key, value string) {
	w.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, value)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	w.must(api.client.Patch(w.Context(), namespace, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// insertClaim puts one approved claim into the database and returns its id.
func (w *world) insertClaim(claim application.Claim) (id string) {
	w.Helper()
	claim.OrganizationID = w.organization
	if claim.ApprovedAt.IsZero() {
		claim.ApprovedAt = approvedUntil
	}
	w.sql(func(ctx context.Context, conn *pgx.Conn) (err error) {
		id, err = application.InsertClaim(ctx, conn, claim)
		return err
	})
	return id
}

// changeURL returns the test's database URL with one part changed.
func changeURL(w *world, change func(*url.URL)) string {
	w.Helper()
	u, err := url.Parse(w.database)
	w.must(err)
	change(u)
	return u.String()
}

// silentAddress returns the address of a server that accepts connections and never answers.
func silentAddress(w *world) string {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}
