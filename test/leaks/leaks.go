// Package leaks looks for what must be in no output: credentials, bank accounts and names of claimants that tests have
// planted, in whatever an operator has written.
package leaks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Patterns of what test/application plants in every claim.
var (
	// BankAccount is an IBAN of a bank that does not exist.
	BankAccount = regexp.MustCompile(`DE\d\d9{8}\d{10}`)
	// Name is that of a claimant.
	Name = regexp.MustCompile(`Employee \d{4}`)
)

// planted are the secrets that tests of this module write down, by what they are. A test with another one adds it here.
var planted = map[string]string{
	"hunter2":                   "a password of a test",
	"little-by-little":          "the password of the least-privileged role",
	"throw-away-secret":         "the secret access key of the S3 server",
	"s3cret-0f-the-application": "the client secret of an accounting system",
	"correct-horse":             "the password of an accounting system",
	"BEGIN OPENSSH PRIVATE KEY": "a private key",
	"a-new-password":            "a rotated password of an accounting system",
	"emergency-password":        "a password from the operator's environment",
	"the-first-password":        "the password of the operator's role on a cluster",
	"c2VjcmV0LW9mLXdlYmhvb2tz":  "the key of a webhook",
	"the-rotated-password":      "the rotated password of the operator's role on a cluster",
}

// New makes a scan for everything that tests of this module plant.
func New() *Scan {
	s := &Scan{}
	for secret, what := range planted {
		s.Plant(what, secret)
	}
	return s
}

// Scan collects what was found. It is safe for concurrent use.
type Scan struct {
	mu      sync.Mutex
	secrets map[string]string // by what they are
	looked  map[string]int    // places, by kind
	found   []string
}

// Plant adds a secret to look for. A short one would be found everywhere, and is refused.
func (s *Scan) Plant(what, secret string) {
	if len(secret) < 7 {
		panic("the secret of " + what + " is too short to be looked for")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[string]string{}
	}
	s.secrets[secret] = what
}

// PlantPassword adds the password of a connection URL, if it has one.
func (s *Scan) PlantPassword(what, connection string) error {
	parsed, err := url.Parse(connection)
	if err != nil {
		return fmt.Errorf("the connection URL of %s cannot be read", what)
	}
	if password, has := parsed.User.Password(); has {
		s.Plant(what, password)
	}
	return nil
}

// Found returns what was found, and where; the thing itself is not repeated.
func (s *Scan) Found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.found)
}

// Looked returns how many things of a kind were looked at, so that a scan of nothing is noticed.
func (s *Scan) Looked(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looked[kind]
}

// Text looks at a piece of output, for secrets and for patterns.
func (s *Scan) Text(kind, where string, content []byte, patterns ...*regexp.Regexp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked == nil {
		s.looked = map[string]int{}
	}
	s.looked[kind]++
	for secret, what := range s.secrets {
		if bytes.Contains(content, []byte(secret)) {
			s.found = append(s.found, fmt.Sprintf("%s in %s %s", what, kind, where))
		}
	}
	for _, pattern := range patterns {
		if pattern.Match(content) {
			s.found = append(s.found, fmt.Sprintf("%s in %s %s", pattern, kind, where))
		}
	}
}

// Lines looks at every line of what a program has said, such as its log or its metrics, and returns their number.
func (s *Scan) Lines(kind, where string, content []byte) (lines int) {
	for line := range bytes.Lines(content) {
		s.Text(kind, where, line, BankAccount, Name)
		lines++
	}
	return lines
}

// Resources are lists of the kinds of objects that an operator writes or reads, Secrets apart.
func Resources() []client.ObjectList {
	return []client.ObjectList{
		&v1alpha1.AccountingExportList{}, &v1alpha1.ClaimSourceList{}, &v1alpha1.ExportRunList{}, &v1alpha1.ChartOfAccountsList{},
		&v1alpha1.ExportDestinationList{}, &eventsv1.EventList{},
	}
}

