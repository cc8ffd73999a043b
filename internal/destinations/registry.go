package destinations

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Registry finds the types of destinations. It does not change, and is safe for concurrent use.
type Registry struct {
	types []Type
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9]{0,62}$`)

// NewRegistry makes a registry. A type whose name occurs twice, or whose name or scheme is not lower case letters and digits, is an
// error.
func NewRegistry(types ...Type) (*Registry, error) {
	names := map[string]bool{}
	for _, t := range types {
		switch {
		case !validName.MatchString(t.Name), !validName.MatchString(t.Scheme):
			return nil, fmt.Errorf("the name %q or the scheme %q of a destination type is not of the form %s", t.Name, t.Scheme, validName)
		case names[t.Name]:
			return nil, fmt.Errorf("there are two destination types of the name %q", t.Name)
		case t.Named == nil || t.Open == nil:
			return nil, fmt.Errorf("the destination type %s lacks Named or Open", t.Name)
		}
		names[t.Name] = true
	}
	return &Registry{types: slices.Clone(types)}, nil
}

// Types lists the names of the types, sorted.
func (r *Registry) Types() []string {
	names := make([]string, 0, len(r.types))
	for _, t := range r.types {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// Of returns the type of an ExportDestination.
func (r *Registry) Of(destination *v1alpha1.ExportDestination) (Type, error) {
	for _, t := range r.types {
		if t.Named(destination) {
			return t, nil
		}
	}
	return Type{}, failure.OnDestination.Stalled(v1alpha1.ReasonInvalidSpec, nil,
		"the ExportDestination names no type of destination that this operator has; give one of spec.%s", strings.Join(r.Types(), ", spec."))
}

// Credentials says where the credentials of an ExportDestination are; nil if it needs none.
func (r *Registry) Credentials(destination *v1alpha1.ExportDestination) (*credentials.Reference, error) {
	t, err := r.Of(destination)
	if err != nil || t.Credentials == nil {
		return nil, err
	}
	ref, err := t.Credentials(destination)
	if err != nil || ref == nil {
		return nil, err
	}
	ref.Kind, ref.Namespace, ref.Name = "ExportDestination", destination.Namespace, destination.Name
	return ref, nil
}

// Validate says what the schema cannot say of an ExportDestination. That it names no type is for the schema to say.
func (r *Registry) Validate(destination *v1alpha1.ExportDestination) error {
	t, err := r.Of(destination)
	if err != nil || t.Validate == nil {
		return nil //nolint:nilerr // as above
	}
	return t.Validate(destination)
}

// Locates reports whether a URL is one that a destination of these types can return as a location.
func (r *Registry) Locates(location string) bool {
	at, err := url.Parse(location)
	return err == nil && slices.ContainsFunc(r.types, func(t Type) bool { return t.Scheme == at.Scheme })
}

// Open opens an ExportDestination with the data of its Secret. It does not touch it yet, beyond making a directory of the
// operator's own. Whatever host it names is reached as far as the policy allows. Failures name the condition that they make False.
func (r *Registry) Open(ctx context.Context, destination *v1alpha1.ExportDestination, login map[string][]byte, policy *outbound.Policy) (Destination, error) {
	t, err := r.Of(destination)
	if err != nil {
		return nil, err
	}
	opened, err := t.Open(ctx, destination, login, policy)
	if err != nil {
		return nil, failure.On(v1alpha1.ConditionDestinationReady, err)
	}
	return guarded{opened}, nil
}
