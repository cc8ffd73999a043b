package command

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters/builtin"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/leaks"
)

// person is somebody with a role of config/rbac in the namespace acme, and nothing else.
type person struct {
	*installation
	name     string
	cluster  client.Client // of the test
	database string
	seed     uint64
}

// person binds a role of config/rbac to somebody.
func (i *installation) person(t *testing.T, name, role string, cluster client.Client, database string) *person {
	t.Helper()
	_, err := kubernetes.NewForConfigOrDie(i.controlPlane.Config).RbacV1().RoleBindings("acme").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	}, metav1.CreateOptions{})
	must(t, err)
	return &person{installation: i, name: name, cluster: cluster, database: database, seed: 100}
}

// does runs a command as the person, and returns what it prints, what it tells meanwhile, and the status that it ends with.
func (p *person) does(t *testing.T, arguments ...string) (out, told string, err error) {
	t.Helper()
	return p.asks(t, append(arguments, "-n", "acme")...)
}

// asks runs a command as the person, in the namespace that it names.
func (p *person) asks(t *testing.T, arguments ...string) (out, told string, err error) {
	t.Helper()
	var printed, meanwhile bytes.Buffer
	command := New(builtin.Registry())
	command.SetOut(&printed)
	command.SetErr(&meanwhile)
	command.SetArgs(append(arguments, "--kubeconfig", p.controlPlane.KubeconfigPath, "--as", p.name))
	err = command.ExecuteContext(t.Context())
	return printed.String(), meanwhile.String(), err
}

// run asks for a run, waits for it and returns it.
func (p *person) run(t *testing.T, arguments ...string) (run v1alpha1.ExportRun) {
	t.Helper()
	out, told, err := p.does(t, append(arguments, "--wait", "-o", "json")...)
	if err != nil {
		t.Fatalf("%q ends with %v, and tells\n%s", arguments, err, told)
	}
	must(t, json.Unmarshal([]byte(out), &run))
	return run
}

// approve puts approved claims of acme into the database, and returns their ids.
func (p *person) approve(t *testing.T, claims int) (ids []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.database)
	must(t, err)
	defer func() { must(t, conn.Close(context.Background())) }()
	before := time.Now()
	p.seed++
	_, err = application.Fill(t.Context(), conn, application.Content{
		OrganizationID: "3f2c9a1e-0000-4000-8000-000000000001", Claims: claims, Seed: p.seed, ApprovedFrom: before.Add(-48 * time.Hour), ApprovedTo: before.Add(-time.Hour),
	})
	must(t, err)
	rows, err := conn.Query(t.Context(), `select c.id::text from claims c where organization_id = '3f2c9a1e-0000-4000-8000-000000000001'
		and not exists (select from ledgerport.vouchers v where v.claim_id = c.id::text) order by 1`)
	must(t, err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return ids
}

// lock keeps every run from reading claims until it is unlocked.
func (p *person) lock(t *testing.T) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.database)
	must(t, err)
	_, err = conn.Exec(t.Context(), `begin; lock table claim_lines in access exclusive mode`)
	must(t, err)
	return func() { _ = conn.Close(context.Background()) } // which rolls back
}

