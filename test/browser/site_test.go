package browser_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/test/browser"
)

// TestSiteInABrowser needs what TestConsoleInABrowser does. SITE_SCREENSHOTS names a directory for pictures of it.
func TestSiteInABrowser(t *testing.T) {
	scripts := browser.Installed(t)
	place := t.TempDir()
	for _, version := range []string{"older", "main"} {
		build := exec.CommandContext(t.Context(), "go", "-C", "../../hack/site", "run", ".", "-version="+version, "-into="+place) // #nosec G204 -- our own arguments
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("the site is not built: %v\n%s", err, said)
		}
	}
	var pages []string
	must(t, fs.WalkDir(os.DirFS(filepath.Join(place, "main")), ".", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".html") {
			pages = append(pages, name)
		}
		return err
	}))
	if len(pages) < 100 {
		t.Fatalf("the site has %d pages", len(pages))
	}
	listed, err := json.Marshal(pages)
	must(t, err)
	// It is published below a path.
	server := httptest.NewServer(http.StripPrefix("/ledgerport/", http.FileServerFS(os.DirFS(place))))
	t.Cleanup(server.Close)
	scripts.Run(t, "site.cjs", "BASE="+server.URL+"/ledgerport/main/", "PAGES="+string(listed), "SCREENSHOTS="+os.Getenv("SITE_SCREENSHOTS"))
}
