// Package credentials finds what a resource logs in with: in a Secret, in the Secret that an ExternalSecret binds, or, where
// that store is broken and the operator may, in its own environment. Everything is read live and by name, where it is used:
// nothing here caches, lists or watches.
package credentials

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// Reference says where the credentials of a resource are, and which of them it needs.
type Reference struct {
	// Kind, Namespace and Name of the resource whose credentials they are.
	Kind, Namespace, Name string
	// Secret is the name of a Secret that is taken as it is. Exactly one of Secret and External is set.
	Secret string
	// External names the ExternalSecret whose Secret is taken.
	External *v1alpha1.ExternalSecretReference
	// Keys that must have a value.
	Keys []string
	// Optional are keys that are used if they are there.
	Optional []string
}

// Named names keys of the Secret, for people; the Secret alone without any. Nil is none.
func (r *Reference) Named(keys ...string) string {
	if r == nil {
		return "the credentials"
	}
	secret := "Secret " + r.Secret
	if r.External != nil {
		secret = "the Secret of ExternalSecret " + r.External.Name
	}
	quoted := make([]string, len(keys))
	for i, key := range keys {
		quoted[i] = strconv.Quote(key)
	}
	switch len(keys) {
	case 0:
		return secret
	case 1:
		return "the key " + quoted[0] + " of " + secret
	}
	return "the keys " + strings.Join(quoted, " and ") + " of " + secret
}

// Credentials are what was found.
type Credentials struct {
	// Data holds the keys that the reference asks for, none of them empty, and nothing else of a Secret. It appears in no output.
	Data map[string][]byte
	// Origin names the Secret that they are in, for people; empty if they are from elsewhere.
	Origin string
	// Fallback says why the credentials come from the operator's environment; it is empty where they come from their store.
	Fallback string
	// StaleAt is when the sync that they come from will be older than it may be; zero is never.
	StaleAt time.Time
}

// Beside returns the credentials with what is to be said of others that the same resource has.
func (c Credentials) Beside(others Credentials) Credentials {
	c.Fallback = cmp.Or(c.Fallback, others.Fallback)
	if c.StaleAt.IsZero() || !others.StaleAt.IsZero() && others.StaleAt.Before(c.StaleAt) {
		c.StaleAt = others.StaleAt
	}
	return c
}

// Secrets finds credentials. Its errors are *failure.Error on the condition CredentialsReady.
type Secrets struct {
	// API reads Secrets and ExternalSecrets from the API server, not from a cache. Its scheme is that of AddToScheme.
	API client.Reader
	// Turns bounds how many Secrets and ExternalSecrets are in memory at once: each may have more than a megabyte, in values of a few
	// bytes. Nil bounds nothing.
	Turns *semaphore.Weighted
	// Given is true of credentials that a person gave by hand, which are in no Secret that others could look at.
	Given bool
	// Environment returns a variable of the operator's environment. It is nil unless the operator may fall back to it.
	Environment func(name string) (value string, set bool)
}

// AtOnce is how many are in memory at once in an operator.
const AtOnce = 2

// Find returns the present credentials of a resource.
func (s Secrets) Find(ctx context.Context, ref Reference) (Credentials, error) {
	found, err := s.inTurn(ctx, ref)
	if err == nil || s.Environment == nil || !storeIsBroken(err) {
		return found, err
	}
	return s.fromEnvironment(ref, err)
}

// inTurn reads the store when it is its turn.
func (s Secrets) inTurn(ctx context.Context, ref Reference) (Credentials, error) {
	if s.Turns != nil {
		if err := s.Turns.Acquire(ctx, 1); err != nil {
			return Credentials{}, fmt.Errorf("reading the credentials of %s %s/%s: %w", ref.Kind, ref.Namespace, ref.Name, err)
		}
		defer s.Turns.Release(1)
	}
	return s.fromStore(ctx, ref)
}

func (s Secrets) fromStore(ctx context.Context, ref Reference) (found Credentials, err error) {
	secret := ref.Secret
	if ref.External != nil {
		if secret, found.StaleAt, err = s.bound(ctx, ref); err != nil {
			return Credentials{}, err
		}
	}
	whole, err := s.data(ctx, ref.Namespace, secret)
	if err != nil {
		return Credentials{}, err
	}
	if !s.Given {
		found.Origin = "Secret " + ref.Namespace + "/" + secret
	}
	found.Data = make(map[string][]byte, len(ref.Keys)+len(ref.Optional))
	for _, key := range ref.Keys {
		value, there := whole[key]
		if !there {
			return Credentials{}, refused(v1alpha1.ReasonSecretKeyMissing, nil, "Secret %s/%s has no key %q", ref.Namespace, secret, key)
		}
		if len(value) == 0 {
			return Credentials{}, refused(v1alpha1.ReasonSecretKeyMissing, nil, "Secret %s/%s has nothing under the key %q", ref.Namespace, secret, key)
		}
		found.Data[key] = value
	}
	for _, key := range ref.Optional {
		if value, there := whole[key]; there {
			found.Data[key] = value
		}
	}
	return found, nil
}

// data returns the whole of a Secret.
func (s Secrets) data(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	var secret corev1.Secret
	switch err := s.API.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret); {
	case apierrors.IsNotFound(err):
		return nil, refused(v1alpha1.ReasonSecretNotFound, err,
			"Secret %s/%s does not exist; create it, or correct the name", namespace, name)
	case apierrors.IsForbidden(err):
		return nil, refused(v1alpha1.ReasonSecretUnreadable, err,
			"the operator may not get Secret %s/%s; grant its service account the verb get on Secrets of that namespace", namespace, name)
	case err != nil:
		return nil, unreadable(ctx, v1alpha1.ReasonSecretUnreadable, err, "Secret", namespace, name)
	case slices.Contains(otherPurposes, secret.Type):
		return nil, refused(v1alpha1.ReasonSecretTypeRefused, nil,
			"Secret %s/%s is of type %s, which is for another purpose than to log in where a resource says; name another", namespace, name, secret.Type)
	}
	return secret.Data, nil
}

// otherPurposes are types of Secrets that are sent nowhere: who names a Secret and a host may not be allowed to read it.
var otherPurposes = []corev1.SecretType{
	corev1.SecretTypeServiceAccountToken, corev1.SecretTypeBootstrapToken, corev1.SecretTypeDockercfg, corev1.SecretTypeDockerConfigJson,
	corev1.SecretTypeTLS, "helm.sh/release.v1",
}

// storeIsBroken reports whether a failure is one of the store of the credentials, as opposed to a wrong name or key.
func storeIsBroken(err error) bool {
	return slices.Contains([]v1alpha1.Reason{
		v1alpha1.ReasonExternalSecretsNotInstalled, v1alpha1.ReasonExternalSecretNotReady,
		v1alpha1.ReasonExternalSecretStale, v1alpha1.ReasonSecretNotFound,
	}, failure.From(err).Reason)
}

func unreadable(ctx context.Context, reason v1alpha1.Reason, err error, kind, namespace, name string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("reading %s %s/%s: %w", kind, namespace, name, ctx.Err())
	}
	return refused(reason, err, "%s %s/%s could not be read from the API server", kind, namespace, name)
}

func refused(reason v1alpha1.Reason, cause error, format string, args ...any) error {
	return failure.OnCredentials.Transient(reason, cause, format, args...)
}