// servePeople lets people ask for runs with the command, with the rights of config/rbac alone, while the operator works.
func (i *installation) servePeople(t *testing.T, cluster client.Client, database, assets string) {
	clerk := i.person(t, "clerk", "ledgerport-editor", cluster, database)
	auditor := i.person(t, "auditor", "ledgerport-viewer", cluster, database)
	claims := clerk.approve(t, 3)

	t.Run("a preview shows what a run would export, and a run exports claims that are named, and then all", func(t *testing.T) {
		if preview := clerk.run(t, "preview", "monthly"); preview.Status.Claims != 3 || !strings.Contains(preview.Status.Location, "_preview/") {
			t.Errorf("the preview has %d claims at %s", preview.Status.Claims, preview.Status.Location)
		}
		if run := clerk.run(t, "run", "monthly", "--claims", claims[0]); run.Status.Claims != 1 {
			t.Errorf("of one claim that is named %d are exported: %+v", run.Status.Claims, run.Status.Conditions)
		}
		if run := clerk.run(t, "run", "monthly", "--cutoff", "2000-01-01T00:00:00Z"); run.Status.Claims != 0 {
			t.Errorf("before the cutoff %d claims are exported", run.Status.Claims)
		}
		out, told, err := clerk.does(t, "run", "monthly", "--name", "october", "--wait")
		if err != nil || !strings.Contains(out, "october") || !strings.Contains(out, "Succeeded") || !strings.Contains(told, "ExportRun acme/october is Succeeded") {
			t.Errorf("it ends with %v, prints\n%s\nand tells\n%s", err, out, told)
		}
	})
	t.Run("the same request under a name is the same run, and another one is refused", func(t *testing.T) {
		if again := clerk.run(t, "run", "monthly", "--name", "october"); again.Status.Claims != 2 {
			t.Errorf("the run again has %d claims", again.Status.Claims)
		}
		if _, _, err := clerk.does(t, "run", "monthly", "--name", "october", "--claims", claims[0]); err == nil || !strings.Contains(err.Error(), "asks for something else") {
			t.Errorf("another request of the name ends with %v", err)
		}
	})
	t.Run("an import is recorded once, and reversals and redeliveries of the run warn of it", func(t *testing.T) { clerk.imports(t) })
	t.Run("a reversal takes back the claims that are named, once", func(t *testing.T) {
		if back := clerk.run(t, "reverse", "october", "--claims", claims[1]); back.Status.Claims != 1 {
			t.Errorf("%d claims are reversed", back.Status.Claims)
		}
		_, _, err := clerk.does(t, "reverse", "october", "--claims", claims[1], "--wait")
		if exitCode(err) != exitFailed || !strings.Contains(err.Error(), v1alpha1.ReasonAlreadyReversed) {
			t.Errorf("a second time it ends with %d: %v", exitCode(err), err)
		}
		if _, _, err := clerk.does(t, "reverse", "nothing"); err == nil || !strings.Contains(err.Error(), "--export") {
			t.Errorf("the reversal of a run that does not exist ends with %v", err)
		}
	})
	t.Run("an artifact is delivered again", func(t *testing.T) {
		if again := clerk.run(t, "redeliver", "october"); again.Status.Location == "" || readyOf(&again).Reason != v1alpha1.ReasonRedelivered {
			t.Errorf("it is %+v", again.Status)
		}
	})
	t.Run("a run that is under way is waited for, and cancelled", func(t *testing.T) { clerk.cancels(t) })
	t.Run("an export is suspended and resumed", func(t *testing.T) { clerk.suspends(t) })
	t.Run("the status is a tree with what is wrong and what to do", func(t *testing.T) { auditor.looks(t) })
	t.Run("a viewer asks for nothing", func(t *testing.T) {
		for _, arguments := range [][]string{{"run", "monthly"}, {"cancel", "unfinished"}, {"suspend", "monthly"}, {"imported", "october"}} {
			if _, _, err := auditor.does(t, arguments...); exitCode(err) != exitError || err == nil {
				t.Errorf("%q ends with %v", arguments, err)
			}
		}
	})
	t.Run("files, vouchers and held claims are read by those who may", func(t *testing.T) {
		i.person(t, "bookkeeper", "ledgerport-finance", cluster, database).readsBooks(t)
		if _, _, err := auditor.does(t, "download", "october"); err == nil || !strings.Contains(err.Error(), "cannot get resource") {
			t.Errorf("a viewer's download ends with %v", err)
		}
	})
	t.Run("what is of others is out of reach, by whatever name", func(t *testing.T) { clerk.reaches(t) })
	t.Run("a report has what others need, and nothing that is private", func(t *testing.T) { auditor.reports(t) })
	t.Run("a shell completes names, alone and as the plugin of kubectl", func(t *testing.T) { clerk.completes(t, assets) })
}

// reaches tries each command that asks the cluster on what is of another namespace, where the person has no role, and with names that are none. Nothing is
// found or done, and no terminal obeys what is said.
func (p *person) reaches(t *testing.T) {
	ofRun, ofExport := []string{"download", "verify", "vouchers", "logs", "cancel", "approve", "imported", "reverse", "redeliver"}, []string{"run", "preview", "suspend", "resume", "status", "held"}
	for _, verb := range slices.Concat(ofRun, ofExport) {
		name := "monthly"
		if slices.Contains(ofRun, verb) {
			name = "october"
		}
		attempts := [][]string{{verb, name, "-n", "nordwind"}, {verb, name, "-n", "acme/../nordwind"}}
		for _, wrong := range []string{"../../nordwind/exportruns/october", "..", "%2e%2e", "october/files", "\x1b[2J", strings.Repeat("a", 300)} {
			attempts = append(attempts, []string{verb, wrong, "-n", "acme"})
		}
		for _, arguments := range attempts {
			out, told, err := p.asks(t, arguments...)
			if err == nil {
				t.Errorf("%q is done, and prints\n%s", arguments, out)
			} else if said := out + told; strings.Contains(said, "\x1b") { // Main writes the error out
				t.Errorf("%q says %q", arguments, said)
			}
		}
	}
}

