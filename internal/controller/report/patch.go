package report

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// UnchangedSince makes a patch of finalizers and owners that only applies to the object as it was read: not to one that has changed
// since, or was made again under its name.
func UnchangedSince(before client.Object) client.Patch { return patch{belongings, belongings(before)} }

// statusSince is UnchangedSince for the status of an object.
func statusSince(before Object) client.Patch {
	return patch{func(object client.Object) *part { return status(object.(Object)) }, status(before)}
}

// patch is a merge patch from what a part of an object was. To find it, the part is encoded and decoded into maps, twice: of a whole
// object of a megabyte that would take a hundred and more.
type patch struct {
	of     func(client.Object) *part
	before *part
}

// Type implements client.Patch.
func (patch) Type() types.PatchType { return types.MergePatchType }

// Data implements client.Patch.
func (p patch) Data(after client.Object) ([]byte, error) {
	return client.MergeFromWithOptions(p.before, client.MergeFromWithOptimisticLock{}).Data(p.of(after)) //nolint:forbidigo // a part
}

// part is what the operator writes of an object, and the version that it was read in.
type part struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`
	Status            any `json:"status,omitempty"`
}

// DeepCopyObject implements runtime.Object. Nothing changes what it shares.
func (p *part) DeepCopyObject() runtime.Object {
	shared := *p
	return &shared
}

func belongings(object client.Object) *part {
	return &part{ObjectMeta: metav1.ObjectMeta{
		ResourceVersion: object.GetResourceVersion(), Finalizers: object.GetFinalizers(), OwnerReferences: object.GetOwnerReferences(),
	}}
}

func status(object Object) *part {
	return &part{ObjectMeta: metav1.ObjectMeta{ResourceVersion: object.GetResourceVersion()}, Status: object.Reported().Status}
}
