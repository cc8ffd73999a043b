package controller_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	books "github.com/ledgerport/ledgerport/api/books/v1alpha1"
	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/door"
	"github.com/ledgerport/ledgerport/internal/pipeline"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// testDoor is how a test serves what runs have recorded.
type testDoor struct {
	address, certificates string
	limits                door.Limits
}

// addDoor lets the operator serve through the API server, if the test wants it.
func (w *world) addDoor(mgr ctrl.Manager, records *pipeline.Pipeline) {
	w.Helper()
	if w.door == nil {
		return
	}
	w.must(mgr.Add(&door.Door{
		Address: w.door.address, Certificates: w.door.certificates, Config: api.operator, Objects: mgr.GetClient(), Live: mgr.GetAPIReader(), Pipeline: records,
		Limits: w.door.limits, Log: operatorLog.logger(),
	}))
}

// openDoor has the API server of all tests pass requests on to the operator of this one: one test at a time can have it.
func openDoor(t *testing.T, limits door.Limits) *testDoor {
	t.Helper()
	at := &testDoor{certificates: t.TempDir(), limits: limits}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	at.address = listener.Addr().String()
	must(listener.Close())
	must(environment.PassBooks(t.Context(), api.config, at.address, at.certificates))
	return at
}

// reader is somebody with a role in the namespace of a test, or with none.
type reader struct {
	*world
	client *http.Client
	host   string
}

// reader binds a role of config to somebody.
func (w *world) reader(name, role string) *reader {
	w.Helper()
	if role != "" {
		w.must(api.client.Create(w.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		}))
	}
	config := rest.CopyConfig(api.config)
	config.Impersonate.UserName = name
	made, err := rest.HTTPClientFor(config)
	w.must(err)
	return &reader{w, made, config.Host}
}

// ask asks for what is below the API, with headers.
func (r *reader) ask(path string, headers ...string) reply {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, strings.TrimSuffix(r.host, "/")+"/apis/"+books.GroupVersion.String()+path, http.NoBody)
	r.must(err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := r.client.Do(request)
	r.must(err)
	r.Cleanup(func() { _ = answer.Body.Close() })
	return reply{answer.StatusCode, answer.Status, answer.Header, answer.Body}
}

// reply is what is answered. It is closed with the test.
type reply struct {
	StatusCode int
	Status     string
	Header     http.Header
	Body       io.Reader
}

// of is the path of what a run or an export has.
func (r *reader) of(resource, name, what string) string {
	return "/namespaces/" + r.namespace + "/" + resource + "/" + name + "/" + what
}

// read asks for a document.
func (r *reader) read(path string, into any) {
	r.Helper()
	answer := r.ask(path)
	content, err := io.ReadAll(answer.Body)
	r.must(err)
	scan.Text("answer", path, content, leaks.BankAccount, leaks.Name)
	if answer.StatusCode != http.StatusOK {
		r.Fatalf("%s: %s %s", path, answer.Status, content)
	}
	r.must(json.Unmarshal(content, into))
}

