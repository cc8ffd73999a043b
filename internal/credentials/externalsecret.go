package credentials

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

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
var ExternalSecretKind = schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"}

// externalSecret is what is read of one. The rest may be a megabyte of values of two bytes, each of which would take a hundred.
type externalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"-"`
	Spec              struct {
		Target struct {
			Name string `json:"name"`
		} `json:"target"`
	} `json:"spec"`
	Status struct {
		RefreshTime metav1.Time     `json:"refreshTime"`
		Conditions  json.RawMessage `json:"conditions"`
		Binding     struct {
			Name string `json:"name"`
		} `json:"binding"`
	} `json:"status"`
}

// DeepCopyObject implements runtime.Object. Nothing changes what is shared.
func (e *externalSecret) DeepCopyObject() runtime.Object {
	shared := *e
	return &shared
}

// externalSecretCondition is what is read of a condition.
type externalSecretCondition struct {
	Type    string                 `json:"type"`
	Status  corev1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message"`
}

// AddToScheme adds the kinds that Secrets reads.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypeWithName(ExternalSecretKind, &externalSecret{})
	metav1.AddToGroupVersion(scheme, ExternalSecretKind.GroupVersion())
	return clientgoscheme.AddToScheme(scheme)
}

// bound returns the name of the Secret that an ExternalSecret keeps in sync, and when the newest sync will be too old.
func (s Secrets) bound(ctx context.Context, ref Reference) (secret string, staleAt time.Time, err error) {
	name := ref.External.Name
	var external externalSecret
	if err := s.API.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: name}, &external); err != nil {
		return "", time.Time{}, externalFailure(ctx, err, ref.Namespace, name)
	}
	secret = cmp.Or(external.Status.Binding.Name, external.Spec.Target.Name, name) // which it binds, or will bind once it is synced
	ready := readyCondition(external.Status.Conditions)
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

// readyCondition returns the first condition of type Ready; nil if there is none.
func readyCondition(conditions json.RawMessage) *externalSecretCondition {
	decoder := json.NewDecoder(bytes.NewReader(conditions))
	_, err := decoder.Token() // which begins the list
	for err == nil && decoder.More() {
		var condition externalSecretCondition
		if err = decoder.Decode(&condition); err == nil && condition.Type == "Ready" {
			return &condition
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
