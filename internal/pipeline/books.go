package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/artifact"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/internal/schedule"
	"github.com/ledgerport/ledgerport/ledger"
)

// inputs are everything that decides the bytes of an artifact. They are recorded when the run begins; a resumed run
// renders from the record, whatever has become of the resources meanwhile.
type inputs struct {
	Exporter        v1alpha1.ExporterSpec        `json:"exporter"`
	Chart           v1alpha1.ChartOfAccountsSpec `json:"chart"`
	ChartName       string                       `json:"chartName"`
	ChartGeneration int64                        `json:"chartGeneration"`
	Posting         v1alpha1.PostingPolicy       `json:"posting"`
	TimeZone        string                       `json:"timeZone"`
	CreatedAt       time.Time                    `json:"createdAt"`
	Cutoff          time.Time                    `json:"cutoff"`
	// Claims says which claims the export is for; nil for all. NamedClaims are the only ones of the run; empty for all.
	Claims      *v1alpha1.ClaimSelection `json:"claims,omitempty"`
	NamedClaims []string                 `json:"namedClaims,omitempty"`
	// Receipts says what becomes of those of the claims; empty for nothing.
	Receipts v1alpha1.ReceiptPolicy `json:"receipts,omitempty"`
	// Approval reports whether what is rendered has to be approved; empty if not.
	Approval v1alpha1.ApprovalPolicy `json:"approval,omitempty"`
	// Reverses is the run that a reversal reverses; nil for an export.
	Reverses *artifact.Reversed `json:"reverses,omitempty"`
	// ProgramVersion is in some formats; a newer operator that resumes the run writes the one that began it.
	ProgramVersion string `json:"programVersion"`
	// Source is the ClaimSource that admitted the export, as namespace/name.
	Source string `json:"source"`
	// Destination is the location that the run delivers to. It is no input of the bytes, but part of the artifact may be
	// there already when the run is resumed.
	Destination string `json:"destination"`
	// Place and Marker say which destination that is; empty of runs that were begun before they were recorded, and the marker of
	// a destination that has none.
	Place  string `json:"destinationPlace,omitempty"`
	Marker string `json:"destinationMarker,omitempty"`
}

// mostEntries bounds each list of a recorded chart.
const mostEntries = 10000

// maxPlainText bounds a text in the inputs that is shown to people, in bytes.
const maxPlainText = 4096

// inputsOf reads the inputs that are recorded of a run. The record is a tenant's to write: it is in its own database. What is wrong
// in it ends the attempt with RecordInvalid before anything comes of it.
func inputsOf(run claims.Run) (recorded inputs, err error) {
	if err := run.ReadInputs(&recorded); err != nil {
		return recorded, err
	}
	if chart := &recorded.Chart; max(len(chart.Accounts), len(chart.TaxCodes), len(chart.Rules), len(chart.Offsets)) > mostEntries {
		return recorded, claims.RecordInvalid("runs", run.ID, errors.New("a list in the chart of inputs is too long"))
	}
	for field, text := range map[string]string{
		"source": recorded.Source, "destination": recorded.Destination, "destinationPlace": recorded.Place, "destinationMarker": recorded.Marker,
		"programVersion": recorded.ProgramVersion, "chartName": recorded.ChartName, "exporter.type": recorded.Exporter.Type, "timeZone": recorded.TimeZone,
	} {
		if len(text) > maxPlainText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return recorded, claims.RecordInvalid("runs", run.ID, fmt.Errorf("%s of inputs is not plain text", field))
		}
	}
	return recorded, nil
}

// books are inputs, and what is compiled of them.
type books struct {
	inputs
	recalled bool // the inputs are those that are recorded
	location *time.Location
	exporter exporters.Exporter
	mapper   *ledger.Mapper
	// selection is that of the export's expression.
	selection ledger.Selection
}

// compile makes books of a run in a namespace from inputs.
func compile(resolver *references.Resolver, namespace string, from inputs, series string) (books, error) {
	exporter, err := resolver.Exporter(namespace, from.Exporter)
	if err != nil {
		return books{}, err
	}
	if from.Reverses == nil { // a reversal has no receipts
		if err := references.ReceiptsWith(exporter, references.Options(from.Exporter), from.Receipts); err != nil {
			return books{}, err
		}
	}
	location, err := schedule.LoadZone(from.TimeZone)
	if err != nil {
		return books{}, failure.Stalled(v1alpha1.ReasonInvalidTimeZone, err, "spec.timeZone: %s", err)
	}
	mapper, err := references.Mapper(&from.Chart, ledger.VoucherPolicy{
		Series: series, Posting: from.Posting, Location: location, Cutoff: from.Cutoff,
	})
	if err != nil {
		return books{}, err
	}
	selection, err := references.Selection(from.Claims)
	if err != nil {
		return books{}, err
	}
	return books{inputs: from, location: location, exporter: exporter, mapper: mapper, selection: selection}, nil
}

// selected narrows the claims that are read from the database.
func (from *inputs) selected() claims.Selection {
	selection := claims.Selection{IDs: from.NamedClaims, Receipts: from.Receipts != ""}
	if from.Claims != nil {
		selection.Expression = from.Claims.Expression
		if from.Claims.ApprovedFrom != nil {
			selection.ApprovedFrom = from.Claims.ApprovedFrom.Time
		}
	}
	return selection
}

// recall compiles the inputs that are recorded of a run.
func recall(resolver *references.Resolver, run claims.Run) (books, error) {
	recorded, err := inputsOf(run)
	if err != nil {
		return books{}, err
	}
	b, err := compile(resolver, run.Namespace, recorded, run.Series)
	if err != nil {
		return books{}, inputsRefused(err)
	}
	b.recalled = true
	return b, nil
}

// inputsRefused is the failure of a run whose recorded inputs are refused by this operator, though the one that began the run took
// them. Changing the resources cannot help, because the run renders from the record.
func inputsRefused(err error) error {
	var refused *failure.Error
	if !errors.As(err, &refused) || !refused.Stalled {
		return err
	}
	return failure.Condition(refused.Condition).Stalled(v1alpha1.ReasonInputsRefused, err,
		"this operator refuses what an earlier version recorded when the run began: %s; cancel the run to give its claims back, or resume it with the version that began it", refused.Message)
}

// optionsRefused makes inputsRefused of the refusal of options that are recorded.
func (b *books) optionsRefused(err error) error {
	var option *exporters.OptionError
	if b.recalled && errors.As(err, &option) {
		return inputsRefused(err)
	}
	return err
}

// sends reports whether the exporter sends vouchers to an accounting system.
func (b *books) sends() bool {
	_, sends := b.exporter.(exporters.Submitter)
	return sends
}
