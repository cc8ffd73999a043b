package pipeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/ledger"
)

// The documents on record are a tenant's to write: they are in its own database. What is wrong in one ends the attempt with
// RecordInvalid before anything comes of it.

// recordEntries bounds each list of a document: the claims that are held when a manifest is rendered and those that are rejected
// later, the accounts and the rules of a chart.
const recordEntries = 10000

// recordValues bounds the values of a document, well above those of a chart with all that may be in one (500 rules with 200 categories),
// and of a manifest with recordEntries in each list.
const recordValues = 250_000

// maxPlainText bounds a text in the inputs that is shown to people, in bytes.
const maxPlainText = 4096

var (
	oneWord = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	decimal = regexp.MustCompile(`^-?\d{1,19}(\.\d{1,4})?$`)
)

// inputsOf reads the inputs that are on record of a run.
func inputsOf(run claims.Run) (recorded inputs, err error) {
	if err := claims.DecodeRecord(run.Inputs, recordValues, &recorded); err != nil {
		return recorded, claims.RecordInvalid("runs", run.ID, errors.New("inputs cannot be read; was the run begun by a newer operator?"))
	}
	if chart := &recorded.Chart; max(len(chart.Accounts), len(chart.TaxCodes), len(chart.Rules)) > recordEntries {
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

// manifestOf reads the manifest that is on record of a run. Much of it comes into the status of the run.
func manifestOf(run claims.Run) (m Manifest, err error) {
	if err := claims.DecodeRecord(run.Manifest, recordValues, &m); err != nil {
		return m, claims.RecordInvalid("runs", run.ID, errors.New("manifest cannot be read"))
	}
	if problem := m.problem(); problem != "" {
		return m, claims.RecordInvalid("runs", run.ID, fmt.Errorf("manifest: %s", problem))
	}
	return m, nil
}

// problem says what is in a manifest that none has; empty if nothing is.
func (m *Manifest) problem() string {
	if len(m.Held) > recordEntries || len(m.Vouchers) > recordEntries || len(m.Currencies) > recordEntries || len(m.Files) > recordEntries {
		return "a list is too long"
	}
	if m.Claims < 0 || m.Lines < 0 || m.HeldTotal < 0 {
		return "a number is negative"
	}
	for _, sum := range append([]manifestSum{m.Base}, m.Currencies...) {
		if _, err := ledger.ParseCurrency(sum.Currency); err != nil {
			return "a currency does not exist"
		}
		if !decimal.MatchString(sum.Debit) || !decimal.MatchString(sum.Credit) || !decimal.MatchString(sum.Payable) {
			return "a sum is not a decimal number"
		}
	}
	for _, held := range m.Held {
		if !oneWord.MatchString(string(held.Reason)) {
			return "a claim is held for a reason that is not one word"
		}
	}
	if p := m.Posting; p != nil && (min(p.Accepted, p.Rejected, p.Returned) < 0 || p.Unfinished != "" && !oneWord.MatchString(p.Unfinished)) {
		return "posting counts below zero, or has a reason that is not one word"
	}
	return ""
}

// ownRecord insists that a record is of the run of the task.
func (a *attempt) ownRecord() error {
	if own := a.run.RunIdentity; own.Namespace != a.task.Namespace || own.Export != a.task.Export || own.Name != a.task.Name {
		return claims.RecordInvalid("runs", a.run.ID, errors.New("namespace, export and name are not those of the ExportRun with this UID"))
	}
	return nil
}

// ownLocation insists that the location on record is one of the run's own: below the destination that it began with, in its own
// directory.
func (a *attempt) ownLocation() error {
	if a.task.Type == v1alpha1.RunPreview || a.run.Location == "" {
		return nil
	}
	recorded, err := inputsOf(a.run)
	if err != nil {
		return err
	}
	if len(a.run.Files) == 0 || !strings.HasPrefix(a.run.Location, recorded.Destination) ||
		!strings.HasSuffix(a.run.Location, destinations.LocationEnd(a.task.directory()+"/"+a.run.Files[0].Name)) {
		return claims.RecordInvalid("runs", a.run.ID, errors.New("location is not that of the run's first file"))
	}
	return nil
}

// sameDestination insists that the run ends where it began: part of its artifact may be there, and could be imported. It writes
// nothing, and comes before anything is written or removed.
func (a *attempt) sameDestination(ctx context.Context) error {
	if len(a.run.Files) == 0 && a.run.State != claims.StateRendered {
		return nil // nothing is delivered
	}
	recorded, err := inputsOf(a.run)
	if err != nil {
		return err
	}
	began := recorded.Place
	if began == "" {
		began = recorded.Destination
	}
	present := a.destination.Place()
	if recorded.Place == "" {
		present = a.destination.Location("")
	}
	if present != began {
		return changed("the run delivers to %s, where part of it may be already, and the export's destination is now %s; change it back until the run has ended", began, present)
	}
	if recorded.Marker == "" {
		return nil
	}
	switch marker, err := a.destination.Marker(ctx); {
	case err != nil:
		return failure.On(v1alpha1.ConditionDestinationReady, err)
	case marker != recorded.Marker:
		if marker == "" {
			marker = "missing"
		}
		return changed("the run delivers to %s, which had the marker %s when it began, and the marker there is %s: it is another bucket, volume or server of that name. "+
			"Bring the first one back until the run has ended. If what it held is gone for good, write %s to .ledgerport-destination there",
			began, recorded.Marker, marker, recorded.Marker)
	}
	return nil
}

func changed(format string, args ...any) error {
	return onDestination.Transient(v1alpha1.ReasonDestinationChanged, nil, format, args...)
}
