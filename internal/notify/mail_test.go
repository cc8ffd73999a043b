package notify

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/credentials"
	"github.com/ledgerport/ledgerport/internal/failure"
)

// post is a mail server of the tests.
type post struct {
	mu       sync.Mutex
	from     string
	to       []string
	letter   []byte
	username string
	refuse   error  // what it says to a recipient
	login    *scram // a login of its own; nil is PLAIN
}

// NewSession implements smtp.Backend.
func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{p}, nil }

type session struct{ *post }

func (s *session) AuthMechanisms() []string {
	if s.login != nil {
		return []string{"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	if s.login != nil {
		return s.login, nil
	}
	return sasl.NewPlainServer(func(_, username, password string) error {
		if password != "hunter2-of-mail" {
			return &smtp.SMTPError{Code: 535, Message: "no"}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.username = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	return s.refuse
}

func (s *session) Data(r io.Reader) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letter, err = io.ReadAll(r)
	return err
}

// scram is the server's side of a login by SCRAM-SHA-256 that asks for so many rounds of a hash, and asks again if it is to.
type scram struct {
	rounds string
	again  bool
	nonce  string
	asked  int
}

// Next implements sasl.Server.
func (s *scram) Next(response []byte) (challenge []byte, done bool, err error) {
	_, nonce, initial := strings.Cut(string(response), ",r=")
	switch {
	case response == nil:
		return []byte{}, false, nil
	case initial && s.asked == 0:
		s.nonce = nonce
	case !s.again:
		return nil, true, nil // the proof of the client is believed
	}
	s.nonce += "x"
	s.asked++
	return []byte("r=" + s.nonce + ",s=c2FsdA==,i=" + s.rounds), false, nil
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }

// start starts a mail server with a certificate for 127.0.0.1; without one it has no TLS.
func (p *post) start(t *testing.T, certificate *httptest.Server, how v1alpha1.MailTLS) v1alpha1.NotificationTarget {
	t.Helper()
	server := smtp.NewServer(p)
	server.Domain = "mail.example.com"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	if certificate != nil {
		server.TLSConfig = &tls.Config{Certificates: certificate.TLS.Certificates, MinVersion: tls.VersionTLS12}
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if how == v1alpha1.MailImplicitTLS {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return letters(int32(port), how)
}

func letters(port int32, how v1alpha1.MailTLS) v1alpha1.NotificationTarget {
	return v1alpha1.NotificationTarget{Name: "finance", Mail: &v1alpha1.MailTarget{
		Host: "127.0.0.1", Port: port, TLS: how, From: "ledgerport@example.com", To: []string{"finance@example.com", "audit@example.com"},
		CredentialsSecretRef: &v1alpha1.MailCredentials{Name: "notify"},
	}}
}

// certified is a server whose certificate is for 127.0.0.1.
func certified(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return server
}

func TestMailIsTakenByAServer(t *testing.T) {
	t.Parallel()
	for _, how := range []v1alpha1.MailTLS{v1alpha1.MailStartTLS, v1alpha1.MailImplicitTLS} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			certificate, server := certified(t), &post{}
			must(t, send(t, targets(t, certificate, newKey), server.start(t, certificate, how)))
			server.mu.Lock()
			defer server.mu.Unlock()
			if server.from != "ledgerport@example.com" || !slices.Equal(server.to, []string{"finance@example.com", "audit@example.com"}) || server.username != "books" {
				t.Errorf("from %s to %v, logged in as %q", server.from, server.to, server.username)
			}
			letter, err := netmail.ReadMessage(bytes.NewReader(server.letter))
			must(t, err)
			for name, want := range map[string]string{
				"Message-Id": "<run-uid-succeeded@example.com>", "Auto-Submitted": "auto-generated", "X-Ledgerport-Event": "Succeeded",
				"Subject": "Ledgerport: acme/monthly: run monthly-1 has exported 3 claims, 1234.50 EUR", "Date": "Sun, 01 Nov 2026 06:00:05 +0000",
			} {
				if letter.Header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, letter.Header.Get(name), want)
				}
			}
			for _, line := range []string{"Total:         1234.50 EUR\r\n", "Vouchers:      E/2026/1 to E/2026/3\r\n", "SHA-256:       abc\r\n"} {
				if !bytes.Contains(server.letter, []byte(line)) {
					t.Errorf("%q lacks %q", server.letter, line)
				}
			}
		})
	}
}