// refused insists on a refusal with a code, and some words.
func (r *reader) refused(path string, code int, words ...string) {
	r.Helper()
	answer := r.ask(path)
	content, err := io.ReadAll(answer.Body)
	r.must(err)
	scan.Text("answer", path, content, leaks.BankAccount, leaks.Name)
	var status metav1.Status
	if answer.StatusCode != code || json.Unmarshal(content, &status) != nil || status.Kind != "Status" {
		r.Errorf("%s: %s %.300s, want a Status with code %d", path, answer.Status, content, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(status.Message, word) {
			r.Errorf("%s: %q, which lacks %q", path, status.Message, word)
		}
	}
}

// TestFilesVouchersAndHeldClaimsThroughTheAPIServer has one operator, because an API server passes a group on to one service.
func TestFilesVouchersAndHeldClaimsThroughTheAPIServer(t *testing.T) {
	limits := door.DefaultLimits
	limits.Transfer, limits.Stall, limits.Wait, limits.TransfersPerNamespace = 10*time.Second, time.Second, 200*time.Millisecond, 2
	w := newWorldWith(t, func(w *world) { w.door = openDoor(t, limits) })
	w.exported(30)
	w.insertClaim(application.Claim{})
	finance := w.reader("finance", "ledgerport-finance")
	finance.until(func(context.Context) string {
		if answer := finance.ask(finance.of(books.ExportRuns, "first", books.Files)); answer.StatusCode != http.StatusOK {
			content, _ := io.ReadAll(answer.Body)
			return fmt.Sprintf("the files of a run cannot be listed: %s %s", answer.Status, content)
		}
		return ""
	})
	t.Run("files are listed and downloaded as they were delivered", finance.download)
	t.Run("vouchers are paged and searched", finance.browse)
	t.Run("nobody without the rights reads anything", func(t *testing.T) { finance.rights(w) })
	t.Run("what does not exist, or is of another namespace, is not found", finance.unknown)
	t.Run("a download takes the memory of a few buffers, and about as long as a direct read", finance.costs)
	t.Run("clients that read slowly hold no records of runs", finance.slowClientsHoldNoRecords)
	t.Run("a file is downloaded from where its run has delivered it, whatever the export names", finance.moved)
	t.Run("a file that was changed is not downloaded", finance.tampered)
}

// in makes the helpers report to a subtest.
func (r *reader) in(t *testing.T) *reader {
	own := *r.world
	own.T = t
	return &reader{&own, r.client, r.host}
}

func (r *reader) download(t *testing.T) {
	r = r.in(t)
	var list books.FileList
	r.read(r.of(books.ExportRuns, "first", books.Files), &list)
	if len(list.Items) != 2 || list.Items[0].Name != "first.csv" || list.Items[1].Name != "manifest.json" {
		t.Fatalf("files %+v", list)
	}
	for _, file := range list.Items {
		answer := r.ask(r.of(books.ExportRuns, "first", books.Files+"/"+file.Name))
		content, err := io.ReadAll(answer.Body)
		r.must(err)
		delivered, err := os.ReadFile(r.delivered("monthly", "first", file.Name))
		r.must(err)
		sum := sha256.Sum256(content)
		if !bytes.Equal(content, delivered) || hex.EncodeToString(sum[:]) != file.SHA256 || int64(len(content)) != file.Size {
			t.Errorf("%s: %d bytes, which are not the delivered ones", file.Name, len(content))
		}
		for header, want := range map[string]string{
			"Content-Type": file.MediaType, "Content-Disposition": `attachment; filename=` + file.Name,
			"X-Content-Type-Options": "nosniff", "Content-Length": strconv.FormatInt(file.Size, 10),
		} {
			if have := answer.Header.Get(header); have != want {
				t.Errorf("%s: the header %s is %q, want %q", file.Name, header, have, want)
			}
		}
		left := r.ask(r.of(books.ExportRuns, "first", books.Files+"/"+file.Name), "Range", "bytes=10-")
		content, err = io.ReadAll(left.Body)
		r.must(err)
		if left.StatusCode != http.StatusPartialContent || !bytes.Equal(content, delivered[10:]) {
			t.Errorf("%s: the rest of it is %d bytes with %s", file.Name, len(content), left.Status)
		}
	}
}

func (r *reader) moved(t *testing.T) {
	r = r.in(t)
	path := r.of(books.ExportRuns, "first", books.Files+"/first.csv")
	elsewhere := r.destination()
	elsewhere.Name, elsewhere.Spec.Filesystem.Path = "elsewhere", "elsewhere"
	r.create(elsewhere)
	r.merge(r.export(), `{"spec":{"destinationRef":{"name":"elsewhere"}}}`)
	eventually(r.world, r.export(), observed)
	if answer := r.ask(path); answer.StatusCode != http.StatusOK {
		content, _ := io.ReadAll(answer.Body)
		t.Errorf("once the export delivers elsewhere: %s %s", answer.Status, content)
	}
	first := r.destination()
	first.Namespace = r.namespace
	r.merge(first, `{"spec":{"filesystem":{"path":"elsewhere"}}}`)
	r.until(func(context.Context) string { // the operator knows of the change a moment later
		if answer := r.ask(path); answer.StatusCode != http.StatusConflict {
			return "once its destination leads elsewhere: " + answer.Status
		}
		return ""
	})
	r.refused(path, http.StatusConflict, "/"+r.namespace+", and the ExportDestination leads to", "deliver the run again")
	r.merge(first, `{"spec":{"filesystem":{"path":"."}}}`)
	r.until(func(context.Context) string {
		if answer := r.ask(path); answer.StatusCode != http.StatusOK {
			return "once it leads there again: " + answer.Status
		}
		return ""
	})
	r.merge(r.export(), `{"spec":{"destinationRef":{"name":"files"}}}`)
}

func (r *reader) browse(t *testing.T) {
	r = r.in(t)
	of := r.of(books.ExportRuns, "first", books.Vouchers)
	var all []books.Voucher
	for page := (books.VoucherList{}); ; {
		query := url.Values{"limit": {"7"}, "continue": {page.Continue}}
		page = books.VoucherList{}
		r.read(of+"?"+query.Encode(), &page)
		if len(page.Items) > 7 {
			t.Fatalf("a page has %d vouchers", len(page.Items))
		}
		all = append(all, page.Items...)
		if page.Continue == "" {
			break
		}
	}
	if len(all) != 30 || all[0].Number != "E/2026/1" || all[29].Number != "E/2026/30" {
		t.Fatalf("%d vouchers: %+v", len(all), all)
	}
	some := all[17]
	for name, query := range map[string]url.Values{
		"number": {"number": {some.Number}}, "claim": {"claim": {some.Claim}}, "amount": {"amount": {some.Amount}, "claim": {some.Claim}},
		"amount in another form": {"amount": {"0" + some.Amount + "0"}, "number": {some.Number}},
	} {
		var found books.VoucherList
		r.read(of+"?"+query.Encode(), &found)
		if len(found.Items) != 1 || found.Items[0] != some {
			t.Errorf("by its %s %+v is found, want %+v", name, found.Items, some)
		}
	}
	var none books.VoucherList
	r.read(of+"?claim=nobody", &none)
	if len(none.Items) != 0 || none.Items == nil {
		t.Errorf("%+v is found", none)
	}
	for _, wrong := range []string{"limit=0", "limit=x", "continue=x", "continue=e30x", "amount=x", "amount=1e9", "claim=%00", "claim=%ff", "claim=a&claim=b"} {
		r.refused(of+"?"+wrong, http.StatusBadRequest)
	}
	r.read(of+"?continue="+"eyJCbG9jayI6OTAwMDAwMCwiQmVmb3JlIjo1fQ", &none) // {"Block":9000000,"Before":5}

	var held books.HeldClaimList
	r.create(r.run("second"))
	eventually(r.world, r.run("second"), runIs(v1alpha1.RunSucceeded))
	r.read(r.of(books.AccountingExports, "monthly", books.HeldClaims), &held)
	if len(held.Items) != 0 || len(held.Groups) != 0 {
		t.Errorf("held %+v", held)
	}
	r.exec(`insert into ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
		select r.organization_id, t.id, 'held-' || lpad(i::text, 3, '0'), r.id, case when i < 3 then 'Rare' else 'Unmapped' end, E'map\n it \x1b[31m' from generate_series(1, 12) i,
		(select * from ledgerport.runs where name = 'second') r, (select id from ledgerport.claim_tables limit 1) t`)
	var claims []books.HeldClaim
	for page := (books.HeldClaimList{}); ; {
		query := url.Values{"limit": {"5"}, "continue": {page.Continue}}
		first := page.Continue == ""
		page = books.HeldClaimList{}
		r.read(r.of(books.AccountingExports, "monthly", books.HeldClaims)+"?"+query.Encode(), &page)
		if groups := len(page.Groups); first && (groups != 2 || page.Groups[0].Reason != "Unmapped" || page.Groups[0].Claims != 10) || !first && groups != 0 {
			t.Errorf("groups %+v", page.Groups)
		}
		claims = append(claims, page.Items...)
		if page.Continue == "" {
			break
		}
	}
	if len(claims) != 12 || claims[0].Claim != "held-001" || claims[0].Message != `map  it \x1b[31m` || claims[0].Run != "second" || time.Since(claims[0].Since.Time) > time.Hour {
		t.Errorf("held claims %+v", claims)
	}
	var rare books.HeldClaimList
	r.read(r.of(books.AccountingExports, "monthly", books.HeldClaims)+"?reason=Rare", &rare)
	if len(rare.Items) != 2 {
		t.Errorf("for a rare reason %+v are held", rare.Items)
	}
}

func (r *reader) rights(w *world) {
	paths := []string{
		r.of(books.ExportRuns, "first", books.Files), r.of(books.ExportRuns, "first", books.Files+"/first.csv"), r.of(books.ExportRuns, "first", books.Vouchers),
		r.of(books.AccountingExports, "monthly", books.HeldClaims), r.of(books.ExportRuns, "no-such-run", books.Files),
	}
	for _, somebody := range []*reader{w.reader("viewer", "ledgerport-viewer"), w.reader("nobody", "")} {
		for _, path := range paths {
			somebody.refused(path, http.StatusForbidden)
		}
	}
	for _, role := range []string{"ledgerport-editor", "ledgerport-admin"} {
		somebody := w.reader(role, role)
		w.until(func(context.Context) string { // the API server knows of the binding a moment later
			if answer := somebody.ask(paths[0]); answer.StatusCode != http.StatusOK {
				return role + ": " + answer.Status
			}
			return ""
		})
	}
	// Finance asks for runs, and reverses none.
	config := rest.CopyConfig(api.config)
	config.Impersonate.UserName = "finance"
	finance, err := client.New(config, client.Options{Scheme: newScheme()})
	w.must(err)
	w.until(func(ctx context.Context) string { // the policy is in force a moment after it was made
		reversal := w.run("back")
		reversal.Spec.Type, reversal.Spec.Reverses = v1alpha1.RunReversal, &v1alpha1.RunReference{Name: "first"}
		if err := finance.Create(ctx, reversal, client.DryRunAll); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "reverse") {
			return fmt.Sprintf("finance may reverse, or hears nothing of it: %v", err)
		}
		return ""
	})
	w.must(finance.Create(w.Context(), w.preview("look")))
	// Who comes to the door itself is not the API server, whatever it says.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: insecureTLS()}}
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "https://"+w.door.address+"/apis/"+books.GroupVersion.String()+paths[0], http.NoBody)
	w.must(err)
	request.Header.Set("X-Remote-User", "finance")
	if answer, err := insecure.Do(request); err == nil {
		_ = answer.Body.Close()
		w.Errorf("the door answers %s to who is not the API server", answer.Status)
	}
}

