package destinations_test

import (
	"path"
	"path/filepath"
	"testing"

	"github.com/ledgerport/ledgerport/internal/destinations"
)

func FuzzAKeyThatIsTakenStaysBelowItsRootAndMeansWhatItSays(f *testing.F) {
	for _, seed := range []string{"acme/monthly/monthly-1/monthly-1.csv", "", "/", "a/../b", "a//b", "./a", "a/.b", "a\\..\\b", "a\x00", "é/ü", "a/\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if destinations.ValidateKey(key) == nil && (!filepath.IsLocal(key) || path.Clean(key) != key) {
			t.Errorf("the key %q is taken", key)
		}
	})
}
