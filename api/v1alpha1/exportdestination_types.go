package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FilesystemDestination keeps artifacts in a directory of the operator's volume.
type FilesystemDestination struct {
	// Path of the directory, relative to that of the ExportDestination's namespace in the operator's --filesystem-root. It is
	// created if it is missing and cannot be left: not by "..", not by a symbolic link.
	// +optional
	// +kubebuilder:default="."
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(s, s == '..')",message="path is relative and has no '..'"
	Path string `json:"path,omitempty"`
}

// S3CredentialKeys are the keys of the Secret with the access key.
type S3CredentialKeys struct {
	// AccessKeyIDKey is the key of the Secret that holds the access key's id.
	// +optional
	// +kubebuilder:default=accessKeyID
	// +kubebuilder:validation:MaxLength=253
	AccessKeyIDKey string `json:"accessKeyIDKey,omitempty"`
	// SecretAccessKeyKey is the key of the Secret that holds the secret access key.
	// +optional
	// +kubebuilder:default=secretAccessKey
	// +kubebuilder:validation:MaxLength=253
	SecretAccessKeyKey string `json:"secretAccessKeyKey,omitempty"`
}

// S3Credentials names the Secret with the access key.
type S3Credentials struct {
	LocalReference   `json:",inline"`
	S3CredentialKeys `json:",inline"`
}

// S3ExternalCredentials names the ExternalSecret that binds the Secret with the access key.
type S3ExternalCredentials struct {
	ExternalSecretReference `json:",inline"`
	S3CredentialKeys        `json:",inline"`
}

// S3Destination keeps artifacts in a bucket of Amazon S3 or of any server that speaks its protocol.
// +kubebuilder:validation:XValidation:rule="!has(self.credentialsSecretRef) || !has(self.credentialsExternalSecretRef)",message="at most one of credentialsSecretRef and credentialsExternalSecretRef can be given"
type S3Destination struct {
	// Bucket that takes the artifacts. It must exist.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`
	Bucket string `json:"bucket"`
	// Prefix of every key in the bucket, without a slash at either end.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.endsWith('/') && !self.split('/').exists(s, s == '..')",message="prefix has no slash at either end and no '..'"
	Prefix string `json:"prefix,omitempty"`
	// Region of the bucket.
	// +optional
	// +kubebuilder:default=us-east-1
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`
	// Endpoint of a server other than Amazon's, such as https://minio.storage:9000. Plain HTTP is refused, unless the operator
	// runs with --allow-plain-http.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^https?://[^\s?#@]+$`
	Endpoint string `json:"endpoint,omitempty"`
	// ForcePathStyle puts the bucket into the path instead of the host name, as most servers other than Amazon's need it.
	// +optional
	ForcePathStyle bool `json:"forcePathStyle,omitempty"`
	// CredentialsSecretRef names the Secret in this namespace with the access key. Without it and
	// credentialsExternalSecretRef the operator's own identity is used, if the operator runs with --allow-ambient-credentials.
	// +optional
	CredentialsSecretRef *S3Credentials `json:"credentialsSecretRef,omitempty"`
	// CredentialsExternalSecretRef names the ExternalSecret in this namespace that binds the Secret with the access key.
	// +optional
	CredentialsExternalSecretRef *S3ExternalCredentials `json:"credentialsExternalSecretRef,omitempty"`
}

// SFTPCredentialKeys are the keys of the Secret that an SFTP user logs in with: a private key, a password, or both where
// the server asks for both.
// +kubebuilder:validation:XValidation:rule="!has(self.passphraseKey) || has(self.privateKeyKey) || !has(self.passwordKey)",message="passphraseKey is that of a private key; give privateKeyKey too"
type SFTPCredentialKeys struct {
	// PrivateKeyKey is the key of the Secret that holds the user's private key, as ssh-keygen writes it. Without it and
	// passwordKey it is privateKey.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PrivateKeyKey string `json:"privateKeyKey,omitempty"`
	// PassphraseKey is the key of the Secret that holds the passphrase of the private key, where it has one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PassphraseKey string `json:"passphraseKey,omitempty"`
	// PasswordKey is the key of the Secret that holds the user's password. With privateKeyKey too, both are offered.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PasswordKey string `json:"passwordKey,omitempty"`
}

// SFTPCredentials names the Secret that an SFTP user logs in with.
type SFTPCredentials struct {
	LocalReference     `json:",inline"`
	SFTPCredentialKeys `json:",inline"`
}

// SFTPExternalCredentials names the ExternalSecret that binds the Secret that an SFTP user logs in with.
type SFTPExternalCredentials struct {
	ExternalSecretReference `json:",inline"`
	SFTPCredentialKeys      `json:",inline"`
}

// SFTPDestination keeps artifacts in a directory of an SFTP server.
// +kubebuilder:validation:XValidation:rule="has(self.credentialsSecretRef) != has(self.credentialsExternalSecretRef)",message="exactly one of credentialsSecretRef and credentialsExternalSecretRef is required"
type SFTPDestination struct {
	// Host is the server's name or address.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^([A-Za-z0-9._-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*)$`
	Host string `json:"host"`
	// Port of the server.
	// +optional
	// +kubebuilder:default=22
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// User that logs in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\x00-\x20\x7f]+$`
	User string `json:"user"`
	// Path of the directory that takes the artifacts. It must exist. One that does not begin with a slash is below the
	// directory in which the server puts the user.
	// +optional
	// +kubebuilder:default="."
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(s, s == '..')",message="path has no '..'"
	Path string `json:"path,omitempty"`
	// KnownHosts are the server's host keys: lines of a known_hosts file, such as ssh-keyscan writes. Only a server that
	// proves to have one of them is logged in to. Every key here is taken for this server, whatever names its line has.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	KnownHosts string `json:"knownHosts"`
	// CredentialsSecretRef names the Secret in this namespace that the user logs in with.
	// +optional
	CredentialsSecretRef *SFTPCredentials `json:"credentialsSecretRef,omitempty"`
	// CredentialsExternalSecretRef names the ExternalSecret in this namespace that binds the Secret that the user logs in with.
	// +optional
	CredentialsExternalSecretRef *SFTPExternalCredentials `json:"credentialsExternalSecretRef,omitempty"`
}

