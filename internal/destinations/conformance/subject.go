package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Open opens a destination of a type as the operator does, in the namespace acme, and closes it with the test. It reaches this
// machine alone.
func Open(t testing.TB, of destinations.Type, spec v1alpha1.ExportDestinationSpec, login map[string][]byte) destinations.Destination {
	t.Helper()
	d, err := TryOpen(t, of, spec, login, Policy(t))
	must(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Policy lets this machine be reached, and a host that does not exist.
func Policy(t testing.TB) *outbound.Policy {
	t.Helper()
	policy, err := outbound.New([]string{"127.0.0.0/8", "no-such-host.invalid"})
	must(t, err)
	return policy
}

// TryOpen opens a destination that may be refused, and reaches what a policy allows.
func TryOpen(t testing.TB, of destinations.Type, spec v1alpha1.ExportDestinationSpec, login map[string][]byte, policy *outbound.Policy) (destinations.Destination, error) {
	t.Helper()
	registry, err := destinations.NewRegistry(of)
	must(t, err)
	destination := &v1alpha1.ExportDestination{Spec: spec}
	destination.Namespace, destination.Name = "acme", "finance"
	return registry.Open(t.Context(), destination, login, policy)
}

// Check checks a destination itself.
func Check(ctx context.Context, d destinations.Destination) error {
	_, err := d.Check(ctx, "")
	return err
}

// Holds compares what is really there with what should be, apart from the marker.
func (s Subject) Holds(t testing.TB, want ...string) {
	t.Helper()
	have := slices.DeleteFunc(s.Listing(), func(key string) bool { return key == destinations.MarkerName })
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("the destination holds %q, want %q", have, want)
	}
}

// PutText puts an object, which must not fail.
func (s Subject) PutText(t testing.TB, key, content string) {
	t.Helper()
	must(t, s.Put(t.Context(), key, Describe(content), strings.NewReader(content)))
}

// Describe describes the object of a content.
func Describe(content string) destinations.Object {
	sum := sha256.Sum256([]byte(content))
	return destinations.Object{Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), MediaType: "text/csv"}
}

// CheckFailure insists on a failure of a reason that names its condition, and no secret: hunter2 is that of the tests.
func CheckFailure(t testing.TB, err error, reason v1alpha1.Reason) {
	t.Helper()
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Reason != reason {
		t.Errorf("got %v, want a failure with reason %s", err, reason)
		return
	}
	if failed.Condition == "" {
		t.Errorf("the failure %q names no condition", failed.Message)
	}
	if strings.Contains(failed.Message, "hunter2") {
		t.Errorf("the message holds the secret: %s", failed.Message)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type failingReader struct{ err error }

// Read implements io.Reader.
func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// CallReader is content that calls a function when it is read, and is empty.
type CallReader func()

// Read implements io.Reader.
func (call CallReader) Read([]byte) (int, error) {
	call()
	return 0, io.EOF
}
