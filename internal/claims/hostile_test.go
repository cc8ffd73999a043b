package claims_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/internal/failure"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// announcing sends the head of a message of so many bytes in answer to whatever comes, and waits.
func announcing(kind byte, length uint32) func(net.Conn) {
	return func(connection net.Conn) {
		buffer := make([]byte, 1024)
		_, _ = connection.Read(buffer)
		_, _ = connection.Write(binary.BigEndian.AppendUint32([]byte{kind}, length))
		_, _ = io.Copy(io.Discard, connection)
	}
}

// answering logs everybody in, and sends what a function answers to each message.
func answering(answer func(pgproto3.FrontendMessage) []pgproto3.BackendMessage) func(net.Conn) {
	return func(connection net.Conn) {
		backend := pgproto3.NewBackend(connection, connection)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		backend.Send(&pgproto3.AuthenticationOk{})
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		for backend.Flush() == nil {
			received, err := backend.Receive()
			if err != nil {
				return
			}
			for _, message := range answer(received) {
				backend.Send(message)
			}
		}
	}
}

// refusing answers every query with an error.
func refusing(code, message string) func(net.Conn) {
	return answering(func(received pgproto3.FrontendMessage) []pgproto3.BackendMessage {
		switch received.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			return []pgproto3.BackendMessage{&pgproto3.ErrorResponse{Severity: "ERROR", Code: code, Message: message}, &pgproto3.ReadyForQuery{TxStatus: 'I'}}
		}
		return nil
	})
}

// readyTwice refuses every statement in a transaction, and says twice that it is ready where the transaction is given up.
func readyTwice(received pgproto3.FrontendMessage) []pgproto3.BackendMessage {
	switch received := received.(type) {
	case *pgproto3.Query:
		if strings.EqualFold(received.String, "rollback") {
			return []pgproto3.BackendMessage{&pgproto3.RowDescription{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.ReadyForQuery{TxStatus: 'I'}}
		}
		return []pgproto3.BackendMessage{&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.ReadyForQuery{TxStatus: 'T'}}
	case *pgproto3.Sync:
		return []pgproto3.BackendMessage{&pgproto3.ErrorResponse{Severity: "ERROR", Code: "XX000"}, &pgproto3.ReadyForQuery{TxStatus: 'E'}}
	}
	return nil
}

func TestAServerThatIsReadyTwiceEndsItsSessionAlone(t *testing.T) {
	t.Parallel()
	database, err := claims.Open(t.Context(), claims.Options{Allowed: insecure, URL: "postgres://u:p@" + hostilepg.Serve(t, answering(readyTwice)) + "/d?sslmode=disable"})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	for range 2 { // the second time over a new session
		if _, err := database.CheckSchema(t.Context()); failure.From(err).Reason != v1alpha1.ReasonDatabaseError {
			t.Errorf("got %v, want that the database refused the statement", err)
		}
	}
}

// TestOpen_IsNotHarmedByAServer has servers that tenants have made for the purpose. A minute would be over before the operator
// had given up on a message that never comes.
func TestOpen_IsNotHarmedByAServer(t *testing.T) {
	t.Parallel()
	words := "red \x1b[31m\r\n" + strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		serve func(net.Conn)
	}{
		"a message of a gigabyte":         {announcing('E', 1<<30-1)},
		"a message of two gigabytes":      {announcing('R', 1<<31-1)},
		"a message of nothing":            {announcing('E', 0)},
		"a megabyte about a right":        {refusing("42501", words)},
		"a megabyte about a table":        {refusing("42P01", words)},
		"a megabyte about a column":       {refusing("42703", words)},
		"a megabyte about something else": {refusing(strings.Repeat("\x1b", 100), words)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "postgres://app:s3cret@" + hostilepg.Serve(t, test.serve) + "/app?sslmode=disable"
			database, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: insecure, ConnectTimeout: time.Minute})
			if err == nil {
				defer database.Close()
				_, err = database.CheckSchema(t.Context())
			}
			var failed *failure.Error
			if !errors.As(err, &failed) || len(failed.Message) > 5000 || strings.ContainsFunc(failed.Message, unicode.IsControl) || strings.Contains(failed.Message, "no answer within") {
				t.Errorf("%T %.200q", err, err)
			}
		})
	}
}

// TestClose_ReadsNoMoreOfAnEndlessAnswer counts what a server gets rid of, which sends as fast as it can. The client library would
// read on for 15 seconds.
func TestClose_ReadsNoMoreOfAnEndlessAnswer(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(net.Conn){"rows": hostilepg.SendRows, "notices": hostilepg.SendNotices} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := make(chan int64, 10)
			address := hostilepg.Serve(t, func(connection net.Conn) {
				counted := &countedConn{Conn: connection}
				send(counted)
				sent <- counted.written
			})
			database, err := claims.Open(t.Context(), claims.Options{URL: "postgres://app:s3cret@" + address + "/app?sslmode=disable", Allowed: insecure})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := database.CheckSchema(t.Context()); err == nil {
				t.Error("the schema was read")
			}
			database.Close()
			for range 2 { // the connection, and the one that cancels its statement
				if n := <-sent; n > 64*megabyte {
					t.Errorf("%d MiB were read", n/megabyte)
				}
			}
		})
	}
}

// countedConn counts what is written.
type countedConn struct {
	net.Conn
	written int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written += int64(n)
	return n, err
}

// TestOpen_LogsInWithNoCertificateOfTheOperator has a certificate wherever the client library looks for one. It is alone,
// because it changes the environment.
func TestOpen_LogsInWithNoCertificateOfTheOperator(t *testing.T) {
	certificate, key := selfSigned(t)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(home, ".postgresql", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, content, 0o600)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	t.Setenv("HOME", home)
	t.Setenv("PGSSLCERT", write("postgresql.crt", certificate))
	t.Setenv("PGSSLKEY", write("postgresql.key", key))
	shown := make(chan int, 10)
	address := hostilepg.Serve(t, func(connection net.Conn) {
		if _, err := io.ReadFull(connection, make([]byte, 8)); err != nil { // an SSLRequest
			return
		}
		_, _ = connection.Write([]byte("S"))
		secure := tls.Server(connection, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12})
		if secure.Handshake() == nil { //nolint:noctx // the connection ends with the test
			shown <- len(secure.ConnectionState().PeerCertificates)
		}
	})
	for _, parameters := range []string{"sslmode=require", "sslmode=require&sslcertmode=require", "sslmode=require&sslcertmode=allow"} {
		if _, err := claims.Open(t.Context(), claims.Options{URL: "postgres://app:s3cret@" + address + "/app?" + parameters, Allowed: insecure}); err == nil {
			t.Error("the server does not let anybody in")
		}
		if n := <-shown; n > 0 {
			t.Errorf("%s: the operator's certificate was shown", parameters)
		}
	}
}

// selfSigned makes a certificate and its key, in PEM.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
