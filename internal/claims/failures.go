package claims

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/internal/outbound"
	"github.com/ledgerport/ledgerport/internal/rounds"
)

// SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	stateInvalidAuthorization = "28000"
	stateInvalidPassword      = "28P01"
	stateInvalidCatalogName   = "3D000"
	stateUniqueViolation      = "23505"
	stateSerialization        = "40001"
	stateDeadlock             = "40P01"
	stateInsufficientRights   = "42501"
	stateUndefinedTable       = "42P01"
	stateUndefinedColumn      = "42703"
	stateTooManyConnections   = "53300"
	stateLockNotAvailable     = "55P03"
	stateReadOnly             = "25006"
	stateUntranslatable       = "22P05"
	stateNotInEncoding        = "22021"
	stateProtocolViolation    = "08P01"
	stateAdminShutdown        = "57P01"
	stateCrashShutdown        = "57P02"
	stateCannotConnectNow     = "57P03"
)

// classify makes of an error what a person can act on. The text of PostgreSQL's errors is passed on only where it is made
// of identifiers: elsewhere it may quote a value.
func classify(ctx context.Context, doing string, err error) error {
	err = unreadable(doing, err)
	var failed *failure.Error
	switch {
	case err == nil, errors.As(err, &failed):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if much := tooMuch(doing, err); much != nil {
		return much
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return failure.OnSource.Transient(v1alpha1.ReasonDatabaseUnreachable, err, "%s: the connection to the database was lost", doing)
	}
	switch refused.Code {
	case stateInsufficientRights:
		return failure.OnSource.Transient(v1alpha1.ReasonPermissionDenied, err, `%s: %s; run what "ledgerport grants" prints for the ClaimSource`, doing, refused.Message)
	case stateUndefinedTable:
		return failure.OnSource.Transient(v1alpha1.ReasonTableNotFound, err, "%s: %s; it was there before: create it again, or correct the ClaimSource", doing, refused.Message)
	case stateUndefinedColumn:
		return failure.OnSource.Transient(v1alpha1.ReasonColumnMismatch, err, "%s: %s; it was there before: add it again, or correct the ClaimSource", doing, refused.Message)
	case stateTooManyConnections, stateAdminShutdown, stateCrashShutdown, stateCannotConnectNow:
		return failure.OnSource.Transient(v1alpha1.ReasonDatabaseUnreachable, err, "%s: the database server ended the connection (SQLSTATE %s)", doing, refused.Code)
	case stateSerialization, stateDeadlock:
		return conflict(err)
	case stateReadOnly:
		return failure.OnSource.Transient(v1alpha1.ReasonReadOnlyDatabase, err,
			"%s: the database cannot be written: it is a standby, or default_transaction_read_only is on for the role or the database; name the primary in the connection URL, or several hosts, of which the one that can be written is taken", doing)
	case stateUntranslatable, stateNotInEncoding:
		return failure.OnSource.Transient(v1alpha1.ReasonUnsuitableEncoding, err,
			"%s: a text has a character that cannot be converted between the encoding of the database and UTF-8 (SQLSTATE %s); the server's log names the character: correct the text, or give the database the encoding UTF8, which has all of them", doing, refused.Code)
	case stateLockNotAvailable:
		return failure.OnSource.Transient(v1alpha1.ReasonDatabaseError, err,
			"%s: another session keeps a lock on a table of the schema ledgerport; it is tried again, and pg_locks names the session", doing)
	}
	return failure.OnSource.Transient(v1alpha1.ReasonDatabaseError, err, "%s: the database refused it with SQLSTATE %s; its log says more", doing, refused.Code)
}

// unconvertible says why the approved claims cannot be read, and near which claim a text is that cannot be converted.
func unconvertible(ctx context.Context, last string, err error) error {
	doing := "reading the approved claims"
	if state := sqlState(err); state == stateUntranslatable || state == stateNotInEncoding {
		doing += ", at the first one"
		if last != "" {
			doing = fmt.Sprintf("reading the approved claims, at claim %.100q or the one that was approved after it", last)
		}
	}
	return classify(ctx, doing, err)
}

// connectFailure says why there is no connection. The login names where the connection URL is, for people.
func connectFailure(ctx context.Context, config *pgx.ConnConfig, timeout time.Duration, login string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("connecting to the database: %w", ctx.Err())
	}
	if refused := outbound.Refusal(err); refused != nil {
		refused.Condition = v1alpha1.ConditionSourceReady
		refused.Cause = nil // its text quotes the connection's parameters
		return refused
	}
	where := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if much := tooMuch("connecting to the database at "+where, err); much != nil {
		return much
	}
	if errors.Is(err, errCostlyLogin) {
		return failure.OnSource.Transient(v1alpha1.ReasonLoginRefused, nil,
			"the database server at %s asks for a login by SCRAM with more than %d rounds, with no number of them, or twice; let scram_iterations be less there, and set the user's password again", where, rounds.Most)
	}
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return failure.OnSource.Transient(v1alpha1.ReasonReadOnlyDatabase, nil, "none of the servers that the connection URL names can be written: name the primary")
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return sessionRefused(config, where, login, refused)
	}
	if strings.Contains(err.Error(), "require_auth check failed") {
		return failure.OnCredentials.Transient(v1alpha1.ReasonInsecureConnection, nil,
			"the database server at %s asks for the password in a way that gives it away (in the clear or as MD5), or for none; let it use scram-sha-256 for this user, or let an administrator allow less with --allow-password-logins or --allow-insecure-databases", where)
	}
	// The cause is left out: its text quotes the connection's parameters, and its timeout is not the context's.
	return failure.OnSource.Transient(v1alpha1.ReasonDatabaseUnreachable, nil, "no connection to the database at %s: %s", where, unreachable(timeout, writtenIn(login), err))
}

