package controller

import (
	"context"
	"reflect"

	"golang.org/x/sync/semaphore"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewClient returns the client of the reconcilers. If it reads its own writes, a Get of an object waits until the cache has what this
// process last wrote to it, which saves a reconcile that works with what it has just changed itself. Nothing relies on that: every write
// of a status is refused if the object has changed since it was read.
//
// A List does not wait. It would wait for every write to any object of its kind, and so make each tenant wait for all others. What it
// returns is the cache's own, and only to be read: a copy of all that one tenant has is made by nobody, least of all at each event.
//
// An object of which the cache has a part only is read from the API server by a Get, so that who gets one has all of it, and can write
// what it was without losing anything. A List returns the part.
func NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	cached, err := client.New(config, options)
	if err != nil {
		return nil, err
	}
	options.Cache = nil
	api, err := client.New(config, options)
	return patient{cached, api, semaphore.NewWeighted(wholeAtOnce)}, err
}

// wholeAtOnce is how many large objects are decoded, or encoded for a patch, at once: each takes up to twenty times its size meanwhile.
const wholeAtOnce = 2

// patient waits for no write but those to the one object that it reads.
type patient struct {
	client.Client
	api   client.Reader
	whole *semaphore.Weighted
}

// Get returns what the cache has of an object, or else the object itself.
func (c patient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, object, options...); err != nil || !isInPart(object) {
		return err
	}
	if err := c.whole.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.whole.Release(1)
	reflect.ValueOf(object).Elem().SetZero() // what is decoded into an object is added to what it has
	if err := c.api.Get(ctx, key, object); err != nil {
		return err
	}
	leaveOutUnread(object)
	return nil
}

// Patch writes a part of an object. One that is large waits for its turn.
func (c patient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if size, most := weigh(object); size > most {
		if err := c.whole.Acquire(ctx, 1); err != nil {
			return err
		}
		defer c.whole.Release(1)
	}
	return c.Client.Patch(ctx, object, patch, options...)
}

// List lists what the cache has.
func (c patient) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return c.Client.List(ctx, list, append(options, client.DisableReadYourWritesConsistency, client.UnsafeDisableDeepCopy)...)
}

// Delete deletes the object that was read, and not one that was made again under its name. Nothing waits for its end: the cache may
// have seen it before the deletion is noted, and nobody would ever take the note away.
func (c patient) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	uid := object.GetUID()
	return c.Client.Delete(ctx, object, append(options, client.Preconditions{UID: &uid}, client.DisableReadYourWritesConsistency)...)
}
