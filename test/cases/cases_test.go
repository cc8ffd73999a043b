// Package cases_test runs inputs that accountants and banks refused, each as one export from a database to its file, and compares
// what comes out with what an authority says: a law, a specification, the rules of a bank. Testdata has a file for each; what the
// samples post by the law of their country is in internal/offline.
package cases_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	"github.com/ledgerport/ledgerport/internal/offline"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/testdb"
)

// refused is an input that somebody refused, and what has to come of it.
type refused struct {
	// Title says it as a sentence, and Authority who wants it.
	Title, Authority string
	// Books are those of testdata/books_<name>.yaml.
	Books string
	// ReverseCharge has accounts for the tax that is owed, by tax code.
	ReverseCharge map[string]string
	SplitBy       []v1alpha1.VoucherSplit
	OpenFrom      string
	Exporter      json.RawMessage
	Cutoff        time.Time
	Claims        []claim
	// Reversed runs are reversed after they are exported.
	Reversed bool
	Want     outcome
}

type claim struct {
	IBAN, Description string
	Approved          time.Time
	Address           map[string]string
	Lines             []line
}

type line struct {
	Category, Description, Date, Gross, Tax, TaxCode, Quantity string
	Dimensions                                                 map[string]string
}

type outcome struct {
	// Findings of validate; with any, nothing is run.
	Findings []string
	// Claims that are exported, and what holds the others: reason and message.
	Claims int64
	Held   []string
	// Files by name, if more than one; Lines have to be in one of them, and Not in none.
	Files, Lines, Not []string
	// Reversal has what has to be in the files of the reversal.
	Reversal []string
}

// organization whose books they are.
const organization = "9a646e84-e611-530e-98db-14283f688bff"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasRefused(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "[0-9]*.yaml"))
	must(t, err)
	if len(files) < 25 {
		t.Errorf("there are %d cases", len(files))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		var of refused
		must(t, yaml.UnmarshalStrict(content, &of))
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			t.Logf("%s: %s", of.Title, of.Authority)
			of.check(t)
		})
	}
}

func (of *refused) check(t *testing.T) {
	t.Helper()
	valid := of.validate(t)
	var findings []string
	for _, finding := range valid.Findings {
		findings = append(findings, finding.Problem)
	}
	if !slices.Equal(findings, of.Want.Findings) {
		t.Fatalf("validate finds %q, want %q", findings, of.Want.Findings)
	}
	if len(findings) > 0 {
		return
	}
	delivered := t.TempDir()
	operator := of.operator(t, valid, delivered)
	exported, err := operator.Run(t.Context(), of.task("monthly-1"), &pipeline.Progress{})
	must(t, err)
	var held []string
	for _, claim := range exported.Held {
		held = append(held, strings.TrimSuffix(claim.Reason+": "+claim.Message, ": "))
	}
	if exported.Result.Claims != of.Want.Claims || !slices.Equal(held, of.Want.Held) {
		t.Errorf("%d claims are exported, and %q hold the others; want %d, and %q", exported.Result.Claims, held, of.Want.Claims, of.Want.Held)
	}
	names, text := read(t, delivered)
	if of.Want.Files != nil && !slices.Equal(names, of.Want.Files) {
		t.Errorf("the files are %q, want %q", names, of.Want.Files)
	}
	has(t, text, of.Want.Lines)
	for _, unwanted := range of.Want.Not {
		if strings.Contains(text, unwanted) {
			t.Errorf("%s is in %s", unwanted, text)
		}
	}
	if of.Reversed {
		back := of.task("monthly-2")
		back.Type, back.Reverses = v1alpha1.RunReversal, "monthly-1"
		_, err := operator.Run(t.Context(), back, &pipeline.Progress{})
		must(t, err)
		_, both := read(t, delivered)
		has(t, both, of.Want.Reversal)
	}
}

// validate returns the resources of the case as validate reads them.
func (of *refused) validate(t *testing.T) *offline.Validation {
	t.Helper()
	var chart v1alpha1.ChartOfAccountsSpec
	content, err := os.ReadFile(filepath.Join("testdata", "books_"+of.Books+".yaml"))
	must(t, err)
	must(t, yaml.UnmarshalStrict(content, &chart))
	chart.Vouchers.SplitBy = of.SplitBy
	for i := range chart.TaxCodes {
		if account := of.ReverseCharge[chart.TaxCodes[i].Code]; account != "" {
			chart.TaxCodes[i].ReverseCharge = &v1alpha1.ReverseCharge{Account: account}
		}
	}
	type object = map[string]any
	kind := func(name, kind string, spec any) object {
		return object{"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": object{"name": name, "namespace": "acme"}, "spec": spec}
	}
	export := object{
		"organizationID": organization, "sourceRef": object{"name": "claims"}, "chartOfAccountsRef": object{"name": "books"}, "destinationRef": object{"name": "finance"},
		"exporter": of.Exporter, "schedule": "0 6 1 * *", "timeZone": "Europe/Berlin",
	}
	if of.OpenFrom != "" {
		export["posting"] = object{"openFrom": of.OpenFrom}
	}
	var manifests []string
	for _, manifest := range []object{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "acme"}},
		kind("claims", "ClaimSource", object{"postgres": object{
			"connectionSecretRef": object{"name": "database", "key": "url"}, "claims": object{"table": "public.claims"}, "lines": object{"table": "public.claim_lines"},
		}}),
		kind("books", "ChartOfAccounts", chart),
		kind("finance", "ExportDestination", object{"filesystem": object{"path": "finance"}}),
		kind("monthly", "AccountingExport", export),
	} {
		text, err := yaml.Marshal(manifest)
		must(t, err)
		manifests = append(manifests, string(text))
	}
	valid, err := offline.Validate(t.Context(), builtin.Registry(), destinationtypes.Registry(destinationtypes.Settings{}), []string{offline.Stdin}, strings.NewReader(strings.Join(manifests, "---\n")), false)
	must(t, err)
	return valid
}