// sessionRefused says why a server lets no session begin.
func sessionRefused(config *pgx.ConnConfig, where, login string, refused *pgconn.PgError) error {
	url := writtenIn(login)
	switch refused.Code {
	case stateInvalidPassword, stateInvalidAuthorization:
		return failure.OnCredentials.Transient(v1alpha1.ReasonLoginRefused, refused, "the database at %s refused user and password; correct %s", where, url)
	case stateInvalidCatalogName:
		return failure.OnSource.Transient(v1alpha1.ReasonDatabaseNotFound, refused, "the server at %s has no database %q; create it, or correct %s", where, config.Database, url)
	case stateInsufficientRights:
		return failure.OnSource.Transient(v1alpha1.ReasonPermissionDenied, refused, "the user %q may not connect to the database %q at %s; run GRANT CONNECT ON DATABASE %s TO %s;",
			config.User, config.Database, where, quoteName(config.Database), quoteName(config.User))
	}
	if refused.Code == stateProtocolViolation && strings.Contains(refused.Message, "startup parameter") {
		return failure.OnSource.Transient(v1alpha1.ReasonUnsuitableSessions, refused,
			"the pooler at %s refuses a parameter that a session begins with; leave options out of the connection URL, or let PgBouncer have ignore_startup_parameters = options", where)
	}
	return failure.OnSource.Transient(v1alpha1.ReasonDatabaseUnreachable, refused, "the database server at %s accepts no connection now (SQLSTATE %s)", where, refused.Code)
}

// writtenIn says where the URL is written, if that is known.
func writtenIn(login string) string {
	if login == "" {
		return "the connection URL"
	}
	return "the connection URL, " + login
}

// unreachable says why a server was not reached, and what to look at. The URL is where that is written.
func unreachable(timeout time.Duration, url string, err error) string {
	var name *net.DNSError
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s; look at firewalls, network policies and the server's load, or correct %s", timeout, url)
	case errors.As(err, &name):
		return "the host name cannot be resolved; correct " + url + ", or see what the cluster's DNS has"
	case errors.As(err, &verification), errors.As(err, &authority):
		return "its TLS certificate cannot be verified; put the authority that signed it into spec.postgres.caBundle, or correct the host in " + url
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return "it does not speak TLS; turn ssl on there, or let an administrator allow less with --allow-insecure-databases"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; correct " + url + ", or start the server"
	}
	return "the network or TLS handshake failed; look at the server's log, and at " + url
}

// fenced says that the attempt is not the run's newest, or the run not in the state that the step needs.
func fenced() error {
	return failure.OnSource.Transient(v1alpha1.ReasonFenced, nil,
		"the run was taken over by a newer attempt or has moved on; this attempt changed nothing")
}

// conflict says that another run reserved claims or numbers at the same time.
func conflict(cause error) error {
	return failure.OnSource.Transient(v1alpha1.ReasonReservationConflict, cause,
		"another run of the organisation changed the same claims at the same time; nothing was reserved, the next attempt reads anew")
}

func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// violatedConstraint names the unique index that a statement ran into; empty where it did not.
func violatedConstraint(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == stateUniqueViolation {
		return refused.ConstraintName
	}
	return ""
}
