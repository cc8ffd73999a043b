package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

const (
	// receiptBucket has the receipts of the tenants whose books are in a bucket. Those of the others are in a directory.
	receiptBucket = "receipts"
	// receiptEvery is how many lines there are for one that has a receipt.
	receiptEvery = 4
	// lostEvery is how many receipts there are for one that the application names and does not have.
	lostEvery = 20
	// lost begins the keys of those.
	lost = "lost/"
	// receiptList is the file that lists the receipts of an artifact.
	receiptList = "receipts.csv"
)

// receipts says where those of a tenant are.
func (w *world) receipts(t tenant) *v1alpha1.ReceiptsSource {
	if !t.toStore {
		return &v1alpha1.ReceiptsSource{Filesystem: &v1alpha1.ReceiptsFilesystem{}}
	}
	at := *w.destination(t).S3
	at.Bucket = receiptBucket
	return &v1alpha1.ReceiptsSource{S3: &at}
}

// receiptKeeper keeps the receipt of a line of a claim, and returns how the application names it; nil of a line without one.
type receiptKeeper func(ctx context.Context, t tenant, claim string, line int, random *rand.Rand) (*string, error)

// withoutReceipt is of applications that have none.
func withoutReceipt(context.Context, tenant, string, int, *rand.Rand) (*string, error) {
	return nil, nil
}

// keepReceipt keeps the receipt of a line, or forgets to, and returns how the application names it; nil of a line without one.
func (w *world) keepReceipt(ctx context.Context, t tenant, claim string, line int, random *rand.Rand) (*string, error) {
	if random.IntN(receiptEvery) > 0 {
		return nil, nil
	}
	key := fmt.Sprintf("%s/%d.pdf", claim, line)
	if random.IntN(lostEvery) == 0 {
		key = lost + key
		return &key, nil
	}
	content := []byte(contentOfReceipt(claim, fmt.Sprint(line)))
	if t.toStore {
		_, err := w.objects().PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(receiptBucket), Key: &key, Body: bytes.NewReader(content)})
		return &key, err
	}
	at := filepath.Join(w.receiptsRoot(), t.namespace, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(at), 0o750); err != nil {
		return nil, err
	}
	return &key, os.WriteFile(at, content, 0o600)
}

func contentOfReceipt(claim, line string) string {
	return fmt.Sprintf("receipt of line %s of claim %s\n", line, claim)
}

// receiptsRoot is the directory that the operators read receipts from.
func (w *world) receiptsRoot() string { return filepath.Join(w.directory, "receipts") }

// receiptCount is how many receipts a claim has, and how many of them are in no store.
type receiptCount struct{ all, lost int }

// readReceipts counts the receipts of each claim.
func (e *evidence) readReceipts(ctx context.Context, conn *pgx.Conn) error {
	e.receipts = map[string]receiptCount{}
	_, err := rows(ctx, conn, `SELECT claim_id::text, count(*), count(*) FILTER (WHERE starts_with(receipt_uri, '`+lost+`'))
		FROM public.claim_lines WHERE receipt_uri IS NOT NULL GROUP BY claim_id`,
		func(row pgx.CollectableRow) (claim string, err error) {
			var n receiptCount
			err = row.Scan(&claim, &n.all, &n.lost)
			e.receipts[claim] = n
			return claim, err
		})
	return err
}

// judgeReceipts insists that the receipts of a run that are listed are beside its artifact, and that all of those claims are listed
// which the run exported.
func (j *judgement) judgeReceipts(run *recordedRun, list []byte, exported map[string]bool) {
	directory := run.location[:strings.LastIndex(run.location, "/")+1]
	listed := map[string]receiptCount{}
	records, err := csv.NewReader(bytes.NewReader(list)).ReadAll()
	if err != nil {
		j.note(&j.found.Receipts, "%s%s cannot be read: %s", directory, receiptList, err)
	}
	for _, record := range records[min(1, len(records)):] {
		file, claim, line, size, hash, problem := record[0], record[2], record[3], record[5], record[6], record[7]
		n := listed[claim]
		n.all++
		if problem != "" {
			n.lost++
		} else {
			j.owned[directory+file] = true
			content := j.evidence.files[directory+file]
			if string(content) != contentOfReceipt(claim, line) || hash != hashOf(content) || size != fmt.Sprint(len(content)) {
				j.note(&j.found.Receipts, "%s%s is not the receipt of line %s of claim %s: %q", directory, file, line, claim, content)
			}
		}
		listed[claim] = n
	}
	for claim := range exported {
		if run.reverses == "" && listed[claim] != j.evidence.receipts[claim] {
			j.note(&j.found.Receipts, "run %s/%s lists receipts of claim %s as %+v, and there are %+v", run.namespace, run.name, claim, listed[claim], j.evidence.receipts[claim])
		}
	}
}
