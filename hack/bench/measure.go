package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/environment"
)

// result is one line of output.
type result struct {
	Bench       string  `json:"bench"`
	Exporter    string  `json:"exporter"`
	RowSecurity bool    `json:"rowSecurity,omitempty"`
	EveryKind   bool    `json:"everyKind,omitempty"`
	Claims      int64   `json:"claims"`
	Lines       int64   `json:"lines"`
	Seconds     float64 `json:"seconds"`
	CopySeconds float64 `json:"copySeconds"`
	Ratio       float64 `json:"ratio"`
	// CPU is the time of processors of the pipeline and of PostgreSQL with all its sessions meanwhile.
	CPU        cpuSeconds `json:"cpuSeconds"`
	PeakRSSMiB float64    `json:"peakRSSMiB"`
	// ArtifactMiB is what is delivered, and LedgerMiB what the schema ledgerport has grown to, indexes included.
	ArtifactMiB float64 `json:"artifactMiB"`
	LedgerMiB   float64 `json:"ledgerMiB"`
	// WALMiB is what PostgreSQL has written to its write-ahead log meanwhile. It is set to write no images of whole pages.
	WALMiB float64            `json:"walMiB"`
	Stages map[string]float64 `json:"stages"`
	Load   string             `json:"load"` // of the machine at the start
}

type cpuSeconds struct {
	Pipeline float64 `json:"pipeline"`
	Postgres float64 `json:"postgres"`
}

// sameRows are the rows that the pipeline reads, joined and in its order.
const sameRows = `COPY (
	SELECT c.*, l.* FROM public.claims c JOIN public.claim_lines l ON l.claim_id = c.id
	WHERE c.organization_id = '` + organization + `' AND c.status = 'approved' ORDER BY c.approved_at, c.id) TO STDOUT`

// measureHere measures one exporter: a COPY, the pipeline, a COPY again. The COPY is that of the tables' owner, also where the
// pipeline is bound by row-level security.
func measureHere(ctx context.Context, exporter, database string, count int, v variant) error {
	load := machineLoad()
	login, err := reset(ctx, database, v.bound)
	if err != nil {
		return err
	}
	if _, err := timeCopy(ctx, database); err != nil { // warms the caches of PostgreSQL for both
		return err
	}
	before, err := timeCopy(ctx, database)
	if err != nil {
		return err
	}
	began, err := countedSoFar(ctx, database)
	if err != nil {
		return err
	}
	outcome, seconds, err := timePipeline(ctx, exporter, login, chart(v.everyKind))
	if err != nil {
		return err
	}
	ended, err := countedSoFar(ctx, database)
	if err != nil {
		return err
	}
	after, err := timeCopy(ctx, database)
	if err != nil {
		return err
	}
	const fewHeld = 50 // one in so many claims: a refund, say, that cannot be paid
	if outcome.Result.Claims < int64(count-count/fewHeld) {
		return fmt.Errorf("%d of %d claims were exported", outcome.Result.Claims, count)
	}
	peak, err := environment.PeakRSS(os.Getpid())
	if err != nil {
		return err
	}
	recorded, err := ledgerSize(ctx, database)
	if err != nil {
		return err
	}
	var delivered int64
	for _, file := range outcome.Files {
		delivered += file.Size
	}
	copySeconds := (before + after) / 2
	stages := map[string]float64{}
	for stage, took := range outcome.StageSeconds {
		stages[strings.ToLower(string(stage))] = round(took)
	}
	return json.NewEncoder(os.Stdout).Encode(result{
		Bench: "pipeline", Exporter: exporter, RowSecurity: v.bound, EveryKind: v.everyKind, Claims: outcome.Result.Claims, Lines: outcome.Result.Lines,
		Seconds: round(seconds), CopySeconds: round(copySeconds), Ratio: round(seconds / copySeconds),
		CPU:        cpuSeconds{round((ended.pipeline - began.pipeline).Seconds()), round((ended.postgres - began.postgres).Seconds())},
		PeakRSSMiB: mebibytes(peak), ArtifactMiB: mebibytes(delivered), LedgerMiB: mebibytes(recorded),
		WALMiB: mebibytes(ended.wal - began.wal), Stages: stages, Load: load,
	})
}

