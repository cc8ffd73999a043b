package door

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// TestALongChainOfCertificatesIsNotVerified has a client send a chain that each of its issuers could have signed: to try them all would take
// 0.3 s of a processor, before the client has proven anything.
func TestALongChainOfCertificatesIsNotVerified(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(serial int64, name string, authority bool) *x509.Certificate {
		of := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: authority, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}
		raw, err := x509.CreateCertificate(rand.Reader, of, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}}, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	root, client := made(1, "authority", true), made(2, "client", false)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	asked := 0
	g := &guard{trusted: func() (x509.VerifyOptions, bool) {
		asked++
		return x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, true
	}}
	for between, trusted := range map[int]bool{0: true, longestChain - 1: true, longestChain: false, 120: false} {
		chain := []*x509.Certificate{client}
		for i := range between {
			chain = append(chain, made(int64(10+i), "authority", true))
		}
		if err := g.verify(tls.ConnectionState{PeerCertificates: chain}); (err == nil) != trusted {
			t.Errorf("a chain with %d certificates between: %v, want trust: %t", between, err, trusted)
		}
	}
	stranger := made(3, "authority", true) // of the same name, and another key
	g.trusted = func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{Roots: x509.NewCertPool()}, true }
	if err := g.verify(tls.ConnectionState{PeerCertificates: []*x509.Certificate{client, stranger}}); err == nil {
		t.Error("who brings its own authority is trusted")
	}
	g.trusted = func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{}, false }
	if err := g.verify(tls.ConnectionState{PeerCertificates: []*x509.Certificate{client}}); err == nil {
		t.Error("somebody is trusted while nobody is known")
	}
}

// TestNothingIsComputedWithAKeyThatTheAuthorityDoesNotVouchFor has a client send as many certificates as it may, each of which each of the others has
// signed, by a key of which one signature takes a millisecond. While they are looked at, the API server waits.
func TestNothingIsComputedWithAKeyThatTheAuthorityDoesNotVouchFor(t *testing.T) {
	t.Parallel()
	roots := x509.NewCertPool()
	roots.AddCert(signed(t, elliptic.P256(), "authority", 1)[0])
	g := &guard{trusted: func() (x509.VerifyOptions, bool) { return x509.VerifyOptions{Roots: roots}, true }}
	chain := signed(t, elliptic.P521(), "authority", longestChain)
	shortest := func(does func() error) time.Duration { // of some, whatever else the machine does
		least := time.Hour
		for range 20 {
			began := time.Now()
			if err := does(); err == nil {
				t.Fatal("who brings its own authority is trusted")
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	one := shortest(func() error { return fmt.Errorf("one signature: %w", chain[0].CheckSignatureFrom(chain[1])) })
	if all := shortest(func() error { return g.verify(tls.ConnectionState{PeerCertificates: chain}) }); all > one {
		t.Errorf("to refuse the chain takes %s, and one of its signatures %s", all, one)
	}
}

// signed makes certificates of one key and one name, which differ in what else they name.
func signed(t *testing.T, curve elliptic.Curve, name string, count int) (chain []*x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		of := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, DNSNames: []string{fmt.Sprint("authority-", i)},
		}
		raw, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), crypto.Signer(key))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, parsed)
	}
	return chain
}