// Objects looks at every one of the Resources, events among them.
func (s *Scan) Objects(ctx context.Context, reader client.Reader, of ...client.ListOption) error {
	for _, list := range Resources() {
		if err := reader.List(ctx, list, of...); err != nil {
			return err
		}
		content, err := json.Marshal(list)
		if err != nil {
			return err
		}
		var items struct{ Items []json.RawMessage }
		if err := json.Unmarshal(content, &items); err != nil {
			return err
		}
		for _, item := range items.Items {
			s.Text("object", fmt.Sprintf("%T", list), item, BankAccount, Name)
		}
	}
	return nil
}

// Metrics looks at every metric with its labels.
func (s *Scan) Metrics(gatherer prometheus.Gatherer) error {
	families, err := gatherer.Gather()
	for _, family := range families {
		s.Text("metric", family.GetName(), []byte(family.String()), BankAccount, Name)
	}
	return err
}

// Files looks at every file below a directory. Names of claimants may be in artifacts; bank accounts may not, save in a payment
// order.
func (s *Scan) Files(directory string) error {
	return filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what a test has made unreadable or is gone holds nothing of ours
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		return errors.Join(s.stream("file", entry.Name(), file), file.Close())
	})
}

// Bucket looks at every object of a bucket, as Files does.
func (s *Scan) Bucket(ctx context.Context, store *s3.Client, bucket string) error {
	pages := s3.NewListObjectsV2Paginator(store, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range page.Contents {
			got, err := store.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: object.Key})
			var gone *s3types.NoSuchKey
			if errors.As(err, &gone) { // removed since it was listed, as the object of a check is
				continue
			}
			if err != nil {
				return err
			}
			if err := errors.Join(s.stream("object in a bucket", *object.Key, got.Body), got.Body.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// paymentOrder is in the first element of a file that a bank pays by.
var paymentOrder = []byte("urn:iso:std:iso:20022:tech:xsd:pain.001.")

// stream looks at an artifact of any size. Pieces overlap by more than the longest thing that is looked for.
func (s *Scan) stream(kind, where string, content io.Reader) error {
	const overlap = 256
	patterns := []*regexp.Regexp{BankAccount}
	buffer, kept := make([]byte, 256<<10), 0
	for {
		n, err := io.ReadFull(content, buffer[kept:])
		if kept == 0 && bytes.Contains(buffer[:min(n, overlap)], paymentOrder) {
			patterns = nil
		}
		s.Text(kind, where, bytes.ReplaceAll(buffer[:kept+n], []byte{0}, nil), patterns...) // UTF-16, as it is read
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		kept = copy(buffer, buffer[len(buffer)-overlap:])
	}
}

// vouchers is the table with the texts that were exported, so that a run can be resumed and reversed: it is treated like the claims.
const vouchers = "run_vouchers"

// Records looks at every row that an operator has written into its schema of a database, but for its copies of vouchers.
func (s *Scan) Records(ctx context.Context, conn *pgx.Conn) error {
	found, err := conn.Query(ctx, `SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('ledgerport') AND relkind = 'r' AND relname <> $1`, vouchers)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := conn.Query(ctx, `SELECT t::text FROM `+pgx.Identifier{"ledgerport", table}.Sanitize()+` t`)
		if err != nil {
			return err
		}
		var row string
		if _, err := pgx.ForEachRow(rows, []any{&row}, func() error {
			s.Text("record", table, []byte(row), BankAccount, Name)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// AtEnd lets a test look at something when it ends, and fail where it finds what nobody is to see.
func AtEnd(t testing.TB, look func(context.Context, *Scan) error) {
	t.Helper()
	t.Cleanup(func() {
		s := New()
		if err := look(context.Background(), s); err != nil { // the test's own context has ended
			t.Errorf("looking for secrets: %s", err)
		}
		for _, found := range s.Found() {
			t.Errorf("what nobody is to see was written: %s", found)
		}
	})
}
