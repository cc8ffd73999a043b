// Package credentials reads Secrets: live, by name, where they are used. Nothing here caches, lists or watches them.
package credentials

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Secrets reads Secrets.
type Secrets struct {
	// API reads from the API server, not from a cache.
	API client.Reader
}

// Data gives the whole of a Secret.
func (s Secrets) Data(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var secret corev1.Secret
	switch err := s.API.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret); {
	case apierrors.IsNotFound(err):
		return nil, refused(v1alpha1.ReasonSecretNotFound, err,
			"Secret %s/%s does not exist; create it, or correct the name", namespace, name)
	case apierrors.IsForbidden(err):
		return nil, refused(v1alpha1.ReasonSecretUnreadable, err,
			"the operator may not get Secret %s/%s; grant its service account the verb get on Secrets of that namespace", namespace, name)
	case err != nil:
		return nil, refused(v1alpha1.ReasonSecretUnreadable, err, "Secret %s/%s could not be read from the API server", namespace, name)
	}
	return secret.Data, nil
}

// Key gives one value of a Secret.
func (s Secrets) Key(ctx context.Context, namespace string, ref v1alpha1.SecretKeyReference) (string, error) {
	data, err := s.Data(ctx, namespace, ref.Name)
	if err != nil {
		return "", err
	}
	return Value(data, namespace, ref.Name, ref.Key)
}

// Value gives one value of the data of a Secret.
func Value(data map[string][]byte, namespace, name, key string) (string, error) {
	if len(data[key]) == 0 {
		return "", refused(v1alpha1.ReasonSecretKeyMissing, nil, "Secret %s/%s has no value under the key %q", namespace, name, key)
	}
	return string(data[key]), nil
}

func refused(reason v1alpha1.Reason, cause error, format string, args ...any) error {
	return failure.On(v1alpha1.ConditionCredentialsReady, failure.Transient(reason, cause, format, args...))
}
