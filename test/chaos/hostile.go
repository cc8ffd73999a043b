package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/businesscentral"
	"github.com/ledgerport/ledgerport/test/hostilehttp"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// hostileNamespace is that of a tenant whose servers do harm. What becomes of its own runs is nobody's concern: they may neither
// keep those of others from ending nor end an operator.
const hostileNamespace = "hostile"

// hostile is the tenant whose servers do harm, for as long as the operators run.
type hostile struct {
	tenant   tenant
	database string // its real one, behind the server that changes what it says
	attacks  atomic.Int64
	stops    []func()
	random   *rand.Rand // for seeds of servers, before they run
}

// hostilePairs are what its exports export from and where to. Servers with a mood pass most on to real ones, so that runs begin.
var hostilePairs = []struct{ export, source, destination string }{
	{"moody", "moody", "moody"},
	{"posting", "real", "moody"},
	{"store", "real", "hostile"},
	{"rows", "rows", "moody"},
	{"notices", "notices", "moody"},
	{"silence", "silence", "moody"},
}

// startHostile starts the servers and applies what leads to them.
func (w *world) startHostile(ctx context.Context) error {
	h := &hostile{
		tenant: tenant{namespace: hostileNamespace, organization: "3f2c9a1e-0000-4000-8000-00000000dead", exporter: "csv", deadline: attemptDeadline},
		random: rand.New(rand.NewPCG(w.random.Uint64(), 0)),
	}
	w.hostile = h
	sources, err := w.hostileSources(ctx, h)
	if err != nil {
		return err
	}
	destinations, err := w.hostileDestinations(ctx, h)
	if err != nil {
		return err
	}
	books := businesscentral.New(businesscentral.Settings{})
	h.stops = append(h.stops, books.Close)
	moody, err := h.http(books.URL, 5)
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Namespace: hostileNamespace, Name: exportName}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: hostileNamespace}},
		&v1alpha1.ChartOfAccounts{ObjectMeta: meta, Spec: chart()},
		&corev1.Secret{ObjectMeta: meta, StringData: map[string]string{
			"accessKeyID": w.store.AccessKey, "secretAccessKey": w.store.SecretKey, "hosts": "127.0.0.1",
			"clientID": businesscentral.ClientID, "clientSecret": businesscentral.ClientSecret,
		}},
	}
	objects = append(append(objects, sources...), destinations...)
	for _, pair := range hostilePairs {
		export := h.tenant.export(pair.export)
		export.Spec.SourceRef.Name, export.Spec.DestinationRef.Name = pair.source, pair.destination
		export.Spec.Schedule, export.Spec.VoucherSeries = "* * * * *", strings.ToUpper(pair.export)
		if pair.export == "posting" {
			export.Spec.Credentials = &v1alpha1.CredentialsSpec{SecretRef: &v1alpha1.LocalReference{Name: exportName}}
			export.Spec.Exporter = v1alpha1.ExporterSpec{Type: "businesscentral", Options: &runtime.RawExtension{Raw: fmt.Appendf(nil,
				`{"tenantID": %q, "companyID": %q, "baseURL": %q, "tokenURL": %q}`, businesscentral.Tenant, businesscentral.Company,
				moody+"/v2.0", moody+"/"+businesscentral.Tenant+"/oauth2/v2.0/token")}}
		}
		objects = append(objects, export)
	}
	for _, object := range objects {
		if err := w.api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// hostileSources starts the databases.
func (w *world) hostileSources(ctx context.Context, h *hostile) (objects []client.Object, err error) {
	if h.database, err = w.ownDatabase(ctx); err != nil {
		return nil, err
	}
	at, err := url.Parse(h.database)
	if err != nil {
		return nil, err
	}
	seed, connections := h.random.Uint64(), atomic.Uint64{}
	urls := map[string]string{"real": h.database}
	for name, serve := range map[string]func(net.Conn){
		"rows": hostilepg.SendRows, "notices": hostilepg.SendNotices, "silence": hostilepg.SayNothing,
		"moody": func(client net.Conn) {
			hostilepg.Relay(client, at.Host, hostilepg.Mood(rand.New(rand.NewPCG(seed, connections.Add(1)))))
		},
	} {
		address, stop, err := hostilepg.Listen(func(client net.Conn) {
			h.attacks.Add(1)
			serve(client)
		})
		if err != nil {
			return nil, err
		}
		h.stops = append(h.stops, stop)
		through := *at
		through.Host, through.RawQuery = address, "sslmode=disable"
		urls[name] = through.String()
	}
	for name, database := range urls {
		meta := metav1.ObjectMeta{Namespace: hostileNamespace, Name: "source-" + name}
		objects = append(objects, &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"url": database}})
		meta.Name = name
		objects = append(objects, &v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
			ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: "source-" + name, Key: "url"},
		}}})
	}
	return objects, nil
}

// ownDatabase makes a database of the tenant's own. An operator may tell people what a server has told it, so that nothing
// in there looks like what it must not tell of the others.
func (w *world) ownDatabase(ctx context.Context) (string, error) {
	if err := w.inMaintenance(ctx, `CREATE DATABASE hostile`); err != nil {
		return "", err
	}
	at, err := url.Parse(w.maintenanceURL)
	if err != nil {
		return "", err
	}
	at.Path = "/hostile"
	conn, err := pgx.Connect(ctx, at.String())
	if err != nil {
		return "", err
	}
	return at.String(), errors.Join(application.CreateTables(ctx, conn), conn.Close(ctx))
}

// hostileDestinations starts the object stores.
func (w *world) hostileDestinations(ctx context.Context, h *hostile) (objects []client.Object, err error) {
	if _, err := w.objects().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(hostileNamespace)}); err != nil {
		return nil, err
	}
	for name, ofHundred := range map[string]int{"moody": 5, "hostile": 100} {
		endpoint, err := h.http(w.store.Endpoint, ofHundred)
		if err != nil {
			return nil, err
		}
		objects = append(objects, &v1alpha1.ExportDestination{
			ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, Name: name},
			Spec: v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
				Bucket: hostileNamespace, Region: "us-east-1", Endpoint: endpoint, ForcePathStyle: true,
				CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: exportName}},
			}},
		})
	}
	return objects, nil
}

// http starts a server before another one.
func (h *hostile) http(before string, ofHundred int) (string, error) {
	server, err := hostilehttp.Mood(before, ofHundred, rand.New(rand.NewPCG(h.random.Uint64(), 0)), func() { h.attacks.Add(1) })
	if err != nil {
		return "", err
	}
	h.stops = append(h.stops, func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, nil
}

// provoke approves claims and asks for runs of the hostile tenant.
func (w *world) provoke(ctx context.Context, random *rand.Rand) {
	h := w.hostile
	for ctx.Err() == nil {
		pause(ctx, time.Duration(500+random.IntN(1500))*time.Millisecond)
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		if conn, err := pgx.Connect(limited, h.database); err == nil { // PostgreSQL may be away
			_ = insertClaim(limited, conn, h.tenant, random, withoutReceipt)
			_, _ = conn.Exec(limited, `UPDATE public.claims SET claimant_name = 'nobody', claimant_iban = NULL`)
			_ = conn.Close(limited)
		}
		_ = h.tenant.request(limited, w.api, hostilePairs[random.IntN(len(hostilePairs))].export, w.nextRequest())
		cancel()
	}
}

// stop ends the servers.
func (h *hostile) stop() {
	for _, stop := range slices.Backward(h.stops) {
		stop()
	}
}
