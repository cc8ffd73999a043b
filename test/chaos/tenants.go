package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
)

// tenant is one organisation with exports of its own.
type tenant struct {
	namespace, organization, exporter string
	toStore                           bool
	inbox                             string        // URL of who is told of runs; empty if nobody is
	deadline                          time.Duration // of an attempt
	approval                          string        // the name of the export whose runs need one; empty if none do
	exports                           []string      // their names; they share the organisation's claims and, in one book, its voucher series
}

const (
	exportName = "monthly"
	// payments is an export with a book of its own, and has the name of that.
	payments = "payments"
)

// bookOf returns the book of an export.
func bookOf(export string) string {
	if export == payments {
		return payments
	}
	return claims.MainBook
}

// cardAccount takes what company cards have paid.
const cardAccount = "1730"

// attemptDeadline is that of an attempt of a run.
const attemptDeadline = 10 * time.Second

// owns reports whether an export is one of the tenant's, and not one that was made beside them.
func (t tenant) owns(export string) bool { return slices.Contains(t.exports, export) }

// newTenants returns organisations with every pair of exporter and destination.
func newTenants() []tenant {
	var all []tenant
	for _, exporter := range []string{"csv", "sie"} {
		for _, toStore := range []bool{false, true} {
			n := len(all) + 1
			one := tenant{
				namespace: fmt.Sprintf("tenant-%d", n), organization: fmt.Sprintf("3f2c9a1e-0000-4000-8000-%012d", n),
				exporter: exporter, toStore: toStore, deadline: attemptDeadline, exports: []string{exportName},
			}
			if exporter == "csv" {
				one.exports = append(one.exports, "weekly")
			} else {
				one.exports = append(one.exports, payments)
			}
			all = append(all, one)
		}
	}
	return all
}

// apply creates the resources of every tenant.
func (w *world) apply(ctx context.Context) error {
	database, err := w.databaseURL()
	if err != nil {
		return err
	}
	for _, t := range w.tenants {
		for _, object := range w.resources(t, database) {
			if err := w.api.Create(ctx, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// resources are those of one tenant, for a database.
func (w *world) resources(t tenant, database string) []client.Object {
	meta := metav1.ObjectMeta{Namespace: t.namespace, Name: exportName}
	keys := map[string]string{"url": database, "inbox": inboxKey}
	if t.toStore {
		keys["accessKeyID"], keys["secretAccessKey"] = w.store.AccessKey, w.store.SecretKey
	}
	secret := &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{}}
	for key, value := range keys {
		secret.Data[key] = []byte(value)
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}},
		secret,
		&v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
			ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: exportName, Key: "url"},
		}, Receipts: w.receipts(t)}},
		&v1alpha1.ChartOfAccounts{ObjectMeta: meta, Spec: chart()},
		&v1alpha1.ExportDestination{ObjectMeta: meta, Spec: w.destination(t)},
	}
	for _, name := range t.exports {
		objects = append(objects, t.export(name))
	}
	return objects
}

func (w *world) destination(t tenant) v1alpha1.ExportDestinationSpec {
	if !t.toStore {
		return v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "books"}}
	}
	return v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket, Region: "us-east-1", Endpoint: "http://" + w.toStore.address(), ForcePathStyle: true,
		CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: exportName}},
	}}
}

// export keeps every run, so that resources and database can be compared.
func (t tenant) export(name string) *v1alpha1.AccountingExport {
	export := &v1alpha1.AccountingExport{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: name},
		Spec: v1alpha1.AccountingExportSpec{
			OrganizationID: t.organization, Book: bookOf(name), SourceRef: v1alpha1.NamespacedReference{Name: exportName},
			ChartOfAccountsRef: v1alpha1.LocalReference{Name: exportName}, DestinationRef: v1alpha1.NamespacedReference{Name: exportName},
			Exporter: v1alpha1.ExporterSpec{Type: t.exporter},
			Receipts: v1alpha1.IncludeReceipts,
			Deadline: &metav1.Duration{Duration: t.deadline},
			Retry:    v1alpha1.RetryPolicy{Limit: ptr.To[int32](3), InitialBackoff: &metav1.Duration{Duration: time.Second}},
			History:  v1alpha1.HistoryLimits{Succeeded: ptr.To[int32](1000), Failed: ptr.To[int32](1000)},
		},
	}
	if t.inbox != "" {
		export.Spec.Notify = []v1alpha1.NotificationTarget{{Name: "inbox", Webhook: &v1alpha1.WebhookTarget{
			URL: t.inbox, KeySecretRef: v1alpha1.SecretKeyReference{Name: exportName, Key: "inbox"},
		}}}
	}
	if t.exporter == "sie" {
		options, _ := json.Marshal(map[string]string{"companyName": "Chaos AB"}) // texts can always be written
		export.Spec.Exporter.Options = &runtime.RawExtension{Raw: options}
	}
	return export
}

