package notify

import (
	"bytes"
	"errors"
	"slices"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/ledgerport/ledgerport/internal/rounds"
)

var errCostlyLogin = errors.New("the mail server asks for a login that costs too much")

// login logs in by the best of the ways that a server offers. It is an smtp.Auth.
type login struct {
	username, password string
	by                 smtp.Auth
	scram, asked       bool
}

// Start implements smtp.Auth.
func (l *login) Start(server *smtp.ServerInfo) (string, []byte, error) {
	offers := func(way mail.SMTPAuthType) bool { return slices.Contains(server.Auth, string(way)) }
	l.scram, l.asked = false, false
	switch {
	case offers(mail.SMTPAuthSCRAMSHA256):
		l.by, l.scram = smtp.ScramSHA256Auth(l.username, l.password), true
	case offers(mail.SMTPAuthSCRAMSHA1):
		l.by, l.scram = smtp.ScramSHA1Auth(l.username, l.password), true
	case offers(mail.SMTPAuthPlain):
		l.by = smtp.PlainAuth("", l.username, l.password, server.Name, false)
	case offers(mail.SMTPAuthLogin):
		l.by = smtp.LoginAuth(l.username, l.password, server.Name, false)
	case offers(mail.SMTPAuthCramMD5):
		l.by = smtp.CRAMMD5Auth(l.username, l.password)
	case offers(mail.SMTPAuthNTLM):
		l.by = smtp.NTLMAuth(l.username, l.password, "")
	default:
		return "", nil, mail.ErrNoSupportedAuthDiscovered
	}
	return l.by.Start(server)
}

// Next implements smtp.Auth. A server asks for rounds once, and for no more than it may.
func (l *login) Next(fromServer []byte, more bool) ([]byte, error) {
	if l.scram && bytes.HasPrefix(fromServer, []byte("r=")) {
		if l.asked || !rounds.Affordable(fromServer) {
			return nil, errCostlyLogin
		}
		l.asked = true
	}
	return l.by.Next(fromServer, more)
}
