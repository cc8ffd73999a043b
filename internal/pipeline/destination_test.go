package pipeline_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failpoint"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// begun is a run with one file at its destination and the manifest not yet: its attempt was ended.
func (s *stage) begun(change func(*v1alpha1.ExportDestination)) *pipeline.Pipeline {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	p := newPipeline(s.database, s.exports, "living", func(reached failpoint.Point) {
		if reached == failpoint.Put.After() {
			cancel()
		}
	})
	s.change(p, change)
	if _, err := p.Run(ctx, task(1), &pipeline.Progress{}); !errors.Is(err, context.Canceled) {
		s.Fatalf("the first attempt ended with %v", err)
	}
	p.Failpoints = nil
	return p
}

// change edits the destination of the export.
func (s *stage) change(p *pipeline.Pipeline, change func(*v1alpha1.ExportDestination)) {
	s.Helper()
	objects := p.Resolver.Objects.(client.Client)
	var destination v1alpha1.ExportDestination
	s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &destination))
	change(&destination)
	s.must(objects.Update(s.Context(), &destination))
	if destination.Annotations != nil { // the access key of a bucket
		var secret corev1.Secret
		s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &secret))
		for name, value := range destination.Annotations {
			secret.Data[name] = []byte(value)
		}
		s.must(objects.Update(s.Context(), &secret))
	}
}

// ends makes an attempt that ends with a reason, or well.
func (s *stage) ends(p *pipeline.Pipeline, t pipeline.Task, reason v1alpha1.Reason, words ...string) {
	s.Helper()
	_, err := p.Run(s.Context(), t, &pipeline.Progress{})
	var failed *failure.Error
	switch {
	case reason == "" && err == nil:
		return
	case !errors.As(err, &failed) || failed.Reason != reason:
		s.Errorf("the attempt ended with %v, want %q", err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(failed.Message, word) {
			s.Errorf("%q lacks %q", failed.Message, word)
		}
	}
}

// TestOfADestinationThatNeverAdmittedARunNothingIsTold has the export of a run that is under way name the destination of another
// namespace, so that giving the run back looks there.
func TestOfADestinationThatNeverAdmittedARunNothingIsTold(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.begun(func(*v1alpha1.ExportDestination) {})
	objects := p.Resolver.Objects.(client.Client)
	private := &v1alpha1.ExportDestination{
		ObjectMeta: metav1.ObjectMeta{Namespace: "treasury", Name: "private"},
		Spec:       v1alpha1.ExportDestinationSpec{Filesystem: &v1alpha1.FilesystemDestination{Path: "vault"}},
	}
	s.must(errors.Join(objects.Create(s.Context(), private), os.MkdirAll(filepath.Join(s.exports, "treasury", "vault"), 0o750)))
	var export v1alpha1.AccountingExport
	s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &export))
	own := export.Spec.DestinationRef
	export.Spec.DestinationRef = v1alpha1.NamespacedReference{Namespace: "treasury", Name: "private"}
	s.must(objects.Update(s.Context(), &export))
	_, err := p.Run(s.Context(), released(task(2)), &pipeline.Progress{})
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != v1alpha1.ReasonAccessDenied || strings.Contains(failed.Message, "vault") {
		t.Errorf("the attempt ended with %v", err)
	}
	s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &export))
	export.Spec.DestinationRef = own
	s.must(objects.Update(s.Context(), &export))
	s.ends(p, released(task(2)), "")
}