func TestALoginByAHashCostsWhatItMay(t *testing.T) {
	t.Parallel()
	certificate := certified(t)
	for name, test := range map[string]struct {
		login  scram
		reason v1alpha1.Reason
	}{
		"as many rounds as servers ask for": {scram{rounds: "4096"}, ""},
		"rounds for a minute":               {scram{rounds: "200000000"}, v1alpha1.ReasonLoginRefused},
		"rounds for ever":                   {scram{rounds: "9223372036854775807"}, v1alpha1.ReasonLoginRefused},
		"a number that is none":             {scram{rounds: "99999999999999999999"}, v1alpha1.ReasonLoginRefused},
		"another number behind the first":   {scram{rounds: "4096,i=200000000"}, v1alpha1.ReasonLoginRefused},
		"the same question over and over":   {scram{rounds: "4096", again: true}, v1alpha1.ReasonLoginRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			err := send(t, targets(t, certificate, newKey), (&post{login: &test.login}).start(t, certificate, v1alpha1.MailStartTLS))
			if took := time.Since(began); took > attemptTimeout/2 {
				t.Errorf("it took %s", took)
			}
			if (err == nil) != (test.reason == "") || err != nil && failure.From(err).Reason != test.reason {
				t.Errorf("%v, want %q", err, test.reason)
			}
		})
	}
}

func TestMailThatIsNotTaken(t *testing.T) {
	t.Parallel()
	certificate := certified(t)
	wrong := func(target v1alpha1.NotificationTarget) v1alpha1.NotificationTarget {
		target.Mail.CredentialsSecretRef.PasswordKey = "username"
		return target
	}
	for name, test := range map[string]struct {
		target v1alpha1.NotificationTarget
		reason v1alpha1.Reason
	}{
		"no TLS":                   {(&post{}).start(t, nil, v1alpha1.MailStartTLS), v1alpha1.ReasonNotEncrypted},
		"the password is wrong":    {wrong((&post{}).start(t, certificate, v1alpha1.MailStartTLS)), v1alpha1.ReasonLoginRefused},
		"a recipient is not known": {(&post{refuse: &smtp.SMTPError{Code: 550, Message: "words-of-the-server"}}).start(t, certificate, v1alpha1.MailStartTLS), v1alpha1.ReasonTargetRefused},
		"the server is busy":       {(&post{refuse: &smtp.SMTPError{Code: 451, Message: "words-of-the-server"}}).start(t, certificate, v1alpha1.MailImplicitTLS), v1alpha1.ReasonTargetRefused},
		"a fault of the server":    {(&post{refuse: errors.New("words-of-the-server")}).start(t, certificate, v1alpha1.MailImplicitTLS), v1alpha1.ReasonTargetRefused},
		"nobody is there":          {letters(1, v1alpha1.MailStartTLS), v1alpha1.ReasonTargetUnreachable},
		"no TLS behind the port":   {letters(chatter(t, "220 mail\r\n"), v1alpha1.MailImplicitTLS), v1alpha1.ReasonTargetUnreachable},
		"a line without end":       {letters(chatter(t, strings.Repeat("x", 1<<20)), v1alpha1.MailStartTLS), v1alpha1.ReasonTargetUnreachable},
		"a greeting without end":   {letters(chatter(t, strings.Repeat("220-more\r\n", 1<<17)), v1alpha1.MailStartTLS), v1alpha1.ReasonTargetUnreachable},
		"words of no protocol":     {letters(chatter(t, "words-of-the-server\r\n"), v1alpha1.MailStartTLS), v1alpha1.ReasonTargetUnreachable},
		"nothing but silence":      {letters(chatter(t, ""), v1alpha1.MailStartTLS), v1alpha1.ReasonTargetUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			err := send(t, targets(t, certificate, newKey), test.target)
			if err == nil || failure.From(err).Reason != test.reason || strings.Contains(err.Error(), "words-of") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %s", err, test.reason)
			}
			if took := time.Since(began); took > attemptTimeout+2*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	err := send(t, targets(t, certificate, newKey), letters(1, v1alpha1.MailStartTLS))
	if want := "cannot be reached: nothing listens there; correct mail.host and port, or start the server"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("if nobody is there it says %v, want %q", err, want)
	}
}

