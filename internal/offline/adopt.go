package offline

import (
	"context"
	"fmt"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// Adopting says for which export claims are adopted, and where that is recorded.
type Adopting struct {
	Registry *exporters.Registry
	// DatabaseURL of the application's database.
	DatabaseURL string
	// Databases are what the connection may do without.
	Databases claims.Allowances
	// Export is the name of the export, as NAME or NAMESPACE/NAME; empty is the only one in the files.
	Export string
	// Holder names the process.
	Holder string
	DryRun bool
}

// Adopt records the claims of a CSV file as exported to the book of an export, which it returns, too. The resources must be valid.
func (v *Validation) Adopt(ctx context.Context, a Adopting, name string, file io.Reader) (claims.Adopted, *v1alpha1.AccountingExport, error) {
	var adopted claims.Adopted
	export, err := v.recording(ctx, a, func(database *claims.Database, export *v1alpha1.AccountingExport) error {
		rows, err := readBooked(name, file)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		adopted, err = database.Adopt(ctx, claims.Adoption{
			Namespace: export.Namespace, Export: export.Name, OrganizationID: export.Spec.OrganizationID, Book: export.Spec.Book,
			Holder: a.Holder, Claims: rows, DryRun: a.DryRun,
		})
		return err
	})
	return adopted, export, err
}

// ReverseAdoption frees the claims of a run that adopted them, and returns the reversal.
func (v *Validation) ReverseAdoption(ctx context.Context, a Adopting, run string) (reversal claims.Run, err error) {
	_, err = v.recording(ctx, a, func(database *claims.Database, export *v1alpha1.AccountingExport) error {
		reversal, err = database.ReverseAdoption(ctx, claims.RunIdentity{Namespace: export.Namespace, OrganizationID: export.Spec.OrganizationID}, run, a.Holder)
		return err
	})
	return reversal, err
}

// recording opens the database of an export, if its ledger is where it belongs.
func (v *Validation) recording(ctx context.Context, a Adopting, do func(*claims.Database, *v1alpha1.AccountingExport) error) (*v1alpha1.AccountingExport, error) {
	found := v.named(a.Export)
	if len(found) != 1 {
		return nil, fmt.Errorf("there are %d such AccountingExports in the files, and one is needed; name it with --export", len(found))
	}
	export := found[0]
	if err := v.prepare(ctx, export, a.DatabaseURL); err != nil {
		return nil, err
	}
	resolver, err := v.resolver(a.Registry, a.Databases)
	if err != nil {
		return nil, err
	}
	source, err := resolver.Source(ctx, export, export.Spec.OrganizationID)
	if err != nil {
		return nil, err
	}
	login, err := resolver.SourceCredentials(ctx, source)
	if err != nil {
		return nil, err
	}
	database, err := resolver.OpenDatabase(ctx, source, login)
	if err != nil {
		return nil, err
	}
	defer database.Close()
	if _, err := resolver.CheckLedger(ctx, database, source, export); err != nil {
		return nil, err
	}
	return export, do(database, export)
}