// ledgerSize is how many bytes all that is recorded takes on disk.
func ledgerSize(ctx context.Context, database string) (bytes int64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relnamespace = 'ledgerport'::regnamespace AND relkind = 'r'`).Scan(&bytes)
	return bytes, errors.Join(err, conn.Close(ctx))
}

// soFar is what has been counted until an instant: the time of processors of this process and of PostgreSQL, and the bytes of the write-ahead log.
type soFar struct {
	pipeline, postgres time.Duration
	wal                int64
}

func countedSoFar(ctx context.Context, database string) (is soFar, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return is, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var session int
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid(), (pg_current_wal_insert_lsn() - '0/0')::bigint`).Scan(&session, &is.wal); err != nil {
		return is, err
	}
	server, err := environment.Parent(session)
	if err != nil {
		return is, err
	}
	if is.postgres, err = environment.CPU(server); err != nil {
		return is, err
	}
	is.pipeline, err = environment.CPU(os.Getpid())
	return is, err
}

// reset forgets all runs, and returns the URL that the pipeline logs in with.
func reset(ctx context.Context, database string, bound bool) (login string, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, `DROP SCHEMA IF EXISTS ledgerport CASCADE`); err != nil || !bound {
		return database, err
	}
	for _, script := range []string{"role.sql", "managed.sql"} {
		statements, err := os.ReadFile(filepath.Join("config", "postgres", script))
		if err != nil {
			return "", err
		}
		if _, err := conn.Exec(ctx, string(statements)); err != nil {
			return "", fmt.Errorf("%s: %w", script, err)
		}
	}
	const role, password = "ledgerport_operator", "of-a-bench"
	if _, err := conn.Exec(ctx, `ALTER ROLE `+role+` PASSWORD '`+password+`'`); err != nil {
		return "", err
	}
	parsed, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	parsed.User = url.UserPassword(role, password)
	return parsed.String(), nil
}

func timeCopy(ctx context.Context, database string) (float64, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	// What the pipeline's connections are set to.
	if _, err := conn.Exec(ctx, `SET work_mem = '32MB'; SET jit = off`); err != nil {
		return 0, err
	}
	start := time.Now()
	_, err = conn.PgConn().CopyTo(ctx, io.Discard, sameRows)
	took := time.Since(start).Seconds()
	return took, errors.Join(err, conn.Close(ctx))
}

func timePipeline(ctx context.Context, exporter, login string, books v1alpha1.ChartOfAccountsSpec) (outcome pipeline.Outcome, seconds float64, err error) {
	return runPipeline(ctx, exporter, login, books, 1, 0)
}

// runPipeline makes the n-th run of an export, and returns how many seconds that took.
func runPipeline(ctx context.Context, exporter, login string, books v1alpha1.ChartOfAccountsSpec, n int, fullCheck time.Duration) (outcome pipeline.Outcome, seconds float64, err error) {
	directory, err := os.MkdirTemp("", "ledgerport-bench-files-")
	if err != nil {
		return outcome, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	objects, err := resources(exporter, login, books)
	if err != nil {
		return outcome, 0, err
	}
	policy, err := outbound.New([]string{"127.0.0.0/8"}) // where the bench's PostgreSQL is
	if err != nil {
		return outcome, 0, err
	}
	p := &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: objects, Secrets: credentials.Secrets{API: objects},
			Databases:    claims.Allowances{Insecure: true}, // the server of a test speaks no TLS
			FullCheck:    fullCheck,
			Destinations: destinationtypes.Registry(destinationtypes.Settings{Filesystem: filesystem.Settings{Root: directory}}), Exporters: builtin.Registry(), Outbound: policy,
		},
		Holder: "bench", SpoolDirectory: directory, Program: "Ledgerport", ProgramVersion: "bench",
	}
	start := time.Now()
	outcome, err = p.Run(ctx, pipeline.Task{
		RunID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Namespace: "bench", Name: fmt.Sprintf("bench-%d", n), Export: "bench",
		Cutoff: start, CreatedAt: start, Deadline: time.Hour,
	}, &pipeline.Progress{})
	return outcome, time.Since(start).Seconds(), err
}

