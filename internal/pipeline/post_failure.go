package pipeline

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/printable"
)

// systemFailure says what is wrong with an accounting system.
func (a *attempt) systemFailure(system *exporters.SystemError) error {
	message := a.quoted(system.Message)
	switch system.Problem {
	case exporters.CredentialsRefused:
		return onCredentials.Transient(v1alpha1.ReasonLoginRefused, system, "%s", message)
	case exporters.OutcomeUnknown:
		return failure.Transient(v1alpha1.ReasonOutcomeUnknown, system, "%s", message)
	case exporters.Refused:
		return failure.Transient(v1alpha1.ReasonSystemRefused, system, "%s", message)
	default:
		reason := v1alpha1.ReasonSystemUnreachable
		if timedOut(system) {
			reason = v1alpha1.ReasonSystemTimeout
		}
		return failure.Transient(reason, system, "%s", message)
	}
}

// timedOut reports whether a connection, a TLS handshake or an answer took longer than it may. That is not the attempt's deadline.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// quoted is a message of the system as it may be shown: short, on one line, without a credential.
func (a *attempt) quoted(message string) string {
	return printable.Line(withoutSecrets(strings.TrimSpace(message), a.credentials, printable.Quote), printable.Quote)
}

// withoutSecrets returns the beginning of a message, a little more than so many bytes of it, with an ellipsis in place of each value of
// a Secret. It looks at each place once: a Secret may have thousands of values, and any of them may be found in what others left.
func withoutSecrets(message string, secrets map[string][]byte, most int) string {
	var shown strings.Builder
	for at := 0; at < len(message) && shown.Len() <= most; {
		if hidden := secretAt(message[at:], secrets); hidden > 0 {
			shown.WriteString("…")
			at += hidden
		} else {
			shown.WriteByte(message[at])
			at++
		}
	}
	return shown.String()
}

// secretAt is the length of the longest value of a Secret that a message begins with.
func secretAt(message string, secrets map[string][]byte) (longest int) {
	for _, secret := range secrets {
		if len(secret) > longest && strings.HasPrefix(message, string(secret)) {
			longest = len(secret)
		}
	}
	return longest
}
