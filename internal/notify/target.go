package notify

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/destinations"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
)

// Kinds of targets, as an administrator names them.
const (
	KindWebhook = "webhook"
	KindMail    = "mail"
)

// Kinds are all of them.
func Kinds() []string { return []string{KindWebhook, KindMail} }

// attemptTimeout bounds sending one event to one target, from looking its name up to its answer.
const attemptTimeout = 10 * time.Second

// Target takes messages. An error is a *failure.Error, or a *Later with one.
type Target interface {
	Send(ctx context.Context, message *Message) error
	Close()
}

// Later is a failure after which the target wants to be left alone for a while.
type Later struct {
	Failure *failure.Error
	Wait    time.Duration
}

// Error returns the message.
func (l *Later) Error() string { return l.Failure.Message }

// Unwrap returns the failure.
func (l *Later) Unwrap() error { return l.Failure }

// Targets opens targets.
type Targets struct {
	// Secrets finds keys and logins.
	Secrets credentials.Secrets
	// Outbound says which hosts tenants may name.
	Outbound *outbound.Policy
	// Allowed kinds of targets; empty is all.
	Allowed []string
	// PlainHTTP lets webhooks be at http://.
	PlainHTTP bool
	// Roots are authorities that certificates of targets are signed by; nil are those of the system.
	Roots *tls.Config
	Clock clock.PassiveClock
}

// Open returns what sends to a target of an export. It reads the target's Secret, and connects to nothing.
func (t *Targets) Open(ctx context.Context, export *v1alpha1.AccountingExport, target *v1alpha1.NotificationTarget) (Target, error) {
	kind := KindWebhook
	if target.Webhook == nil {
		kind = KindMail
	}
	if len(t.Allowed) > 0 && !slices.Contains(t.Allowed, kind) {
		return nil, failure.Stalled(v1alpha1.ReasonTypeNotAllowed, nil, "a target of type %s is not among the operator's --allowed-notifications, which are %q", kind, t.Allowed)
	}
	switch {
	case target.Webhook != nil:
		return t.webhook(ctx, export, target.Webhook)
	case target.Mail != nil:
		return t.mail(ctx, export, target.Mail)
	}
	return nil, failure.Stalled(v1alpha1.ReasonInvalidSpec, nil, "it has neither webhook nor mail")
}

// secret reads keys of a Secret of the export's namespace.
func (t *Targets) secret(ctx context.Context, export *v1alpha1.AccountingExport, name string, keys ...string) (map[string][]byte, error) {
	found, err := t.Secrets.Find(ctx, credentials.Reference{Kind: "AccountingExport", Namespace: export.Namespace, Name: export.Name, Secret: name, Keys: keys})
	return found.Data, err
}

// unreachable says why there is no answer of a host, without what came from it. The field says where the host is.
func unreachable(host, field string, err error) error {
	if refused := outbound.Refusal(err); refused != nil {
		return refused
	}
	return failure.Transient(v1alpha1.ReasonTargetUnreachable, err, "%s cannot be reached: %s", host, destinations.Unreached(err, field))
}

// tlsConfig is for connections with a host.
func (t *Targets) tlsConfig(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.Roots != nil {
		config.RootCAs = t.Roots.RootCAs
	}
	return config
}

func describe(host string, port int32) string {
	return fmt.Sprintf("the mail server %s:%d", host, port)
}
