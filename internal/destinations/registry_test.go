package destinations_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// refusing is a destination that refuses everything, by a failure that its credentials are to blame for.
type refusing struct{ destinations.Destination }

var errRefused = failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, nil, "refused")

func (refusing) Marker(context.Context) (string, error) { return "", errRefused }
func (refusing) Check(context.Context, string) (destinations.Checked, error) {
	return destinations.Checked{}, errRefused
}
func (refusing) Put(context.Context, string, destinations.Object, io.Reader) error { return errRefused }
func (refusing) Stat(context.Context, string) (destinations.Object, error) {
	return destinations.Object{}, errRefused
}
func (refusing) Remove(context.Context, string, destinations.Object) error { return errRefused }

// typeOf is a type whose destinations are what a test gives.
func typeOf(name string, opened destinations.Destination, err error) destinations.Type {
	return destinations.Type{
		Name: name, Scheme: name, Named: func(d *v1alpha1.ExportDestination) bool { return d.Name == name },
		Open: func(context.Context, *v1alpha1.ExportDestination, map[string][]byte, *outbound.Policy) (destinations.Destination, error) {
			return opened, err
		},
	}
}

func named(name string) *v1alpha1.ExportDestination {
	destination := &v1alpha1.ExportDestination{}
	destination.Namespace, destination.Name = "acme", name
	return destination
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	vault := typeOf("vault", nil, nil)
	vault.Credentials = func(*v1alpha1.ExportDestination) (*credentials.Reference, error) {
		return &credentials.Reference{Secret: "login", Keys: []string{"key"}}, nil
	}
	vault.Validate = func(*v1alpha1.ExportDestination) error { return errRefused }
	registry, err := destinations.NewRegistry(vault, typeOf("attic", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if types := strings.Join(registry.Types(), " "); types != "attic vault" {
		t.Errorf("the types are %s", types)
	}
	if ref, err := registry.Credentials(named("vault")); err != nil || ref.Kind != "ExportDestination" || ref.Namespace != "acme" || ref.Name != "vault" || ref.Secret != "login" {
		t.Errorf("the credentials are in %+v (%v)", ref, err)
	}
	if ref, err := registry.Credentials(named("attic")); ref != nil || err != nil {
		t.Errorf("one without credentials has them in %+v (%v)", ref, err)
	}
	if err := registry.Validate(named("vault")); !errors.Is(err, errRefused) {
		t.Errorf("validating ended with %v", err)
	}
	if err := errors.Join(registry.Validate(named("attic")), registry.Validate(named("cellar"))); err != nil {
		t.Errorf("nothing is to be said of these: %v", err)
	}
	for location, want := range map[string]bool{"vault://a/b": true, "attic:///b": true, "cellar://a/b": false, "javascript:alert(1)": false, "": false, "vault": false} {
		if registry.Locates(location) != want {
			t.Errorf("the location %q is one: %t", location, !want)
		}
	}
	_, unknown := registry.Of(named("cellar"))
	if failed := failure.From(unknown); failed.Reason != v1alpha1.ReasonInvalidSpec || !failed.Stalled || failed.Condition != v1alpha1.ConditionDestinationReady || !strings.Contains(failed.Message, "spec.attic, spec.vault") {
		t.Errorf("of a type that is unknown it says %+v", failed)
	}
}

func TestRegistry_RefusesTypesThatCannotWork(t *testing.T) {
	t.Parallel()
	right := typeOf("vault", nil, nil)
	wrong := map[string][]destinations.Type{"twice the same name": {right, right}}
	for name, spoil := range map[string]func(*destinations.Type){
		"no name":             func(t *destinations.Type) { t.Name = "" },
		"a name with a slash": func(t *destinations.Type) { t.Name = "a/b" },
		"no scheme":           func(t *destinations.Type) { t.Scheme = "" },
		"no Named":            func(t *destinations.Type) { t.Named = nil },
		"no Open":             func(t *destinations.Type) { t.Open = nil },
	} {
		spoiled := right
		spoil(&spoiled)
		wrong[name] = []destinations.Type{spoiled}
	}
	for name, types := range wrong {
		if _, err := destinations.NewRegistry(types...); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// TestFailuresNameTheirCondition has a server that refuses the credentials: a check puts that on them, and what a run does later on
// the destination, whose owner alone may read which server it is.
func TestFailuresNameTheirCondition(t *testing.T) {
	t.Parallel()
	registry, err := destinations.NewRegistry(typeOf("vault", refusing{}, nil), typeOf("attic", nil, failure.Stalled(v1alpha1.ReasonHostNotAllowed, nil, "no")))
	if err != nil {
		t.Fatal(err)
	}
	d, err := registry.Open(t.Context(), named("vault"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, checked := d.Check(t.Context(), "")
	_, marked := d.Marker(t.Context())
	_, found := d.Stat(t.Context(), "a/b")
	_, opened := registry.Open(t.Context(), named("attic"), nil, nil)
	_, unknown := registry.Open(t.Context(), named("cellar"), nil, nil)
	for what, test := range map[string]struct {
		err       error
		condition string
	}{
		"a check": {checked, v1alpha1.ConditionCredentialsReady}, "a marker": {marked, v1alpha1.ConditionDestinationReady},
		"a description": {found, v1alpha1.ConditionDestinationReady}, "a removal": {d.Remove(t.Context(), "a/b", destinations.Object{}), v1alpha1.ConditionDestinationReady},
		"an object":          {d.Put(t.Context(), "a/b", destinations.Object{}, strings.NewReader("")), v1alpha1.ConditionDestinationReady},
		"one that opens not": {opened, v1alpha1.ConditionDestinationReady}, "one that is unknown": {unknown, v1alpha1.ConditionDestinationReady},
	} {
		if failed := failure.From(test.err); failed.Condition != test.condition {
			t.Errorf("%s: the failure %v is on %q, want %q", what, test.err, failed.Condition, test.condition)
		}
	}
	if errRefused.Condition != v1alpha1.ConditionCredentialsReady {
		t.Error("the destination's own failure was changed")
	}
}
