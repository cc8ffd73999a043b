package controller_test

import (
	"context"
	"fmt"
	"time"

	externalsecrets "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// externalSecretCRD is the External Secrets Operator's kind as far as its fields are read here. Its own schema is only
// stricter.
func externalSecretCRD() *apiextensionsv1.CustomResourceDefinition {
	anything := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "externalsecrets.external-secrets.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: externalsecrets.Group,
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "ExternalSecret", Plural: "externalsecrets", Singular: "externalsecret"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: externalsecrets.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": anything, "status": anything},
				}},
			}},
		},
	}
}

// installExternalSecrets makes sure that the cluster has the kind. It stays for the other tests of this package.
func (w *world) installExternalSecrets() {
	w.Helper()
	crd := externalSecretCRD()
	if err := api.client.Create(w.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
		w.Fatal(err)
	}
	w.until(func(ctx context.Context) string {
		if err := api.client.List(ctx, &externalsecrets.ExternalSecretList{}, client.InNamespace(w.namespace)); err != nil {
			return err.Error()
		}
		return ""
	})
}

// removeExternalSecrets takes the kind away again.
func (w *world) removeExternalSecrets() {
	w.Helper()
	crd := externalSecretCRD()
	if err := client.IgnoreNotFound(api.client.Delete(w.Context(), crd)); err != nil {
		w.Fatal(err)
	}
	w.gone(crd)
}

// externalSecret is one that binds a Secret of another name, as the operator of External Secrets leaves it at a sync.
func (w *world) externalSecret(name, binds string) *externalsecrets.ExternalSecret {
	return &externalsecrets.ExternalSecret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec:       externalsecrets.ExternalSecretSpec{Target: externalsecrets.ExternalSecretTarget{Name: binds}},
	}
}

// synced sets the status of a sync that succeeded some time ago.
func (w *world) synced(external *externalsecrets.ExternalSecret, ago time.Duration) {
	w.Helper()
	w.status(external, corev1.ConditionTrue, externalsecrets.ConditionReasonSecretSynced, "Secret was synced", ago)
}

// unsynced sets the status of a sync that failed.
func (w *world) unsynced(external *externalsecrets.ExternalSecret, message string) {
	w.Helper()
	w.status(external, corev1.ConditionFalse, externalsecrets.ConditionReasonSecretSyncedError, message, 0)
}

func (w *world) status(external *externalsecrets.ExternalSecret, ready corev1.ConditionStatus, reason, message string, ago time.Duration) {
	w.Helper()
	before := external.DeepCopy()
	if ready == corev1.ConditionTrue {
		external.Status.RefreshTime = metav1.NewTime(time.Now().Add(-ago))
		external.Status.Binding.Name = external.Spec.Target.Name
		external.Status.SyncedResourceVersion = fmt.Sprintf("1-%d", time.Now().UnixNano())
	}
	external.Status.Conditions = []externalsecrets.ExternalSecretStatusCondition{{
		Type: externalsecrets.ExternalSecretReady, Status: ready, Reason: reason, Message: message, LastTransitionTime: metav1.Now(),
	}}
	w.must(api.client.Status().Patch(w.Context(), external, client.MergeFrom(before)))
}
