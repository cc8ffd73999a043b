package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LocalReference names an object of a known kind in the same namespace.
type LocalReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// NamespacedReference names an object of a known kind, in this namespace or in another one that admits this one.
type NamespacedReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
	// Namespace of the object; empty means the namespace of the resource that holds this reference.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`
}

// SecretKeyReference names one key of a Secret in the same namespace.
type SecretKeyReference struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key within the Secret's data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// ExternalSecretReference names an ExternalSecret of the External Secrets Operator (external-secrets.io/v1) in the same
// namespace. What counts is the Secret that it binds, while the ExternalSecret says that it is synced.
type ExternalSecretReference struct {
	// Name of the ExternalSecret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// MaxAge is how old the newest sync may be. Choose it longer than the ExternalSecret's refreshInterval. Without it a
	// sync of any age will do, as long as the ExternalSecret is ready.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s')",message="maxAge is at least 10s"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
}

// ExternalSecretKeyReference names one key of the Secret that an ExternalSecret in the same namespace binds.
type ExternalSecretKeyReference struct {
	ExternalSecretReference `json:",inline"`
	// Key within the Secret's data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}
