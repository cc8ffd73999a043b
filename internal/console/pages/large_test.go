package pages

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"

	"github.com/ledgerport/ledgerport/internal/console/identity"
)

// largeExports is an API server with the exports of two namespaces, of which those of one have a megabyte and more each.
func largeExports(everywhere bool) http.Handler {
	type stored struct{ namespace, json string }
	var all []stored
	for i := range 40 {
		namespace, options := "aggressor", strings.Repeat("x", 1400<<10)
		if i%8 == 7 {
			namespace, options = "victim", "small"
		}
		all = append(all, stored{namespace, fmt.Sprintf(`{"metadata":{"namespace":%q,"name":"export-%d"},"spec":{"exporter":{"options":{"a":%q}}}}`, namespace, i, options)})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const before, after = "/apis/accounting.ledgerport.dev/v1alpha1/namespaces/", "/accountingexports"
		namespace, of := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, after), before)
		w.Header().Set("Content-Type", "application/json")
		if !of && !everywhere {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`))
			return
		}
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		at, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		var items []string
		for ; at < len(all) && len(items) < limit; at++ {
			if !of || all[at].namespace == namespace {
				items = append(items, all[at].json)
			}
		}
		next := ""
		if at < len(all) {
			next = strconv.Itoa(at)
		}
		_, _ = fmt.Fprintf(w, `{"kind":"AccountingExportList","apiVersion":"accounting.ledgerport.dev/v1alpha1","metadata":{"continue":%q},"items":[`, next)
		for i, item := range items {
			if i > 0 {
				item = "," + item
			}
			if _, err := io.WriteString(w, item); err != nil { // it has read enough
				return
			}
		}
		_, _ = io.WriteString(w, "]}")
	})
}

// anywhere reaches one API server.
type anywhere string

// As implements identity.Clusters.
func (a anywhere) As(context.Context) (*rest.Config, error) {
	return &rest.Config{Host: string(a)}, nil
}

var moreLink = regexp.MustCompile(`href="([^"]*continue=[^"]*)"`)

// TestLargeExportsOfOneNamespaceHideNoOthers has a tenant with exports as large as an API server stores, and somebody who may see those of others, too.
func TestLargeExportsOfOneNamespaceHideNoOthers(t *testing.T) {
	t.Parallel()
	for name, everywhere := range map[string]bool{"from those who may list all": true, "from those who may list some namespaces": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := httptest.NewServer(largeExports(everywhere))
			t.Cleanup(api.Close)
			pages := Handler(Options{Clusters: anywhere(api.URL), Namespaces: []string{"aggressor", "victim"}, Log: logr.Discard()})
			seen, asked := "", 0
			for paths := []string{"/"}; len(paths) > 0 && asked < 30; asked++ {
				answer := httptest.NewRecorder()
				request := httptest.NewRequest(http.MethodGet, paths[0], http.NoBody)
				pages.ServeHTTP(answer, request.WithContext(identity.With(request.Context(), identity.Caller{Name: "anna"})))
				if answer.Code != http.StatusOK {
					t.Fatalf("%s is answered %d: %s", paths[0], answer.Code, regexp.MustCompile(`(?s)<main.*</main>`).FindString(answer.Body.String()))
				}
				seen, paths = seen+answer.Body.String(), paths[1:]
				for _, more := range moreLink.FindAllStringSubmatch(answer.Body.String(), -1) {
					paths = append(paths, strings.ReplaceAll(more[1], "&amp;", "&"))
				}
			}
			for i := range 40 {
				if !strings.Contains(seen, fmt.Sprintf("/exports/export-%d\"", i)) {
					t.Errorf("on %d pages export-%d is not shown", asked, i)
				}
			}
		})
	}
}
