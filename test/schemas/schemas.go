// Package schemas checks XML in tests against the XSDs of those who define a format. The XSDs are not a part of the project.
package schemas

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	// Directory is the environment variable that names the directory with the XSDs of standards and authorities.
	Directory = "LEDGERPORT_SCHEMAS"
	// Vendors is that of those of vendors, each in a folder of its own.
	Vendors = "LEDGERPORT_SPECS"
)

// Validate checks a document with xmllint of Debian's package libxml2-utils. The test is skipped where there are no XSDs.
func Validate(t testing.TB, schema string, document []byte) {
	t.Helper()
	validate(t, Directory, schema, document)
}

// ValidateVendor is Validate against the XSD of a vendor, such as datev-xml/Document_v060.xsd.
func ValidateVendor(t testing.TB, schema string, document []byte) {
	t.Helper()
	validate(t, Vendors, schema, document)
}

func validate(t testing.TB, variable, schema string, document []byte) {
	t.Helper()
	directory := os.Getenv(variable)
	if directory == "" {
		t.Skipf("%s is not set: set it to a directory with %s, and the files are checked against it", variable, schema)
	}
	if _, err := exec.LookPath("xmllint"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no xmllint: install Debian's package libxml2-utils")
		}
		t.Skip("there is no xmllint: install Debian's package libxml2-utils to check the files with it")
	}
	path := filepath.Join(t.TempDir(), "document.xml")
	if err := os.WriteFile(path, document, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "xmllint", "--nonet", "--huge", "--noout", "--schema", filepath.Join(directory, schema), path)
	if out, err := run.CombinedOutput(); err != nil {
		const most = 2000
		t.Fatalf("%s: %v\n%s", schema, err, bytes.TrimSpace(out[:min(len(out), most)]))
	}
}