// operator runs the export against the claims of the case in a database of their own.
func (of *refused) operator(t *testing.T, valid *offline.Validation, delivered string) *pipeline.Pipeline {
	t.Helper()
	policy, err := outbound.New([]string{"127.0.0.0/8"})
	must(t, err)
	insecure := claims.Allowances{Insecure: true} // the server of a test speaks no TLS
	url := of.database(t, insecure, currency(t, valid))
	valid.Objects.Put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "database"}, Data: map[string][]byte{"url": []byte(url)}})
	valid.Objects.Put(&v1alpha1.ExportDestination{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "finance"}})
	return &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: valid.Objects, Secrets: credentials.Secrets{API: valid.Objects}, Outbound: policy,
			Databases: insecure, Destinations: destinationtypes.Directory(delivered), Exporters: builtin.Registry(),
		},
		Holder: "test", SpoolDirectory: t.TempDir(), Program: "Ledgerport", ProgramVersion: "1.0", Candid: true,
	}
}

func (of *refused) database(t *testing.T, allowed claims.Allowances, currency string) (url string) {
	t.Helper()
	url = testdb.New(t)
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	tables, err := os.ReadFile(filepath.Join("testdata", "tables.sql"))
	must(t, err)
	_, err = conn.Exec(t.Context(), string(tables))
	must(t, err)
	for i, claim := range of.Claims {
		claim.insert(t, conn, i+1, currency)
	}
	must(t, conn.Close(t.Context()))
	opened, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: allowed})
	must(t, err)
	defer opened.Close()
	must(t, opened.Migrate(t.Context()))
	return url
}

func currency(t *testing.T, valid *offline.Validation) string {
	t.Helper()
	var chart v1alpha1.ChartOfAccounts
	must(t, valid.Objects.Get(t.Context(), types.NamespacedName{Namespace: "acme", Name: "books"}, &chart))
	return chart.Spec.Currency
}

// insert puts the claim into the database; number makes its id.
func (c claim) insert(t *testing.T, conn *pgx.Conn, number int, currency string) {
	t.Helper()
	approved := c.Approved
	if approved.IsZero() {
		approved = time.Date(2026, 10, 20, 10, 0, number, 0, time.UTC)
	}
	var address []byte
	if c.Address != nil {
		encoded, err := json.Marshal(c.Address)
		must(t, err)
		address = encoded
	}
	id := fmt.Sprintf("3f2c9a1e-0000-4000-8000-%012d", number)
	_, err := conn.Exec(t.Context(), `
		INSERT INTO public.claims (id, organization_id, claimant_id, claimant_name, claimant_iban, status, approved_at, currency, description, claimant_address)
		VALUES ($1, $7, '1044', 'Employee 1044', $2, 'approved', $3, $4, $5, $6)`,
		id, cmp.Or(c.IBAN, "DE89370400440532013000"), approved, currency, cmp.Or(c.Description, "Claim text"), address, organization)
	must(t, err)
	for i, line := range c.Lines {
		dimensions, err := json.Marshal(line.Dimensions)
		must(t, err)
		_, err = conn.Exec(t.Context(), `
			INSERT INTO public.claim_lines (claim_id, line_no, expense_date, category, description, gross_amount, tax_amount, tax_code, quantity, unit, dimensions)
			VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::numeric, nullif($8, ''), nullif($9, '')::numeric, CASE WHEN $9 <> '' THEN 'km' END, $10)`,
			id, i+1, cmp.Or(line.Date, "2026-10-12"), line.Category, cmp.Or(line.Description, "Line"), line.Gross, cmp.Or(line.Tax, "0"), line.TaxCode, line.Quantity, dimensions)
		must(t, err)
	}
}

func (of *refused) task(name string) pipeline.Task {
	cutoff := of.Cutoff
	if cutoff.IsZero() {
		cutoff = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)
	}
	return pipeline.Task{
		Type: v1alpha1.RunExport, RunID: "0b8f7d5e-6f3a-4f0e-9a53-00000000000" + name[len(name)-1:], Namespace: "acme", Name: name, Export: "monthly",
		Cutoff: cutoff, CreatedAt: cutoff.Add(5 * time.Second), Deadline: time.Minute,
	}
}

// read returns the names of the files that were delivered, and all their text.
func read(t *testing.T, delivered string) (names []string, text string) {
	t.Helper()
	must(t, filepath.WalkDir(delivered, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "manifest.json" {
			return err
		}
		content, err := os.ReadFile(path)
		names, text = append(names, entry.Name()), text+string(content)
		return err
	}))
	return names, text
}

func has(t *testing.T, text string, lines []string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("%s is not in %s", line, text)
		}
	}
}