// chatter is a server that says the same over and over, and hears nothing; silent if that is nothing.
func chatter(t *testing.T, words string) (port int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go func() {
				for err == nil && words != "" {
					_, err = io.WriteString(conn, words)
				}
			}()
		}
	}()
	return int32(listener.Addr().(*net.TCPAddr).Port)
}

func TestNothingInAMessageAddsAHeader(t *testing.T) {
	t.Parallel()
	certificate, server := certified(t), &post{}
	target := server.start(t, certificate, v1alpha1.MailImplicitTLS)
	run, export := anyRun()
	export.Spec.OrganizationID = "acme\r\nBcc: everybody@example.com\r\n\r\n\u202eeverything"
	run.Status.Location = "s3://x/\r\nX-Evil: 1"
	opened, err := targets(t, certificate, newKey).Open(t.Context(), export, &target)
	must(t, err)
	must(t, opened.Send(t.Context(), MessageOf(run, export, v1alpha1.EventClaimsHeld, "")))
	letter, err := netmail.ReadMessage(bytes.NewReader(server.letter))
	must(t, err)
	body, err := io.ReadAll(letter.Body)
	must(t, err)
	if letter.Header.Get("Bcc") != "" || letter.Header.Get("X-Evil") != "" || bytes.Contains(body, []byte("\r\nBcc:")) || len(server.to) != 2 {
		t.Errorf("the letter is %q", server.letter)
	}
}

// TestALoginIsSentWhereItsSecretSaysAlone names servers that the Secret with the login does not, and other keys of it.
func TestALoginIsSentWhereItsSecretSaysAlone(t *testing.T) {
	t.Parallel()
	certificate := certified(t)
	for name, hosts := range map[string]string{"another host": "smtp.example.com", "a part of it": "127.0.0.10, 27.0.0.1", "a pattern": "*"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, all := &post{}, targets(t, certificate, "")
			all.Secrets = credentials.Secrets{API: fake.NewClientBuilder().WithObjects(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "notify"},
				Data:       map[string][]byte{"username": []byte("books"), "password": []byte("hunter2-of-mail"), "hosts": []byte(hosts)},
			}).Build()}
			err := send(t, all, server.start(t, certificate, v1alpha1.MailStartTLS))
			if err == nil || failure.From(err).Reason != v1alpha1.ReasonHostNotAllowed || strings.Contains(err.Error(), hosts) || server.username != "" {
				t.Errorf("%v, logged in as %q", err, server.username)
			}
		})
	}
	target := letters(1, v1alpha1.MailStartTLS)
	target.Mail.CredentialsSecretRef.UsernameKey, target.Mail.CredentialsSecretRef.PasswordKey = "key", "key"
	target.Mail.Host = "mail.of.somebody.else.example.com"
	if err := send(t, targets(t, certificate, newKey), target); err == nil || failure.From(err).Reason != v1alpha1.ReasonHostNotAllowed {
		t.Errorf("any key is sent to any host: %v", err)
	}
}
