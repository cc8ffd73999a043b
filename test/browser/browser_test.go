// Package browser_test drives a real browser through the console and the site of docs/: every page and action, what axe-core finds, narrow
// windows, dark mode.
package browser_test

import (
	"context"
	"flag"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/oauth2-proxy/mockoidc"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/console/pages"
	"github.com/ledgerport/ledgerport/test/browser"
	"github.com/ledgerport/ledgerport/test/console"
	"github.com/ledgerport/ledgerport/test/testoidc"
)

var update = flag.Bool("update", false, "take the screenshots of docs/images/console again")

// TestConsoleInABrowser needs node, npm and chromium. With CI=true it fails without them.
func TestConsoleInABrowser(t *testing.T) {
	scripts := browser.Installed(t)
	stage := console.Start(t)
	stage.Approve(5, 2)
	mux := http.NewServeMux()
	mux.Handle("/", pages.Handler(pages.Options{Clusters: stage, Namespaces: []string{console.Namespace, console.Elsewhere}, LogOut: "/logout", Log: logr.Discard()}))
	mux.HandleFunc("POST /test/hostile", func(http.ResponseWriter, *http.Request) { plant(stage) })
	mux.HandleFunc("POST /test/approval", func(http.ResponseWriter, *http.Request) {
		stage.RequireApproval()
		stage.Approve(5, 3)
	})
	base := stage.Serve(mux, pages.ContentSecurityPolicy)

	t.Run("a person logs in, works and logs out", func(t *testing.T) {
		scripts.Run(t, "login.cjs", "BASE="+stage.StartConsole(), "TOKEN="+stage.Token("bookkeeper", "ledgerport-finance"))
	})
	t.Run("a person logs in at a provider of another site", func(t *testing.T) {
		provider, authority, err := testoidc.Start()
		must(t, err)
		t.Cleanup(func() { _ = provider.Shutdown() })
		for _, name := range []string{"anna", "berta"} {
			provider.QueueUser(&mockoidc.MockUser{Subject: name, Groups: []string{"clerks"}})
		}
		stage.Admit("clerks", "ledgerport-finance", rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "oidc:clerks"})
		scripts.Run(t, "provider.cjs", "BASE="+stage.StartConsoleWithProvider(provider.Config(), authority.PEM), "PROVIDER="+provider.Issuer())
	})
	t.Run("every page and action can be used by everybody", func(t *testing.T) {
		variables := []string{"BASE=" + base}
		if *update {
			place, err := filepath.Abs("../../docs/images/console")
			must(t, err)
			variables = append(variables, "SCREENSHOTS="+place)
		}
		scripts.Run(t, "console.cjs", variables...)
	})
}

// plant puts texts into the database and the cluster that would do harm, or are longer than any window.
func plant(stage *console.Stage) {
	stage.SQL(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `insert into ledgerport.held_claims (organization_id, claim_table, claim_id, run_id, reason, message)
			select r.organization_id, (select min(id) from ledgerport.claim_tables), $1, r.id, 'Unheard', $2 from ledgerport.runs r where name = 'october'`,
			`"><script>alert(1)</script>`+strings.Repeat("x", 300), "<img src=x onerror=alert(1)>\x1b[2J\u202e")
		return err
	})
	run := &v1alpha1.ExportRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: console.Namespace, Name: "hostile", Annotations: map[string]string{
			v1alpha1.RequestedByAnnotation: `<svg onload=alert(1)>` + strings.Repeat("y", 300), v1alpha1.ReasonAnnotation: `'"><script>alert(1)</script>`,
		}},
		Spec: v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: console.Export}, Type: v1alpha1.RunPreview},
	}
	if err := stage.Cluster.Create(stage.Context(), run); err != nil {
		stage.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
