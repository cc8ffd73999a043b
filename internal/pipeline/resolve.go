package pipeline

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/references"
)

// cluster is what an attempt reads from the cluster of its export, beside what other runs have seen of the ledger (CheckLedger) and
// labels of namespaces. Each is read once, when it is first asked for, and comes with what is wrong with it; what that means is for
// the walk to say. Only whether the run is still admitted is asked again, by admitted.
type cluster struct {
	export *v1alpha1.AccountingExport
	moved  bool                         // the export names another source by now
	named  v1alpha1.NamespacedReference // is the destination that a run that begins now delivers to, if the run has begun before
	// chart is the ChartOfAccounts.
	chart func() (*v1alpha1.ChartOfAccounts, error)
	// source and destination come with an error even if they exist and do not admit the export's namespace.
	source      func() (*v1alpha1.ClaimSource, error)
	destination func() (*v1alpha1.ExportDestination, error)
	// credentials are the accounting system's, sourceLogin and destinationLogin what the other two are opened with.
	credentials, sourceLogin, destinationLogin func() (credentials.Credentials, error)
	// receiptsLogin is what the store of the receipts is opened with.
	receiptsLogin func() (credentials.Credentials, error)
}

// resolve finds the export, and what it refers to from there. The source is that of the run, which may hold claims there, whatever
// the export names by now.
func (a *attempt) resolve(ctx context.Context) error {
	export, err := a.Resolver.Export(ctx, a.task.Namespace, a.task.Export)
	if err != nil {
		return err
	}
	c := &a.cluster
	c.export = export
	export.Spec.Book = cmp.Or(export.Spec.Book, claims.MainBook) // the API server may have an older definition
	if a.task.Source.Name != "" {
		named := references.SourceKey(export)
		export.Spec.SourceRef = a.task.Source
		c.moved = named != references.SourceKey(export)
	}
	if a.task.Destination.Name != "" {
		export.Spec.DestinationRef = a.task.Destination
	}
	if a.task.BeganWith.Name != "" {
		c.named, export.Spec.DestinationRef = export.Spec.DestinationRef, a.task.BeganWith
	}
	c.chart = sync.OnceValues(func() (*v1alpha1.ChartOfAccounts, error) { return a.Resolver.Chart(ctx, export) })
	c.source = sync.OnceValues(func() (*v1alpha1.ClaimSource, error) { return a.sourceOf(ctx, export.Spec.OrganizationID) })
	c.destination = sync.OnceValues(func() (*v1alpha1.ExportDestination, error) { return a.destinationOf(ctx) })
	c.credentials = sync.OnceValues(func() (credentials.Credentials, error) { return a.Resolver.Credentials(ctx, export) })
	c.sourceLogin = sync.OnceValues(func() (login credentials.Credentials, err error) {
		source, denied := c.source()
		if source == nil {
			return login, denied
		}
		login, err = a.Resolver.SourceCredentials(ctx, source)
		return login, a.ofSource(err)
	})
	c.receiptsLogin = sync.OnceValues(func() (login credentials.Credentials, err error) {
		source, denied := c.source()
		if source == nil {
			return login, denied
		}
		login, err = a.Resolver.ReceiptCredentials(ctx, source)
		return login, a.ofSource(err)
	})
	c.destinationLogin = sync.OnceValues(func() (login credentials.Credentials, err error) {
		destination, denied := c.destination()
		if destination == nil {
			return login, denied
		}
		login, err = a.Resolver.DestinationCredentials(ctx, destination)
		return login, a.ofDestination(err)
	})
	return nil
}

// ready makes sure, in the first moment of a run and before anything is connected to, that all that it logs in with exists.
func (c *cluster) ready() error {
	if _, err := c.credentials(); err != nil {
		return err
	}
	if _, err := c.source(); err != nil {
		return err
	}
	if _, err := c.sourceLogin(); err != nil {
		return err
	}
	if _, err := c.destination(); err != nil {
		return err
	}
	if _, err := c.destinationLogin(); err != nil {
		return err
	}
	if policy := c.export.Spec.Receipts; policy == "" || policy == v1alpha1.IgnoreReceipts {
		return nil
	}
	_, err := c.receiptsLogin()
	return err
}

