package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
	"github.com/ledgerport/ledgerport/test/standins"
)

const samples = "config/samples"

// demo is what has been started so far.
type demo struct {
	directory    string
	claims       int
	exporter     string // empty: the first few samples
	assets       string
	controlPlane *environment.ControlPlane
	postgres     *environment.Postgres
	objects      []*unstructured.Unstructured
	standIns     []standins.StandIn
	client       client.Client
	operator     *environment.Operator
}

func (d *demo) startControlPlane(ctx context.Context) (err error) {
	if d.assets, err = environment.ControlPlaneAssets(ctx, os.Stdout); err != nil {
		return err
	}
	if d.controlPlane, err = environment.StartControlPlane(ctx, d.assets, os.Stdout); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	d.client, err = client.New(d.controlPlane.Config, client.Options{Scheme: scheme})
	return err
}

func (d *demo) startPostgres(ctx context.Context) (err error) {
	d.postgres, err = environment.StartPostgres(ctx, filepath.Join(d.directory, "postgres"), os.Stdout)
	return err
}

func (d *demo) readSamples(context.Context) (err error) {
	if d.objects, err = readObjects(samples, d.exporter); err != nil {
		return err
	}
	for _, export := range d.ofKind("AccountingExport") {
		if err := d.standIn(export); err != nil {
			return err
		}
	}
	return nil
}

