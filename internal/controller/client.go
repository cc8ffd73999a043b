package controller

import (
	"context"
	"reflect"

	"golang.org/x/sync/semaphore"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
// An object of which the cache has a part only is read from the API server by a Get, so that who gets one has all of its spec, and what is
// the operator's of the rest. A List returns the part. What others have written is not lost when finalizers and owners are.
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
// Nobody holds a whole one when that is over, nor while waiting for a turn.
const wholeAtOnce = 2

// patient waits for no write but those to the one object that it reads.
type patient struct {
	client.Client
	api   client.Reader
	whole *semaphore.Weighted
}

// Get returns what the cache has of an object, or else what is read of the object itself.
func (c patient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, object, options...); err != nil || !isInPart(object) {
		return err
	}
	return c.inTurn(ctx, func() error {
		reflect.ValueOf(object).Elem().SetZero() // what is decoded into an object is added to what it has
		if err := c.api.Get(ctx, key, object); err != nil {
			return err
		}
		leaveOutOthers(object)
		return nil
	})
}

// inTurn does something with a whole object.
func (c patient) inTurn(ctx context.Context, do func() error) error {
	if err := c.whole.Acquire(ctx, 1); err != nil {
		return err
	}
	defer c.whole.Release(1)
	return do()
}

// Patch writes finalizers and owners of an object, which are all that is patched but its status.
func (c patient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if !isLarge(object) {
		return c.Client.Patch(ctx, object, patch, options...)
	}
	return c.inTurn(ctx, func() error {
		data, err := c.belongings(ctx, object, patch)
		if err != nil {
			return err
		}
		return c.send(object, func(answer client.Object) error {
			return c.Client.Patch(ctx, answer, client.RawPatch(patch.Type(), data), append(options, client.DisableReadYourWritesConsistency)...)
		})
	})
}

// belongings returns a patch of finalizers and owners. Of an object in part they are read, all of them.
func (c patient) belongings(ctx context.Context, object client.Object, patch client.Patch) ([]byte, error) {
	if !isInPart(object) {
		return patch.Data(object)
	}
	whole, err := c.metadataOf(object)
	if err == nil {
		err = c.api.Get(ctx, client.ObjectKeyFromObject(object), whole)
	}
	if err != nil {
		return nil, err
	}
	return belongingsIn(whole, object)
}

// Status implements client.Client.
func (c patient) Status() client.SubResourceWriter { return patientStatus{c.Client.Status(), c} }

// patientStatus writes statuses.
type patientStatus struct {
	client.SubResourceWriter
	of patient
}

// Patch writes the status of an object. The API server answers with all of it.
func (s patientStatus) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if !isLarge(object) {
		return s.SubResourceWriter.Patch(ctx, object, patch, options...)
	}
	return s.of.inTurn(ctx, func() error {
		data, err := patch.Data(object)
		if err != nil {
			return err
		}
		return s.of.send(object, func(answer client.Object) error {
			return s.SubResourceWriter.Patch(ctx, answer, client.RawPatch(patch.Type(), data), append(options, client.DisableReadYourWritesConsistency)...)
		})
	})
}

// metadataOf names an object as one of which metadata alone are read and answered.
func (c patient) metadataOf(object client.Object) (*metav1.PartialObjectMetadata, error) {
	kind, err := c.GroupVersionKindFor(object)
	named := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName()}}
	named.SetGroupVersionKind(kind)
	return named, err
}

// send writes a patch of a large object. Of the answer, which has all that others have written, nothing is kept but the version.
func (c patient) send(object client.Object, write func(answer client.Object) error) error {
	answer, err := c.metadataOf(object)
	if err == nil {
		err = write(answer)
	}
	if err == nil {
		object.SetResourceVersion(answer.ResourceVersion)
	}
	return err
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
