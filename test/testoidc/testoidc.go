// Package testoidc is an OIDC provider for tests, which is a module of its own that others keep. Who logs in next is queued at it.
package testoidc

import (
	"crypto/tls"
	"net"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/ledgerport/ledgerport/test/environment"
)

// Start starts a provider at localhost, with a certificate of the authority.
func Start() (provider *mockoidc.MockOIDC, authority *environment.Authority, err error) {
	return StartAt("localhost")
}

// StartAt starts a provider at a host of this machine.
func StartAt(host string) (provider *mockoidc.MockOIDC, authority *environment.Authority, err error) {
	if authority, err = environment.NewAuthority("provider"); err != nil {
		return nil, nil, err
	}
	certificate, key, err := authority.Issue(host, host)
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, nil, err
	}
	if provider, err = mockoidc.NewServer(nil); err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if err := provider.Start(tls.NewListener(listener, config), config); err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	provider.Server.Addr = net.JoinHostPort(host, port) // as its certificate has it
	return provider, authority, nil
}
