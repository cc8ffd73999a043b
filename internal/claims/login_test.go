package claims_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// TestOpen_GivesNoPasswordAway has a server with a good certificate that asks for a login in a way of its own, and keeps what it is sent.
func TestOpen_GivesNoPasswordAway(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		asks    pgproto3.BackendMessage
		allowed claims.Allowances
		sent    string // what the server gets
		refused bool
	}{
		"the password itself":               {&pgproto3.AuthenticationCleartextPassword{}, claims.Allowances{}, "", true},
		"its MD5":                           {&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}}, claims.Allowances{}, "", true},
		"nothing":                           {&pgproto3.AuthenticationOk{}, claims.Allowances{}, "", true},
		"nothing, where passwords may be":   {&pgproto3.AuthenticationOk{}, claims.Allowances{Passwords: true}, "", true},
		"the password itself, which it may": {&pgproto3.AuthenticationCleartextPassword{}, claims.Allowances{Passwords: true}, "s3cret", false},
		"nothing, where all is allowed":     {&pgproto3.AuthenticationOk{}, claims.Allowances{Insecure: true}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			address := hostilepg.Serve(t, func(connection net.Conn) {
				if _, err := io.ReadFull(connection, make([]byte, 8)); err != nil { // an SSLRequest
					return
				}
				_, _ = connection.Write([]byte("S"))
				secure := tls.Server(connection, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
				backend := pgproto3.NewBackend(secure, secure)
				if _, err := backend.ReceiveStartupMessage(); err != nil {
					return
				}
				backend.Send(test.asks)
				if _, asks := test.asks.(*pgproto3.AuthenticationOk); !asks {
					_ = backend.Flush()
					_ = backend.SetAuthType(pgproto3.AuthTypeCleartextPassword)
					answer, _ := backend.Receive()
					if password, is := answer.(*pgproto3.PasswordMessage); is {
						got <- password.Password
					}
					backend.Send(&pgproto3.AuthenticationOk{})
				}
				backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				_ = backend.Flush()
				_, _ = io.Copy(io.Discard, secure)
			})
			database, err := claims.Open(t.Context(), claims.Options{
				URL: "postgres://app:s3cret@" + address + "/app", Allowed: test.allowed, Layout: v1alpha1.PostgresSource{CABundle: string(certificate)},
			})
			if err == nil {
				database.Close()
			}
			if test.refused {
				if failed := failureWith(t, err, v1alpha1.ReasonInsecureConnection); !strings.Contains(failed.Message, "scram-sha-256") {
					t.Errorf("%+v", failed)
				}
			} else if err != nil {
				t.Error(err)
			}
			select {
			case password := <-got:
				if password != test.sent {
					t.Errorf("the server got %q", password)
				}
			default:
				if test.sent != "" {
					t.Error("the server got nothing")
				}
			}
		})
	}
}

// TestOpen_ComputesForNoServerForLong has servers that ask for a login by SCRAM whose cost is theirs to name. No deadline ends what the
// client library computes.
func TestOpen_ComputesForNoServerForLong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		challenge string // what follows the salt
		computed  bool
	}{
		"as PostgreSQL does":                   {"i=4096", true},
		"a million rounds":                     {"i=1000000", true},
		"more than a million":                  {"i=1000001", false},
		"as many as the library takes":         {"i=10000000", false},
		"no number of rounds":                  {"i=x", false},
		"rounds at the end of a long text":     {strings.Repeat("x", 5000) + ",i=10000000", false},
		"a number with zeros before the rest":  {"i=00000000010000000", false},
		"a number with a sign before the rest": {"i=+10000000", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan bool, 1)
			address := hostilepg.Serve(t, func(connection net.Conn) { answered <- challenged(connection, test.challenge) })
			database, err := claims.Open(t.Context(), claims.Options{
				URL: "postgres://app:s3cret@" + address + "/app?sslmode=disable", Allowed: insecure, ConnectTimeout: time.Minute,
			})
			if err == nil {
				database.Close()
				t.Fatal("a server was logged in to that never let anybody in")
			}
			if computed := <-answered; computed != test.computed {
				t.Errorf("the client computed an answer: %t (%v)", computed, err)
			}
			if refused := failure.From(err).Reason == v1alpha1.ReasonLoginRefused; refused == test.computed {
				t.Errorf("the failure is %v", err)
			}
		})
	}
}

// challenged asks for a login by SCRAM, and reports whether the client answered the challenge.
func challenged(connection net.Conn, challenge string) bool {
	backend := pgproto3.NewBackend(connection, connection)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return false
	}
	backend.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
	if backend.Flush() != nil || backend.SetAuthType(pgproto3.AuthTypeSASL) != nil {
		return false
	}
	first, err := backend.Receive()
	begun, is := first.(*pgproto3.SASLInitialResponse)
	if err != nil || !is {
		return false
	}
	_, nonce, _ := strings.Cut(string(begun.Data), "r=")
	backend.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=" + nonce + "x,s=c2FsdA==," + challenge)})
	if backend.Flush() != nil || backend.SetAuthType(pgproto3.AuthTypeSASLContinue) != nil {
		return false
	}
	_, err = backend.Receive()
	return err == nil
}
