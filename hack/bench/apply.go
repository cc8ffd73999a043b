package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
)

// applyResult is one line of output.
type applyResult struct {
	Bench      string  `json:"bench"`
	Exporter   string  `json:"exporter"`
	Exports    int     `json:"exports"`
	Claims     int     `json:"claims"` // of each export
	P50        float64 `json:"p50Seconds"`
	Max        float64 `json:"maxSeconds"`
	PeakRSSMiB float64 `json:"operatorPeakRSSMiB"`
}

// measureApply measures, one export after another, the time from applying it to its run's success, against a real
// operator process. Each export is due as it is applied, and is of an organisation of its own.
func measureApply(ctx context.Context, directory, database string, claims, exports int) error {
	assets, err := environment.ControlPlaneAssets(ctx, os.Stderr)
	if err != nil {
		return err
	}
	controlPlane, err := environment.StartControlPlane(ctx, assets, os.Stderr)
	if err != nil {
		return err
	}
	defer controlPlane.Stop()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	api, err := client.NewWithWatch(controlPlane.Config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := fillOrganizations(ctx, database, claims, exports); err != nil {
		return err
	}
	operator, err := environment.StartOperator(ctx, controlPlane, directory)
	if err != nil {
		return err
	}
	took, err := applyAll(ctx, api, database, claims, exports)
	peak, peakErr := operator.PeakRSS()
	if err := errors.Join(err, peakErr, operator.Stop()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(applyResult{
		Bench: "apply", Exporter: withoutOptions().Type(), Exports: exports, Claims: claims,
		P50: round(took[len(took)/2]), Max: round(took[len(took)-1]), PeakRSSMiB: round(float64(peak) / (1 << 20)),
	})
}

// withoutOptions returns the first exporter that writes files and needs no options.
func withoutOptions() exporters.Exporter { return taking(nil) }

// taking returns the first exporter that writes files and takes these options.
func taking(options []byte) exporters.Exporter {
	for _, exporter := range builtin.Exporters() {
		if _, online := exporter.(exporters.NeedsCredentials); !online && exporter.Validate(options) == nil {
			return exporter
		}
	}
	panic("no exporter takes the options " + string(options)) // the list is constant
}

func organizationNumber(i int) string { return fmt.Sprintf("3f2c9a1e-0000-4000-8000-%012d", i) }

func fillOrganizations(ctx context.Context, url string, claims, exports int) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // a connection of its own; nothing is pending
	if err := application.CreateTables(ctx, conn); err != nil {
		return err
	}
	for i := range exports + 1 {
		_, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organizationNumber(i), Claims: claims, Seed: uint64(i) + 1, // #nosec G115 -- counts from 0
			ApprovedFrom: time.Now().Add(-40 * 24 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// applyAll applies what all exports share, waits until it is ready, and then each export. It returns seconds, sorted.
func applyAll(ctx context.Context, api client.WithWatch, url string, claims, exports int) ([]float64, error) {
	objects := shared(metav1.NamespaceDefault, url)
	for _, object := range objects {
		if err := api.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	var took []float64
	for i := range exports + 1 {
		export := dueExport(metav1.NamespaceDefault, fmt.Sprintf("export-%d", i), organizationNumber(i))
		start := time.Now()
		if err := api.Create(ctx, export); err != nil {
			return nil, err
		}
		if err := untilSucceeded(ctx, api, export, claims); err != nil {
			return nil, err
		}
		if i > 0 { // the first one waits for what all share to be checked
			took = append(took, time.Since(start).Seconds())
		}
	}
	slices.Sort(took)
	return took, nil
}

func shared(namespace, url string) []client.Object {
	spec := chart(false)
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "bench"}
	return []client.Object{
		&corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"url": url}},
		&v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
			ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: "bench", Key: "url"},
		}}},
		&v1alpha1.ChartOfAccounts{ObjectMeta: meta, Spec: spec},
		&v1alpha1.ExportDestination{ObjectMeta: meta, Spec: v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "bench"}}},
	}
}

func dueExport(namespace, name, organization string) *v1alpha1.AccountingExport {
	return &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{v1alpha1.RequestedAtAnnotation: "now"}},
		Spec: v1alpha1.AccountingExportSpec{
			OrganizationID: organization, SourceRef: v1alpha1.NamespacedReference{Name: "bench"},
			ChartOfAccountsRef: v1alpha1.LocalReference{Name: "bench"}, DestinationRef: v1alpha1.NamespacedReference{Name: "bench"},
			Exporter: v1alpha1.ExporterSpec{Type: withoutOptions().Type()},
		},
	}
}

func untilSucceeded(ctx context.Context, api client.WithWatch, export *v1alpha1.AccountingExport, claims int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	changes, err := api.Watch(ctx, &v1alpha1.AccountingExportList{}, client.InNamespace(export.Namespace), client.MatchingFields{"metadata.name": export.Name})
	if err != nil {
		return err
	}
	defer changes.Stop()
	for change := range changes.ResultChan() {
		seen, ok := change.Object.(*v1alpha1.AccountingExport)
		if !ok || change.Type == watch.Deleted || seen.Status.LastRun == nil {
			continue
		}
		if last := seen.Status.LastRun; last.Phase == v1alpha1.RunSucceeded && last.Claims == int64(claims) {
			return nil
		} else if last.Phase.Finished() {
			return fmt.Errorf("%s is %s: %s", last.Name, last.Phase, last.Reason)
		}
	}
	return fmt.Errorf("AccountingExport %s did not succeed: %w", export.Name, ctx.Err())
}
