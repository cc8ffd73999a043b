package credentials

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	externalsecrets "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/texts"
)

// ExternalSecretKind is the kind of the External Secrets Operator that is followed.
var ExternalSecretKind = schema.GroupVersionKind{Group: externalsecrets.Group, Version: externalsecrets.Version, Kind: "ExternalSecret"}

// AddToScheme adds the kinds that Secrets reads.
func AddToScheme(scheme *runtime.Scheme) error {
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	return externalsecrets.AddToScheme(scheme)
}

// bound returns the name of the Secret that an ExternalSecret keeps in sync, and when the newest sync will be too old.
func (s Secrets) bound(ctx context.Context, ref Reference) (secret string, staleAt time.Time, err error) {
	name := ref.External.Name
	var external externalsecrets.ExternalSecret
	if err := s.API.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: name}, &external); err != nil {
		return "", time.Time{}, externalFailure(ctx, err, ref.Namespace, name)
	}
	secret = boundName(&external)
	ready := readyCondition(&external)
	switch {
	case ready == nil:
		return "", time.Time{}, refused(v1alpha1.ReasonExternalSecretNotReady, nil,
			"ExternalSecret %s/%s was not synced yet; is the External Secrets Operator running?", ref.Namespace, name)
	case ready.Status != corev1.ConditionTrue:
		return "", time.Time{}, refused(v1alpha1.ReasonExternalSecretNotReady, nil,
			"ExternalSecret %s/%s is not synced: %s", ref.Namespace, name, s.passOn(ctx, ready.Reason+": "+ready.Message, ref.Namespace, secret))
	case ref.External.MaxAge == nil:
		return secret, time.Time{}, nil
	}
	staleAt = external.Status.RefreshTime.Add(ref.External.MaxAge.Duration)
	if !time.Now().Before(staleAt) {
		return "", time.Time{}, refused(v1alpha1.ReasonExternalSecretStale, nil,
			"ExternalSecret %s/%s was last synced at %s, longer ago than maxAge (%s); is the External Secrets Operator running, and its refreshInterval shorter?",
			ref.Namespace, name, external.Status.RefreshTime.UTC().Format(time.RFC3339), ref.External.MaxAge.Duration)
	}
	return secret, staleAt, nil
}

// externalFailure tells a kind that is not installed from an object that does not exist: the API server answers both with
// 404 once a client knows the kind.
func externalFailure(ctx context.Context, err error, namespace, name string) error {
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return refused(v1alpha1.ReasonExternalSecretsNotInstalled, err,
			"ExternalSecret %s/%s cannot be read, because the cluster does not have the kind %s; install the External Secrets Operator, or name a Secret instead",
			namespace, name, ExternalSecretKind.GroupKind())
	case apierrors.IsNotFound(err):
		return refused(v1alpha1.ReasonExternalSecretNotFound, err,
			"ExternalSecret %s/%s does not exist; create it, or correct the name", namespace, name)
	case apierrors.IsForbidden(err):
		return refused(v1alpha1.ReasonExternalSecretUnreadable, err,
			"the operator may not get ExternalSecret %s/%s; grant its service account the verbs get, list and watch on them", namespace, name)
	}
	return unreadable(ctx, v1alpha1.ReasonExternalSecretUnreadable, err, "ExternalSecret", namespace, name)
}

// boundName is the name of the Secret that an ExternalSecret binds, or will bind once it is synced.
func boundName(external *externalsecrets.ExternalSecret) string {
	switch {
	case external.Status.Binding.Name != "":
		return external.Status.Binding.Name
	case external.Spec.Target.Name != "":
		return external.Spec.Target.Name
	}
	return external.Name
}

func readyCondition(external *externalsecrets.ExternalSecret) *externalsecrets.ExternalSecretStatusCondition {
	for i := range external.Status.Conditions {
		if condition := &external.Status.Conditions[i]; condition.Type == externalsecrets.ExternalSecretReady {
			return condition
		}
	}
	return nil
}

// passOn makes the message of an ExternalSecret one short line. If that line would quote a value of the Secret, or whether it does
// cannot be found out, none of it is shown.
func (s Secrets) passOn(ctx context.Context, message, namespace, secret string) string {
	var bound corev1.Secret
	err := s.API.Get(ctx, types.NamespacedName{Namespace: namespace, Name: secret}, &bound)
	if err != nil && !apierrors.IsNotFound(err) || quotes(message, texts.Quote, bound.Data) {
		return "its message is not shown here, because it may quote a value of the Secret; see its own status"
	}
	return texts.Printable(message, texts.Quote)
}

// quotes reports whether so many bytes at the beginning of a message show a value of a Secret, a line of one, one as base64, or the
// beginning of any. Texts of a few characters are in every message. Each text is looked for in little more than its own length: both
// the message and the Secret are a tenant's, may have a megabyte, and the Secret a hundred thousand values.
func quotes(message string, shown int, data map[string][]byte) bool {
	for _, value := range data {
		shapes := append(strings.Split(string(value), "\n"), string(value), base64.StdEncoding.EncodeToString(value), base64.RawURLEncoding.EncodeToString(value))
		if slices.ContainsFunc(shapes, func(text string) bool {
			text = strings.TrimSpace(text)
			return len(text) >= 4 && strings.Contains(message[:min(len(message), shown+len(text))], text)
		}) {
			return true
		}
	}
	return false
}
