package controller

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/controller/report"
	"github.com/ledgerport/ledgerport/internal/footprint"
	"github.com/ledgerport/ledgerport/texts"
)

// What an object may take in the cache without its status, in bytes. Of one that takes more the cache keeps a part. A namespace has
// many more runs than other objects, and an honest one is small unless it names hundreds of claims.
const (
	mostOfRun    = 8 << 10
	mostOfObject = 64 << 10
)

// Annotations that mark an object in the cache. The API server has none of such names, because no name has a space: nobody else can set
// them.
const (
	// keptInPart marks objects of which the cache has a part only.
	keptInPart = "kept in part"
	// largeAsStored marks objects of which much is left out, also where nothing is read of that: an answer of the API server has it all.
	largeAsStored = "large as stored"
)

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
	if size, _ := weigh(described); size > mostOfObject {
		mark(described, largeAsStored)
	}
	leaveOutUnread(described)
	if size, most := weigh(described); size > most {
		leaveOutLarge(described)
	}
	shareTexts(described)
	return object, nil
}

// common are texts that objects in the cache share.
var common footprint.Texts

// shareTexts lets objects of this API share the texts that thousands of them have: what the operator reports of those that work, and what they refer to.
func shareTexts(object metav1.Object) {
	ours, is := object.(report.Object)
	if !is {
		return
	}
	if kind, is := ours.GetObjectKind().(*metav1.TypeMeta); is {
		footprint.Share(&common, &kind.APIVersion, &kind.Kind)
	}
	namespace := object.GetNamespace()
	footprint.Share(&common, &namespace)
	object.SetNamespace(namespace)
	for i := range object.GetFinalizers() {
		footprint.Share(&common, &object.GetFinalizers()[i])
	}
	conditions := *ours.Reported().Conditions
	for i := range conditions {
		footprint.Share(&common, &conditions[i].Type, &conditions[i].Reason, &conditions[i].Message)
		footprint.Share(&common, &conditions[i].Status)
	}
	if export, is := object.(*v1alpha1.AccountingExport); is {
		spec := &export.Spec
		footprint.Share(&common, &spec.OrganizationID, &spec.SourceRef.Namespace, &spec.SourceRef.Name, &spec.ChartOfAccountsRef.Name, &spec.DestinationRef.Namespace,
			&spec.DestinationRef.Name, &spec.Exporter.Type, &spec.Schedule, &spec.TimeZone)
	}
}

// mark puts a mark on an object of this API: nobody writes another.
func mark(object metav1.Object, as string) {
	if _, ours := object.(report.Object); !ours && as == largeAsStored {
		return
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[as] = ""
	object.SetAnnotations(annotations)
}

// isLarge reports whether to read or to write an object takes much memory.
func isLarge(object metav1.Object) bool {
	_, large := object.GetAnnotations()[largeAsStored]
	return large || isInPart(object)
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
		return name != keptInPart && name != largeAsStored && (foreign || !strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/"))
	})
	for name, value := range annotations {
		switch {
		case len(value) <= longestAnnotation:
		case name == v1alpha1.ImportedAnnotation: // which people read
			annotations[name] = strings.Clone(texts.Short(value, longestAnnotation))
		default: // only whether it is the same is of interest
			annotations[name] = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
		}
	}
	object.SetAnnotations(annotations)
}

// enough returns options as they are, or what tells that they are too large.
func enough(options *runtime.RawExtension) *runtime.RawExtension {
	if options == nil || len(options.Raw) <= exporters.MaxOptionsSize {
		return options
	}
	return &runtime.RawExtension{Raw: slices.Clone(options.Raw[:exporters.MaxOptionsSize+1])}
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
// the cache, and the object itself is read when it is needed.
func leaveOutLarge(object metav1.Object) {
	if spec, has := object.(interface{ LeaveOutLarge() }); has {
		spec.LeaveOutLarge()
	}
	object.SetLabels(nil) // of a namespace
	leaveOutForeign(object)
}

// leaveOutOthers leaves out of a whole object what is not read, and what others have written beside the spec. A namespace is what others
// have written.
func leaveOutOthers(object metav1.Object) {
	leaveOutUnread(object)
	if _, ours := object.(report.Object); ours {
		leaveOutForeign(object)
	}
}

// ownFinalizers are the operator's.
var ownFinalizers = []string{v1alpha1.RunFinalizer, v1alpha1.ExportFinalizer}

// keptAnnotations are those that are read.
var keptAnnotations = []string{
	v1alpha1.RequestedAtAnnotation, v1alpha1.AcceptedLedgerAnnotation, v1alpha1.RequestedByAnnotation, v1alpha1.CancelledByAnnotation, v1alpha1.ApprovedAnnotation,
	v1alpha1.ApprovedByAnnotation, v1alpha1.ImportedAnnotation, v1alpha1.ImportedByAnnotation, largeAsStored,
}

// leaveOutForeign leaves out of an object the finalizers and owners of others, and annotations that are not read, and marks it. The owner
// that is kept has the UID by which it is compared.
func leaveOutForeign(object metav1.Object) {
	object.SetFinalizers(slices.DeleteFunc(slices.Clone(ownFinalizers), func(own string) bool { return !slices.Contains(object.GetFinalizers(), own) }))
	var owners []metav1.OwnerReference
	if owner := metav1.GetControllerOf(object); owner != nil {
		owners = []metav1.OwnerReference{{
			APIVersion: cut(owner.APIVersion), Kind: cut(owner.Kind), Name: cut(owner.Name), UID: types.UID(cut(string(owner.UID))), Controller: owner.Controller,
		}}
	}
	object.SetOwnerReferences(owners)
	annotations := map[string]string{}
	for _, name := range keptAnnotations {
		if value, given := object.GetAnnotations()[name]; given {
			annotations[name] = value
		}
	}
	object.SetAnnotations(annotations)
	mark(object, keptInPart)
}

// belongingsIn makes a merge patch of all finalizers and owners that an object has into those that it is to have, which only applies to
// it as it was read: of an object in part the operator's finalizers and the controller are known.
func belongingsIn(whole *metav1.PartialObjectMetadata, object client.Object) ([]byte, error) {
	finalizers, owners := whole.Finalizers, whole.OwnerReferences
	for _, own := range ownFinalizers {
		switch has := slices.Contains(finalizers, own); {
		case has && !slices.Contains(object.GetFinalizers(), own):
			finalizers = slices.DeleteFunc(finalizers, func(one string) bool { return one == own })
		case !has && slices.Contains(object.GetFinalizers(), own):
			finalizers = append(finalizers, own)
		}
	}
	former := metav1.GetControllerOfNoCopy(whole)
	if controller := metav1.GetControllerOf(object); controller != nil && (former == nil || cut(string(former.UID)) != string(controller.UID)) {
		owners = slices.DeleteFunc(owners, func(one metav1.OwnerReference) bool {
			return one.UID == controller.UID || one.Kind == controller.Kind && one.Name == controller.Name && one.APIVersion == controller.APIVersion
		})
		for i := range owners {
			owners[i].Controller = nil
		}
		owners = append(owners, *controller)
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": object.GetResourceVersion(), "finalizers": finalizers, "ownerReferences": owners}})
}

// cut returns a text that is no longer than a name, and holds nothing else in memory.
func cut(text string) string {
	return strings.Clone(text[:min(len(text), longestName)])
}