func (r *reader) unknown(t *testing.T) {
	r = r.in(t)
	r.refused(r.of(books.ExportRuns, "no-such-run", books.Files), http.StatusNotFound, "does not exist")
	r.refused(r.of(books.AccountingExports, "no-such-export", books.HeldClaims), http.StatusNotFound, "does not exist")
	for _, name := range []string{"second.csv", "First.csv", ".", "%2e%2e", "..%2f..%2fmanifest.json", "%2fetc%2fpasswd", "first.csv%00", "first.csv/x", "first.csv%2f", "*", "first%5ccsv"} {
		answer := r.ask(r.of(books.ExportRuns, "first", books.Files) + "/" + name)
		if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusForbidden && name != "." && name != "first.csv%2f" {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	elsewhere := home(t)
	r.refused("/namespaces/"+elsewhere+"/exportruns/first/files", http.StatusForbidden)
	w := r.world
	w.must(api.client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "finance", Namespace: elsewhere},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "ledgerport-finance"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "finance"}},
	}))
	r.until(func(context.Context) string { // this operator works in one namespace
		if answer := r.ask("/namespaces/" + elsewhere + "/exportruns/first/files"); answer.StatusCode < 400 || answer.StatusCode == http.StatusForbidden {
			return "the run of another namespace: " + answer.Status
		}
		return ""
	})
	r.refused(r.of(books.ExportRuns, "first", "status"), http.StatusForbidden)
	r.exec(`update ledgerport.runs set namespace = 'other' where name = 'second'`)
	r.refused(r.of(books.ExportRuns, "second", books.Files), http.StatusConflict, "cannot be used")
	look := eventually(w, w.run("look"), runIs(v1alpha1.RunSucceeded))
	r.refused(r.of(books.ExportRuns, look.Name, books.Files), http.StatusNotFound, "preview")
}

