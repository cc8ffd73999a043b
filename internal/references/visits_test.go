package references

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestVisitsToSourcesThatDoNotAdmitANamespace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r Resolver
		begun := time.Now()
		for i, test := range []struct {
			name, namespace string
			want            time.Duration
		}{
			{"the first is made at once", "hostile", 0},
			{"the next one waits", "hostile", betweenVisits},
			{"and the one after that", "hostile", 2 * betweenVisits},
			{"another namespace waits for none of them", "other", 2 * betweenVisits},
		} {
			if err := r.Visit(t.Context(), test.namespace); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took != test.want {
				t.Errorf("%d: %s: after %s, want %s", i, test.name, took, test.want)
			}
		}
	})
}