// TestARunEndsAtTheDestinationThatItBeganWith has the directory of a destination become another one while a run is under way.
func TestARunEndsAtTheDestinationThatItBeganWith(t *testing.T) {
	t.Parallel()
	away := func(s *stage) error {
		return os.Rename(filepath.Join(s.exports, "acme"), filepath.Join(s.exports, "away"))
	}
	back := func(s *stage) error {
		return errors.Join(os.RemoveAll(filepath.Join(s.exports, "acme")), os.Rename(filepath.Join(s.exports, "away"), filepath.Join(s.exports, "acme")))
	}
	marker := func(s *stage) string { return filepath.Join(s.exports, "acme", "books", ".ledgerport-destination") }
	path := func(path string) func(*v1alpha1.ExportDestination) {
		return func(d *v1alpha1.ExportDestination) { d.Spec.Filesystem.Path = path }
	}
	nothing := func(*stage) error { return nil }
	keep := func(*v1alpha1.ExportDestination) {}
	for name, test := range map[string]struct {
		edit, fix  func(*v1alpha1.ExportDestination)
		move, undo func(*stage) error
		words      []string
	}{
		"the path is edited":             {path("elsewhere"), path("books"), nothing, nothing, []string{"/acme/books", "/acme/elsewhere"}},
		"the path is edited to above it": {path("."), path("books"), nothing, nothing, []string{"/acme/books"}},
		"the volume is empty":            {keep, keep, away, back, []string{"missing", ".ledgerport-destination"}},
		"the volume differs": {keep, keep, func(s *stage) error {
			return errors.Join(away(s), os.MkdirAll(filepath.Dir(marker(s)), 0o750), os.WriteFile(marker(s), []byte(strings.Repeat("A", 26)+"\n"), 0o600))
		}, back, []string{strings.Repeat("A", 26)}},
	} {
		for end, ending := range map[string]pipeline.Task{"goes on": task(2), "is released": released(task(2))} {
			t.Run(name+" and the run "+end, func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				p := s.begun(keep)
				s.change(p, test.edit)
				s.must(test.move(s))
				before := s.files()
				s.ends(p, ending, v1alpha1.ReasonDestinationChanged, test.words...)
				if after := s.files(); !maps.Equal(after, before) {
					t.Errorf("there is %v, and there was %v", slices.Collect(maps.Keys(after)), slices.Collect(maps.Keys(before)))
				}
				s.change(p, test.fix)
				s.must(test.undo(s))
				s.ends(p, ending, "")
				if state, files := s.state(task(1).RunID), len(s.files()); ending.Release && (state != "released" || files > 0) || !ending.Release && (state != "committed" || files != 2) {
					t.Errorf("the run is %s, with %d files", state, files)
				}
			})
		}
	}
	t.Run("the volume is gone for good, and a person confirms it", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		p := s.begun(keep)
		id, err := os.ReadFile(marker(s))
		s.must(err)
		s.must(os.RemoveAll(filepath.Join(s.exports, "acme")))
		s.ends(p, released(task(2)), v1alpha1.ReasonDestinationChanged, strings.TrimSpace(string(id)))
		s.must(errors.Join(os.MkdirAll(filepath.Dir(marker(s)), 0o750), os.WriteFile(marker(s), id, 0o600)))
		s.ends(p, released(task(2)), "")
	})
	t.Run("its artifact is to be removed", func(t *testing.T) {
		t.Parallel()
		s := newExportedStage(t)
		p := newPipeline(s.database, s.exports, "living", nil)
		s.must(away(s))
		s.ends(p, removal(1), v1alpha1.ReasonDestinationChanged)
		s.must(back(s))
		s.change(p, path("elsewhere"))
		s.ends(p, removal(1), v1alpha1.ReasonDestinationChanged, "/acme/books", "/acme/elsewhere")
		if left := len(s.files()); left != 2 {
			t.Errorf("%d files are left, want 2", left)
		}
		s.change(p, path("books"))
		s.ends(p, removal(1), "")
	})
}

