package pipeline

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/ledger"
)

const (
	manifestName      = "manifest.json"
	manifestMediaType = "application/json"
	// manifestHeld bounds the list of held claims in a manifest; the table ledgerport.held_claims has all of them.
	manifestHeld = 1000
)

// Manifest says what an artifact is and what is in it. It is delivered last: where it is, the artifact is whole.
type Manifest struct {
	Type           v1alpha1.RunType    `json:"type"`
	Run            manifestRun         `json:"run"`
	Reverses       *manifestReversed   `json:"reverses,omitempty"`
	Namespace      string              `json:"namespace"`
	Export         string              `json:"export"`
	OrganizationID string              `json:"organizationID"`
	Cutoff         time.Time           `json:"cutoff"`
	Exporter       manifestExporter    `json:"exporter"`
	Chart          manifestChart       `json:"chartOfAccounts"`
	Claims         int64               `json:"claims"`
	Lines          int64               `json:"lines"`
	Vouchers       []voucherRange      `json:"vouchers"`
	Base           manifestSum         `json:"base"`
	Currencies     []manifestSum       `json:"currencies"`
	Held           []manifestHeldClaim `json:"held"`
	HeldTotal      int64               `json:"heldTotal"`
	Files          []manifestFile      `json:"files"`
	Posting        *manifestPosting    `json:"posting,omitempty"`
}

// manifestPosting says what became of vouchers that were sent to an accounting system. All else in the manifest is about
// those that it accepted.
type manifestPosting struct {
	Posted
	// Requests is what was rendered to be sent, by its hash.
	Requests []manifestFile `json:"requests"`
	// System says where the vouchers are, in the exporter's words.
	System map[string]string `json:"system,omitempty"`
}

type manifestRun struct {
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	CreatedAt time.Time `json:"createdAt"`
}

// manifestReversed is the run that a reversal reverses.
type manifestReversed struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

type manifestExporter struct {
	Type    string `json:"type"`
	Version string `json:"version"`
}

type manifestChart struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
}

// voucherRange is an unbroken range of voucher numbers in one fiscal year: the only one, unless vouchers were rejected.
type voucherRange struct {
	Series     string `json:"series"`
	FiscalYear int    `json:"fiscalYear"`
	First      int64  `json:"first"`
	Last       int64  `json:"last"`
}

// manifestSum is the debit and credit of all vouchers in one currency, and what of it is payable to the claimants: exact
// decimals, the credit without its sign.
type manifestSum struct {
	Currency string `json:"currency"`
	Claims   int64  `json:"claims"`
	Debit    string `json:"debit"`
	Credit   string `json:"credit"`
	Payable  string `json:"payable"`
}

type manifestHeldClaim struct {
	Claim  string            `json:"claim"`
	Reason ledger.HoldReason `json:"reason"`
	Detail string            `json:"detail"`
}

type manifestFile struct {
	Name      string `json:"name"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
}

// manifest describes the artifact in the spool.
func (a *attempt) manifest(r *rendering, files []claims.File) ([]byte, error) {
	m := Manifest{
		Type:           cmp.Or(a.task.Type, v1alpha1.RunExport),
		Reverses:       a.inputs.Reverses,
		Run:            manifestRun{Name: a.task.Name, UID: a.run.ID, CreatedAt: a.inputs.CreatedAt.UTC()},
		Namespace:      a.task.Namespace,
		Export:         a.task.Export,
		OrganizationID: a.run.OrganizationID,
		Cutoff:         a.inputs.Cutoff.UTC(),
		Exporter:       manifestExporter{Type: a.inputs.Exporter.Type, Version: a.exporter.Version()},
		Chart:          manifestChart{Name: a.inputs.ChartName, Generation: a.inputs.ChartGeneration},
		Claims:         r.totals.Claims,
		Lines:          r.totals.Lines,
		Vouchers:       r.ranges,
		Base:           r.sums.base.manifest(),
		Currencies:     []manifestSum{},
		Held:           []manifestHeldClaim{},
		HeldTotal:      r.held,
		Files:          []manifestFile{},
	}
	for _, sum := range r.sums.currencies {
		m.Currencies = append(m.Currencies, sum.manifest())
	}
	for _, hold := range r.holds {
		m.Held = append(m.Held, manifestHeldClaim{Claim: hold.ClaimID, Reason: hold.Reason, Detail: hold.Message})
	}
	for _, file := range files {
		m.Files = append(m.Files, manifestFile(file))
	}
	return m.encode()
}

// sums are debit and credit of what was rendered, in the books' currency and in the claims'.
type sums struct {
	base       sum
	currencies []sum
}

type sum struct {
	currency               ledger.Currency
	claims                 int64
	debit, credit, payable ledger.Amount
}

func (s *sums) add(voucher *ledger.Voucher) error {
	of := s.of(voucher.Currency)
	for i := range voucher.Postings {
		posting := &voucher.Postings[i]
		owed := posting.Kind == ledger.OffsetPosting
		if err := errors.Join(of.post(posting.Amount, owed), s.base.post(posting.BaseAmount, owed)); err != nil {
			return err
		}
	}
	of.claims++
	s.base.claims++
	return nil
}

func (s *sums) of(currency ledger.Currency) *sum {
	at, found := slices.BinarySearchFunc(s.currencies, currency.Code(), func(have sum, code string) int {
		return strings.Compare(have.currency.Code(), code)
	})
	if !found {
		s.currencies = slices.Insert(s.currencies, at, sum{currency: currency})
	}
	return &s.currencies[at]
}

func (s *sum) post(amount ledger.Amount, owed bool) (err error) {
	if owed {
		if s.payable, err = ledger.AddAmounts(s.payable, -amount); err != nil {
			return err
		}
	}
	if amount > 0 {
		s.debit, err = ledger.AddAmounts(s.debit, amount)
	} else {
		s.credit, err = ledger.AddAmounts(s.credit, -amount)
	}
	return err
}

func (s *sum) manifest() manifestSum {
	return manifestSum{
		Currency: s.currency.Code(), Claims: s.claims,
		Debit: s.debit.Decimal(s.currency), Credit: s.credit.Decimal(s.currency), Payable: s.payable.Decimal(s.currency),
	}
}
