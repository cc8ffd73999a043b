package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unwanted are the modules that who uses the API alone does not get.
var unwanted = []string{"github.com/aws/", "github.com/google/cel-go", "cel.dev/", "github.com/jackc/pgx", "k8s.io/apiserver", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"}

// TestModulesByVersion serves the modules as a proxy would after a release: the API alone pulls nothing of the operator, and the operator
// can be installed and imported by its version.
func TestModulesByVersion(t *testing.T) {
	// Of its own, because Go keeps what it has downloaded.
	version := fmt.Sprintf("v0.0.1-test.%d", time.Now().UnixNano())
	clone := filepath.Join(t.TempDir(), "clone")
	command(t, ".", "git", "clone", "--quiet", "--no-hardlinks", "../..", clone)
	r := &release{ctx: t.Context(), out: t.Output(), root: clone, version: version}
	must(t, r.requireAPI())
	proxy := serveModules(t, clone, version)

	t.Run("the API alone pulls nothing of the operator", func(t *testing.T) {
		consumer := proxy.consumer(t, "package consumer\n\nimport (\n\t_ \"github.com/ledgerport/ledgerport/api/books/v1alpha1\"\n\t_ \"github.com/ledgerport/ledgerport/api/v1alpha1\"\n)\n")
		proxy.run(t, consumer, "mod", "edit", "-require="+apiModule+"@"+version)
		proxy.run(t, consumer, "mod", "tidy")
		for _, listed := range []string{proxy.run(t, consumer, "mod", "graph"), proxy.run(t, consumer, "list", "-deps", "./...")} {
			for _, name := range unwanted {
				if strings.Contains(listed, name) {
					t.Errorf("the API pulls %s", name)
				}
			}
			if !strings.Contains(listed, "k8s.io/apimachinery") {
				t.Errorf("what was listed?\n%s", listed)
			}
		}
	})
	t.Run("an exporter of somebody else is built with it", func(t *testing.T) {
		consumer := proxy.consumer(t, "package consumer\n\nimport _ \"github.com/ledgerport/ledgerport/command\"\n")
		proxy.run(t, consumer, "mod", "edit", "-require="+rootModule+"@"+version)
		proxy.run(t, consumer, "mod", "tidy")
		if listed := proxy.run(t, consumer, "list", "-deps", "./..."); !strings.Contains(listed, apiModule+"/v1alpha1\n") {
			t.Error("the operator does without its API")
		}
	})
	t.Run("go install takes it", func(t *testing.T) {
		proxy.run(t, t.TempDir(), "install", "-n", rootModule+"/cmd/ledgerport@"+version) // -n: load all of it, compile nothing
	})
}

// goProxy is a directory that Go reads as a proxy, before the usual ones.
type goProxy struct{ environment []string }

func serveModules(t *testing.T, clone, version string) *goProxy {
	t.Helper()
	directory := t.TempDir()
	for path, from := range map[string]string{rootModule: clone, apiModule: filepath.Join(clone, "api")} {
		served := filepath.Join(directory, path, "@v")
		must(t, os.MkdirAll(served, 0o750))
		gomod, err := os.ReadFile(filepath.Join(from, "go.mod"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(served, version+".mod"), gomod, 0o600))
		must(t, os.WriteFile(filepath.Join(served, version+".info"), fmt.Appendf(nil, `{"Version":%q}`, version), 0o600))
		must(t, os.WriteFile(filepath.Join(served, "list"), []byte(version+"\n"), 0o600))
		must(t, zipModule(filepath.Join(served, version+".zip"), path, version, from))
	}
	usual := strings.TrimSpace(command(t, ".", "go", "env", "GOPROXY"))
	cache := strings.TrimSpace(command(t, ".", "go", "env", "GOMODCACHE"))
	t.Cleanup(func() {
		left, _ := filepath.Glob(filepath.Join(cache, rootModule) + "*@" + version)                      // the pattern is well formed
		api, _ := filepath.Glob(filepath.Join(cache, rootModule, "*@"+version))                          // as above
		kept, _ := filepath.Glob(filepath.Join(cache, "cache/download", rootModule, "@v/v0.0.1-test.*")) // as above
		keptAPI, _ := filepath.Glob(filepath.Join(cache, "cache/download", apiModule, "@v/v0.0.1-test.*"))
		for _, path := range append(append(append(left, api...), kept...), keptAPI...) {
			_ = os.RemoveAll(path) // what is kept of a test takes room, and does nothing
		}
	})
	return &goProxy{append(os.Environ(), "GOPROXY=file://"+directory+","+usual, "GONOSUMDB="+rootModule+"/*,"+rootModule, "GOFLAGS=-mod=mod -modcacherw", "GOWORK=off")}
}

// consumer makes a module of one file.
func (p *goProxy) consumer(t *testing.T, file string) string {
	t.Helper()
	directory := t.TempDir()
	must(t, os.WriteFile(filepath.Join(directory, "go.mod"), []byte("module example.com/consumer\n\ngo 1.26.0\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(directory, "consumer.go"), []byte(file), 0o600))
	return directory
}

func (p *goProxy) run(t *testing.T, directory string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir, command.Env = directory, p.environment
	var said bytes.Buffer
	command.Stderr = &said
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go %s: %s\n%s", strings.Join(arguments, " "), err, said.Bytes())
	}
	return string(output)
}
