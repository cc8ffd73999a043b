package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/rounds"
)

// mostFromServer bounds what a mail server sends in one session: certificates, and some lines.
const mostFromServer = 256 << 10

type mailServer struct {
	spec               v1alpha1.MailTarget
	username, password string
	policy             *outbound.Policy
	tls                *tls.Config
}

func (t *Targets) mail(ctx context.Context, export *v1alpha1.AccountingExport, spec *v1alpha1.MailTarget) (Target, error) {
	server := &mailServer{spec: *spec, policy: t.Outbound, tls: t.tlsConfig(spec.Host)}
	if server.spec.Port == 0 {
		server.spec.Port = 587
	}
	login := spec.CredentialsSecretRef
	if login == nil {
		return server, nil
	}
	username, password := orElse(login.UsernameKey, "username"), orElse(login.PasswordKey, "password")
	found, err := t.secret(ctx, export, login.Name, username, password, hostsKey)
	if err != nil {
		return nil, err
	}
	if !names(found[hostsKey], spec.Host) {
		refused := failure.Transient(v1alpha1.ReasonHostNotAllowed, nil,
			"the Secret of mail.credentialsSecretRef does not name %s under the key %s, which has the hosts that its login may be sent to, with commas in between; add it, or correct mail.host", spec.Host, hostsKey)
		refused.Condition = v1alpha1.ConditionCredentialsReady
		return nil, refused
	}
	server.username, server.password = string(found[username]), string(found[password])
	return server, nil
}

// hostsKey of a Secret with a login names the hosts that it may be sent to: who may change an AccountingExport may not be allowed to read the
// Secret, and could have it sent to a server of their own.
const hostsKey = "hosts"

// names reports whether hosts, with commas or space in between, have one among them.
func names(hosts []byte, host string) bool {
	between := func(c rune) bool { return c == ',' || unicode.IsSpace(c) }
	return slices.ContainsFunc(strings.FieldsFunc(string(hosts), between), func(one string) bool { return strings.EqualFold(one, host) })
}

// Close implements Target.
func (s *mailServer) Close() {}

// Send implements Target. The server takes the mail for all recipients, or for none.
func (s *mailServer) Send(ctx context.Context, message *Message) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	letter, err := s.letter(message)
	if err != nil {
		return failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "mail.from or mail.to is not an address")
	}
	client, err := s.client()
	if err != nil {
		return failure.Stalled(v1alpha1.ReasonInvalidSpec, err, "mail has a value that cannot work")
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.failed(err)
	}
	err = client.SendWithSMTPClient(session, letter)
	_ = client.CloseWithSMTPClient(session) // what it took, it has
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// client makes a client for one session.
func (s *mailServer) client() (*mail.Client, error) {
	_, domain, _ := strings.Cut(s.spec.From, "@")
	policy := mail.TLSMandatory
	if s.spec.TLS == v1alpha1.MailImplicitTLS {
		policy = mail.TLSOpportunistic // the connection has it before anything is said
	}
	options := []mail.Option{
		mail.WithPort(int(s.spec.Port)), mail.WithTimeout(attemptTimeout), mail.WithHELO(domain), mail.WithTLSPolicy(policy), mail.WithTLSConfig(s.tls),
		mail.WithDialContextFunc(s.dial), mail.WithoutNoop(),
	}
	if s.username != "" {
		options = append(options, mail.WithSMTPAuthCustom(&login{username: s.username, password: s.password}))
	}
	return mail.NewClient(s.spec.Host, options...)
}

// dial connects, as far as the policy lets it, to a server that may send little and has little time.
func (s *mailServer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := s.policy.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	until, _ := ctx.Deadline() // every attempt has one
	bounded := &boundedConn{Conn: conn, left: mostFromServer, until: until}
	if err := bounded.SetDeadline(until); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if s.spec.TLS != v1alpha1.MailImplicitTLS {
		return bounded, nil
	}
	encrypted := tls.Client(bounded, s.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return encrypted, nil
}

// boundedConn ends after so many bytes were read, and at a time that nobody can put off.
type boundedConn struct {
	net.Conn
	left  int
	until time.Time
}

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// SetDeadline implements net.Conn.
func (c *boundedConn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(c.earlier(t)) }

// SetReadDeadline implements net.Conn.
func (c *boundedConn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(c.earlier(t)) }

// SetWriteDeadline implements net.Conn.
func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	return c.Conn.SetWriteDeadline(c.earlier(t))
}

func (c *boundedConn) earlier(t time.Time) time.Time {
	if t.IsZero() || t.After(c.until) {
		return c.until
	}
	return t
}

// letter is the message as mail. Programs that answer mail by themselves do not answer it, and one that is sent twice has the same id.
func (s *mailServer) letter(message *Message) (*mail.Msg, error) {
	_, domain, _ := strings.Cut(s.spec.From, "@")
	letter := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(letter.From(s.spec.From), letter.To(s.spec.To...)); err != nil {
		return nil, err
	}
	letter.SetMessageIDWithValue(message.ID + "@" + domain)
	letter.SetDateWithValue(message.Time)
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetGenHeader("X-Ledgerport-Event", string(message.Event))
	letter.Subject("Ledgerport: " + message.Data.Namespace + "/" + message.Data.Export + ": " + message.summary())
	letter.SetBodyString(mail.TypeTextPlain, message.text())
	return letter, nil
}

// failed says what went wrong, without words of the server.
func (s *mailServer) failed(err error) error {
	server := describe(s.spec.Host, s.spec.Port)
	var untrusted *tls.CertificateVerificationError
	var said *textproto.Error
	var refused *mail.SendError
	switch {
	case outbound.Refusal(err) != nil, errors.As(err, &untrusted):
		return unreachable(server, "mail.host and port", err)
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered):
		return failure.Transient(v1alpha1.ReasonLoginRefused, err, "%s offers no way to log in; leave mail.credentialsSecretRef out, or name another port", server)
	case errors.Is(err, errCostlyLogin):
		return failure.Transient(v1alpha1.ReasonLoginRefused, err, "%s asks for a login by SCRAM with more than %d rounds, or with no number of them, or twice; let it ask for fewer, or name another server", server, rounds.Most)
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return failure.Transient(v1alpha1.ReasonNotEncrypted, err, "%s does not offer STARTTLS, and nothing is sent in plain text; name the port for it, or write mail.tls: Implicit", server)
	case errors.As(err, &said) && (said.Code == 534 || said.Code == 535 || said.Code == 530):
		return failure.Transient(v1alpha1.ReasonLoginRefused, err, "%s refuses the login (%d); correct the Secret of mail.credentialsSecretRef", server, said.Code)
	case errors.As(err, &refused) && refused.ErrorCode() > 0:
		return failure.Transient(v1alpha1.ReasonTargetRefused, err, "%s does not take the mail (%d); see its log for mail from %s", server, refused.ErrorCode(), s.spec.From)
	case errors.As(err, &said):
		return failure.Transient(v1alpha1.ReasonTargetRefused, err, "%s does not take the mail (%d); see its log for mail from %s", server, said.Code, s.spec.From)
	}
	return unreachable(server, "mail.host and port", err)
}
