package offline

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
)

// Objects are resources from files. It is a client.Reader that lists nothing but runs, of which there are none.
type Objects struct {
	byKey map[objectKey]client.Object
}

type objectKey struct {
	kind string
	client.ObjectKey
}

// Get implements client.Reader.
func (o *Objects) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	kind := reflect.TypeOf(into).Elem().Name()
	object, found := o.byKey[objectKey{kind, key}]
	if !found {
		return apierrors.NewNotFound(apischema.GroupResource{Resource: kind}, key.String())
	}
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(object.DeepCopyObject()).Elem())
	return nil
}

// List implements client.Reader. A run is what a cluster has seen, which no file has.
func (o *Objects) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if _, runs := list.(*v1alpha1.ExportRunList); runs {
		return nil
	}
	return errors.New("resources in files cannot be listed")
}

// Put adds an object, or takes another's place.
func (o *Objects) Put(object client.Object) {
	if o.byKey == nil {
		o.byKey = map[objectKey]client.Object{}
	}
	o.byKey[objectKey{reflect.TypeOf(object).Elem().Name(), client.ObjectKeyFromObject(object)}] = object
}

// add converts a manifest to the type of its kind, unless there is one of that name already.
func (o *Objects) add(m *manifest, object client.Object) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.object.Object, object); err != nil {
		return err
	}
	if _, namespace := object.(*corev1.Namespace); namespace {
		object.SetNamespace("")
	}
	key := objectKey{m.object.GetKind(), client.ObjectKeyFromObject(object)}
	if _, twice := o.byKey[key]; twice {
		return fmt.Errorf("there is another %s of this name in the files", m.object.GetKind())
	}
	o.Put(object)
	return nil
}