func (p *person) cancels(t *testing.T) {
	p.approve(t, 1)
	unlock := p.lock(t)
	defer unlock()
	_, told, err := p.does(t, "run", "monthly", "--name", "slow", "--wait", "--timeout", "1s")
	if exitCode(err) != exitUnderWay {
		t.Fatalf("the run that cannot end ends with %d: %v\n%s", exitCode(err), err, told)
	}
	out, told, err := p.does(t, "cancel", "slow", "--wait")
	if err != nil || !strings.Contains(out, "Cancelled") {
		t.Errorf("to cancel it ends with %v, and prints\n%s\n%s", err, out, told)
	}
	unlock()
	if _, _, err := p.does(t, "cancel", "slow"); err == nil || !strings.Contains(err.Error(), "has ended as Cancelled") {
		t.Errorf("to cancel it again ends with %v", err)
	}
	if _, _, err := p.does(t, "cancel", "october"); err == nil || !strings.Contains(err.Error(), "reverse october") {
		t.Errorf("to cancel a run that has succeeded ends with %v", err)
	}
}

// imports marks the run october as imported and takes that back.
func (p *person) imports(t *testing.T) {
	out, _, err := p.does(t, "imported", "october", "--reference", "batch\x1b[2J 4711")
	if err != nil || !strings.Contains(out, "IMPORTED") || strings.Contains(out, "\x1b") {
		t.Errorf("it ends with %v, and prints\n%s", err, out)
	}
	until(t, func(context.Context) string { // the operator has to see it
		if out, _, err = p.does(t, "status", "monthly"); err != nil || !strings.Contains(out, "imported: by clerk at 20") || !strings.Contains(out, ", reference batch [2J 4711\n") {
			return out
		}
		return ""
	})
	must(t, err)
	for verb, words := range map[string]string{"redeliver": "or it is booked twice", "reverse": "until the files of the reversal are imported, too"} {
		_, told, err := p.does(t, verb, "october", "--name", "no such name") // it warns, and the API server refuses the run
		if err == nil || !strings.Contains(told, "Warning: the files of ExportRun october were imported into the accounting system by clerk at 20") || !strings.Contains(told, words) {
			t.Errorf("before %s it tells (%v)\n%s", verb, err, told)
		}
	}
	var run v1alpha1.ExportRun
	out, _, err = p.does(t, "imported", "october", "--undo", "-o", "json")
	must(t, err)
	must(t, json.Unmarshal([]byte(out), &run))
	if _, marked := run.Annotations[v1alpha1.ImportedAnnotation]; marked || run.Annotations[v1alpha1.ImportedByAnnotation] != "clerk" {
		t.Errorf("after it was taken back the run has %v", run.Annotations)
	}
	for _, arguments := range [][]string{{"october", "--undo", "--reference", "x"}, {"october", "--reference", strings.Repeat("x", 65)}, {"nothing"}} {
		if _, _, err := p.does(t, append([]string{"imported"}, arguments...)...); err == nil {
			t.Errorf("%q is done", arguments)
		}
	}
}

func (p *person) suspends(t *testing.T) {
	export := &v1alpha1.AccountingExport{}
	for _, verb := range []string{"suspend", "resume"} {
		out, _, err := p.does(t, verb, "monthly", "-o", "yaml")
		must(t, err)
		must(t, yaml.Unmarshal([]byte(out), export))
		if export.Spec.Suspend != (verb == "suspend") || export.Kind != "AccountingExport" {
			t.Errorf("after %s the export is\n%s", verb, out)
		}
		said, _, err := p.does(t, "status", "monthly")
		must(t, err)
		if strings.Contains(said, `"ledgerport resume monthly"`) != export.Spec.Suspend {
			t.Errorf("after %s the status is\n%s", verb, said)
		}
	}
}