// TestARunStaysWithTheExportDestinationThatItBeganWith has its export name another one while it is under way, or after it has ended.
func TestARunStaysWithTheExportDestinationThatItBeganWith(t *testing.T) {
	t.Parallel()
	began := func(t pipeline.Task) pipeline.Task {
		t.BeganWith = v1alpha1.NamespacedReference{Namespace: "acme", Name: "monthly"}
		return t
	}
	for name, test := range map[string]struct {
		path   string // of the destination that the export names by now
		gone   bool   // the first one does not exist any more
		reason v1alpha1.Reason
	}{
		"and the first one is still there":                    {"elsewhere", false, ""},
		"and the first one has another name":                  {"books", true, ""},
		"and the first one is gone and the next is elsewhere": {"elsewhere", true, v1alpha1.ReasonDestinationChanged},
	} {
		for end, ending := range map[string]func(*stage, *pipeline.Pipeline){
			"a run that goes on": func(s *stage, p *pipeline.Pipeline) {
				s.ends(p, began(task(2)), test.reason)
				if files := len(s.files()); test.reason == "" && files != 2 {
					s.Errorf("there are %d files, want 2", files)
				}
			},
			"a run that is released": func(s *stage, p *pipeline.Pipeline) {
				s.ends(p, began(released(task(2))), test.reason)
				if files := len(s.files()); test.reason == "" && files != 0 {
					s.Errorf("there are %d files, want none", files)
				}
			},
			"a run whose file is read": func(s *stage, p *pipeline.Pipeline) {
				s.ends(p, task(2), "")
				s.named(p, test.path, test.gone)
				s.reads(p, began(task(2)), test.reason)
			},
			"a run whose artifact is removed": func(s *stage, p *pipeline.Pipeline) {
				s.ends(p, task(2), "")
				s.named(p, test.path, test.gone)
				s.ends(p, began(removal(1)), test.reason)
				if files := len(s.files()); (files == 0) != (test.reason == "") {
					s.Errorf("there are %d files", files)
				}
			},
		} {
			t.Run(end+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				p := s.begun(func(*v1alpha1.ExportDestination) {})
				if !strings.HasPrefix(end, "a run whose") {
					s.named(p, test.path, test.gone)
				}
				ending(s, p)
			})
		}
	}
}

// named lets the export name another ExportDestination.
func (s *stage) named(p *pipeline.Pipeline, path string, gone bool) {
	s.Helper()
	objects := p.Resolver.Objects.(client.Client)
	var first v1alpha1.ExportDestination
	s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &first))
	if gone {
		s.must(objects.Delete(s.Context(), first.DeepCopy()))
	}
	first.ObjectMeta = metav1.ObjectMeta{Namespace: "acme", Name: "next"}
	first.Spec.Filesystem.Path = path
	s.must(objects.Create(s.Context(), &first))
	var export v1alpha1.AccountingExport
	s.must(objects.Get(s.Context(), client.ObjectKey{Namespace: "acme", Name: "monthly"}, &export))
	export.Spec.DestinationRef.Name = "next"
	s.must(objects.Update(s.Context(), &export))
}

// reads opens a file of the run, which must be whole or fail with a reason.
func (s *stage) reads(p *pipeline.Pipeline, of pipeline.Task, reason v1alpha1.Reason) {
	s.Helper()
	reading, err := p.Read(s.Context(), of)
	s.must(err)
	defer reading.Close()
	file, err := reading.File(reading.Run().Files[0].Name)
	s.must(err)
	content, err := file.Open(s.Context())
	if reason != "" {
		if failed := failure.From(err); failed == nil || failed.Reason != reason || !strings.Contains(failed.Message, "/acme/books, and the ExportDestination leads to") ||
			!strings.Contains(failed.Message, "deliver the run again") {
			s.Errorf("the file is opened with %v, want %q", err, reason)
		}
		return
	}
	s.must(err)
	_, err = io.Copy(io.Discard, content)
	s.must(errors.Join(err, content.Close()))
}

// bucketStage has the destination of the export be a bucket, behind a proxy that may refuse requests.
func bucketStage(t *testing.T, refuse func(*http.Request) bool) (s *stage, bucket tests3.Bucket, edit func(*v1alpha1.ExportDestination)) {
	t.Helper()
	s, bucket = newStage(t), tests3.New(t)
	at, err := url.Parse(bucket.Endpoint)
	s.must(err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host // which the signature covers
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse == nil || !refuse(r) {
			forward.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code></Error>"))
	}))
	t.Cleanup(proxy.Close)
	return s, bucket, func(d *v1alpha1.ExportDestination) {
		d.Spec.Filesystem = nil
		d.Spec.S3 = &v1alpha1.S3Destination{
			Bucket: bucket.Name, Region: bucket.Region, Endpoint: proxy.URL, ForcePathStyle: true, Prefix: "books",
			CredentialsSecretRef: &v1alpha1.S3Credentials{
				LocalReference:   v1alpha1.LocalReference{Name: "monthly"},
				S3CredentialKeys: v1alpha1.S3CredentialKeys{AccessKeyIDKey: "id", SecretAccessKeyKey: "key"},
			},
		}
	}
}

