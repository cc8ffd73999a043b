package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/internal/claims"
	ledgerportcredentials "github.com/ledgerport/ledgerport/internal/credentials"
	destinationtypes "github.com/ledgerport/ledgerport/internal/destinations/builtin"
	s3destination "github.com/ledgerport/ledgerport/internal/destinations/s3"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/internal/receipts"
	"github.com/ledgerport/ledgerport/internal/references"
	"github.com/ledgerport/ledgerport/test/environment"
)

// Of the receipts: three of each claim, one of a line each.
const (
	linesPerClaim = 3
	receiptSize   = 200_000
	receiptBucket = "receipts" // which the claims' lines name
	exportBucket  = "exports"
	plainBucket   = "plain"
)

// receiptResult is what a run with receipts comes to, against a plain parallel copy of the same objects.
type receiptResult struct {
	Bench       string  `json:"bench"`
	Receipts    int64   `json:"receipts"`
	Bytes       int64   `json:"bytes"`
	Seconds     float64 `json:"seconds"`
	CopySeconds float64 `json:"copySeconds"`
	// Rate is that of the run as a part of that of the copy.
	Rate       float64 `json:"rate"`
	PeakRSSMiB float64 `json:"peakRSSMiB"`
}

// store is where the objects are.
type store struct{ Endpoint, AccessKey, SecretKey string }

// measureReceipts measures an export that delivers receipts from one bucket to another: a copy, the run in a process of its own, a copy
// again.
func measureReceipts(ctx context.Context, directory, database string, count int) error {
	if err := fill(ctx, database, (count+linesPerClaim-1)/linesPerClaim, false); err != nil {
		return err
	}
	server, err := environment.StartS3(ctx, filepath.Join(directory, "s3"), os.Stderr)
	if err != nil {
		return err
	}
	defer server.Stop()
	at := store{server.Endpoint, server.AccessKey, server.SecretKey}
	keys, err := at.fill(ctx, database)
	if err != nil {
		return err
	}
	if _, err := at.timeCopy(ctx, keys[:min(len(keys), receipts.Workers)]); err != nil { // warms connections
		return err
	}
	before, err := at.timeCopy(ctx, keys)
	if err != nil {
		return err
	}
	result, err := at.measureInChild(ctx, database)
	if err != nil {
		return err
	}
	after, err := at.timeCopy(ctx, keys)
	if err != nil {
		return err
	}
	if result.Receipts != int64(len(keys)) {
		return fmt.Errorf("%d of %d receipts were delivered", result.Receipts, len(keys))
	}
	result.CopySeconds = round((before + after) / 2)
	result.Bytes = result.Receipts * receiptSize
	result.Rate = round(result.CopySeconds / result.Seconds)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func (s store) client() *s3.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = receipts.Workers
	return s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: "us-east-1", UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")),
	})
}

// fill puts a receipt of each line into its bucket, and returns the keys.
func (s store) fill(ctx context.Context, database string) ([]string, error) {
	to := s.client()
	for _, bucket := range []string{receiptBucket, exportBucket, plainBucket} {
		if _, err := to.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }() // only read
	rows, _ := conn.Query(ctx, `SELECT substr(receipt_uri, length('s3://`+receiptBucket+`/') + 1) FROM public.claim_lines`)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	return keys, each(ctx, keys, func(ctx context.Context, key string) error {
		content := make([]byte, receiptSize) // of noise: scans do not compress
		_, _ = rand.Read(content)
		_, err := to.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(receiptBucket), Key: &key, Body: bytes.NewReader(content)})
		return err
	})
}

// timeCopy copies objects as plainly as can be, as many at once as a run does.
func (s store) timeCopy(ctx context.Context, keys []string) (float64, error) {
	api := s.client()
	start := time.Now()
	err := each(ctx, keys, func(ctx context.Context, key string) error {
		got, err := api.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(receiptBucket), Key: &key})
		if err != nil {
			return err
		}
		content, err := io.ReadAll(got.Body)
		if err := errors.Join(err, got.Body.Close()); err != nil {
			return err
		}
		_, err = api.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(plainBucket), Key: &key, Body: bytes.NewReader(content)})
		return err
	})
	return time.Since(start).Seconds(), err
}

