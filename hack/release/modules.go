package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

const (
	rootModule = "github.com/ledgerport/ledgerport"
	apiModule  = rootModule + "/api"
)

// requireAPI lets the module require the API in the version that both get, and replace it no more: `go install` refuses a module that
// replaces another, and a module that imports it does not see what is replaced. The sums are those of the directory as it is.
func (r *release) requireAPI() error {
	if !regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(r.version) {
		return fmt.Errorf("%q is not a version such as v1.2.3", r.version)
	}
	sums, err := r.sumsOfAPI()
	if err != nil {
		return err
	}
	path := filepath.Join(r.root, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := modfile.Parse(path, content, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(file.AddRequire(apiModule, r.version), file.DropReplace(apiModule, "")); err != nil {
		return err
	}
	file.Cleanup()
	if content, err = file.Format(); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, 0o644); err != nil { // #nosec G306 -- public
		return err
	}
	return r.addSums(sums)
}

// sumsOfAPI returns the lines of go.sum for the API.
func (r *release) sumsOfAPI() ([]string, error) {
	packed := filepath.Join(os.TempDir(), fmt.Sprintf("ledgerport-api-%d.zip", os.Getpid()))
	defer func() { _ = os.Remove(packed) }() // a leftover in the system's own directory is no failure
	if err := zipModule(packed, apiModule, r.version, filepath.Join(r.root, "api")); err != nil {
		return nil, err
	}
	whole, err := dirhash.HashZip(packed, dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	gomod, err := dirhash.Hash1([]string{"go.mod"}, opener(filepath.Join(r.root, "api/go.mod")))
	return []string{
		fmt.Sprintf("%s %s %s\n", apiModule, r.version, whole),
		fmt.Sprintf("%s %s/go.mod %s\n", apiModule, r.version, gomod),
	}, err
}

func (r *release) addSums(sums []string) error {
	path := filepath.Join(r.root, "go.sum")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		if !strings.HasPrefix(line, apiModule+" ") {
			sums = append(sums, line)
		}
	}
	slices.Sort(sums)
	return os.WriteFile(path, []byte(strings.Join(sums, "")), 0o644) // #nosec G306 -- public
}

// zipModule packs a module as a proxy serves it: without the modules below it.
func zipModule(into, path, version, directory string) error {
	file, err := os.Create(into)
	if err != nil {
		return err
	}
	return errors.Join(zip.CreateFromDir(file, module.Version{Path: path, Version: version}, directory), file.Close())
}