// inBucket begins a run at a bucket.
func (s *stage) inBucket(bucket tests3.Bucket, edit func(*v1alpha1.ExportDestination)) *pipeline.Pipeline {
	s.Helper()
	return s.begun(func(d *v1alpha1.ExportDestination) {
		edit(d)
		d.Annotations = map[string]string{"id": bucket.AccessKey, "key": bucket.SecretKey}
	})
}

// TestAFileThatArrivesWhileItsRunIsGivenBackDoesNotStay has a bucket take a file of an attempt after another attempt has looked for it to remove
// it, and before that one has given the claims back.
func TestAFileThatArrivesWhileItsRunIsGivenBackDoesNotStay(t *testing.T) {
	t.Parallel()
	sent, arrives, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	s, bucket, edit := bucketStage(t, func(r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/monthly-1.csv") {
			close(sent)
			<-arrives
		}
		return false
	})
	stopped := newPipeline(s.database, s.exports, "stopped", nil)
	s.change(stopped, func(d *v1alpha1.ExportDestination) {
		edit(d)
		d.Annotations = map[string]string{"id": bucket.AccessKey, "key": bucket.SecretKey}
	})
	living := *stopped
	living.Holder = "living"
	living.Failpoints = func(reached failpoint.Point) {
		if reached != failpoint.Release.Before() {
			return
		}
		close(arrives)
		select { // an attempt that does not wait for this one ends here
		case err := <-ended:
			ended <- err
		case <-time.After(time.Second):
		}
	}
	go func() {
		_, err := stopped.Run(s.Context(), task(1), &pipeline.Progress{})
		ended <- err
	}()
	<-sent
	s.ends(&living, released(task(2)), "")
	if err := <-ended; failure.From(err).Reason != v1alpha1.ReasonFenced {
		t.Errorf("the attempt that lost the run ended with %v", err)
	}
	if keys := slices.DeleteFunc(bucket.Keys(t), func(key string) bool { return strings.HasSuffix(key, destinations.MarkerName) }); len(keys) > 0 {
		t.Errorf("the bucket has %q of a run that was given back", keys)
	}
}

func TestARunEndsInTheBucketThatItBeganWith(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit  func(d *v1alpha1.ExportDestination, bucket tests3.Bucket)
		words []string
	}{
		"the endpoint is edited": {func(d *v1alpha1.ExportDestination, bucket tests3.Bucket) { d.Spec.S3.Endpoint = bucket.Endpoint }, []string{"http://"}},
		"the region is edited":   {func(d *v1alpha1.ExportDestination, _ tests3.Bucket) { d.Spec.S3.Region = "eu-north-1" }, []string{"eu-north-1"}},
		"the prefix is edited":   {func(d *v1alpha1.ExportDestination, _ tests3.Bucket) { d.Spec.S3.Prefix = "archive" }, []string{"/archive", "/books"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, bucket, edit := bucketStage(t, nil)
			p := s.inBucket(bucket, edit)
			before := bucket.Keys(t)
			s.change(p, func(d *v1alpha1.ExportDestination) { test.edit(d, bucket) })
			for _, ending := range []pipeline.Task{task(2), released(task(2))} {
				s.ends(p, ending, v1alpha1.ReasonDestinationChanged, test.words...)
			}
			if after := bucket.Keys(t); !slices.Equal(after, before) {
				t.Errorf("the bucket has %q, and had %q", after, before)
			}
			s.change(p, edit)
			s.ends(p, released(task(2)), "")
		})
	}
	t.Run("the bucket is deleted and made again", func(t *testing.T) {
		t.Parallel()
		s, bucket, edit := bucketStage(t, nil)
		p := s.inBucket(bucket, edit)
		for _, key := range bucket.Keys(t) {
			_, err := bucket.Client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket.Name, Key: &key})
			s.must(err)
		}
		_, err := bucket.Client().DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket.Name})
		s.must(err)
		_, err = bucket.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket.Name})
		s.must(err)
		for _, ending := range []pipeline.Task{task(2), released(task(2))} {
			s.ends(p, ending, v1alpha1.ReasonDestinationChanged, "missing")
		}
		if keys := bucket.Keys(t); len(keys) > 0 {
			t.Errorf("the new bucket has %q", keys)
		}
	})
}

