package claims_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/internal/claims"
	"github.com/ledgerport/ledgerport/test/environment"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

func TestTheServersCertificateIsCheckedAgainstTheAuthoritiesOfTheSource(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	stranger, _ := selfSigned(t)
	without := withCertificate(t, certificate, key)
	tests := []struct {
		name, sslmode, bundle string
		allowed               claims.Allowances
		reason                v1alpha1.Reason // empty where the connection is made
		words                 string
	}{
		{"an authority of the source", "verify-full", string(certificate), claims.Allowances{}, "", ""},
		{"no mode", "", string(certificate), claims.Allowances{}, "", ""},
		{"several, of which one has signed it", "verify-full", string(stranger) + string(certificate), claims.Allowances{}, "", ""},
		{"one that the name does not matter to", "verify-ca", string(certificate), claims.Allowances{}, "", ""},
		{"another authority", "verify-full", string(stranger), claims.Allowances{}, v1alpha1.ReasonDatabaseUnreachable, "certificate cannot be verified; put the authority that signed it into spec.postgres.caBundle"},
		{"another authority, whatever the name", "verify-ca", string(stranger), claims.Allowances{}, v1alpha1.ReasonDatabaseUnreachable, "certificate cannot be verified"},
		{"only the authorities of the operator", "verify-full", "", claims.Allowances{}, v1alpha1.ReasonDatabaseUnreachable, "certificate cannot be verified"},
		{"a mode that looks at no certificate", "require", string(certificate), insecure, v1alpha1.ReasonMalformedURL, "write sslmode=verify-full"},
		{"a mode that may do without TLS", "prefer", string(certificate), insecure, v1alpha1.ReasonMalformedURL, "write sslmode=verify-full"},
		{"no TLS", "disable", string(certificate), insecure, v1alpha1.ReasonMalformedURL, "write sslmode=verify-full"},
		{"a mode that looks at no certificate, not allowed", "require", string(certificate), claims.Allowances{}, v1alpha1.ReasonInsecureConnection, "sslmode=require"},
		{"a mode that may do without TLS, not allowed", "prefer", "", claims.Allowances{Passwords: true}, v1alpha1.ReasonInsecureConnection, "--allow-insecure-databases"},
		{"no TLS, not allowed", "disable", "", claims.Allowances{}, v1alpha1.ReasonInsecureConnection, "spec.postgres.caBundle"},
		{"whatever name, of the authorities of the operator", "verify-ca", "", claims.Allowances{}, v1alpha1.ReasonInsecureConnection, "sslmode=verify-ca"},
		{"a mode that looks at no certificate, allowed", "require", "", insecure, "", ""},
		{"no TLS, allowed", "disable", "", insecure, "", ""},
		{"what is no certificate", "verify-full", string(key), claims.Allowances{}, v1alpha1.ReasonInvalidSpec, "spec.postgres.caBundle"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := strings.Replace(without, "sslmode=disable", "sslmode="+test.sslmode, 1)
			if test.sslmode == "" {
				url = strings.Replace(without, "?sslmode=disable", "", 1)
			}
			database, err := claims.Open(t.Context(), claims.Options{URL: url, Allowed: test.allowed, Layout: v1alpha1.PostgresSource{CABundle: test.bundle}})
			if err == nil {
				database.Close()
			}
			if test.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failed := failureWith(t, err, test.reason); !strings.Contains(failed.Message, test.words) {
				t.Errorf("%q does not say %q", failed.Message, test.words)
			}
		})
	}
}

// withCertificate starts a server that shows a certificate to whom wants TLS, and returns its URL without.
func withCertificate(t *testing.T, certificate, key []byte) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "ledgerport-tls-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	server, err := environment.StartPostgres(context.Background(), filepath.Join(directory, "postgres"), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var data string
	if err := conn.QueryRow(t.Context(), `SHOW data_directory`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"server.crt": certificate, "server.key": key} {
		if err := os.WriteFile(filepath.Join(data, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if of := owner.Sys().(*syscall.Stat_t); os.Chown(filepath.Join(data, name), int(of.Uid), int(of.Gid)) != nil {
			t.Fatal("the server cannot have a certificate")
		}
	}
	if _, err := conn.Exec(t.Context(), `ALTER SYSTEM SET ssl = on`); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server.URL
}

// TestAnAuthorityOfASourceHasAKeyThatCanBeUsed has an authority whose RSA key is as long as a bundle may be: to check one signature with it
// takes minutes.
func TestAnAuthorityOfASourceHasAKeyThatCanBeUsed(t *testing.T) {
	t.Parallel()
	const allowed, longest = 8192, 1_500_000
	server := hostilepg.Serve(t, func(connection net.Conn) { _, _ = io.Copy(io.Discard, connection) })
	open := func(bits int) error {
		database, err := claims.Open(t.Context(), claims.Options{
			URL: "postgres://u:p@" + server + "/d", Layout: v1alpha1.PostgresSource{CABundle: string(authority(t, bits))}, ConnectTimeout: time.Millisecond,
		})
		if err == nil {
			database.Close()
		}
		return err
	}
	_ = failureWith(t, open(allowed), v1alpha1.ReasonDatabaseUnreachable)
	for _, bits := range []int{allowed + 1, longest} {
		if failed := failureWith(t, open(bits), v1alpha1.ReasonInvalidSpec); !strings.Contains(failed.Message, fmt.Sprintf("%d bits", bits)) {
			t.Errorf("%q does not say how long the key of %d bits is", failed.Message, bits)
		}
	}
}

// authority is the certificate of an authority with an RSA key of so many bits, for which nobody has the private key.
func authority(t *testing.T, bits int) []byte {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	modulus.SetBit(modulus, 0, 1)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: modulus, E: 65537}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
}
