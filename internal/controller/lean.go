package controller

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/footprint"
)

// What an object may take in the cache without its status, in bytes. Of one that takes more the cache keeps a part. A namespace has
// many more runs than other objects, and an honest one is small unless it names hundreds of claims.
const (
	mostOfRun    = 8 << 10
	mostOfObject = 64 << 10
)

// keptInPart is an annotation of objects of which the cache has a part only. The API server has none of that name, because no name has a
// space: nobody else can set it.
const keptInPart = "kept in part"

// longestAnnotation that is kept as it is. What people and programs write into those that are read is much shorter.
const longestAnnotation = 256

// longestName is that of any object.
const longestName = 253

// lean keeps of an object what the operator reads, and of a large one a part. It is called more than once for some objects.
func lean(object any) (any, error) {
	described, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a mark of the cache's own
	}
	leaveOutUnread(described)
	if size, most := weigh(described); size > most {
		leaveOutLarge(described)
	}
	return object, nil
}

// isInPart reports whether there is more of an object than the cache has.
func isInPart(object metav1.Object) bool {
	_, inPart := object.GetAnnotations()[keptInPart]
	return inPart
}

// leaveOutUnread leaves out of an object what the operator does not read, and that would be in its memory, once more for each object: who
// has set which field, labels of other objects than namespaces, options beyond the size that is read, and what others have noted, such
// as all of it by kubectl. What is written is the difference to what was read.
func leaveOutUnread(object metav1.Object) {
	object.SetManagedFields(nil)
	object.SetSelfLink("")
	object.SetGenerateName("")
	if _, isNamespace := object.(*corev1.Namespace); !isNamespace {
		object.SetLabels(nil)
	}
	foreign := false
	switch object := object.(type) {
	case *v1alpha1.AccountingExport:
		object.Spec.Exporter.Options = enough(object.Spec.Exporter.Options)
	case *corev1.Namespace, *metav1.PartialObjectMetadata: // of which nobody here reads or writes more than names and labels
		object.SetOwnerReferences(nil)
		object.SetFinalizers(nil)
		foreign = true
	}
	annotations := object.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool {
		return name != keptInPart && (foreign || !strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/"))
	})
	for name, value := range annotations {
		if len(value) > longestAnnotation { // only whether it is the same is of interest
			annotations[name] = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
		}
	}
	object.SetAnnotations(annotations)
}

// enough returns options as they are, or what tells that they are too large.
func enough(options *apiextensionsv1.JSON) *apiextensionsv1.JSON {
	if options == nil || len(options.Raw) <= exporters.MaxOptionsSize {
		return options
	}
	return &apiextensionsv1.JSON{Raw: slices.Clone(options.Raw[:exporters.MaxOptionsSize+1])}
}

// weigh returns what an object takes without its status, which is the operator's own, and how much that may be.
func weigh(object metav1.Object) (size, most int) {
	size, most = footprint.Of(object), mostOfObject
	if ours, is := object.(report.Object); is {
		size -= footprint.Of(ours.Reported().Status)
	}
	if _, isRun := object.(*v1alpha1.ExportRun); isRun {
		most = mostOfRun
	}
	return size, most
}

// leaveOutLarge leaves out of an object all that may be large, and marks it: what belongs to whom and what refers to what is found in
// the cache, and the object itself is read when it is needed. The owner that is kept has the UID by which it is compared.
func leaveOutLarge(object metav1.Object) {
	if spec, has := object.(interface{ LeaveOutLarge() }); has {
		spec.LeaveOutLarge()
	}
	object.SetLabels(nil) // of a namespace
	var finalizers []string
	for _, own := range []string{v1alpha1.RunFinalizer, v1alpha1.ExportFinalizer} {
		if slices.Contains(object.GetFinalizers(), own) {
			finalizers = append(finalizers, own)
		}
	}
	object.SetFinalizers(finalizers)
	var owners []metav1.OwnerReference
	if owner := metav1.GetControllerOf(object); owner != nil {
		owners = []metav1.OwnerReference{{
			APIVersion: cut(owner.APIVersion), Kind: cut(owner.Kind), Name: cut(owner.Name), UID: types.UID(cut(string(owner.UID))), Controller: owner.Controller,
		}}
	}
	object.SetOwnerReferences(owners)
	annotations := map[string]string{keptInPart: ""}
	for _, name := range []string{v1alpha1.RequestedAtAnnotation, v1alpha1.AcceptedLedgerAnnotation} {
		if value, given := object.GetAnnotations()[name]; given {
			annotations[name] = value
		}
	}
	object.SetAnnotations(annotations)
}

// cut returns a text that is no longer than a name, and holds nothing else in memory.
func cut(text string) string {
	return strings.Clone(text[:min(len(text), longestName)])
}
