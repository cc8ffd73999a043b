package submission

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/ledger"
	"github.com/ledgerport/ledgerport/texts"
)

// System is an accounting system as an exporter knows it, and what it must not say. It is not safe for concurrent use.
type System struct {
	Exporter string
	Secrets  map[string][]byte

	ordered secrets // of Secrets, once a message is quoted
}

// Failure classifies an error of an exporter. Holds and failures pass as they are, and so does the end of the attempt. A timeout of
// the network is not that, though errors.Is finds context.DeadlineExceeded in it, too.
func (s *System) Failure(ctx context.Context, err error) error {
	var hold *ledger.Hold
	var failed *failure.Error
	var system *exporters.SystemError
	var option *exporters.OptionError
	switch {
	case err == nil, errors.As(err, &hold), errors.As(err, &failed), ctx.Err() != nil:
		return err
	case outbound.Refusal(err) != nil:
		return failure.On(v1alpha1.ConditionMappingReady, outbound.Refusal(err))
	case errors.As(err, &option):
		return failure.OnMapping.Stalled(v1alpha1.ReasonInvalidOptions, err, "spec.exporter.options of the exporter %s: %s", s.Exporter, option)
	case errors.As(err, &system):
		return s.failure(system)
	case timedOut(err):
		return failure.Transient(v1alpha1.ReasonSystemTimeout, err, "the accounting system of the exporter %s did not answer in time", s.Exporter)
	}
	return failure.Transient(v1alpha1.ReasonExporterFailed, err, "the exporter %s could not write the artifact", s.Exporter)
}

// failure says what is wrong with an accounting system.
func (s *System) failure(system *exporters.SystemError) error {
	message := s.quoted(system.Message)
	switch system.Problem {
	case exporters.CredentialsRefused:
		return failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, system, "%s", message)
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
func (s *System) quoted(message string) string {
	if s.ordered == nil {
		s.ordered = newSecrets(s.Secrets)
	}
	return texts.Printable(s.ordered.hide(strings.TrimSpace(message), texts.Quote), texts.Quote)
}
