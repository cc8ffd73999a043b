package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/test/application"
	"github.com/ledgerport/ledgerport/test/hostilepg"
)

// attack begins all attacks, each of a namespace of its own, and returns what ends them.
func (s *siege) attack(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	serve := func(answer func(net.Conn)) string {
		address, stop, listenErr := hostilepg.Listen(answer)
		if listenErr != nil {
			err = errors.Join(err, listenErr)
			return ""
		}
		stops = append(stops, stop)
		return "postgres://tenant:secret@" + address + "/claims?sslmode=disable"
	}
	endless, silent, noisy := serve(hostilepg.SendRows), serve(hostilepg.SayNothing), serve(hostilepg.SendNotices)
	if err != nil {
		return stop, err
	}
	var group errgroup.Group
	for namespace, attack := range map[string]func(context.Context, string) error{
		"endless-rows":   func(ctx context.Context, namespace string) error { return s.sources(ctx, namespace, endless, 20) },
		"silent-servers": func(ctx context.Context, namespace string) error { return s.sources(ctx, namespace, silent, 120) },
		"notices":        func(ctx context.Context, namespace string) error { return s.sources(ctx, namespace, noisy, 20) },
		"many-runs":      s.manyRuns,
		"every-minute":   s.everyMinute,
		"heavy-options":  s.heavyOptions,
		"long-deadlines": s.longDeadlines,
		"huge-claims":    s.hugeClaims,
	} {
		group.Go(func() error {
			if err := s.create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
				return err
			}
			return attack(ctx, namespace)
		})
	}
	return stop, group.Wait()
}

// sources makes claim sources at one server.
func (s *siege) sources(ctx context.Context, namespace, server string, n int) error {
	for i := range n {
		meta := metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("source-%d", i)}
		err := s.create(ctx,
			&corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"url": server}},
			&v1alpha1.ClaimSource{ObjectMeta: meta, Spec: v1alpha1.ClaimSourceSpec{Postgres: v1alpha1.PostgresSource{
				ConnectionSecretRef: &v1alpha1.SecretKeyReference{Name: meta.Name, Key: "url"},
			}}})
		if err != nil {
			return err
		}
	}
	return nil
}

// database makes a database with claims of a tenant, and what its exports share. It returns a connection.
func (s *siege) database(ctx context.Context, namespace string, content application.Content) (*pgx.Conn, error) {
	name := strings.ReplaceAll(namespace, "-", "_")
	server, err := pgx.Connect(ctx, s.postgres.URL)
	if err != nil {
		return nil, err
	}
	_, err = server.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE template0`)
	if err := errors.Join(err, server.Close(ctx)); err != nil {
		return nil, err
	}
	at, err := url.Parse(s.postgres.URL)
	if err != nil {
		return nil, err
	}
	at.Path = "/" + name
	conn, err := pgx.Connect(ctx, at.String())
	if err != nil {
		return nil, err
	}
	if err := application.CreateTables(ctx, conn); err != nil {
		return nil, err
	}
	content.OrganizationID, content.Seed = organization, 1
	content.ApprovedFrom, content.ApprovedTo = time.Now().Add(-40*24*time.Hour), time.Now().Add(-time.Hour)
	if _, err := application.Fill(ctx, conn, content); err != nil {
		return nil, err
	}
	return conn, s.create(ctx, shared(namespace, at.String())...)
}

// manyRuns makes two thousand runs of one export.
func (s *siege) manyRuns(ctx context.Context, namespace string) error {
	conn, err := s.database(ctx, namespace, application.Content{Claims: s.claims})
	if err != nil {
		return err
	}
	if err := errors.Join(conn.Close(ctx), s.create(ctx, dueExport(namespace, "bench", organization))); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range 2000 {
		group.Go(func() error {
			return s.create(ctx, &v1alpha1.ExportRun{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("run-%d", i)},
				Spec:       v1alpha1.ExportRunSpec{ExportRef: v1alpha1.LocalReference{Name: "bench"}},
			})
		})
	}
	return group.Wait()
}

// everyMinute makes sixty exports that are due each minute.
func (s *siege) everyMinute(ctx context.Context, namespace string) error {
	conn, err := s.database(ctx, namespace, application.Content{Claims: s.claims})
	if err != nil {
		return err
	}
	err = conn.Close(ctx)
	for i := range 60 {
		export := dueExport(namespace, fmt.Sprintf("export-%d", i), organizationNumber(i))
		export.Spec.Schedule = "* * * * *"
		err = errors.Join(err, s.create(ctx, export))
	}
	return err
}

// heavyOptions makes exports whose options, and a chart whose expressions, take long to compile.
func (s *siege) heavyOptions(ctx context.Context, namespace string) error {
	conn, err := s.database(ctx, namespace, application.Content{Claims: s.claims})
	if err != nil {
		return err
	}
	err = conn.Close(ctx)
	nested := "voucher.number > 0"
	for len(nested) < 900 {
		nested += " && voucher.number > 0"
	}
	var columns []string
	for i := range 60 {
		columns = append(columns, fmt.Sprintf(`{"name": "c%d", "value": %q}`, i, "("+nested+") ? 'x' : 'y'"))
	}
	options := &runtime.RawExtension{Raw: []byte(`{"columns": [` + strings.Join(columns, ", ") + `]}`)}
	exporter := taking(options.Raw).Type()
	for i := range 31 {
		export := dueExport(namespace, fmt.Sprintf("export-%d", i), organization)
		export.Spec.Exporter = v1alpha1.ExporterSpec{Type: exporter, Options: options}
		err = errors.Join(err, s.create(ctx, export))
	}
	heavy := &v1alpha1.ChartOfAccounts{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "heavy"}, Spec: chart(false)}
	for range 200 {
		expression := strings.ReplaceAll(nested, "voucher.number > 0", "line.category == 'x'")
		heavy.Spec.Rules = append([]v1alpha1.MappingRule{{Match: v1alpha1.RuleMatch{Expression: expression}, Account: "4671"}}, heavy.Spec.Rules...)
	}
	return errors.Join(err, s.create(ctx, heavy))
}

// longDeadlines makes four exports that hang in their database until their deadline, which is in a day.
func (s *siege) longDeadlines(ctx context.Context, namespace string) error {
	conn, err := s.database(ctx, namespace, application.Content{Claims: s.claims})
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `BEGIN; LOCK TABLE claim_lines IN ACCESS EXCLUSIVE MODE`); err != nil { // until the server ends
		return err
	}
	for i := range 4 {
		export := dueExport(namespace, fmt.Sprintf("export-%d", i), organization)
		export.Spec.VoucherSeries = fmt.Sprintf("S%d", i)
		export.Spec.Deadline = &metav1.Duration{Duration: 24 * time.Hour}
		err = errors.Join(err, s.create(ctx, export))
	}
	return err
}

// hugeClaims makes an export of claims of ten thousand lines.
func (s *siege) hugeClaims(ctx context.Context, namespace string) error {
	conn, err := s.database(ctx, namespace, application.Content{Claims: 20, LinesPerClaim: 10_000})
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `UPDATE claim_lines SET description = repeat('x', 2000)`); err != nil {
		return err
	}
	return errors.Join(conn.Close(ctx), s.create(ctx, dueExport(namespace, "bench", organization)))
}