func (r *reader) tampered(t *testing.T) {
	r = r.in(t)
	large := bytes.Repeat([]byte("a line of a file that is large\n"), 2_000_000)
	sum := sha256.Sum256(large)
	place := r.delivered("monthly", "first", "first.csv")
	before, err := os.ReadFile(place)
	r.must(err)
	r.must(os.WriteFile(place, append(bytes.Clone(before[:len(before)-1]), 'x'), 0o600))
	path := r.of(books.ExportRuns, "first", books.Files+"/first.csv")
	r.refused(path, http.StatusConflict, "not what the run delivered")
	// Of a large one much is on its way before it is known.
	r.exec(`update ledgerport.runs set files = jsonb_set(jsonb_set(files::jsonb, '{0,size}', to_jsonb($1::bigint)), '{0,sha256}', to_jsonb($2::text)) where name = 'first'`,
		len(large), hex.EncodeToString(sum[:]))
	r.must(os.WriteFile(place, large, 0o600))
	whole, err := io.ReadAll(r.ask(path).Body)
	if err != nil || !bytes.Equal(whole, large) {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	for name, content := range map[string][]byte{
		"its last byte":  append(bytes.Clone(large[:len(large)-1]), 'x'),
		"its first byte": append([]byte{'x'}, large[1:]...),
		"cut":            large[:len(large)-1],
		"longer":         append(bytes.Clone(large), 'x'),
	} {
		r.must(os.WriteFile(place, content, 0o600))
		answer := r.ask(path)
		read, err := io.ReadAll(answer.Body)
		if answer.StatusCode == http.StatusOK && err == nil || len(read) >= len(large) && answer.StatusCode == http.StatusOK {
			t.Errorf("%s: %s, %d of %d bytes come, with %v", name, answer.Status, len(read), len(large), err)
		}
	}
	r.must(os.WriteFile(place, large, 0o600))
	r.slowly(path, large)
	r.must(os.Remove(place))
	r.refused(path, http.StatusNotFound, "not at its destination")
	r.must(os.MkdirAll(place, 0o700))
	r.refused(path, http.StatusConflict, "not a file")
	r.must(os.Remove(place))
	r.must(os.Symlink("/etc/passwd", place))
	if answer := r.ask(path); answer.StatusCode < 400 {
		t.Errorf("what a link leads to is served: %s", answer.Status)
	}
	r.must(os.Remove(place))
	r.must(os.WriteFile(place, large, 0o600))
	destination := r.destination()
	destination.Namespace = r.namespace
	r.merge(destination, `{"spec":{"filesystem":{"path":"elsewhere"}}}`)
	r.until(func(context.Context) string {
		if answer := r.ask(path); answer.StatusCode != http.StatusConflict && answer.StatusCode != http.StatusNotFound {
			return "at another destination it is " + answer.Status
		}
		return ""
	})
}

// slowly lets clients take nothing of what they ask for: they have their places, and no more, and those end.
func (r *reader) slowly(path string, large []byte) {
	r.Helper()
	var slow []reply
	for range 2 {
		slow = append(slow, r.ask(path)) // and reads nothing
	}
	if len(large) < 32<<20 {
		r.Fatal("what is sent fits into buffers")
	}
	var waiting sync.WaitGroup
	codes := make([]int, 4)
	for i := range codes {
		waiting.Go(func() { codes[i] = r.ask(path).StatusCode })
	}
	waiting.Wait()
	if !slices.Contains(codes, http.StatusTooManyRequests) {
		r.Errorf("beside two slow clients the answers are %v, want 429 among them", codes)
	}
	var list books.FileList
	r.read(r.of(books.ExportRuns, "first", books.Files), &list) // which needs no such place
	r.until(func(context.Context) string {
		answer := r.ask(path)
		whole, err := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusOK || err != nil || len(whole) != len(large) {
			return fmt.Sprintf("after slow clients: %s, %v", answer.Status, err)
		}
		return ""
	})
	for _, answer := range slow {
		if read, err := io.ReadAll(answer.Body); err == nil && len(read) == len(large) {
			r.Errorf("a client that took nothing for longer than allowed gets all of it")
		}
	}
}

func insecureTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } // #nosec G402 -- of who should not be let in
