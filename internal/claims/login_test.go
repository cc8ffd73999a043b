package claims_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
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
