package panics_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ledgerport/ledgerport/internal/panics"
)

func TestCatch(t *testing.T) {
	t.Parallel()
	const secret = "DE02120300000000202051"
	tests := map[string]struct {
		fault func()
		kind  string
	}{
		"tells the type of a value and not what it holds": {func() { panic(secret) }, "string"},
		"tells the type of an error and not its text":     {func() { panic(errors.New(secret)) }, "*errors.errorString"},
		"tells what the runtime says":                     {func() { _ = []int{}[len(secret)] }, "runtime error: index out of range [22] with length 0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := func() (err error) {
				defer panics.Catch(&err)
				test.fault()
				return nil
			}()
			var caught *panics.Error
			if !errors.As(err, &caught) || caught.Kind != test.kind {
				t.Fatalf("%v, want a panic of kind %q", err, test.kind)
			}
			if !bytes.Contains(caught.Stack, []byte("panics_test.go")) || bytes.Contains(caught.Stack, []byte(secret)) {
				t.Errorf("the stack does not show where, or quotes a value:\n%s", caught.Stack)
			}
		})
	}
	t.Run("leaves an error as it is", func(t *testing.T) {
		t.Parallel()
		want := errors.New("refused")
		err := func() (err error) {
			defer panics.Catch(&err)
			return want
		}()
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	})
}