func each(ctx context.Context, keys []string, do func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(receipts.Workers)
	for _, key := range keys {
		group.Go(func() error { return do(ctx, key) })
	}
	return group.Wait()
}

func (s store) measureInChild(ctx context.Context, database string) (measured receiptResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return measured, err
	}
	where, err := json.Marshal(s)
	if err != nil {
		return measured, err
	}
	var out bytes.Buffer
	command := exec.CommandContext(ctx, self, "-measure-receipts="+string(where), "-database-url="+database) // #nosec G204 -- this program itself
	command.Stdout, command.Stderr = &out, os.Stderr
	if err := command.Run(); err != nil {
		return measured, err
	}
	return measured, json.Unmarshal(out.Bytes(), &measured)
}

// measureReceiptsHere runs the export in this process.
func measureReceiptsHere(ctx context.Context, where, database string) (err error) {
	var at store
	if err := json.Unmarshal([]byte(where), &at); err != nil {
		return err
	}
	objects, err := at.resources(ctx, database)
	if err != nil {
		return err
	}
	policy, err := outbound.New([]string{"127.0.0.0/8"}) // where the bench's servers are
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "ledgerport-bench-spool-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	settings := destinationtypes.Settings{S3: s3destination.Settings{AllowPlainHTTP: true}}
	p := &pipeline.Pipeline{
		Resolver: &references.Resolver{
			Objects: objects, Secrets: ledgerportcredentials.Secrets{API: objects}, Databases: claims.Allowances{Insecure: true},
			Destinations: destinationtypes.Registry(settings), ReceiptStores: destinationtypes.Stores(settings), LargestReceipt: 32 << 20,
			Exporters: builtin.Registry(), Outbound: policy,
		},
		Holder: "bench", SpoolDirectory: directory, Program: "Ledgerport", ProgramVersion: "bench",
	}
	start := time.Now()
	outcome, err := p.Run(ctx, pipeline.Task{
		RunID: "00000000-0000-4000-8000-000000000001", Namespace: "bench", Name: "bench-1", Export: "bench",
		Cutoff: start, CreatedAt: start, Deadline: time.Hour,
	}, &pipeline.Progress{})
	if err != nil {
		return err
	}
	peak, err := environment.PeakRSS(os.Getpid())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(receiptResult{
		Bench: "receipts", Receipts: outcome.Result.Receipts, Seconds: round(time.Since(start).Seconds()), PeakRSSMiB: round(float64(peak) / (1 << 20)),
	})
}

// resources are those of the bench of exporters, with receipts from one bucket to another.
func (s store) resources(ctx context.Context, database string) (client.Client, error) {
	found, err := resources(withoutOptions().Type(), database, chart(false))
	if err != nil {
		return nil, err
	}
	objects := found.(client.Client)
	key := client.ObjectKey{Namespace: "bench", Name: "bench"}
	var export v1alpha1.AccountingExport
	var source v1alpha1.ClaimSource
	var destination v1alpha1.ExportDestination
	if err := errors.Join(objects.Get(ctx, key, &export), objects.Get(ctx, key, &source), objects.Get(ctx, key, &destination)); err != nil {
		return nil, err
	}
	bucket := func(name string) *v1alpha1.S3Destination {
		return &v1alpha1.S3Destination{
			Bucket: name, Region: "us-east-1", Endpoint: s.Endpoint, ForcePathStyle: true,
			CredentialsSecretRef: &v1alpha1.S3Credentials{
				LocalReference:   v1alpha1.LocalReference{Name: "s3"},
				S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "accessKeyID", SecretAccessKeyKey: "secretAccessKey"},
			},
		}
	}
	export.Spec.Receipts = v1alpha1.IncludeReceipts
	source.Spec.Receipts = &v1alpha1.ReceiptsSource{S3: bucket(receiptBucket)}
	destination.Spec = v1alpha1.ExportDestinationSpec{S3: bucket(exportBucket)}
	secret := &corev1.Secret{Data: map[string][]byte{"accessKeyID": []byte(s.AccessKey), "secretAccessKey": []byte(s.SecretKey)}}
	secret.Namespace, secret.Name = "bench", "s3"
	return objects, errors.Join(objects.Create(ctx, secret), objects.Update(ctx, &export), objects.Update(ctx, &source), objects.Update(ctx, &destination))
}
