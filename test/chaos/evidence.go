package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// evidence is all that is left: what SQL says, what is at the destinations, and what the resources say.
type evidence struct {
	claims    []approvedClaim
	receipts  map[string]receiptCount // by claim
	runs      []recordedRun
	voided    []numberRange
	numbering []numbering
	files     map[string][]byte // by location, hidden files included, probes not
	resources []resource
	leaks     []string        // what nobody is to see, and where it was
	forgotten []string        // claims that a restored database exported again
	crashed   []string        // operators that ended though nobody ended them, and faults of the program that one caught
	arrivals  []arrival       // notifications that were taken, in their order
	notified  map[string]bool // namespaces whose exports tell of runs
	hostile   int             // runs of the tenant whose servers do harm

	home      string          // the first cluster, whose exports need approvals, and at which applications ask
	deleted   map[string]bool // names and UIDs of its runs that somebody has deleted
	asked     []asking
	told      []toldEnd
	loads     []download
	untruths  []string        // answers that may not be
	needing   map[string]bool // exports whose runs need an approval
	approvals []approval
	early     []string // what was delivered before
}

// resource is an ExportRun of a cluster.
type resource struct {
	cluster string
	v1alpha1.ExportRun
}

// approvedClaim with the gross amount of its lines in cents, and of those that a company card has paid. One that has a line number
// twice is held.
type approvedClaim struct {
	id, organization string
	cents, card      int64
	held             bool
}

// recordedRun is a row of ledgerport.runs. A reversal has the id of the run that it reverses, and a redelivery of the one that it delivers.
type recordedRun struct {
	id, cluster, namespace, export, name, organization, book, series, state, releaseReason, location, reverses, redelivers string
	claims                                                                                                                 int64
	files                                                                                                                  []recordedFile
}

type recordedFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// numberRange of voucher numbers that were voided.
type numberRange struct {
	series      string // organisation, book, series and fiscal year
	first, last int64
}

// numbering is where a series stands.
type numbering struct {
	series string
	next   int64
}

// voucher as a file has it, with the sum of its debits and credits in cents, and what is credited to the company cards.
type voucher struct {
	year, claim         string
	number              int64
	debit, credit, card int64
}

// gather collects the evidence without the operators' help.
func (w *world) gather(ctx context.Context) (*evidence, error) {
	e := &evidence{files: map[string][]byte{}}
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }() // only read
	if err := e.readDatabase(ctx, conn); err != nil {
		return nil, err
	}
	if err := e.readDirectory(filepath.Join(w.directory, "exports")); err != nil {
		return nil, err
	}
	if err := e.readBucket(ctx, w.objects()); err != nil {
		return nil, err
	}
	if err := e.readCluster(ctx, w.api); err != nil {
		return nil, err
	}
	if e.home, err = clusterID(ctx, w.api); err != nil {
		return nil, err
	}
	e.gatherAnswers(w)
	e.needing, e.approvals, e.early = w.needingApproval(), w.approvals.given, w.approvals.early
	if w.staging != nil {
		if err := errors.Join(e.readCluster(ctx, w.staging.api), e.readDirectory(filepath.Join(w.staging.directory, "exports"))); err != nil {
			return nil, err
		}
	}
	e.arrivals, e.notified = w.inbox.arrivals(), map[string]bool{}
	for _, t := range w.tenants {
		e.notified[t.namespace] = t.inbox != ""
	}
	logs, err := w.logs()
	if err != nil {
		return nil, err
	}
	e.crashed = panicsIn(logs)
	if err := w.lookForLeaks(ctx, conn, logs); err != nil {
		return nil, err
	}
	e.leaks = w.scan.Found()
	return e, nil
}

func (e *evidence) readDatabase(ctx context.Context, conn *pgx.Conn) (err error) {
	e.claims, err = rows(ctx, conn, `SELECT c.id::text, c.organization_id::text, (sum(l.gross_amount) * 100)::bigint,
		coalesce(sum(l.gross_amount) FILTER (WHERE l.payment_method = 'company_card') * 100, 0)::bigint, count(*) > count(DISTINCT l.line_no)
		FROM public.claims c JOIN public.claim_lines l ON l.claim_id = c.id WHERE c.status = 'approved' GROUP BY c.id`,
		func(row pgx.CollectableRow) (c approvedClaim, err error) {
			return c, row.Scan(&c.id, &c.organization, &c.cents, &c.card, &c.held)
		})
	if err != nil {
		return err
	}
	if err := e.readReceipts(ctx, conn); err != nil {
		return err
	}
	e.runs, err = rows(ctx, conn, `SELECT id, cluster, namespace, export, name, organization_id, book, series, state, release_reason, location, coalesce(reverses, ''), coalesce(redelivers, ''), claims, files FROM ledgerport.runs`,
		func(row pgx.CollectableRow) (r recordedRun, err error) {
			return r, row.Scan(&r.id, &r.cluster, &r.namespace, &r.export, &r.name, &r.organization, &r.book, &r.series, &r.state, &r.releaseReason, &r.location, &r.reverses, &r.redelivers, &r.claims, &r.files)
		})
	if err != nil {
		return err
	}
	e.voided, err = rows(ctx, conn, `SELECT organization_id || '/' || book || '/' || series || '/' || fiscal_year, first, last FROM ledgerport.voided_vouchers`,
		func(row pgx.CollectableRow) (r numberRange, err error) {
			return r, row.Scan(&r.series, &r.first, &r.last)
		})
	if err != nil {
		return err
	}
	e.numbering, err = rows(ctx, conn, `SELECT organization_id || '/' || book || '/' || series || '/' || fiscal_year, next FROM ledgerport.voucher_numbers`,
		func(row pgx.CollectableRow) (n numbering, err error) { return n, row.Scan(&n.series, &n.next) })
	return err
}

