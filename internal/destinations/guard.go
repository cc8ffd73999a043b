package destinations

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/tracing"
)

// guarded is a destination whose calls are checked: keys mean one place, content is what was announced, and failures name the
// condition that they make False.
type guarded struct{ Destination }

// Marker implements Destination.
func (g guarded) Marker(ctx context.Context) (string, error) {
	ctx, span := tracing.Start(ctx, "destination marker")
	id, err := g.Destination.Marker(ctx)
	span.End(err)
	return id, used(err)
}

// Check implements Destination. Its failures keep the condition that the destination names, because a check tries the credentials.
func (g guarded) Check(ctx context.Context, directory string) (Checked, error) {
	if directory != "" {
		if err := ValidateKey(directory); err != nil {
			return Checked{}, err
		}
	}
	ctx, span := tracing.Start(ctx, "destination check")
	checked, err := g.Destination.Check(ctx, directory)
	span.End(err)
	return checked, failure.On(v1alpha1.ConditionDestinationReady, err)
}

// Put implements Destination. If the content fails, or is not what was announced, that is the error, whatever it did to the
// destination.
func (g guarded) Put(ctx context.Context, key string, object Object, content io.Reader) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	ctx, span := tracing.Start(ctx, "destination put")
	span.Count("ledgerport.bytes", object.Size)
	verified := newVerifier(contextReader{ctx, content}, object)
	err := g.Destination.Put(ctx, key, object, verified)
	span.End(cmp.Or(verified.err, err))
	if verified.err != nil {
		return verified.err
	}
	return used(err)
}

// Stat implements Destination.
func (g guarded) Stat(ctx context.Context, key string) (Object, error) {
	if err := ValidateKey(key); err != nil {
		return Object{}, err
	}
	ctx, span := tracing.Start(ctx, "destination stat")
	found, err := g.Destination.Stat(ctx, key)
	span.End(unlessExpected(err))
	return found, used(err)
}

// Remove implements Destination.
func (g guarded) Remove(ctx context.Context, key string, object Object) error {
	if err := ValidateKey(key); err != nil {
		return err
	}
	ctx, span := tracing.Start(ctx, "destination remove")
	err := g.Destination.Remove(ctx, key, object)
	span.End(err)
	return used(err)
}

// unlessExpected is an error of a look at an object, but for the answer that there is none.
func unlessExpected(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// used puts a failure of a destination that a run uses on DestinationReady. The credentials were right when it was checked: what
// is wrong now is for the destination to say, whose owner alone may read at which host.
func used(err error) error {
	var failed *failure.Error
	if !errors.As(err, &failed) || failed.Condition == v1alpha1.ConditionDestinationReady {
		return err
	}
	named := *failed
	named.Condition = v1alpha1.ConditionDestinationReady
	return &named
}

// Explained returns an error of a server, or of the way to it, if it needs no words of the server's protocol: the end of the
// context, a failure that says all, a host that the operator may not connect to. Of others, and only of them, known is false.
func Explained(ctx context.Context, err error, where string) (known bool, explained error) {
	var failed *failure.Error
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrOccupied):
		return true, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return true, failure.OnDestination.Transient(v1alpha1.ReasonDestinationUnreachable, ctx.Err(), "%s did not answer in time", where)
	case ctx.Err() != nil:
		return true, ctx.Err()
	case errors.As(err, &failed):
		return true, err
	}
	if refused := outbound.Refusal(err); refused != nil {
		return true, refused
	}
	return false, nil
}
