package door

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