// redeliveries counts the committed runs that delivered what another did.
func (e *evidence) redeliveries() (n int) {
	for _, run := range e.runs {
		if run.redelivers != "" && run.state == "committed" {
			n++
		}
	}
	return n
}

// approved counts the committed runs that somebody had to approve, and expired those that nobody has.
func (e *evidence) approved() (approved, expired int) {
	for _, run := range e.runs {
		if needs := run.cluster == e.home && e.needing[path.Join(run.namespace, run.export)] && run.redelivers == ""; needs && run.state == "committed" && run.claims > 0 {
			approved++
		}
		if run.releaseReason == v1alpha1.ReasonApprovalExpired {
			expired++
		}
	}
	return approved, expired
}

// reversals counts the committed runs that reversed another.
func (e *evidence) reversals() (n int) {
	for _, run := range e.runs {
		if run.reverses != "" && run.state == "committed" {
			n++
		}
	}
	return n
}

func rows[T any](ctx context.Context, conn *pgx.Conn, query string, scan pgx.RowToFunc[T]) ([]T, error) {
	found, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scan)
}

// readCluster reads every ExportRun of a cluster.
func (e *evidence) readCluster(ctx context.Context, api client.Client) error {
	cluster, err := clusterID(ctx, api)
	if err != nil {
		return err
	}
	var list v1alpha1.ExportRunList
	err = api.List(ctx, &list)
	for _, run := range list.Items {
		if run.Namespace == hostileNamespace {
			e.hostile++
			continue
		}
		e.resources = append(e.resources, resource{cluster, run})
	}
	return err
}

// readDirectory reads every file below the operators' root, under the location that a run would record.
func (e *evidence) readDirectory(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || ofChecks(name) || entry.Name() == fillerName {
			return err
		}
		content, err := os.ReadFile(name)
		e.files["file://"+name] = content
		return err
	})
}

// ofChecks reports whether a name is of what checks write: they are under way, and leave a marker.
func ofChecks(name string) bool {
	return strings.Contains(name, "/.ledgerport-probe-") || strings.HasPrefix(name, ".ledgerport-probe-") || path.Base(name) == ".ledgerport-destination"
}

func (e *evidence) readBucket(ctx context.Context, store *s3.Client) error {
	pages := s3.NewListObjectsV2Paginator(store, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			if ofChecks(*object.Key) {
				continue
			}
			got, err := store.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: object.Key})
			if err != nil {
				return err
			}
			content, err := io.ReadAll(got.Body)
			if err := errors.Join(err, got.Body.Close()); err != nil {
				return err
			}
			e.files["s3://"+bucket+"/"+*object.Key] = content
		}
	}
	return nil
}

// vouchers reads an artifact with nothing of the product.
func vouchers(name string, content []byte) ([]voucher, error) {
	switch path.Ext(name) {
	case ".csv":
		return readCSV(content)
	case ".si", ".se":
		return readSIE(content)
	}
	return nil, nil // the manifest
}

func readCSV(content []byte) ([]voucher, error) {
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil || len(records) == 0 {
		return nil, errors.Join(err, errors.New("the file has no header"))
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	var all []voucher
	for _, record := range records[1:] {
		id := strings.Split(record[column["voucher"]], "/") // E/2026/17
		number, err := strconv.ParseInt(id[len(id)-1], 10, 64)
		if err != nil || len(id) != 3 {
			return nil, fmt.Errorf("%q is no voucher number", record[column["voucher"]])
		}
		if len(all) == 0 || all[len(all)-1].number != number || all[len(all)-1].year != id[1] {
			all = append(all, voucher{year: id[1], number: number, claim: record[column["claim"]]})
		}
		v := &all[len(all)-1]
		debit, debitErr := cents(record[column["debit"]])
		credit, creditErr := cents(record[column["credit"]])
		if err := errors.Join(debitErr, creditErr); err != nil {
			return nil, err
		}
		v.debit, v.credit = v.debit+debit, v.credit+credit
		if record[column["account"]] == cardAccount {
			v.card += credit - debit
		}
	}
	return all, nil
}

func readSIE(content []byte) (all []voucher, err error) {
	year := ""
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		fields := strings.Fields(strings.ReplaceAll(lines.Text(), `"`, ""))
		switch {
		case len(fields) > 2 && fields[0] == "#RAR" && fields[1] == "0":
			year = fields[2][:4]
		case len(fields) > 4 && fields[0] == "#VER": // series, number, date, text: the claim's id, perhaps behind "Reverses E/2026/17: "
			v := voucher{year: year, claim: fields[4]}
			if len(fields) > 6 && fields[4] == "Reverses" {
				v.claim = fields[6]
			}
			if v.number, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
				return nil, err
			}
			all = append(all, v)
		case len(fields) > 2 && fields[0] == "#TRANS":
			_, after, _ := strings.Cut(lines.Text(), "} ")
			amount, err := cents(strings.Fields(after)[0])
			if err != nil || len(all) == 0 {
				return nil, errors.Join(err, errors.New("a transaction outside of a voucher"))
			}
			v := &all[len(all)-1]
			v.debit, v.credit = v.debit+max(amount, 0), v.credit-min(amount, 0)
			if fields[1] == cardAccount {
				v.card -= amount
			}
		}
	}
	return all, nil
}

// cents reads an exact decimal of at most two places; nothing is 0.
func cents(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	whole, part, _ := strings.Cut(text, ".")
	if len(part) > 2 {
		return 0, fmt.Errorf("%q is finer than a cent", text)
	}
	return strconv.ParseInt(whole+part+strings.Repeat("0", 2-len(part)), 10, 64)
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
