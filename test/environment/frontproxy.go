package environment

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Authority signs certificates for the servers and clients of a test.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// PEM is its certificate.
	PEM []byte
}

// NewAuthority makes one.
func NewAuthority(name string) (*Authority, error) {
	a := &Authority{}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	template := lasting(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	made, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	if a.certificate, err = x509.ParseCertificate(made); err != nil {
		return nil, err
	}
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	return a, nil
}

// Issue returns a certificate for a name, which a server has among its hosts, with its key. A host is a name or an address.
func (a *Authority) Issue(name string, hosts ...string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := lasting(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	made, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), err
}

// WriteServing writes the certificate of a server and its key as a mounted Secret has them.
func (a *Authority) WriteServing(directory string, hosts ...string) error {
	certificate, key, err := a.Issue(hosts[0], hosts...)
	if err != nil {
		return err
	}
	return writeAll(directory, map[string][]byte{"tls.crt": certificate, "tls.key": key})
}

func lasting(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // crypto/rand does not fail
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: serial,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func writeAll(directory string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// frontProxy is the name by which an API server speaks to those that serve a part of its API.
const frontProxy = "front-proxy-client"

// aggregate lets an API server pass requests on, and tell those who are asked on whose behalf, as clusters do.
func aggregate(assets string, server *envtest.APIServer, directory string) (*Authority, error) {
	authority, err := NewAuthority("front-proxy")
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Issue(frontProxy)
	if err != nil {
		return nil, err
	}
	if err := writeAll(directory, map[string][]byte{"ca.crt": authority.PEM, "client.crt": certificate, "client.key": key}); err != nil {
		return nil, fmt.Errorf("writing the certificates of the front proxy: %w", err)
	}
	server.Configure().
		Set("requestheader-client-ca-file", filepath.Join(directory, "ca.crt")).
		Set("requestheader-allowed-names", frontProxy).
		Set("requestheader-username-headers", "X-Remote-User").
		Set("requestheader-group-headers", "X-Remote-Group").
		Set("requestheader-extra-headers-prefix", "X-Remote-Extra-").
		Set("proxy-client-cert-file", filepath.Join(directory, "client.crt")).
		Set("proxy-client-key-file", filepath.Join(directory, "client.key"))
	// Kubernetes before 1.32 passes no UID on.
	const uid = "requestheader-uid-headers"
	if help, err := exec.Command(filepath.Join(assets, "kube-apiserver"), "--help").Output(); err != nil { // #nosec G204 -- that of the tests
		return nil, fmt.Errorf("the kube-apiserver of %s: %w", assets, err)
	} else if bytes.Contains(help, []byte("--"+uid)) {
		server.Configure().Set(uid, "X-Remote-Uid")
	}
	return authority, nil
}