func chart() v1alpha1.ChartOfAccountsSpec {
	return v1alpha1.ChartOfAccountsSpec{
		Currency: "EUR", FiscalYearStart: "01-01",
		Accounts: []v1alpha1.Account{{Number: "4670", Name: "Travel"}, {Number: "1576", Name: "Input tax"}, {Number: "1740", Name: "Owed to employees"},
			{Number: cardAccount, Name: "Company cards"}, {Number: "1530", Name: "Advances"}},
		TaxCodes: []v1alpha1.TaxCode{{Code: "9", Rate: "19", Account: "1576"}},
		Rules:    []v1alpha1.MappingRule{{Account: "4670", TaxCode: "9"}},
		Offsets:  []v1alpha1.PaidPosting{{Match: v1alpha1.PaymentMatch{PaymentMethods: []string{"company_card"}}, Account: cardAccount, Subledger: v1alpha1.SubledgerPaymentReference}},
		Advances: &v1alpha1.AdvancePosting{Account: "1530", Subledger: v1alpha1.SubledgerClaimant},
		Offset:   v1alpha1.OffsetPosting{Account: "1740", Subledger: v1alpha1.SubledgerClaimant},
		Unmapped: v1alpha1.UnmappedHold,
		Vouchers: v1alpha1.ClaimVouchers{SplitBy: []v1alpha1.VoucherSplit{v1alpha1.SplitByPaymentMethod}},
	}
}

// request asks for a run of one of the tenant's exports.
func (t tenant) request(ctx context.Context, api client.Client, export, value string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, value)
	return api.Patch(ctx, t.export(export), merge(patch))
}

// create creates a run, as somebody whose name is known if its export needs approvals.
func (w *world) create(ctx context.Context, run *v1alpha1.ExportRun) error {
	if !w.needingApproval()[path.Join(run.Namespace, run.Spec.ExportRef.Name)] {
		return w.api.Create(ctx, run)
	}
	run.Annotations = map[string]string{v1alpha1.RequestedByAnnotation: controller}
	return w.people[controller].Create(ctx, run)
}

// reverse asks for the reversal of a run, once.
func (w *world) reverse(ctx context.Context, run *v1alpha1.ExportRun) error {
	return w.create(ctx, &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: "back-" + run.Name},
		Spec: v1alpha1.ExportRunSpec{
			ExportRef: run.Spec.ExportRef, Type: v1alpha1.RunReversal, Reverses: &v1alpha1.RunReference{Name: run.Name},
		},
	})
}

// reverseSome asks for the reversal of some claims of a run, once. They may be reversed already: then it is refused.
func (w *world) reverseSome(ctx context.Context, run *v1alpha1.ExportRun, most int) error {
	conn, err := pgx.Connect(ctx, w.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	ids, err := rows(ctx, conn, fmt.Sprintf(`SELECT claim_id FROM ledgerport.vouchers WHERE run_id = '%s' LIMIT %d`, run.UID, 1+most%5), pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return err
	}
	return w.create(ctx, &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: "some-" + run.Name},
		Spec: v1alpha1.ExportRunSpec{
			ExportRef: run.Spec.ExportRef, Type: v1alpha1.RunReversal, Reverses: &v1alpha1.RunReference{Name: run.Name}, Claims: &v1alpha1.NamedClaims{IDs: ids},
		},
	})
}

// redeliver asks for the artifact of a run to be delivered again, once.
func (w *world) redeliver(ctx context.Context, run *v1alpha1.ExportRun) error {
	return w.api.Create(ctx, &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: "more-" + run.Name},
		Spec:       v1alpha1.ExportRunSpec{ExportRef: run.Spec.ExportRef, Type: v1alpha1.RunRedeliver, Redelivers: &v1alpha1.RunReference{Name: run.Name}},
	})
}

