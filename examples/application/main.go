// Command application is a small web application whose users export their claims: a button, progress, and a download. It has a table of its own
// in which each press of the button is one row, and that row's id is what Ledgerport knows the request by. Whatever is killed in between, a
// request is one run.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/application/ledgerport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "application:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var at struct{ address, url, ca, token, namespace, export string }
	flag.StringVar(&at.address, "listen", "127.0.0.1:8080", "address to listen at")
	flag.StringVar(&at.url, "ledgerport", "https://ledgerport-console.ledgerport-system.svc", "URL of the console")
	flag.StringVar(&at.ca, "ledgerport-ca", "", "file with the authority of its certificate; empty is those of the system")
	flag.StringVar(&at.token, "token", "/var/run/secrets/kubernetes.io/serviceaccount/token", "file with the application's token")
	flag.StringVar(&at.namespace, "namespace", "acme", "namespace of the export")
	flag.StringVar(&at.export, "export", "monthly", "its name")
	flag.Parse()
	database, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer database.Close()
	reach, err := client(at.ca)
	if err != nil {
		return err
	}
	app := &application{database: database, exports: &ledgerport.Client{
		URL: at.url, Namespace: at.namespace, Export: at.export, HTTP: reach,
		Token: func() (string, error) {
			content, err := os.ReadFile(at.token)
			return strings.TrimSpace(string(content)), err
		},
	}}
	if err := app.prepare(ctx); err != nil {
		return err
	}
	server := &http.Server{Addr: at.address, Handler: app.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close() // what is asked for can be asked for again
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// client trusts the authority of a file, or those of the system.
func client(ca string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca == "" {
		return &http.Client{Transport: transport}, nil
	}
	content, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate", ca)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}