// standIn starts what stands in for an export's accounting system, if there is something, and lets the export reach it.
func (d *demo) standIn(export *unstructured.Unstructured) error {
	exporter, _, _ := unstructured.NestedString(export.Object, "spec", "exporter", "type")
	standIn, found := standins.Start(exporter)
	if !found {
		return nil
	}
	d.standIns = append(d.standIns, standIn)
	for name, value := range standIn.Options {
		if err := unstructured.SetNestedField(export.Object, value, "spec", "exporter", "options", name); err != nil {
			return err
		}
	}
	secret, _, _ := unstructured.NestedString(export.Object, "spec", "credentials", "secretRef", "name")
	for _, object := range d.ofKind("Secret") {
		if object.GetNamespace() != export.GetNamespace() || object.GetName() != secret {
			continue
		}
		for key, value := range standIn.Credentials {
			if err := unstructured.SetNestedField(object.Object, value, "stringData", key); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillDatabase makes claims for every organisation that the samples export.
func (d *demo) fillDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, d.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // a connection of its own; nothing is pending
	if err := application.CreateTables(ctx, conn); err != nil {
		return err
	}
	filled := map[string]bool{}
	for seed, export := range d.ofKind("AccountingExport") {
		organization, _, err := unstructured.NestedString(export.Object, "spec", "organizationID")
		if err != nil {
			return err
		}
		if filled[organization] {
			continue // another book of the same claims
		}
		filled[organization] = true
		currency, everyKind := d.booksOf(export)
		made, err := application.Fill(ctx, conn, application.Content{
			OrganizationID: organization, Claims: d.claims, Seed: uint64(seed) + 1,
			ApprovedFrom: time.Now().Add(-40 * 24 * time.Hour), ApprovedTo: time.Now().Add(-time.Hour),
			Currency: currency, ForeignEvery: 20, UnmappedEvery: 100, EveryKind: everyKind,
		})
		if err != nil {
			return err
		}
		fmt.Printf("    %s: %+v\n", organization, made)
	}
	return nil
}

// booksOf returns the currency of the books that an export is for, and whether they have accounts for what others than the claimant
// have paid.
func (d *demo) booksOf(export *unstructured.Unstructured) (currency string, everyKind bool) {
	name, _, _ := unstructured.NestedString(export.Object, "spec", "chartOfAccountsRef", "name")
	for _, chart := range d.ofKind("ChartOfAccounts") {
		if chart.GetNamespace() == export.GetNamespace() && chart.GetName() == name {
			currency, _, _ := unstructured.NestedString(chart.Object, "spec", "currency")
			_, everyKind, _ := unstructured.NestedSlice(chart.Object, "spec", "offsets")
			return currency, everyKind
		}
	}
	return "", false // the operator will say that there is no chart
}

func (d *demo) ofKind(kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range d.objects {
		if object.GetKind() == kind {
			found = append(found, object)
		}
	}
	return found
}

func (d *demo) startOperator(ctx context.Context) (err error) {
	d.operator, err = environment.StartOperator(ctx, d.controlPlane, d.directory)
	return err
}

// applySamples applies every sample; the Secret with the connection URL gets that of the PostgreSQL just started.
func (d *demo) applySamples(ctx context.Context) error {
	for _, object := range d.objects {
		if _, isURL, _ := unstructured.NestedString(object.Object, "stringData", "url"); object.GetKind() == "Secret" && isURL {
			if err := unstructured.SetNestedField(object.Object, d.postgres.URL, "stringData", "url"); err != nil {
				return err
			}
		}
		if err := apply(ctx, d.client, object.DeepCopy()); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) waitUntilReady(ctx context.Context) error {
	return d.eventually(ctx, func(export *v1alpha1.AccountingExport) (bool, string) {
		for _, condition := range export.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady {
				return condition.Status == "True", condition.Reason + ": " + condition.Message
			}
		}
		return false, "it has no condition Ready yet"
	})
}

func (d *demo) runExports(ctx context.Context) error {
	requested := time.Now().Format(time.RFC3339Nano)
	for _, object := range d.ofKind("AccountingExport") {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, requested)
		if err := d.client.Patch(ctx, object.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			return err
		}
	}
	return d.eventually(ctx, func(export *v1alpha1.AccountingExport) (bool, string) {
		last := export.Status.LastRun
		if last == nil {
			return false, "it has no run yet"
		}
		return last.Phase == v1alpha1.RunSucceeded, fmt.Sprintf("its run %s is %s (%s)", last.Name, last.Phase, last.Reason)
	})
}

// lookForLeaks fails where the operator has written something that nobody is to see.
func (d *demo) lookForLeaks(ctx context.Context) error {
	scan := leaks.New()
	log, err := os.ReadFile(d.operator.LogPath)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, d.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // only read
	err = errors.Join(scan.PlantPassword("the database", d.postgres.URL), scan.Objects(ctx, d.client), scan.Records(ctx, conn))
	if err := errors.Join(err, scan.Files(d.operator.Exports)); err != nil {
		return err
	}
	lines := scan.Lines("log line", "", log)
	fmt.Printf("    %d log lines, %d objects, %d records, %d files\n", lines, scan.Looked("object"), scan.Looked("record"), scan.Looked("file"))
	if found := scan.Found(); len(found) > 0 {
		return fmt.Errorf("what nobody is to see was written:\n%s", strings.Join(found, "\n"))
	}
	return nil
}

// eventually waits until every export is as it should be, and else says which is not, and why.
func (d *demo) eventually(ctx context.Context, check func(*v1alpha1.AccountingExport) (bool, string)) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		why, err := d.whichIsNot(ctx, check)
		if err != nil {
			return err
		}
		if why == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %s; the operator's log is:\n%s", patience, why, d.tailOfLog())
		case <-tick.C:
		}
	}
}

func (d *demo) whichIsNot(ctx context.Context, check func(*v1alpha1.AccountingExport) (bool, string)) (string, error) {
	var exports v1alpha1.AccountingExportList
	if err := d.client.List(ctx, &exports); err != nil && ctx.Err() == nil {
		return "", err
	}
	if len(exports.Items) == 0 {
		return "there is no AccountingExport", nil
	}
	for i := range exports.Items {
		if done, why := check(&exports.Items[i]); !done {
			return fmt.Sprintf("AccountingExport %s/%s: %s", exports.Items[i].Namespace, exports.Items[i].Name, why), nil
		}
	}
	return "", nil
}

func (d *demo) tailOfLog() string {
	const most = 4000
	content, err := os.ReadFile(d.operator.LogPath)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-most):])
}

// stop ends what was started, in the opposite order.
func (d *demo) stop() {
	if d.operator != nil {
		_ = d.operator.Stop() // how it ends says nothing about what was shown
	}
	if d.postgres != nil {
		d.postgres.Stop()
	}
	if d.controlPlane != nil {
		d.controlPlane.Stop()
	}
	for _, standIn := range d.standIns {
		standIn.Stop()
	}
}