// TestAReleaseInABucketWithoutTheRightToRemoveLeavesNoManifest has one file of the run delivered, and refuses to remove it.
func TestAReleaseInABucketWithoutTheRightToRemoveLeavesNoManifest(t *testing.T) {
	t.Parallel()
	s, bucket, edit := bucketStage(t, func(r *http.Request) bool { return r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId") })
	p := s.inBucket(bucket, edit)
	s.ends(p, released(task(2)), "")
	if keys := bucket.Keys(t); len(keys) != 2 || strings.Contains(strings.Join(keys, " "), "manifest.json") {
		t.Errorf("the bucket has %q", keys)
	}
	if s.state(task(1).RunID) != "released" {
		t.Errorf("the run is %s", s.state(task(1).RunID))
	}
	s.ends(p, run(2), "")
}

// TestARecordThatATenantHasWrittenMovesNothing has the owner of the database name files of others in the record of a run.
func TestARecordThatATenantHasWrittenMovesNothing(t *testing.T) {
	t.Parallel()
	const theirs = "another tenant's"
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(theirs)))
	for _, name := range []string{
		"../../../victim/monthly/monthly-1/monthly-1.csv", "../monthly-2/monthly-2.csv", "../../../../victim/monthly-1.csv", "..", ".ledgerport-destination",
		"/acme/books/victim/monthly/monthly-1/monthly-1.csv", "../../../victim/monthly/monthly-7/not-there-yet.csv",
	} {
		for end, ending := range map[string]pipeline.Task{"goes on": task(2), "is released": released(task(2))} {
			t.Run(name+", and the run "+end, func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				p := s.begun(func(*v1alpha1.ExportDestination) {})
				for _, at := range []string{"acme/books/victim/monthly/monthly-1/monthly-1.csv", "acme/books/acme/monthly/monthly-2/monthly-2.csv", "acme/victim/monthly-1.csv"} {
					at = filepath.Join(s.exports, at)
					s.must(errors.Join(os.MkdirAll(filepath.Dir(at), 0o750), os.WriteFile(at, []byte(theirs), 0o600)))
				}
				before := s.files()
				s.sql(func(ctx context.Context, conn *pgx.Conn) error {
					_, err := conn.Exec(ctx, `update ledgerport.runs set files = jsonb_build_array(jsonb_build_object('name', $1::text, 'sha256', $2::text, 'size', $3::int, 'mediaType', 'text/csv'))`, name, sum, len(theirs))
					return err
				})
				s.ends(p, ending, v1alpha1.ReasonRecordInvalid, "ledgerport.runs", task(1).RunID)
				if after := s.files(); !maps.Equal(after, before) {
					t.Errorf("there is %v, and there was %v", slices.Collect(maps.Keys(after)), slices.Collect(maps.Keys(before)))
				}
			})
		}
	}
}

