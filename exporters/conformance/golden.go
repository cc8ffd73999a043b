package conformance

import (
	"bytes"
	"os"
	"testing"
)

// Golden compares a file with the one that was reviewed, or writes it anew to be reviewed where update is set.
func Golden(t *testing.T, golden string, content []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(golden, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, want) {
		t.Errorf("the file differs from %s; run the test with -update and review the change", golden)
	}
}