func (p *person) looks(t *testing.T) {
	var said string
	var err error
	until(t, func(context.Context) string { // the operator has yet to look at the export that was resumed
		if said, _, err = p.does(t, "status", "monthly"); err != nil || !strings.HasPrefix(said, "AccountingExport acme/monthly: Ready\n") {
			return said
		}
		return ""
	})
	must(t, err)
	for _, words := range []string{
		"├─ ClaimSource expenses/claims: Ready\n", "├─ ChartOfAccounts acme/acme: Ready\n", "├─ ExportDestination acme/finance: Ready\n",
		"└─ ExportRun acme/", "Succeeded", "file: file://", "next: ",
	} {
		if !strings.Contains(said, words) {
			t.Errorf("the status lacks %q:\n%s", words, said)
		}
	}
	patch := func(to string) {
		t.Helper()
		export := &v1alpha1.AccountingExport{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "monthly"}}
		must(t, p.cluster.Patch(t.Context(), export, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"destinationRef":{"name":"`+to+`"}}}`))))
	}
	patch("nowhere")
	defer patch("finance")
	until(t, func(context.Context) string {
		said, _, err = p.does(t, "status", "monthly", "--runs", "0")
		must(t, err)
		if !strings.Contains(said, "AccountingExport acme/monthly: NotReady (DestinationNotFound)\n") ||
			!strings.Contains(said, "ExportDestination acme/nowhere: NotReady (DestinationNotFound)\n") || strings.Contains(said, "─ ExportRun") {
			return said
		}
		return ""
	})
	out, _, err := p.does(t, "status", "monthly", "-o", "json")
	must(t, err)
	var tree struct {
		State, Reason string
		Children      []struct{ Kind, State string }
	}
	must(t, json.Unmarshal([]byte(out), &tree))
	if tree.State != "NotReady" || tree.Reason != v1alpha1.ReasonDestinationNotFound || len(tree.Children) < 4 {
		t.Errorf("for programs it is\n%s", out)
	}
	if out, _, err = p.does(t, "runs", "monthly"); err != nil || strings.Count(out, "\n") < 6 || !strings.Contains(out, "AlreadyReversed") {
		t.Errorf("the runs are (%v)\n%s", err, out)
	}
	if out, _, err = p.does(t, "runs", "nothing"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("the runs of nothing are (%v)\n%s", err, out)
	}
}

func (p *person) reports(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.tar.gz")
	_, told, err := p.does(t, "report", "--file", file)
	if err != nil || !strings.Contains(told, "not read: claimsources expenses/claims: ") || !strings.Contains(told, "not read: pods of ledgerport-system: ") {
		t.Fatalf("it ends with %v, and tells\n%s", err, told)
	}
	if _, _, err := p.does(t, "report", "--file", file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that exists it ends with %v", err)
	}
	packed, err := os.Open(file)
	must(t, err)
	defer func() { _ = packed.Close() }()
	unpacked, err := gzip.NewReader(packed)
	must(t, err)
	files := map[string]string{}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		content, err := io.ReadAll(archive)
		must(t, err)
		files[header.Name] = string(content)
		p.scan.Text("report", header.Name, content, leaks.BankAccount, leaks.Name)
	}
	for name, words := range map[string]string{
		"about.txt": "API server: v", "acme/accountingexports/monthly.yaml": "type: csv", "acme/exportruns/october.yaml": "phase: Succeeded",
		"acme/chartsofaccounts/acme.yaml": "currency: EUR", "acme/exportdestinations/finance.yaml": "path: finance", "acme/status/monthly.txt": "AccountingExport acme/monthly",
	} {
		if content := files["ledgerport-report/"+name]; !strings.Contains(content, words) {
			t.Errorf("%s lacks %q:\n%s", name, words, content)
		}
	}
	if found := p.scan.Found(); len(found) > 0 {
		t.Errorf("the report has what nobody is to see: %q", found)
	}
}

func (p *person) completes(t *testing.T, assets string) {
	program, err := os.Executable()
	must(t, err)
	directory := t.TempDir()
	for _, name := range []string{plugin, completer} {
		must(t, os.Symlink(program, filepath.Join(directory, name)))
	}
	login := []string{"--kubeconfig", p.controlPlane.KubeconfigPath, "--as", p.name, "-n", "acme"}
	for _, test := range []struct {
		typed      []string
		has, lacks string
	}{
		{[]string{"status"}, "monthly\tcsv\n", "october"},
		{[]string{"reverse"}, "october\tSucceeded\n", "slow"},
		{[]string{"redeliver"}, "october\tSucceeded\n", "slow"},
		{[]string{"imported"}, "october\tSucceeded\n", "slow"},
		{[]string{"imported", "--undo"}, ":36\n", "october"},
		{[]string{"cancel"}, ":36\n", "october"},
		{[]string{"download"}, "october\tSucceeded\n", "slow"},
		{[]string{"suspend", "monthly"}, ":36\n", "monthly"},
	} {
		arguments := append(append([]string{test.typed[0]}, login...), test.typed[1:]...)
		command := exec.CommandContext(t.Context(), filepath.Join(directory, completer), append(arguments, "")...) // #nosec G204 -- this program
		out, err := command.Output()
		if err != nil || !strings.Contains(string(out), test.has) || strings.Contains(string(out), test.lacks) {
			t.Errorf("after %q come (%v)\n%s", test.typed, err, out)
		}
	}
	kubectl, found := environment.Kubectl(assets)
	if !found {
		t.Skip("there is no kubectl beside the control plane, nor on PATH")
	}
	command := exec.CommandContext(t.Context(), kubectl, append([]string{"ledgerport", "status", "monthly"}, login...)...) // #nosec G204 -- a path that the environment chose
	command.Env = append(os.Environ(), "PATH="+directory+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "AccountingExport acme/monthly") {
		t.Errorf("kubectl ledgerport status ends with %v and prints\n%s", err, out)
	}
}
