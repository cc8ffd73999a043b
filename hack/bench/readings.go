package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/client-go/discovery"

	"github.com/ledgerport/ledgerport/test/environment"
)

// reading is what all processes have counted so far.
type reading struct {
	operator, postgres, apiServer, etcd float64 // milliseconds of processors
	requests, writes, secretReads       float64
	written                             map[string]float64 // writes by resource, verb and answer
	statements, transactions, sessions  float64
}

func (g *ground) read(ctx context.Context) (*reading, error) {
	r := reading{written: map[string]float64{}}
	apiServer, etcd, err := g.controlPlane.Pids()
	if err != nil {
		return nil, err
	}
	for _, process := range []struct {
		pid  int
		into *float64
	}{{g.operator.Pid(), &r.operator}, {g.postgres.Pid(), &r.postgres}, {apiServer, &r.apiServer}, {etcd, &r.etcd}} {
		took, err := environment.CPU(process.pid)
		if err != nil {
			return nil, err
		}
		*process.into = float64(took) / float64(time.Millisecond)
	}
	return &r, errors.Join(g.readRequests(ctx, &r), g.readStatements(ctx, &r))
}

// counted is one series of what the API server has answered. Watches end when they do, and leases have nothing to do with runs.
var counted = regexp.MustCompile(`^apiserver_request_total\{code="([0-9]*)",.*,resource="([a-z]*)",.*subresource="([a-z]*)",verb="([A-Z]+)".*\} ([0-9.e+]+)$`)

func (g *ground) readRequests(ctx context.Context, r *reading) error {
	asking, err := discovery.NewDiscoveryClientForConfig(g.controlPlane.Config)
	if err != nil {
		return err
	}
	metrics, err := asking.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(metrics))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series := counted.FindStringSubmatch(lines.Text())
		if series == nil {
			continue
		}
		code, resource, part, verb := series[1], series[2], series[3], series[4]
		if resource == "leases" || resource == "" || verb == "WATCH" {
			continue
		}
		times, err := strconv.ParseFloat(series[5], 64)
		if err != nil {
			return err
		}
		r.requests += times
		if resource == "secrets" && verb == "GET" {
			r.secretReads += times
		}
		switch verb {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE":
			r.writes += times
			r.written[verb+" "+strings.TrimSuffix(resource+"/"+part, "/")+" "+code] += times
		}
	}
	return lines.Err()
}

func (g *ground) readStatements(ctx context.Context, r *reading) (err error) {
	conn, err := pgx.Connect(ctx, g.postgres.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return conn.QueryRow(ctx, `SELECT (SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements), (xact_commit + xact_rollback)::float8, sessions::float8
		FROM pg_stat_database WHERE datname = current_database()`).Scan(&r.statements, &r.transactions, &r.sessions)
}

// machineLoad is how many programs have wanted a processor, as the kernel tells it; empty on a system that does not.
func machineLoad() string {
	load, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(load))
}