// resources are those of one export, for the pipeline to find.
func resources(exporter, login string, books v1alpha1.ChartOfAccountsSpec) (client.Reader, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{Namespace: "bench", Name: "bench"}
	export := &v1alpha1.AccountingExport{ObjectMeta: meta, Spec: v1alpha1.AccountingExportSpec{
		OrganizationID: organization, SourceRef: v1alpha1.NamespacedReference{Name: "bench"},
		ChartOfAccountsRef: v1alpha1.LocalReference{Name: "bench"}, DestinationRef: v1alpha1.NamespacedReference{Name: "bench"},
		Exporter: v1alpha1.ExporterSpec{Type: exporter}, VoucherSeries: "E", TimeZone: "Europe/Berlin",
	}}
	options, err := os.ReadFile(filepath.Join("exporters", exporter, "testdata", "bench.json"))
	switch {
	case err == nil:
		export.Spec.Exporter.Options = &runtime.RawExtension{Raw: options}
	case !errors.Is(err, fs.ErrNotExist): // an exporter that needs no options has none
		return nil, err
	}
	source := &v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
		ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: "bench", Key: "url"},
		Claims:              v1alpha1.ClaimsTable{Table: "public.claims", Approved: v1alpha1.ApprovedFilter{Column: "status", Values: []string{"approved"}}},
		Lines:               v1alpha1.LinesTable{Table: "public.claim_lines"},
	}}}
	return fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.ExportRun{}, references.LedgerIndex, references.LedgerKeys).WithObjects(
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "bench"}},
		&corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"url": []byte(login)}},
		export, source,
		&v1alpha1.ChartOfAccounts{ObjectMeta: meta, Spec: books},
		&v1alpha1.ExportDestination{ObjectMeta: meta, Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "files"}}},
	).Build(), nil
}

// chart has a few rules of the usual kinds: by category, by a CEL expression, and for the rest; that of every kind also what others
// have paid, a split and reverse charge.
func chart(everyKind bool) v1alpha1.ChartOfAccountsSpec {
	books := v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", FiscalYearStart: "01-01",
		Accounts: []v1alpha1.Account{
			{Number: "4670", Name: "Travel"}, {Number: "4671", Name: "Travel for projects"}, {Number: "4900", Name: "Other"},
			{Number: "1576", Name: "Input tax"}, {Number: "1740", Name: "Owed to employees"}, {Number: "2150", Name: "Rounding"},
			{Number: "1530", Name: "Advances"},
		},
		TaxCodes: []v1alpha1.TaxCode{{Code: "9", Rate: "19", Account: "1576"}},
		Rules: []v1alpha1.MappingRule{
			{Match: v1alpha1.RuleMatch{Categories: []string{"travel", "hotel"}, Expression: "line.dimensions['project'] == 'P1'"}, Account: "4671", TaxCode: "9"},
			{Match: v1alpha1.RuleMatch{Categories: []string{"travel", "hotel"}}, Account: "4670", TaxCode: "9", Dimensions: map[string]string{"costCenter": "line.dimensions['cost_center']"}},
			{Account: "4900", TaxCode: "9"},
		},
		Offset:   v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
		Rounding: &v1alpha1.RoundingPosting{Account: "2150", Limit: "1.00"},
		Advances: &v1alpha1.AdvancePosting{Account: "1530", Subledger: v1alpha1.SubledgerClaimant},
		Unmapped: v1alpha1.UnmappedHold,
	}
	if !everyKind {
		return books
	}
	for _, number := range []string{"4650", "4654", "1577", "1787", "1730"} {
		books.Accounts = append(books.Accounts, v1alpha1.Account{Number: number, Name: "Account " + number})
	}
	books.TaxCodes = append(books.TaxCodes, v1alpha1.TaxCode{Code: "13b", Rate: "19", Account: "1577", ReverseCharge: &v1alpha1.ReverseCharge{Account: "1787"}})
	books.Rules = append([]v1alpha1.MappingRule{
		{
			Match: v1alpha1.RuleMatch{Categories: []string{"entertainment"}}, TaxCode: "9",
			Split: []v1alpha1.SplitPart{{Percent: "70", Account: "4650"}, {Percent: "30", Account: "4654"}},
		},
		{Match: v1alpha1.RuleMatch{Categories: []string{"software"}, Expression: "line.country != 'DE'"}, Account: "4900", TaxCode: "13b"},
	}, books.Rules...)
	books.Offsets = []v1alpha1.PaidPosting{{
		Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"company_card"}}, Account: "1730", Subledger: v1alpha1.SubledgerPaymentReference,
	}}
	return books
}

func mebibytes(bytes int64) float64 { return round(float64(bytes) / (1 << 20)) }

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
