package command

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ledgerport/ledgerport/internal/openport"
)

// noAddress is the address of what is not served; empty is, too.
const noAddress = "0"

// farewell is how long answers at these ports may take to end when the operator does.
const farewell = 2 * time.Second

// addProbes serves /healthz and /readyz, and what they have below them, to everybody. The operator is healthy while it answers.
func addProbes(ctx context.Context, mgr ctrl.Manager, address string, ready map[string]healthz.Checker) error {
	mux := http.NewServeMux()
	for path, checks := range map[string]map[string]healthz.Checker{"/healthz": {"ping": healthz.Ping}, "/readyz": ready} {
		answer := http.StripPrefix(path, &healthz.Handler{Checks: checks})
		mux.Handle(path, answer)
		mux.Handle(path+"/", answer)
	}
	return addPort(ctx, mgr, "probes", address, mux, nil)
}

// addMetrics serves metrics, and profiles if they are wanted, over TLS with a certificate that is made now.
func addMetrics(ctx context.Context, mgr ctrl.Manager, options managerOptions) error {
	filter := openport.Filter(func(handler http.Handler) (http.Handler, error) { return handler, nil })
	if options.metricsAuthentication {
		known, err := filters.WithAuthenticationAndAuthorization(mgr.GetConfig(), mgr.GetHTTPClient())
		if err != nil {
			return err
		}
		filter = openport.Turns(ofLog(mgr, known))
	}
	served := options.profileHandlers()
	served["/metrics"] = promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
	mux := http.NewServeMux()
	for path, handler := range served {
		filtered, err := filter(handler)
		if err != nil {
			return err
		}
		mux.Handle(path, filtered)
	}
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	return addPort(ctx, mgr, "metrics", options.metricsAddress, mux, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}})
}

// ofLog has a filter log as the manager does.
func ofLog(mgr ctrl.Manager, filter metricsserver.Filter) func(http.Handler) (http.Handler, error) {
	return func(handler http.Handler) (http.Handler, error) {
		return filter(mgr.GetLogger().WithName("metrics"), handler)
	}
}

// addPort serves a handler at an address, if there is one: over TLS if it is encrypted.
func addPort(ctx context.Context, mgr ctrl.Manager, name, address string, handler http.Handler, encrypted *tls.Config) error {
	if address == noAddress || address == "" {
		return nil
	}
	listener, err := openport.Listen(ctx, address)
	if err != nil {
		return fmt.Errorf("listening for %s: %w", name, err)
	}
	if encrypted != nil {
		listener = tls.NewListener(listener, encrypted)
	}
	until := farewell
	return mgr.Add(&manager.Server{Name: name, Listener: listener, Server: openport.Server(ctx, handler, mgr.GetLogger().WithName(name)), ShutdownTimeout: &until})
}

// selfSigned makes a certificate that nobody can verify: it has readings encrypted. A reader is authenticated by its token.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}, err
}
