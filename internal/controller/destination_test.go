package controller_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/tests3"
)

// inBucket is a destination in a bucket, with the Secret that it needs.
func (w *world) inBucket(bucket tests3.Bucket) (*v1alpha1.ExportDestination, client.Object) {
	keys := w.secret()
	keys.Name, keys.StringData = "s3-keys", map[string]string{"accessKeyID": bucket.AccessKey, "secretAccessKey": bucket.SecretKey}
	destination := w.destination()
	destination.Spec = v1alpha1.ExportDestinationSpec{S3: &v1alpha1.S3Destination{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: bucket.Endpoint, ForcePathStyle: true,
		CredentialsSecretRef: &v1alpha1.S3Credentials{LocalReference: v1alpha1.LocalReference{Name: "s3-keys"}},
	}}
	return destination, keys
}

func TestABucketWithoutTLSSaysSo(t *testing.T) {
	t.Parallel()
	for name, allowed := range map[string]bool{"and is refused": false, "and is used where an administrator allows it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldWith(t, func(w *world) { w.plainHTTP = allowed })
			w.fill(1)
			destination, keys := w.inBucket(tests3.New(t))
			w.create(keys, w.secret(), w.source(), w.chart(), destination, requested(w.export()))
			ready, reason := metav1.ConditionFalse, v1alpha1.ReasonNotEncrypted
			if allowed {
				ready, reason = metav1.ConditionTrue, v1alpha1.ReasonReady
			}
			eventually(w, destination, func(d *v1alpha1.ExportDestination) string {
				if problem := condition(d.Status.Conditions, v1alpha1.ConditionReady, ready, reason); problem != "" {
					return problem
				}
				return condition(d.Status.Conditions, v1alpha1.ConditionEncrypted, metav1.ConditionFalse, v1alpha1.ReasonNotEncrypted, "plain HTTP")
			})
			if allowed {
				eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
				return
			}
			eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
				return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonNotEncrypted, "--allow-plain-http")
			})
			w.nothingHappened()
		})
	}
}

func TestADirectoryOfTheVolumeIsNotSaidToBeEncrypted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	destination := w.destination()
	w.create(destination)
	eventually(w, destination, func(d *v1alpha1.ExportDestination) string {
		if found := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionEncrypted); found != nil {
			return fmt.Sprintf("there is %+v", found)
		}
		return condition(d.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
}

// TestDestinationReadyIsOfTheDirectoryThatARunUses has a file in the place of the directory of a namespace, at a destination that
// can be written.
func TestDestinationReadyIsOfTheDirectoryThatARunUses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(1)
	inTheWay := filepath.Join(w.exports, w.namespace, w.namespace)
	w.must(os.MkdirAll(filepath.Dir(inTheWay), 0o750))
	w.must(os.WriteFile(inTheWay, nil, 0o600))
	destination := w.destination()
	w.create(w.secret(), w.source(), w.chart(), destination, requested(w.export()))
	eventually(w, w.export(), func(export *v1alpha1.AccountingExport) string {
		return condition(export.Status.Conditions, v1alpha1.ConditionDestinationReady, metav1.ConditionFalse, v1alpha1.ReasonNotWritable, "directory of this namespace")
	})
	eventually(w, destination, func(d *v1alpha1.ExportDestination) string {
		if len(d.Status.Refused) != 1 || d.Status.Refused[0].Namespace != w.namespace {
			return fmt.Sprintf("refused are %+v", d.Status.Refused)
		}
		return condition(d.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	w.must(os.Remove(inTheWay))
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	eventually(w, destination, func(d *v1alpha1.ExportDestination) string {
		if len(d.Status.Refused) > 0 {
			return fmt.Sprintf("refused are %+v", d.Status.Refused)
		}
		return ""
	})
}

// TestATenantWhoNamesAnotherNamespacesDirectoryIsInItsOwn has a destination whose path is that of another tenant's next file.
func TestATenantWhoNamesAnotherNamespacesDirectoryIsInItsOwn(t *testing.T) {
	t.Parallel()
	victim := home(t)
	w := newWorld(t, victim)
	w.fill(1)
	destination := w.destination()
	destination.Spec.Filesystem.Path = victim + "/" + victim + "/monthly/monthly-1/monthly-1.csv"
	w.create(w.secret(), w.source(), w.chart(), destination, requested(w.export()))
	eventually(w, w.export(), lastRunIs(v1alpha1.RunSucceeded))
	entries, err := os.ReadDir(w.exports)
	if err != nil || len(entries) != 1 || entries[0].Name() != w.namespace {
		t.Errorf("in the operator's root there is %v (%v), want the namespace's own directory", entries, err)
	}
}