// meddle does what a person might do to a run: cancel or delete one that is under way; delete and apply one that has succeeded, reverse
// it or some of its claims, or have it delivered again; or to its destination, which is edited for a while.
func (w *world) meddle(ctx context.Context, t tenant, what, which int) error {
	var list v1alpha1.ExportRunList
	if err := w.api.List(ctx, &list, client.InNamespace(t.namespace)); err != nil || len(list.Items) == 0 {
		return err
	}
	run := &list.Items[which%len(list.Items)]
	delivered := run.Status.Phase == v1alpha1.RunSucceeded && run.Status.Claims > 0 && run.Spec.Type != v1alpha1.RunRedeliver
	switch {
	case what == 4:
		if err := t.moveDestination(ctx, w.api); err != nil {
			return err
		}
		pause(ctx, time.Duration(which)*time.Millisecond)
		return t.moveDestination(ctx, w.api)
	case what == 0 && !run.Status.Phase.Finished():
		return w.api.Patch(ctx, run, merge(`{"spec": {"cancel": true}}`))
	case what == 1 && !run.Status.Phase.Finished():
		w.deletes(run)
		return client.IgnoreNotFound(w.api.Delete(ctx, run))
	case what == 2 && run.Status.Phase == v1alpha1.RunSucceeded:
		return w.applyAgain(ctx, run)
	case what == 3 && delivered && run.Spec.Type != v1alpha1.RunReversal:
		return w.reverse(ctx, run)
	case what == 5 && delivered && run.Spec.Type != v1alpha1.RunReversal:
		return w.reverseSome(ctx, run, which)
	case what == 6 && delivered:
		return w.redeliver(ctx, run)
	}
	return nil
}

// applyAgain deletes a run, and applies it again: without the names in it, or as a backup has it, if its export needs those.
func (w *world) applyAgain(ctx context.Context, run *v1alpha1.ExportRun) error {
	w.deletes(run)
	if err := w.api.Delete(ctx, run); err != nil {
		return client.IgnoreNotFound(err)
	}
	again := &v1alpha1.ExportRun{ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name}, Spec: run.Spec}
	again.Spec.Cancel = false
	who := w.api
	if w.needingApproval()[path.Join(run.Namespace, run.Spec.ExportRef.Name)] {
		who, again.Annotations = w.people[restorer], run.Annotations
	}
	for ctx.Err() == nil {
		err := who.Create(ctx, again)
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		pause(ctx, 100*time.Millisecond) // its finalizer is not gone yet
	}
	return ctx.Err()
}

// elsewhere is where a tenant's files go after its destination has been edited.
const elsewhere = "elsewhere"

// moveDestination edits where the tenant's files go, to another place or back. Runs that began at one place end there.
func (t tenant) moveDestination(ctx context.Context, api client.Client) error {
	return t.editDestination(ctx, api, func(moved bool) bool { return !moved })
}

// leadsElsewhere is between where a run delivers, or has delivered, and where its destination leads to, in what is said of that.
const leadsElsewhere = ", and the ExportDestination leads to "

// moveDestinationFor has the tenant's files go to where a run began that waits for it, as its condition says.
func (t tenant) moveDestinationFor(ctx context.Context, api client.Client, waiting metav1.Condition) error {
	began, _, _ := strings.Cut(waiting.Message, leadsElsewhere)
	return t.bringBack(ctx, api, began)
}

// bringBack has the tenant's files go to where a run began, or has delivered.
func (t tenant) bringBack(ctx context.Context, api client.Client, place string) error {
	return t.editDestination(ctx, api, func(bool) bool { return strings.Contains(place, elsewhere) })
}

func (t tenant) editDestination(ctx context.Context, api client.Client, move func(moved bool) bool) error {
	destination := &v1alpha1.ExportDestination{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: exportName}, destination); err != nil {
		return err
	}
	before := destination.DeepCopy()
	if t.toStore {
		destination.Spec.S3.Prefix = map[bool]string{true: elsewhere}[move(destination.Spec.S3.Prefix == elsewhere)]
	} else {
		destination.Spec.Filesystem.Path = map[bool]string{true: elsewhere, false: "books"}[move(destination.Spec.Filesystem.Path == elsewhere)]
	}
	return api.Patch(ctx, destination, client.MergeFrom(before))
}