// sourceOf reads the source of the run, and whether it admits the export's namespace to an organisation.
func (a *attempt) sourceOf(ctx context.Context, organizationID string) (*v1alpha1.ClaimSource, error) {
	source, err := a.Resolver.Source(ctx, a.cluster.export, organizationID)
	if a.cluster.moved && err != nil && failure.From(err).Reason == v1alpha1.ReasonSourceNotFound {
		return nil, failure.OnSource.Transient(v1alpha1.ReasonSourceNotFound, err,
			"the run is recorded in the database of ClaimSource %s, which does not exist; create it again until the run has ended, whichever the export names now",
			references.SourceKey(a.cluster.export))
	}
	return source, err
}

// destinationOf reads the destination that the run has begun with, and whether it admits the export's namespace. If it does not exist any
// more it may have been renamed: then it is the one that is named now. What is recorded of the run decides whether that is the same.
func (a *attempt) destinationOf(ctx context.Context) (*v1alpha1.ExportDestination, error) {
	c := &a.cluster
	destination, err := a.Resolver.Destination(ctx, c.export)
	if c.named.Name == "" || err == nil || failure.From(err).Reason != v1alpha1.ReasonDestinationNotFound {
		return destination, err
	}
	c.export.Spec.DestinationRef, c.named = c.named, v1alpha1.NamespacedReference{}
	return a.Resolver.Destination(ctx, c.export)
}

// admitted asks again whether the source admits the namespace to the organisation of the run, and the destination to its files,
// just before claims are bound, files of a preview put, or a run taken up for another organisation than the export names: labels and rules may have changed since the attempt began, and the export may name
// another organisation by now than the recorded run.
func (a *attempt) admitted(ctx context.Context) error {
	if _, err := a.sourceOf(ctx, a.run.OrganizationID); err != nil {
		return err
	}
	_, err := a.Resolver.Destination(ctx, a.cluster.export)
	return err
}

// openDatabase connects to the database of a source that admits the run.
func (a *attempt) openDatabase(ctx context.Context) error {
	if _, err := a.cluster.source(); err != nil {
		return err
	}
	return a.reopenDatabase(ctx)
}

// reopenDatabase connects to the database of the source, whether or not it still admits the run.
func (a *attempt) reopenDatabase(ctx context.Context) error {
	login, err := a.cluster.sourceLogin()
	if err != nil {
		return err
	}
	source, _ := a.cluster.source() // it exists, or there would be no login
	connect := a.Resolver.OpenForRun
	if a.reads {
		connect = a.Resolver.OpenToRead
	}
	a.database, err = connect(ctx, source, login)
	return a.ofSource(err)
}

// openDestination opens a destination that admits the run.
func (a *attempt) openDestination(ctx context.Context) error {
	if _, err := a.cluster.destination(); err != nil {
		return err
	}
	return a.reopenDestination(ctx)
}

// reopenDestination opens the destination, whether or not it still admits the run.
func (a *attempt) reopenDestination(ctx context.Context) error {
	login, err := a.cluster.destinationLogin()
	if err != nil {
		return err
	}
	destination, _ := a.cluster.destination() // it exists, or there would be no login
	a.destination, err = a.Resolver.OpenDestination(ctx, destination, login)
	return a.ofDestination(err)
}

// discreet leaves out of an error what the export's namespace is not to know of a source or a destination in another.
func (a *attempt) discreet(err error) error {
	var failed *failure.Error
	if a.cluster.export == nil || !errors.As(err, &failed) {
		return err
	}
	switch failed.Condition {
	case v1alpha1.ConditionSourceReady:
		return a.ofSource(err)
	case v1alpha1.ConditionDestinationReady:
		return a.ofDestination(err)
	}
	return err
}

func (a *attempt) ofSource(err error) error {
	return a.of(err, v1alpha1.ConditionSourceReady, "ClaimSource", references.SourceKey(a.cluster.export))
}

func (a *attempt) ofDestination(err error) error {
	return a.of(err, v1alpha1.ConditionDestinationReady, "ExportDestination", references.DestinationKey(a.cluster.export))
}

// of blames an object for an error, also for one of the credentials that it is opened with: those on CredentialsReady are the export's own.
func (a *attempt) of(err error, condition, kind string, object types.NamespacedName) error {
	var failed *failure.Error
	if errors.As(err, &failed) && failed.Condition == v1alpha1.ConditionCredentialsReady {
		blamed := *failed
		blamed.Condition = condition
		err = &blamed
	}
	if a.Candid {
		return err
	}
	return references.Discreet(err, kind, object, a.task.Namespace)
}
