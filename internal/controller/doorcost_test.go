package controller_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	served "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/books"
	"github.com/ledgerport/ledgerport/test/tests3"
)

const (
	// downloadMiB is a variable with the size of the file by which downloads are measured against a direct read. Without it a small one is
	// downloaded, and only memory is judged.
	downloadMiB = "LEDGERPORT_DOWNLOAD_MIB"
	// mostRatio is what a download may take, as a multiple of a direct read of the same object.
	mostRatio = 1.5
	// mostDownloadMemory is what client and operator, which are one process here, may have more while files are sent.
	mostDownloadMemory = 24 << 20
	// mostHeldBySlowClients is what both may have more beside 2 transfers of which nothing is read. The client has 4 MiB of each in its buffers.
	mostHeldBySlowClients = 16 << 20
)

// costs downloads a large file from a bucket, and compares it with reading the object directly, with the key of the bucket.
func (r *reader) costs(t *testing.T) {
	r = r.in(t)
	mib, err := strconv.Atoi(os.Getenv(downloadMiB))
	measured := err == nil
	if !measured {
		mib = 48
	}
	bucket := tests3.New(t)
	destination, keys := r.inBucket(bucket)
	destination.Name = "bucket"
	again := r.redelivery("again", "first")
	again.Spec.DestinationRef = &v1alpha1.NamespacedReference{Name: destination.Name}
	r.create(keys, destination, again)
	again = eventually(r.world, again, runIs(v1alpha1.RunSucceeded))
	key := ""
	for _, stored := range bucket.Keys(t) {
		if bytes.HasSuffix([]byte(stored), []byte("/first.csv")) {
			key = stored
		}
	}
	file := r.store(bucket, key, mib)
	r.exec(`update ledgerport.runs set files = jsonb_set(jsonb_set(files::jsonb, '{0,size}', to_jsonb($1::bigint)), '{0,sha256}', to_jsonb($2::text)) where name = 'again'`, file.Size, file.SHA256)

	config := rest.CopyConfig(api.config)
	config.Impersonate.UserName = "finance"
	client, err := books.New(config)
	r.must(err)
	run := types.NamespacedName{Namespace: r.namespace, Name: again.Name}
	direct, through := time.Hour, time.Hour
	memory := watchMemory()
	for range 3 {
		direct = min(direct, lasts(func() {
			got, err := bucket.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket.Name, Key: &key})
			r.must(err)
			read := sha256.New()
			_, err = io.Copy(read, got.Body)
			r.must(err)
			r.must(got.Body.Close())
		}))
		through = min(through, lasts(func() { r.must(client.Download(t.Context(), run, file, io.Discard)) }))
	}
	used, ratio := memory(), through.Seconds()/direct.Seconds()
	t.Logf(`{"bench":"download","MiB":%d,"directSeconds":%.3f,"downloadSeconds":%.3f,"ratio":%.3f,"memoryMiB":%.1f}`,
		mib, direct.Seconds(), through.Seconds(), ratio, float64(used)/(1<<20))
	if used > mostDownloadMemory {
		t.Errorf("%d MiB of memory are used for a file of %d MiB", used>>20, mib)
	}
	if measured && ratio > mostRatio {
		t.Errorf("a download takes %.2f times as long as a direct read, want at most %.1f", ratio, mostRatio)
	}
	_, err = bucket.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket.Name, Key: &key}) // which need not be looked through
	r.must(err)
}

// slowClientsHoldNoRecords downloads by a record that is as large as one can be, and reads nothing of what is sent.
func (r *reader) slowClientsHoldNoRecords(t *testing.T) {
	r = r.in(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	sum := sha256.Sum256(large)
	place := r.delivered("monthly", "first", "first.csv")
	before, err := os.ReadFile(place)
	r.must(err)
	r.must(os.WriteFile(place, large, 0o600))
	r.exec(`create table ledgerport.kept as select * from ledgerport.runs where name = 'first'`)
	var files bytes.Buffer
	fmt.Fprintf(&files, `[{"name":"first.csv","size":%d,"sha256":"%x","mediaType":"text/csv"}`, len(large), sum)
	for i := range 999 {
		fmt.Fprintf(&files, `,{"name":"%0250d","size":1,"sha256":"%x","mediaType":"text/csv; a=%0500d"}`, i, sum, i)
	}
	r.exec(`update ledgerport.runs set files = $1, inputs = inputs::jsonb || jsonb_build_object('pad', repeat('y', 4100000)),
		manifest = manifest::jsonb || jsonb_build_object('pad', repeat('y', 4100000)) where name = 'first'`, files.String()+"]")
	live := func() uint64 {
		runtime.GC()
		runtime.GC() // which also frees what pools keep
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	free := live()
	for range 2 {
		if answer := r.ask(r.of(served.ExportRuns, "first", served.Files+"/first.csv")); answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status)
		}
	}
	used := max(live(), free) - free
	t.Logf("%d KiB for 2 transfers", used>>10)
	if used > mostHeldBySlowClients {
		t.Errorf("2 transfers hold %d MiB, want at most %d: the record of a run is dropped before its file is sent", used>>20, mostHeldBySlowClients>>20)
	}
	r.exec(`update ledgerport.runs r set files = k.files, inputs = k.inputs, manifest = k.manifest from ledgerport.kept k where r.id = k.id`)
	r.exec(`drop table ledgerport.kept`)
	r.must(os.WriteFile(place, before, 0o600))
}

// store puts a large object into a bucket.
func (r *reader) store(bucket tests3.Bucket, key string, mib int) served.File {
	r.Helper()
	content := bytes.Repeat([]byte("voucher;date;account;amount;text of it\n0123456789abcdef"), mib<<20/55)
	sum := sha256.Sum256(content)
	_, err := bucket.Client().PutObject(r.Context(), &s3.PutObjectInput{Bucket: &bucket.Name, Key: &key, Body: bytes.NewReader(content)})
	r.must(err)
	return served.File{Name: "first.csv", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
}

func lasts(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// watchMemory returns a function that stops watching, and returns by how much the live heap has grown at most.
func watchMemory() (most func() uint64) {
	live := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := live()
	var peak atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak.Store(max(peak.Load(), live()))
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() uint64 {
		cancel()
		<-ended
		return max(peak.Load(), before) - before
	}
}
