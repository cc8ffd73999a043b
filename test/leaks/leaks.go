// Package leaks looks for what must be in no output: credentials, bank accounts and names of claimants that tests have
// planted, in whatever an operator has written.
package leaks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
	"a-new-password":            "a rotated password of an accounting system",
	"emergency-password":        "a password from the operator's environment",
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
		return fmt.Errorf("the connection URL of %s can not be read", what)
	}
	if password, has := parsed.User.Password(); has {
		s.Plant(what, password)
	}
	return nil
}

// Found gives what was found, and where; the thing itself is not repeated.
func (s *Scan) Found() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.found)
}

// Looked gives how many things of a kind were looked at, so that a scan of nothing is noticed.
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

// Log looks at every line of a program's log, and gives their number.
func (s *Scan) Log(where string, content []byte) (lines int) {
	for line := range bytes.Lines(content) {
		s.Text("log line", where, line, BankAccount, Name)
		lines++
	}
	return lines
}

// Objects looks at every object of the lists, Secrets are not to be among them.
func (s *Scan) Objects(ctx context.Context, reader client.Reader, lists []client.ObjectList, of ...client.ListOption) error {
	for _, list := range lists {
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

// Files looks at every file below a directory. Names of claimants may be in artifacts; bank accounts may not, save in those
// of formats that pay: let those not come here.
func (s *Scan) Files(directory string) error {
	return filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // what a test has made unreadable or is gone holds nothing of ours
		}
		content, err := os.ReadFile(path)
		if err == nil {
			s.Text("file", filepath.Base(path), content, BankAccount)
		}
		return nil
	})
}