// DestinationAccessRule admits namespaces to an ExportDestination.
type DestinationAccessRule struct {
	// NamespaceSelector selects the namespaces that this rule admits. An empty selector selects every namespace.
	// +kubebuilder:validation:XValidation:rule="(!has(self.matchLabels) || size(self.matchLabels) <= 100) && (!has(self.matchExpressions) || size(self.matchExpressions) <= 100)",message="a selector has at most 100 labels and 100 expressions"
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
}

// ArtifactRetention says what becomes of the artifact of a run whose ExportRun is deleted.
// +kubebuilder:validation:Enum=Keep;Delete
type ArtifactRetention string

const (
	// KeepArtifacts leaves artifacts where they are.
	KeepArtifacts ArtifactRetention = "Keep"
	// DeleteArtifacts removes the artifact of a run together with its ExportRun.
	DeleteArtifacts ArtifactRetention = "Delete"
)

// RetentionPolicy says how long artifacts are kept.
type RetentionPolicy struct {
	// Artifacts is Keep (they stay, whatever becomes of their ExportRuns) or Delete (the artifact of a committed run is
	// removed when its ExportRun is deleted, by spec.history of the export or by a person). Default: Keep.
	// +optional
	// +kubebuilder:default=Keep
	Artifacts ArtifactRetention `json:"artifacts,omitempty"`
	// MinimumAge: with Delete, an artifact stays at least for so long after its run has ended, and its ExportRun with it: the limits of
	// spec.history wait, and one that a person deletes goes then. Default: no longer than the ExportRun.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('87600h')",message="minimumAge is at most 87600h, ten years"
	MinimumAge *metav1.Duration `json:"minimumAge,omitempty"`
}

// ExportDestinationSpec says where artifacts go.
// +kubebuilder:validation:XValidation:rule="[has(self.filesystem), has(self.s3), has(self.sftp)].filter(given, given).size() == 1",message="exactly one of filesystem, s3 and sftp is required"
type ExportDestinationSpec struct {
	// Filesystem keeps artifacts in a directory of the operator's volume.
	// +optional
	Filesystem *FilesystemDestination `json:"filesystem,omitempty"`
	// S3 keeps artifacts in a bucket.
	// +optional
	S3 *S3Destination `json:"s3,omitempty"`
	// SFTP keeps artifacts in a directory of an SFTP server.
	// +optional
	SFTP *SFTPDestination `json:"sftp,omitempty"`
	// Access says which other namespaces may deliver here. Without it only the destination's own namespace may. What a
	// namespace delivers is below its own name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Access []DestinationAccessRule `json:"access,omitempty"`
	// Retention says how long artifacts are kept. What runs recorded in the database always stays.
	// +optional
	Retention RetentionPolicy `json:"retention,omitempty"`
}

// ExportDestinationStatus reports whether the destination can be written.
type ExportDestinationStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Reconciling, Stalled, CredentialsReady and, of what is reached over a network, Encrypted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="self.lastTransitionTime >= timestamp('1970-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('3000-01-01T00:00:00Z')",message="lastTransitionTime is an RFC 3339 time from 1970 to 2999"
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Refused are namespaces that deliver here and whose own directory cannot be used, though the destination can be written. At
	// most 20 are listed.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=20
	Refused []RefusedNamespace `json:"refused,omitempty"`
}

// RefusedNamespace is a namespace whose directory at a destination cannot be used.
type RefusedNamespace struct {
	// Namespace that delivers here.
	Namespace string `json:"namespace"`
	// Reason, one word.
	Reason string `json:"reason"`
	// Message says what is wrong.
	Message string `json:"message"`
}

// ExportDestination says where artifacts go: a directory of the operator's volume, a bucket, or a directory of an SFTP
// server.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=exportdestinations,singular=exportdestination,shortName=xdest,categories=ledgerport
// +kubebuilder:printcolumn:name="PATH",type=string,JSONPath=`.spec.filesystem.path`
// +kubebuilder:printcolumn:name="BUCKET",type=string,JSONPath=`.spec.s3.bucket`
// +kubebuilder:printcolumn:name="HOST",type=string,JSONPath=`.spec.sftp.host`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
type ExportDestination struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ExportDestinationSpec `json:"spec"`
	// Status is what the operator has found. It has observed generation -1 until the operator has looked.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status ExportDestinationStatus `json:"status,omitempty"`
	// Undecoded says what of the object does not decode; nothing for almost all.
	Undecoded Undecoded `json:"-"`
}

// ExportDestinationList is a list of ExportDestination.
// +kubebuilder:object:root=true
type ExportDestinationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ExportDestination `json:"items"`
}

// LeaveOutLarge empties what of the spec may be large: host keys, and who has access.
func (o *ExportDestination) LeaveOutLarge() {
	o.Spec.Access = nil
	if o.Spec.SFTP != nil {
		o.Spec.SFTP.KnownHosts = ""
	}
}
