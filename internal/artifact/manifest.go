package artifact

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/nesting"
)

const (
	// ManifestName is the name of the file that is delivered last: if it exists, the artifact is whole.
	ManifestName      = "manifest.json"
	manifestMediaType = "application/json"
	// mostEntries bounds the lists of a manifest: the claims that are held when it is rendered, and those that are rejected later.
	mostEntries = 10000
)

// Manifest says what an artifact is and what is in it.
type Manifest struct {
	Type           v1alpha1.RunType `json:"type"`
	Run            Run              `json:"run"`
	Reverses       *Reversed        `json:"reverses,omitempty"`
	Namespace      string           `json:"namespace"`
	Export         string           `json:"export"`
	OrganizationID string           `json:"organizationID"`
	// Book that the claims were exported to; empty in what was rendered before there were several.
	Book     string    `json:"book,omitempty"`
	Cutoff   time.Time `json:"cutoff"`
	Exporter Exporter  `json:"exporter"`
	Chart    Chart     `json:"chartOfAccounts"`
	Figures
	Files      []File      `json:"files"`
	Submission *Submission `json:"submission,omitempty"`
	Receipts   *Receipts   `json:"receipts,omitempty"`
}

// Receipts say what became of the receipts of the claims. Their names, sizes and hashes are in a file of the artifact.
type Receipts struct {
	Policy v1alpha1.ReceiptPolicy `json:"policy"`
	// Listed by the application. A preview delivers none of them.
	Listed int64 `json:"listed"`
	// Delivered, and listed and not delivered. Bytes are what was delivered.
	Delivered int64 `json:"delivered"`
	Missing   int64 `json:"missing"`
	Bytes     int64 `json:"bytes"`
	// List is the name of the file that lists them; empty of a preview.
	List string `json:"list,omitempty"`
}

// Run is the ExportRun that the artifact is of.
type Run struct {
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	CreatedAt time.Time `json:"createdAt"`
}

// Reversed is the run that a reversal reverses.
type Reversed struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// Exporter is what wrote the files.
type Exporter struct {
	Type    string `json:"type"`
	Version string `json:"version"`
}

// Chart is the ChartOfAccounts that the vouchers were made by.
type Chart struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
}

// Submission says what became of vouchers that were sent to an accounting system. All else in the manifest is about those that
// it accepted.
type Submission struct {
	Submitted
	// Requests is what was rendered to be sent, by its hash.
	Requests []File `json:"requests"`
	// System says where the vouchers are, in the exporter's words.
	System map[string]string `json:"system,omitempty"`
}

// Submitted says what an accounting system took of the vouchers of a run.
type Submitted struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	// Returned vouchers were not sent; their claims went to the next run.
	Returned int64 `json:"returned"`
	// Unfinished is why the run ended before every voucher had an answer and the system had completed them: what its
	// release was for, or that a rejection was to stop it. Empty if the run came to its end.
	Unfinished v1alpha1.Reason `json:"unfinished,omitempty"`
}

// UnmarshalJSON also reads what was recorded before a submission had this name, as "posting".
func (m *Manifest) UnmarshalJSON(document []byte) error {
	type plain Manifest
	read := struct {
		*plain
		Posting *Submission `json:"posting"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(document, &read); err != nil {
		return err
	}
	m.Submission = cmp.Or(m.Submission, read.Posting)
	return nil
}

// manifestValues bounds the values of a manifest, well above those of one with all entries that its lists may have.
const manifestValues = 250_000

// DecodeManifest reads a manifest that anybody may have written, of which nothing is known to be right. One with more values than any that this program
// writes is not decoded: of two bytes each, they would take a hundred in memory.
func DecodeManifest(content []byte) (m Manifest, err error) {
	if nesting.Values(content) > manifestValues {
		return m, fmt.Errorf("the manifest has more than %d values", manifestValues)
	}
	return m, json.Unmarshal(content, &m)
}

// Encode returns the manifest's bytes.
func (m *Manifest) Encode() ([]byte, error) {
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return append(content, '\n'), nil
}

// AddManifest puts a manifest behind the files of the artifact.
func (s *Spool) AddManifest(manifest []byte) error {
	file, err := s.Add(ManifestName, manifestMediaType)
	if err != nil {
		return err
	}
	if _, err := file.Write(manifest); err != nil {
		return err
	}
	return file.Close()
}

var (
	oneWord       = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	errNoCurrency = errors.New("a currency does not exist")
	errNoDecimal  = errors.New("a sum is not a decimal number")
)

// IsInvalid reports whether a document was not decoded because of a sum in it.
func IsInvalid(err error) bool { return errors.Is(err, errNoCurrency) || errors.Is(err, errNoDecimal) }

// Validate returns what is wrong in a manifest that this program has not written: its keeper may have changed it.
func (m *Manifest) Validate() error {
	if max(len(m.Held), len(m.Vouchers), len(m.Currencies), len(m.Files)) > mostEntries {
		return errors.New("a list is too long")
	}
	if m.Claims < 0 || m.Lines < 0 || m.HeldTotal < 0 {
		return errors.New("a number is negative")
	}
	if m.Base.Currency.Code() == "" {
		return errNoCurrency
	}
	if r := m.Receipts; r != nil && min(r.Listed, r.Delivered, r.Missing, r.Bytes) < 0 {
		return errors.New("a number of receipts is negative")
	}
	for _, held := range m.Held {
		if !oneWord.MatchString(string(held.Reason)) {
			return errors.New("a claim is held for a reason that is not one word")
		}
	}
	if p := m.Submission; p != nil && (min(p.Accepted, p.Rejected, p.Returned) < 0 || p.Unfinished != "" && !oneWord.MatchString(p.Unfinished)) {
		return errors.New("submission counts below zero, or has a reason that is not one word")
	}
	return nil
}