// TestWhatATenantHasWrittenReachesNoStatus has documents of a committed run changed, which its status is made from.
func TestWhatATenantHasWrittenReachesNoStatus(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"a manifest that is none":              `manifest = '[]'`,
		"a manifest that is missing":           `manifest = null`,
		"a sum without a bound":                `manifest = jsonb_set(manifest::jsonb, '{base,debit}', to_jsonb(repeat('9', 1000000)))`,
		"a sum that a terminal obeys":          `manifest = jsonb_set(manifest::jsonb, '{base,debit}', to_jsonb(E'\x1b[31m'::text))`,
		"a currency that is none":              `manifest = jsonb_set(manifest::jsonb, '{base,currency}', '"EURO"')`,
		"a hold for a reason that is a story":  `manifest = jsonb_set(manifest::jsonb, '{held}', '[{"claim":"a","reason":"once upon a time"}]')`,
		"a submission that counts below zero":  `manifest = jsonb_set(manifest::jsonb, '{submission}', '{"accepted":-1}')`,
		"a submission that ended with a story": `manifest = jsonb_set(manifest::jsonb, '{submission}', '{"accepted":1,"unfinished":"once upon a time"}')`,
		"a location of another run":            `location = replace(location, 'monthly-1/', 'monthly-2/')`,
		"a location elsewhere":                 `location = 'file:///etc/passwd'`,
		"a location that no destination has":   `location = replace(location, 'file://', 'javascript://'), inputs = replace(inputs::text, 'file://', 'javascript://')::json`,
		"inputs that are none":                 `inputs = '[]'`,
		"inputs with a zone of a terminal":     `inputs = jsonb_set(inputs::jsonb, '{timeZone}', to_jsonb(E'\x1b[31m'::text))`,
		"inputs whose place a terminal obeys":  `inputs = jsonb_set(inputs::jsonb, '{destinationPlace}', to_jsonb(E'\x1b[31m'::text))`,
		"names that are those of another run":  `name = 'monthly-2'`,
		"a namespace of another tenant":        `namespace = 'victim'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newExportedStage(t)
			s.sql(func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, `update ledgerport.runs set `+change)
				return err
			})
			s.ends(newPipeline(s.database, s.exports, "living", nil), task(2), v1alpha1.ReasonRecordInvalid)
		})
	}
}

// TestARunWhoseNameIsTakenCanEnd has something in the way of a file that is to be delivered, or of its directory.
func TestARunWhoseNameIsTakenCanEnd(t *testing.T) {
	t.Parallel()
	const directory = "acme/books/acme/monthly/monthly-1"
	for name, occupy := range map[string]func(at string) error{
		"a directory in place of a file": func(at string) error { return os.MkdirAll(filepath.Join(at, "monthly-1.csv", "x"), 0o750) },
		"a pipe in place of a file": func(at string) error {
			return errors.Join(os.MkdirAll(at, 0o750), syscall.Mkfifo(filepath.Join(at, "monthly-1.csv"), 0o600))
		},
		"a link in place of a file": func(at string) error {
			return errors.Join(os.MkdirAll(at, 0o750), os.Symlink("../x", filepath.Join(at, "monthly-1.csv")))
		},
		"a file of another run": func(at string) error {
			return errors.Join(os.MkdirAll(at, 0o750), os.WriteFile(filepath.Join(at, "monthly-1.csv"), []byte("x"), 0o600))
		},
		"a directory in place of a manifest": func(at string) error { return os.MkdirAll(filepath.Join(at, "manifest.json"), 0o750) },
		"a file in place of the directory": func(at string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(at), 0o750), os.WriteFile(at, nil, 0o600))
		},
		"a pipe in place of the directory": func(at string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(at), 0o750), syscall.Mkfifo(at, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.must(occupy(filepath.Join(s.exports, directory)))
			p := newPipeline(s.database, s.exports, "living", nil)
			if _, err := p.Run(t.Context(), task(1), &pipeline.Progress{}); err == nil || failure.From(err).Reason == v1alpha1.ReasonInternal {
				t.Errorf("the run ended with %v", err)
			}
			before := s.files()
			s.ends(p, released(task(2)), "")
			if state := s.state(task(1).RunID); state != "released" {
				t.Errorf("the run is %s", state)
			}
			if after := s.files(); !maps.Equal(after, before) {
				t.Errorf("there is %v, and there was %v", after, before)
			}
			s.ends(p, run(2), "")
		})
	}
}
