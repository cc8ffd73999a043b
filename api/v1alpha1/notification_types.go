package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NotificationEvent is what a target of spec.notify can be told of.
// +kubebuilder:validation:Enum=Succeeded;Empty;Failed;Incomplete;Cancelled;Reversed;ClaimsHeld;AwaitingApproval
type NotificationEvent string

const (
	// EventSucceeded: a run has delivered its artifact.
	EventSucceeded NotificationEvent = "Succeeded"
	// EventEmpty: a run has succeeded and delivered nothing, because there was no claim to export.
	EventEmpty NotificationEvent = "Empty"
	// EventFailed: a run has failed; its claims go to the next run.
	EventFailed NotificationEvent = "Failed"
	// EventIncomplete: the accounting system has a part of a run.
	EventIncomplete NotificationEvent = "Incomplete"
	// EventCancelled: a person has ended a run; its claims go to the next run.
	EventCancelled NotificationEvent = "Cancelled"
	// EventReversed: a run has reversed vouchers of another.
	EventReversed NotificationEvent = "Reversed"
	// EventClaimsHeld: a run has left claims out.
	EventClaimsHeld NotificationEvent = "ClaimsHeld"
	// EventAwaitingApproval: a run has begun to wait for its approval.
	EventAwaitingApproval NotificationEvent = "AwaitingApproval"
)

// NotificationState says what became of an event for a target.
// +kubebuilder:validation:Enum=Pending;Sent;Dropped
type NotificationState string

const (
	// NotificationPending is to be sent, or sent again.
	NotificationPending NotificationState = "Pending"
	// NotificationSent was taken by the target.
	NotificationSent NotificationState = "Sent"
	// NotificationDropped was not taken in time, or its target is gone.
	NotificationDropped NotificationState = "Dropped"
)

// NotificationTarget is told of the ends of runs, and of what waits for an approval.
// +kubebuilder:validation:XValidation:rule="has(self.webhook) != has(self.mail)",message="exactly one of webhook and mail is required"
type NotificationTarget struct {
	// Name of the target, unique within the export. A target with another name is another one: it is told of runs that end later.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Events that the target is told of. Default: all but Empty.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Events []NotificationEvent `json:"events,omitempty"`
	// Webhook takes events as HTTP requests: CloudEvents in JSON, signed by the scheme of Standard Webhooks.
	// +optional
	Webhook *WebhookTarget `json:"webhook,omitempty"`
	// Mail takes events as mail, over SMTP with TLS.
	// +optional
	Mail *MailTarget `json:"mail,omitempty"`
}

// WebhookTarget takes events as HTTP requests.
type WebhookTarget struct {
	// URL that each event is posted to. It holds no secret: the signature says who sent the event.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != '' && !self.contains('@')",message="url begins with https:// and has a host and no user; http:// needs the operator's --allow-plain-http"
	URL string `json:"url"`
	// KeySecretRef names the key that events are signed with: whsec_ and 24 to 64 random bytes in Base64. Several of them, with space in
	// between, sign each event with each, so that a receiver can change its key.
	KeySecretRef SecretKeyReference `json:"keySecretRef"`
}

// MailTLS says how a connection with a mail server is encrypted. It always is.
// +kubebuilder:validation:Enum=StartTLS;Implicit
type MailTLS string

const (
	// MailStartTLS begins in plain text and goes on with TLS before anything is said.
	MailStartTLS MailTLS = "StartTLS"
	// MailImplicitTLS begins with TLS.
	MailImplicitTLS MailTLS = "Implicit"
)

// MailTarget takes events as mail.
type MailTarget struct {
	// Host of the mail server that takes mail from here.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`
	Host string `json:"host"`
	// Port of the mail server. Default: 587.
	// +optional
	// +kubebuilder:default=587
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// TLS is StartTLS (as on port 587) or Implicit (as on port 465). Default: StartTLS.
	// +optional
	// +kubebuilder:default=StartTLS
	TLS MailTLS `json:"tls,omitempty"`
	// From is the address that mail comes from.
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`
	From string `json:"from"`
	// To are the addresses that mail goes to.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`
	To []string `json:"to"`
	// CredentialsSecretRef names what the operator logs in with: a Secret whose key hosts has the hosts that the login may be sent to, with
	// commas in between. Without it, it does not log in.
	// +optional
	CredentialsSecretRef *MailCredentials `json:"credentialsSecretRef,omitempty"`
}

// MailCredentials name the Secret with the login of a mail server.
type MailCredentials struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// UsernameKey is the key of the user's name. Default: username.
	// +optional
	// +kubebuilder:default=username
	// +kubebuilder:validation:MaxLength=253
	UsernameKey string `json:"usernameKey,omitempty"`
	// PasswordKey is the key of the password. Default: password.
	// +optional
	// +kubebuilder:default=password
	// +kubebuilder:validation:MaxLength=253
	PasswordKey string `json:"passwordKey,omitempty"`
}

// RunNotification says what became of one event of a run for one target.
type RunNotification struct {
	// Target by its name in spec.notify of the export, as it was when the event happened.
	// +kubebuilder:validation:MaxLength=40
	Target string `json:"target"`
	// Event that the target is told of.
	Event NotificationEvent `json:"event"`
	// State is Pending, Sent, or Dropped: it was not taken within three days, or the export has no such target any more.
	State NotificationState `json:"state"`
	// At is since when that is so.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	At metav1.Time `json:"at"`
}
