package notify

import (
	"bytes"
	"errors"
	"slices"
	"strconv"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// mostRounds of a hash that a mail server may ask for in a login by SCRAM. Servers ask for 4,096 to some 100,000. The library takes any
// number, computes without looking at the time, and cannot be stopped.
const mostRounds = 1_000_000

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
		if l.asked || !affordable(fromServer) {
			return nil, errCostlyLogin
		}
		l.asked = true
	}
	return l.by.Next(fromServer, more)
}

// affordable reports whether every number of rounds in a message is one that may be asked for.
func affordable(message []byte) bool {
	for part := range bytes.SplitSeq(message, []byte(",")) {
		text, is := bytes.CutPrefix(part, []byte("i="))
		if !is {
			continue
		}
		if rounds, err := strconv.Atoi(string(text)); err != nil || rounds < 1 || rounds > mostRounds {
			return false
		}
	}
	return true
}
