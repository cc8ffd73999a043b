package offline

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/references"
)

// Rendering says what is to be rendered, and as which run: bytes depend on its names and times.
type Rendering struct {
	Registry *exporters.Registry
	// DatabaseURL of the application's database.
	DatabaseURL string
	// Databases are what the connection may do without.
	Databases claims.Allowances
	// Destinations take the files, whatever an ExportDestination says.
	Destinations *destinations.Registry
	// Export is the name of one export, as NAME or NAMESPACE/NAME; empty is all of them.
	Export string
	// RunName and RunUID of the run that would be. The name of a scheduled run is <export>-<slot in unix minutes>.
	RunName, RunUID string
	// Cutoff: claims approved before it. CreatedAt is when the run would be created.
	Cutoff, CreatedAt time.Time
	// Limit of claims; 0 is none.
	Limit int64
	// ProgramVersion is in some formats.
	ProgramVersion string
	// Witness is told what is made of the claims; nil where nobody asks.
	Witness pipeline.Witness
}

// secretName is that of a Secret that exists in memory alone.
const secretName = "ledgerport-render"

// Rendered is what the next run of an export would deliver, and what it would hold.
type Rendered struct {
	pipeline.Outcome
	// HeldFor are the reasons for which claims are held, those of most claims first.
	HeldFor []HeldFor
}

// Render writes what the next run of each export would deliver, and reserves nothing. It returns what was rendered by NAMESPACE/NAME,
// without the export that failed. The resources must be valid.
func (v *Validation) Render(ctx context.Context, r Rendering) (map[string]Rendered, error) {
	resolver, err := v.resolver(r.Registry, r.Databases)
	if err != nil {
		return nil, err
	}
	resolver.Destinations = r.Destinations
	p := &pipeline.Pipeline{Resolver: resolver, Holder: "render", Program: "Ledgerport", ProgramVersion: r.ProgramVersion, Candid: true}
	outcomes := map[string]Rendered{}
	for _, export := range v.named(r.Export) {
		name := export.Namespace + "/" + export.Name
		if err := v.prepare(ctx, export, r.DatabaseURL); err != nil {
			return outcomes, fmt.Errorf("%s: %w", name, err)
		}
		run := r.RunName
		if run == "" {
			run = export.Name
		}
		tally := &tally{next: r.Witness}
		p.Witness = tally
		outcome, err := p.Run(ctx, pipeline.Task{
			Type: v1alpha1.RunPreview, RunID: r.RunUID, Namespace: export.Namespace, Name: run, Export: export.Name,
			Cutoff: r.Cutoff, CreatedAt: r.CreatedAt, Deadline: 24 * time.Hour, Limit: r.Limit,
		}, &pipeline.Progress{})
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", name, err)
		}
		outcomes[name] = Rendered{Outcome: outcome, HeldFor: tally.reasons()}
	}
	if len(outcomes) == 0 {
		return nil, errors.New("there is no such AccountingExport in the files")
	}
	return outcomes, nil
}

// named returns the exports of a name, as NAME or NAMESPACE/NAME; all of them if it is empty.
func (v *Validation) named(name string) (exports []*v1alpha1.AccountingExport) {
	for _, export := range v.Exports {
		if name == "" || name == export.Name || name == export.Namespace+"/"+export.Name {
			exports = append(exports, export)
		}
	}
	return exports
}

// resolver finds resources among the files, and databases at any host: the user who runs the command may reach it.
func (v *Validation) resolver(registry *exporters.Registry, databases claims.Allowances) (*references.Resolver, error) {
	policy, err := outbound.New([]string{outbound.AnyHost, "127.0.0.0/8", "::1/128"})
	return &references.Resolver{Objects: v.Objects, Secrets: credentials.Secrets{API: v.Objects, Given: true}, Outbound: policy, Databases: databases, Exporters: registry}, err
}

// prepare puts the given database and destination in place of those of the cluster. Who has the URL of the database needs no
// access rule.
func (v *Validation) prepare(ctx context.Context, export *v1alpha1.AccountingExport, databaseURL string) error {
	var source v1alpha1.ClaimSource
	if err := v.Objects.Get(ctx, references.SourceKey(export), &source); err != nil {
		return err
	}
	managed := false
	source.Spec.Postgres.ManageSchema = &managed
	source.Spec.Postgres.ConnectionExternalSecretRef = nil
	source.Spec.Postgres.ConnectionSecretRef = &v1alpha1.SecretKeyReference{Name: secretName, Key: "url"}
	source.Spec.Access = []v1alpha1.AccessRule{{OrganizationIDs: []string{export.Spec.OrganizationID}}}
	v.Objects.Put(&source)
	v.Objects.Put(secret(source.Namespace, map[string][]byte{"url": []byte(databaseURL)}))
	destination := &v1alpha1.ExportDestination{Spec: v1alpha1.ExportDestinationSpec{Access: []v1alpha1.DestinationAccessRule{{}}}}
	key := references.DestinationKey(export)
	destination.Namespace, destination.Name = key.Namespace, key.Name
	v.Objects.Put(destination)
	v.Objects.Put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: export.Namespace}})
	v.Objects.Put(export)
	return nil
}

func secret(namespace string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, Data: data}
}
